/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek policy: what to write into IAM and into the KMS key's policy so that an identity may do what
 * its role needs and no more. Every use of a root key carries an encryption context
 * (docs/format.md, 3), so the KMS itself keeps the zones apart: a thief of the store with the
 * rights of zone A still opens nothing of zone B. */
#include "base/buffer.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/token.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What a statement demands of the encryption context. */
enum scope {
	SCOPE_NONE,    /* the action has no encryption context */
	SCOPE_ZONE,    /* purpose, and the zone (or, for a whole project, the project) */
	SCOPE_PROJECT, /* purpose, and the project */
	SCOPE_PURPOSE, /* the purpose alone: imported keys were encrypted elsewhere */
};

/* Which keys a statement covers. */
enum reach {
	REACH_SUBJECT, /* the zone's root keys or, for a whole project, the project's */
	REACH_PROJECT, /* all root keys of the project: where a zone's key may go */
	REACH_ACCOUNT, /* all keys of the account: also those that the project will add later */
	REACH_COUNT
};

struct grant {
	const char *sid;
	const char *actions[3];
	enum scope scope;
	const char *purpose;
	bool whole_project; /* not allowed for a role in one zone */
	enum reach reach;
};

/* clang-format off */
static const struct grant describe =
	{ "SeeTheKeysState", { "kms:DescribeKey" }, SCOPE_NONE, NULL, false };
static const struct grant open_zone =
	{ "OpenZone", { "kms:Decrypt" }, SCOPE_ZONE, "ezk", false };
static const struct grant renew =
	{ "RenewLeases", { "kms:Decrypt" }, SCOPE_PROJECT, "canary", false };
static const struct grant make_zone =
	{ "MakeZones", { "kms:Encrypt", "kms:GenerateDataKey" }, SCOPE_PROJECT, "ezk", true };
static const struct grant rotate_zone =
	{ "RotateZones", { "kms:Encrypt", "kms:GenerateDataKey" }, SCOPE_ZONE, "ezk", false };
static const struct grant move_from =
	{ "RewrapWithoutReading", { "kms:ReEncryptFrom" }, SCOPE_ZONE, "ezk", false };
static const struct grant move_to =
	{ "RewrapByAnyRootKey", { "kms:ReEncryptTo" }, SCOPE_ZONE, "ezk", false, REACH_PROJECT };
static const struct grant add_key =
	{ "TryNewKeys", { "kms:Encrypt", "kms:Decrypt" }, SCOPE_PROJECT, "canary", true, REACH_ACCOUNT };
static const struct grant look_at_keys =
	{ "SeeNewKeys", { "kms:DescribeKey" }, SCOPE_NONE, NULL, true, REACH_ACCOUNT };
static const struct grant see_last_use =
	{ "SeeWhenKeysWereUsedLast", { "kms:GetKeyLastUsage" }, SCOPE_NONE, NULL, false };
static const struct grant import_key =
	{ "ImportKeys", { "kms:Decrypt" }, SCOPE_PURPOSE, "import", true };

static const struct grant back_up =
	{ "BackUpAndRestore", { "kms:Encrypt", "kms:Decrypt" }, SCOPE_PROJECT, "backup", true };

static const struct role {
	const char *name;
	const struct grant *grants[12];
} roles[] = {
	/* Reading and writing a zone both need its key, so to the KMS they are one; a writer of a
	 * whole project also makes zones. */
	{ "reader",    { &describe, &open_zone, &renew } },
	{ "writer",    { &describe, &open_zone, &renew, &make_zone } },
	{ "rewrapper", { &describe, &move_from, &move_to } },
	{ "admin",     { &describe, &open_zone, &renew, &rotate_zone, &make_zone, &look_at_keys, &add_key,
			 &import_key, &back_up, &see_last_use } },
};
/* clang-format on */

struct subject {
	json_t *keys[REACH_COUNT]; /* ARNs */
	char *project;		   /* id, 32 hex digits */
	char zone[24];		   /* decimal; empty: the whole project */
	const char *principal;
	uint64_t max_lease, max_stale; /* UNBOUNDED: any zone */
};

#define UNBOUNDED UINT64_MAX

static void subject_clear(struct subject *subject)
{
	for (size_t i = 0; i < REACH_COUNT; i++)
		json_decref(subject->keys[i]);
	free(subject->project);
}

/* --- The subject */

static const struct role *find_role(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(roles); i++)
		if (strcmp(roles[i].name, name) == 0)
			return &roles[i];
	return NULL;
}

static bool has_text(const json_t *texts, const char *text)
{
	for (size_t i = 0; i < json_array_size(texts); i++)
		if (strcmp(json_string_value(json_array_get(texts, i)), text) == 0)
			return true;
	return false;
}

/* arn:PARTITION:kms:REGION:ACCOUNT:key/ID becomes arn:PARTITION:kms:*:ACCOUNT:key/ and a star, for
 * each account. */
static json_t *accounts_of(const json_t *arns)
{
	json_t *accounts = json_array();

	for (size_t i = 0; i < json_array_size(arns); i++) {
		char partition[32], account[16], all[96];
		const char *arn = json_string_value(json_array_get(arns, i));

		if (sscanf(arn, "arn:%31[^:]:kms:%*[^:]:%15[^:]:", partition, account) != 2)
			continue;
		snprintf(all, sizeof(all), "arn:%s:kms:*:%s:key/*", partition, account);
		if (!has_text(accounts, all))
			json_array_append_new(accounts, json_string(all));
	}
	return accounts;
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

/* Adds the ARN of an object's root key, if it is an AWS key. */
static void add_text(char *arn, json_t *arns)
{
	if (arn == NULL || strncmp(arn, "arn:aws", 7) != 0)
		return;
	in_any_region(arn);
	if (!has_text(arns, arn))
		json_array_append_new(arns, json_string(arn));
}

static void add_arn(const struct token *token, CK_OBJECT_HANDLE object, json_t *arns)
{
	AUTO(freep) char *arn = object_text(token, object, CKA_CMEK_ROOT_KEY);

	add_text(arn, arns);
}

/* Of two owners both keys are needed. */
static void add_owners(const struct token *token, CK_OBJECT_HANDLE zone, json_t *arns)
{
	AUTO(freep) char *text = object_text(token, zone, CKA_CMEK_ROOT_KEYS);
	json_t *json = text == NULL ? NULL : json_loads(text, 0, NULL);
	const char *policy = json_string_value(json_object_get(json, "policy"));
	const json_t *keys = json_object_get(json, "keys");

	for (size_t i = 0;
	     policy != NULL && strcmp(policy, "and") == 0 && i < json_array_size(keys); i++) {
		AUTO(freep) char *arn = strdup(json_string_value(json_array_get(keys, i)));

		add_text(arn, arns);
	}
	json_decref(json);
}

/* A project without a key in AWS: only the statements for adding the first one can be printed. */
static bool adds_keys(const struct role *role)
{
	for (size_t i = 0; role->grants[i] != NULL; i++)
		if (role->grants[i]->reach == REACH_ACCOUNT)
			return true;
	return false;
}

static int find_keys(const struct token *token, const char *database, struct subject *subject)
{
	AUTO(freep) CK_OBJECT_HANDLE *keys = NULL;
	CK_OBJECT_HANDLE zone;
	size_t count;

	TRY(token_find(token, &kind_key, NULL, &keys, &count));
	for (size_t i = 0; i < count; i++)
		add_arn(token, keys[i], subject->keys[REACH_PROJECT]);
	if (database == NULL) {
		json_array_extend(subject->keys[REACH_SUBJECT], subject->keys[REACH_PROJECT]);
		return CMEK_EXIT_OK;
	}
	TRY(token_find_one(token, &kind_database, database, &zone));
	snprintf(subject->zone, sizeof(subject->zone), "%llu",
		 (unsigned long long)object_zone_id(token, zone));
	add_arn(token, zone, subject->keys[REACH_SUBJECT]);
	add_owners(token, zone, subject->keys[REACH_SUBJECT]);
	return CMEK_EXIT_OK;
}

static int find_subject(const struct token *token, const struct role *role, const char *database,
			struct subject *subject)
{
	json_t **keys = subject->keys;

	keys[REACH_SUBJECT] = json_array();
	keys[REACH_PROJECT] = json_array();
	subject->project = object_text(token, token_diagnostic(token), CKA_UNIQUE_ID);
	if (subject->project == NULL || *subject->project == '\0')
		return fail(CMEK_EXIT_FAILED, "project %s: the module does not tell its id",
			    token->project);
	TRY(find_keys(token, database, subject));
	keys[REACH_ACCOUNT] = accounts_of(keys[REACH_PROJECT]);
	if (json_array_size(keys[REACH_SUBJECT]) > 0)
		return CMEK_EXIT_OK;
	if (database == NULL && adds_keys(role)) {
		json_array_append_new(keys[REACH_ACCOUNT],
				      json_string("arn:aws:kms:*:ACCOUNT:key/*"));
		return CMEK_EXIT_OK;
	}
	return fail(CMEK_EXIT_NOT_FOUND,
		    "%s%s%s has no root key in AWS, and the embedded KMS has no policies; see "
		    "cmek key list --project %s",
		    token->project, database == NULL ? "" : " ", database == NULL ? "" : database,
		    token->project);
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
	json_t *actions = json_array();

	for (size_t i = 0; i < COUNT_OF(grant->actions) && grant->actions[i] != NULL; i++)
		json_array_append_new(actions, json_string(grant->actions[i]));
	return actions;
}

/* In a key's policy the resource is the key itself, and the principal is named. */
static json_t *statement(const struct grant *grant, const struct subject *subject, bool key_policy)
{
	json_t *result = json_pack("{s:s, s:s}", "Sid", grant->sid, "Effect", "Allow");

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

static json_t *policy(const struct role *role, const struct subject *subject, bool key_policy)
{
	json_t *statements = json_array();

	for (size_t i = 0; role->grants[i] != NULL; i++) {
		const struct grant *grant = role->grants[i];

		/* An identity for one zone makes no others. */
		if ((subject->zone[0] == '\0' || !grant->whole_project) &&
		    json_array_size(subject->keys[grant->reach]) > 0)
			json_array_append_new(statements, statement(grant, subject, key_policy));
	}
	return json_pack("{s:s, s:o}", "Version", "2012-10-17", "Statement", statements);
}

int policy_print(const struct arguments *arguments)
{
	const char *role_name = arguments_value(arguments, "role");
	const char *principal = arguments_value(arguments, "principal");
	const struct role *role = find_role(role_name);
	AUTO(token_close) struct token token = {0};
	AUTO(subject_clear)
	struct subject subject = {.max_lease = UNBOUNDED, .max_stale = UNBOUNDED};
	json_t *both;

	if (role == NULL)
		return fail(CMEK_EXIT_USAGE,
			    "no role %s; there are reader, writer, rewrapper and admin", role_name);
	TRY(arguments_seconds(arguments, "max-lease", &subject.max_lease));
	TRY(arguments_seconds(arguments, "max-stale", &subject.max_stale));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(find_subject(&token, role, arguments->positional[0], &subject));
	subject.principal = principal == NULL ? "arn:aws:iam::ACCOUNT:role/ROLE" : principal;
	both = json_pack("{s:o, s:o}", "identity_policy", policy(role, &subject, false),
			 "key_policy", policy(role, &subject, true));
	json_dumpf(both, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(both);
	return CMEK_EXIT_OK;
}
