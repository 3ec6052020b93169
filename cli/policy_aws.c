/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The policies of AWS: what to write into IAM and into the KMS key's policy ("Condition keys for
 * AWS KMS", "Policies in AWS KMS", AWS KMS Developer Guide). */
#include "base/buffer.h"
#include "base/macros.h"
#include "cli/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const actions[RIGHT_COUNT] = {
	[RIGHT_DESCRIBE] = "kms:DescribeKey",	  [RIGHT_ENCRYPT] = "kms:Encrypt",
	[RIGHT_DECRYPT] = "kms:Decrypt",	  [RIGHT_MAKE_KEY] = "kms:GenerateDataKey",
	[RIGHT_MOVE_FROM] = "kms:ReEncryptFrom",  [RIGHT_MOVE_TO] = "kms:ReEncryptTo",
	[RIGHT_LAST_USE] = "kms:GetKeyLastUsage",
};

/* --- Keys */

/* arn:PARTITION:kms:REGION:ACCOUNT:key/ID becomes arn:PARTITION:kms:*:ACCOUNT:key/ and a star. */
static char *all_keys(const char *arn)
{
	char partition[32], account[16], *all = NULL;

	if (sscanf(arn, "arn:%31[^:]:kms:%*[^:]:%15[^:]:", partition, account) != 2)
		return NULL;
	return asprintf(&all, "arn:%s:kms:*:%s:key/*", partition, account) < 0 ? NULL : all;
}

/* Related multi-Region keys differ only in their region; any of them may be asked
 * (multi_region_order). */
static void in_any_region(char *arn)
{
	char *region = strstr(arn, ":kms:"), *rest;

	if (region == NULL || strstr(arn, ":key/mrk-") == NULL)
		return;
	region += strlen(":kms:");
	rest = strchr(region, ':');
	if (rest == NULL || rest == region)
		return;
	*region = '*';
	memmove(region + 1, rest, strlen(rest) + 1);
}

static char *key(const char *arn)
{
	char *name = strdup(arn);

	if (name != NULL)
		in_any_region(name);
	return name;
}

/* --- Statements ------------------------------------------------------------------------------ */

static void require(json_t *pairs, const char *name, const char *value)
{
	AUTO(buffer_clear) struct buffer key = {0};

	buffer_format(&key, "kms:EncryptionContext:%s", name);
	json_object_set_new(pairs, buffer_text(&key), json_string(value));
}

static void add_pattern(json_t *patterns, const char *digits, size_t len, char next, size_t more)
{
	char pattern[32] = "";

	memcpy(pattern, digits, len);
	if (next != '\0')
		pattern[len++] = next;
	memset(pattern + len, '?', more);
	pattern[len + more] = '\0';
	json_array_append_new(patterns, json_string(pattern));
}

/*
 * Values of the encryption context are text to IAM, whose condition keys for them have string
 * operators only. So the decimal numbers up to `greatest`, as the module writes them, become
 * patterns, in which ? is any one character: one for all shorter numbers; for each digit, those for
 * numbers of the same length that begin like `greatest` and go on with a smaller digit; and
 * `greatest` itself.
 */
static json_t *numbers_up_to(uint64_t greatest)
{
	json_t *patterns = json_array();
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)greatest);

	for (size_t shorter = 1; shorter < len; shorter++)
		add_pattern(patterns, digits, 0, '\0', shorter);
	for (size_t i = 0; i < len; i++)
		for (char digit = i == 0 && len > 1 ? '1' : '0'; digit < digits[i]; digit++)
			add_pattern(patterns, digits, i, digit, len - i - 1);
	add_pattern(patterns, digits, len, '\0', 0);
	return patterns;
}

static void bound(json_t *pairs, const char *name, uint64_t greatest)
{
	if (greatest != UNBOUNDED)
		json_object_set_new(pairs, name, numbers_up_to(greatest));
}

/* Zones have a greatest lease; canaries and imported keys have none. */
static json_t *lease_condition(const struct grant *grant, const struct subject *subject)
{
	json_t *pairs = json_object();

	if (strcmp(grant->purpose, "ezk") == 0) {
		bound(pairs, "kms:EncryptionContext:cmek:max-lease", subject->max_lease);
		bound(pairs, "kms:EncryptionContext:cmek:max-stale", subject->max_stale);
	}
	return pairs;
}

static json_t *condition(const struct grant *grant, const struct subject *subject)
{
	json_t *pairs = json_object(), *lease = lease_condition(grant, subject), *both;

	require(pairs, "cmek:purpose", grant->purpose);
	if (grant->scope == SCOPE_ZONE && subject->zone[0] != '\0')
		require(pairs, "cmek:zone", subject->zone);
	else if (grant->scope != SCOPE_PURPOSE)
		require(pairs, "cmek:project", subject->project);
	both = json_pack("{s:o}", "StringEquals", pairs);
	if (json_object_size(lease) > 0)
		json_object_set(both, "StringLike", lease);
	json_decref(lease);
	return both;
}

static json_t *actions_of(const struct grant *grant)
{
	json_t *list = json_array();

	for (size_t i = 0; i < COUNT_OF(grant->rights) && grant->rights[i] != 0; i++)
		json_array_append_new(list, json_string(actions[grant->rights[i]]));
	return list;
}

/* In a key's policy the resource is the key itself, and the principal is named. */
static json_t *statement(const struct grant *grant, const struct subject *subject, bool key_policy)
{
	json_t *result = json_pack("{s:s, s:s}", "Sid", grant->name, "Effect", "Allow");

	if (key_policy)
		json_object_set_new(result, "Principal",
				    json_pack("{s:s}", "AWS", subject->principal));
	json_object_set_new(result, "Action", actions_of(grant));
	if (key_policy)
		json_object_set_new(result, "Resource", json_string("*"));
	else
		json_object_set(result, "Resource", subject->keys[grant->reach]);
	if (grant->scope != SCOPE_NONE)
		json_object_set_new(result, "Condition", condition(grant, subject));
	return result;
}

static json_t *policy(const struct grant *const *grants, const struct subject *subject,
		      bool key_policy)
{
	json_t *statements = json_array();

	for (; *grants != NULL; grants++)
		if (policy_grants(*grants, subject))
			json_array_append_new(statements, statement(*grants, subject, key_policy));
	return json_pack("{s:s, s:o}", "Version", "2012-10-17", "Statement", statements);
}

static json_t *both_policies(const struct grant *const *grants, const struct subject *subject)
{
	return json_pack("{s:o, s:o}", "identity_policy", policy(grants, subject, false),
			 "key_policy", policy(grants, subject, true));
}

/* --- A table of DynamoDB: docs/store-dynamodb.md, "Rights" */

static const char *partition_of(const char *region)
{
	if (strncmp(region, "cn-", 3) == 0)
		return "aws-cn";
	return strncmp(region, "us-gov-", 7) == 0 ? "aws-us-gov" : "aws";
}

static json_t *table_arn(const char *place, const char *rest)
{
	const char *table = strchr(place, '/');
	int len = table == NULL ? 0 : (int)(table - place);
	AUTO(buffer_clear) struct buffer arn = {0};

	buffer_format(&arn, "arn:%s:dynamodb:%.*s:*:table/%s%s", partition_of(place), len, place,
		      table == NULL ? place : table + 1, rest);
	return json_string(buffer_text(&arn));
}

static json_t *writing(const char *place, const char *project)
{
	AUTO(buffer_clear) struct buffer partition = {0};

	buffer_format(&partition, "p/%s", project);
	return json_pack("{s:s, s:s, s:[s,s,s], s:o, s:{s:{s:[s,s,s]}}}", "Sid", "StoreWrite",
			 "Effect", "Allow", "Action", "dynamodb:PutItem", "dynamodb:DeleteItem",
			 "dynamodb:ConditionCheckItem", "Resource", table_arn(place, ""),
			 "Condition", "ForAllValues:StringLike", "dynamodb:LeadingKeys",
			 buffer_text(&partition), "store", "z/*");
}

json_t *policy_aws_table(const char *place, const char *project, bool writes)
{
	json_t *statements = json_array();

	json_array_append_new(statements,
			      json_pack("{s:s, s:s, s:[s,s,s], s:[o,o]}", "Sid", "StoreRead",
					"Effect", "Allow", "Action", "dynamodb:GetItem",
					"dynamodb:BatchGetItem", "dynamodb:Query", "Resource",
					table_arn(place, ""), table_arn(place, "/index/labels")));
	if (writes)
		json_array_append_new(statements, writing(place, project));
	return json_pack("{s:{s:s, s:o}}", "identity_policy", "Version", "2012-10-17", "Statement",
			 statements);
}

const struct policy_form policy_aws = {
	.principal = "arn:aws:iam::ACCOUNT:role/ROLE",
	.account = "arn:aws:kms:*:ACCOUNT:key/*",
	.key = key,
	.all_keys = all_keys,
	.write = both_policies,
};
