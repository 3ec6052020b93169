/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek policy: what to allow an identity in the KMS, and in the store (policy_store.c), so that it
 * may do what its role needs and no more. How a KMS writes that is its provider's (cli/policy.h).
 * Every use of a root key carries an encryption context (docs/format.md, 3), so the KMS itself
 * keeps the zones apart: a thief of the store with the rights of zone A still opens nothing of zone
 * B. */
#include "cli/policy.h"

#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/providers.h"
#include "cli/token.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct grant describe =
	{ "SeeTheKeysState", { RIGHT_DESCRIBE }, SCOPE_NONE, NULL, false };
static const struct grant open_zone =
	{ "OpenZone", { RIGHT_DECRYPT }, SCOPE_ZONE, "ezk", false };
static const struct grant renew =
	{ "RenewLeases", { RIGHT_DECRYPT }, SCOPE_PROJECT, "canary", false };
static const struct grant make_zone =
	{ "MakeZones", { RIGHT_ENCRYPT, RIGHT_MAKE_KEY }, SCOPE_PROJECT, "ezk", true };
static const struct grant rotate_zone =
	{ "RotateZones", { RIGHT_ENCRYPT, RIGHT_MAKE_KEY }, SCOPE_ZONE, "ezk", false };
static const struct grant move_from =
	{ "RewrapWithoutReading", { RIGHT_MOVE_FROM }, SCOPE_ZONE, "ezk", false };
static const struct grant move_to =
	{ "RewrapByAnyRootKey", { RIGHT_MOVE_TO }, SCOPE_ZONE, "ezk", false, REACH_PROJECT };
static const struct grant add_key =
	{ "TryNewKeys", { RIGHT_ENCRYPT, RIGHT_DECRYPT }, SCOPE_PROJECT, "canary", true, REACH_ACCOUNT };
static const struct grant look_at_keys =
	{ "SeeNewKeys", { RIGHT_DESCRIBE }, SCOPE_NONE, NULL, true, REACH_ACCOUNT };
static const struct grant see_last_use =
	{ "SeeWhenKeysWereUsedLast", { RIGHT_LAST_USE }, SCOPE_NONE, NULL, false };
static const struct grant import_key =
	{ "ImportKeys", { RIGHT_DECRYPT }, SCOPE_PURPOSE, "import", true };

static const struct grant back_up =
	{ "BackUpAndRestore", { RIGHT_ENCRYPT, RIGHT_DECRYPT }, SCOPE_PROJECT, "backup", true };

static const struct role {
	const char *name;
	bool writes; /* to the store; of one database only if it does that too */
	bool writes_of_one;
	const struct grant *grants[12];
} roles[] = {
	/* Reading and writing a zone both need its key, so to the KMS they are one; a writer of a
	 * whole project also makes zones. */
	{ "reader",    false, false, { &describe, &open_zone, &renew } },
	{ "writer",    true,  false, { &describe, &open_zone, &renew, &make_zone } },
	{ "rewrapper", true,  true,  { &describe, &move_from, &move_to } },
	{ "admin",     true,  true,  { &describe, &open_zone, &renew, &rotate_zone, &make_zone, &look_at_keys, &add_key,
			 &import_key, &back_up, &see_last_use } },
};
/* clang-format on */

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

static void add_text(json_t *list, const char *text)
{
	if (text != NULL && !has_text(list, text))
		json_array_append_new(list, json_string(text));
}

/* Adds a root key, if its provider is the one whose policies are printed, or the first that has
 * some. */
static void note_arn(const char *arn, const struct key_provider **provider, json_t *keys)
{
	const struct key_provider *of_key = arn == NULL ? NULL : key_provider_of(arn);
	AUTO(freep) char *name = NULL;

	if (of_key == NULL || of_key->policies == NULL)
		return;
	if (*provider == NULL)
		*provider = of_key;
	if (of_key != *provider)
		return;
	name = of_key->policies->key(arn);
	add_text(keys, name);
}

static void note_key(const struct token *token, CK_OBJECT_HANDLE object,
		     const struct key_provider **provider, json_t *keys)
{
	AUTO(freep) char *arn = object_text(token, object, CKA_CMEK_ROOT_KEY);

	note_arn(arn, provider, keys);
}

/* Of two owners both keys are needed. */
static void note_owners(const struct token *token, CK_OBJECT_HANDLE zone,
			const struct key_provider **provider, json_t *keys)
{
	AUTO(freep) char *text = object_text(token, zone, CKA_CMEK_ROOT_KEYS);
	json_t *json = text == NULL ? NULL : json_loads(text, 0, NULL);
	const char *policy = json_string_value(json_object_get(json, "policy"));
	const json_t *owners = json_object_get(json, "keys");

	for (size_t i = 0;
	     policy != NULL && strcmp(policy, "and") == 0 && i < json_array_size(owners); i++)
		note_arn(json_string_value(json_array_get(owners, i)), provider, keys);
	json_decref(json);
}

/* The account of each key of the project. */
static void add_accounts(const struct token *token, const CK_OBJECT_HANDLE *keys, size_t count,
			 const struct key_provider *provider, json_t *accounts)
{
	for (size_t i = 0; i < count; i++) {
		AUTO(freep) char *arn = object_text(token, keys[i], CKA_CMEK_ROOT_KEY);
		AUTO(freep) char *all = NULL;

		if (arn != NULL && key_provider_of(arn) == provider)
			all = provider->policies->all_keys(arn);
		add_text(accounts, all);
	}
}

/* A project without a key whose KMS has policies: only the statements for adding the first one can
 * be printed. */
static bool adds_keys(const struct role *role)
{
	for (size_t i = 0; role->grants[i] != NULL; i++)
		if (role->grants[i]->reach == REACH_ACCOUNT)
			return true;
	return false;
}

/* A database's provider is that of its root key, a project's that of the first which has policies.
 */
static int find_keys(const struct token *token, const char *database, struct subject *subject,
		     const struct key_provider **ret_provider)
{
	AUTO(freep) CK_OBJECT_HANDLE *keys = NULL;
	CK_OBJECT_HANDLE zone;
	size_t count;

	TRY(token_find(token, &kind_key, NULL, &keys, &count));
	if (database != NULL) {
		TRY(token_find_one(token, &kind_database, database, &zone));
		snprintf(subject->zone, sizeof(subject->zone), "%llu",
			 (unsigned long long)object_zone_id(token, zone));
		note_key(token, zone, ret_provider, subject->keys[REACH_SUBJECT]);
		note_owners(token, zone, ret_provider, subject->keys[REACH_SUBJECT]);
		if (*ret_provider == NULL)
			return CMEK_EXIT_OK;
	}
	for (size_t i = 0; i < count; i++)
		note_key(token, keys[i], ret_provider, subject->keys[REACH_PROJECT]);
	if (*ret_provider != NULL)
		add_accounts(token, keys, count, *ret_provider, subject->keys[REACH_ACCOUNT]);
	if (database == NULL)
		json_array_extend(subject->keys[REACH_SUBJECT], subject->keys[REACH_PROJECT]);
	return CMEK_EXIT_OK;
}

static int find_subject(const struct token *token, const struct role *role, const char *database,
			struct subject *subject, const struct key_provider **ret_provider)
{
	for (size_t i = 0; i < REACH_COUNT; i++)
		subject->keys[i] = json_array();
	subject->project = object_text(token, token_diagnostic(token), CKA_UNIQUE_ID);
	if (subject->project == NULL || *subject->project == '\0')
		return fail(CMEK_EXIT_FAILED, "project %s: the module does not tell its id",
			    token->project);
	TRY(find_keys(token, database, subject, ret_provider));
	if (*ret_provider != NULL)
		return CMEK_EXIT_OK;
	if (database == NULL && adds_keys(role)) {
		*ret_provider = key_provider_with_policies();
		add_text(subject->keys[REACH_ACCOUNT], (*ret_provider)->policies->account);
		return CMEK_EXIT_OK;
	}
	return fail(
		CMEK_EXIT_NOT_FOUND,
		"project %s%s%s has no root key whose KMS has policies, as that of provider %s has "
		"('cmek key list'); keys of the embedded KMS may be used by whoever has local.keys",
		token->project, database == NULL ? "" : ", database ",
		database == NULL ? "" : database, key_provider_with_policies()->name);
}

/* An identity for one zone makes no others. */
bool policy_grants(const struct grant *grant, const struct subject *subject)
{
	return (subject->zone[0] == '\0' || !grant->whole_project) &&
	       json_array_size(subject->keys[grant->reach]) > 0;
}

static json_t *store_rights(const struct token *token, const struct role *role,
			    const struct arguments *arguments)
{
	bool writes = arguments->positional[0] == NULL ? role->writes : role->writes_of_one;
	const char *principal = arguments_value(arguments, "principal");
	AUTO(freep) char *project = object_text(token, token_diagnostic(token), CKA_UNIQUE_ID);
	json_t *facts = token_store_facts(token), *rights;

	if (principal != NULL && strchr(principal, ':') != NULL) /* an ARN: the KMS's */
		principal = NULL;
	rights = policy_of_store(facts, project == NULL ? "" : project, writes, principal);

	json_decref(facts);
	return rights;
}

static int print_documents(json_t *documents, json_t *store)
{
	json_object_set_new(documents, "store_policy", store);
	json_dumpf(documents, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(documents);
	return CMEK_EXIT_OK;
}

int policy_print(const struct arguments *arguments)
{
	const char *role_name = arguments_value(arguments, "role");
	const char *principal = arguments_value(arguments, "principal");
	const struct role *role = find_role(role_name);
	AUTO(token_close) struct token token = {0};
	AUTO(subject_clear)
	struct subject subject = {.max_lease = UNBOUNDED, .max_stale = UNBOUNDED};
	const struct key_provider *provider = NULL;
	json_t *documents;

	if (role == NULL)
		return fail(CMEK_EXIT_USAGE,
			    "no role %s; there are reader, writer, rewrapper and admin", role_name);
	TRY(arguments_seconds(arguments, "max-lease", &subject.max_lease));
	TRY(arguments_seconds(arguments, "max-stale", &subject.max_stale));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	if (arguments_value(arguments, "store") != NULL)
		return print_documents(json_object(), store_rights(&token, role, arguments));
	TRY(find_subject(&token, role, arguments->positional[0], &subject, &provider));
	subject.principal = principal == NULL ? provider->policies->principal : principal;
	documents = provider->policies->write(role->grants, &subject);
	return print_documents(documents, store_rights(&token, role, arguments));
}

/* --- The command ----------------------------------------------------------------------------- */

/* clang-format off */

static const struct option_row policy_options[] = {
	PROJECT,
	{ "role", "ROLE", "reader, writer, rewrapper or admin", true },
	{ "max-lease", "SECONDS", "only zones whose greatest lease is no greater", false },
	{ "max-stale", "SECONDS", "only zones whose greatest stale time is no greater", false },
	{ "principal", "WHO", "who gets it: an ARN for the key policy (default: a placeholder), else the store's user", false },
	{ "store", NULL, "the rights in the store alone", false },
	END,
};

static const struct command command_rows[] = {
	{ "policy", NULL, "[CLUSTER/DB]", "what to allow an identity for a role: IAM, key and store",
	  "Prints JSON documents in one: identity_policy, for the identity that runs the program, key_policy,\n"
	  "statements for the KMS key's own policy, and store_policy, the commands that give a user the rights\n"
	  "in the store. Conditions on the encryption context keep to the database, or, without one, to the\n"
	  "project; a store in etcd gives rights on all of it.\n\n"
	  "  reader     opens the zone (reading and writing both need its key: to the KMS they are one)\n"
	  "  writer     the same; for a whole project also makes databases\n"
	  "  rewrapper  has the KMS move the zone's key to another root key, without ever seeing it\n"
	  "             (kms:ReEncrypt; cmek database rewrap)\n"
	  "  admin      all but the rewrapper's; rotates, also a single database; also adds root keys, imports\n"
	  "             keys, backs up and restores\n\n"
	  "With --max-lease or --max-stale the policies let nobody open or make a zone that may go on for\n"
	  "longer after a yes of the KMS.\n\n"
	  "  cmek policy --project payments --role reader prod/orders\n"
	  "  cmek policy --project payments --role writer --max-lease 3600\n"
	  "  cmek policy --project payments --role reader --store --principal app\n",
	  policy_options, policy_print },
};

/* clang-format on */

const struct command_group policy_commands = {command_rows, COUNT_OF(command_rows)};
