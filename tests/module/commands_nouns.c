/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The hierarchy, noun by noun: projects, root keys, clusters, databases and their versions. */
#include "base/macros.h"
#include "cli/cli.h"
#include "tests/module/commands.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <jansson.h>

#define NO_KEY "00000000-0000-4000-8000-000000000000"

static void projects(void **state)
{
	json_t *list;

	(void)state;
	refused("project create demo", CMEK_EXIT_REFUSED, "project demo exists already (slot ");
	done("project list");
	prints("demo");
	done("project list --json");
	list = printed_json();
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	done("project show demo");
	prints("databases      2");
	refused("project show other", CMEK_EXIT_NOT_FOUND,
		"no project other; see cmek project list");
	refused("project restore demo", CMEK_EXIT_NOT_FOUND, "has not taken the place of another");
}

static void root_keys(void **state)
{
	(void)state;
	done("key list --project demo");
	prints("arn:local:kms:");
	done("key show --project demo root");
	prints("active");
	refused("key add --project demo local:root", CMEK_EXIT_REFUSED, "as root key 'root'");
	refused("key create --project demo local:root", CMEK_EXIT_REFUSED,
		"the embedded KMS has a key local:root already; add that (cmek key add)");
	refused("key create --project demo alias/root", CMEK_EXIT_REFUSED,
		"only a key of the embedded KMS, local:NAME, can be made here");
	refused("key add --project demo local:rooot", CMEK_EXIT_DENIED,
		"/local.keys; name local:root, or make it: cmek key create");
	refused("key add --project demo arn:local:kms:local::key/" NO_KEY, CMEK_EXIT_DENIED,
		"if another host made it, copy its local.keys");
	refused("key show --project demo none", CMEK_EXIT_NOT_FOUND,
		"project demo has no root key none");
	done("key disable --project demo root --json");
	prints("\"state\": \"disabled\"");
	refused("encrypt --project demo --database main/orders @plain @new", CMEK_EXIT_DENIED,
		"enable the key: cmek key enable");
	done("key enable --project demo root");
	prints("active");
}

static void clusters(void **state)
{
	(void)state;
	done("cluster list --project demo");
	prints("us-west-2");
	done("cluster show --project demo main --json");
	prints("\"cluster\": \"main\"");
	refused("cluster create --project demo main --key root --region us-west-2",
		CMEK_EXIT_REFUSED, "choose another label");
	refused("cluster create --project demo far --key root --region x --provider aws",
		CMEK_EXIT_REFUSED, "local");
}

static void databases(void **state)
{
	(void)state;
	done("database list --project demo");
	prints("main/orders");
	done("database show --project demo main/orders --json");
	prints("\"version\": 1");
	prints("\"max_lease\": 86400");
	prints("\"max_stale\": 86400");
	prints("\"embed\": true");
	refused("database create --project demo --max-lease soon main/new", CMEK_EXIT_USAGE,
		"--max-lease is a number of seconds up to 31536000 (a year), not soon");
	refused("database create --project demo --max-stale 31536001 main/new", CMEK_EXIT_USAGE,
		"--max-stale is a number of seconds");
	refused("database create --project demo --max-lease 60 main/orders", CMEK_EXIT_REFUSED,
		"already; choose another label");
	refused("database create --project demo mian/orders", CMEK_EXIT_NOT_FOUND,
		"has no cluster 'mian'; make it: cmek cluster create mian --project demo --key L "
		"--region R");
	refused("database create --project demo main/orders", CMEK_EXIT_REFUSED,
		"already; choose another label");
	refused("database create --project demo orders", CMEK_EXIT_USAGE, "CLUSTER/DB");
}

static void a_database_may_be_made_to_encrypt_by_its_key(void **state)
{
	(void)state;
	done("database show --project demo main/orders --json");
	prints("\"usage\": \"wrap\"");
	done("database create --project demo --usage encrypt,wrap main/seal");
	prints("encrypt,wrap");
	done("encrypt --project demo --database main/seal @plain @seal.cmek");
	done("decrypt @seal.cmek @back --force");
	done("database create --project demo --usage encrypt main/alone");
	/* Whatever failed before, which has nothing to do with it. */
	refused("database show --project demo main/none", CMEK_EXIT_NOT_FOUND, "main/none");
	refused("encrypt --project demo --database main/alone @plain @alone.cmek",
		CMEK_EXIT_REFUSED, "CKA_WRAP is FALSE");
	refused("database create --project demo main/alone", CMEK_EXIT_REFUSED, "already");
	refused("encrypt --project demo --database main/alone @plain @alone.cmek",
		CMEK_EXIT_REFUSED, "CKA_WRAP is FALSE");
	refused("database create --project demo --usage sign main/new", CMEK_EXIT_USAGE,
		"--usage is wrap, encrypt or both with a comma between, not sign");
	refused("database create --project demo --usage wrap, main/new", CMEK_EXIT_USAGE,
		"--usage");
}

static void a_database_has_versions(void **state)
{
	(void)state;
	done("encrypt --project demo --database main/bills @plain @old.cmek");
	done("database rotate --project demo main/bills --dry-run");
	prints("would be rotated");
	done("database show --project demo main/bills --json");
	prints("\"version\": 1");
	done("database rotate --project demo main/bills");
	prints("rotated");
	done("encrypt --project demo --database main/bills @plain @new.cmek");
	done("decrypt @old.cmek @back --force");
	done("decrypt @new.cmek @back --force");
	done("database rotate --project demo main/ --json");
	prints("\"version\": 3");
	done("database rotate --project demo --all --older-than 1");
	assert_null(strstr(buffer_text(&out), "main"));
	done("database show --project demo main/bills");
	prints("opens, raw");
	prints("wraps, opens");
	done("database show --project demo main/bills --json");
	prints("\"primary\": true");
	refused("database rotate --project demo", CMEK_EXIT_USAGE, "--all");
	refused("database rotate --project demo --all main/bills", CMEK_EXIT_USAGE, "--all");
	refused("database rotate --project demo none/", CMEK_EXIT_NOT_FOUND, "no databases in");
	refused("database rotate --project demo main/none", CMEK_EXIT_NOT_FOUND, "main/none");
	refused("database rotate --project demo main/bills --older-than x", CMEK_EXIT_USAGE,
		"a number of days");
}

static void versions_of_a_database_are_fenced_and_moved(void **state)
{
	(void)state;
	refused("database set --project demo main/bills", CMEK_EXIT_USAGE, "nothing to set");
	refused("database set --project demo --min-version 0 main/bills", CMEK_EXIT_USAGE,
		"the number of a version");
	refused("database set --project demo --min-version 2 main/bills", CMEK_EXIT_REFUSED,
		"what raw mechanisms use; move the raw version first");
	refused("database set --project demo --raw-version 9 main/bills", CMEK_EXIT_REFUSED,
		"has no version 9");
	done("database set --project demo --raw-version 3 --min-version 3 --rotate-days 90 "
	     "main/bills");
	prints("min_version    3");
	prints("raw_version    3");
	prints("rotate_days    90");
	done("database show --project demo main/bills");
	prints("fenced");
	refused("decrypt @old.cmek @back --force", CMEK_EXIT_REFUSED,
		"is fenced off, as its minimum version is 3; to open what needs it, lower that");
	done("database set --project demo --min-version 1 --raw-version 1 main/bills");
	done("decrypt @old.cmek @back --force");
	refused("database set --project demo --trusted maybe main/bills", CMEK_EXIT_USAGE,
		"--trusted is yes or no");
	done("database set --project demo --trusted yes main/bills");
	prints("trusted        yes");
	done("database set --project demo --trusted no main/bills");
	prints("trusted        no");
	done("database create --project demo --rotate-days 30 main/monthly --json");
	prints("\"rotate_days\": 30");
	refused("database create --project demo --rotate-days 36501 main/new", CMEK_EXIT_USAGE,
		"a number of days up to 36500");
}

static void a_database_may_keep_its_key_in_the_store(void **state)
{
	(void)state;
	/* Made, with a line on what that asks for. */
	assert_int_equal(run("database create --project demo --no-embed main/kept"), CMEK_EXIT_OK);
	prints("embed          no");
	assert_non_null(
		strstr(buffer_text(&err), "cmek: warning: database main/kept: its key is "));
	assert_non_null(strstr(buffer_text(&err), "back up the store now"));
	done("database show --project demo main/kept");
	prints("embed          no");
	done("tree --project demo --offline");
	prints(", key version 1, embed: no)");
	done("encrypt --project demo --database main/kept @plain @kept.cmek");
	done("inspect @kept.cmek");
	prints("record         none: opens only with its store");
	prints("embed          no");
	prints("project_serial ");
	assert_null(strstr(buffer_text(&out), "root_key"));
	done("decrypt @kept.cmek @kept.plain");
	has("kept.plain", "card 4111");
	refused("database create --project demo --no-embed main/kept", CMEK_EXIT_REFUSED,
		"already; choose another label");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(projects),
	cmocka_unit_test(root_keys),
	cmocka_unit_test(clusters),
	cmocka_unit_test(databases),
	cmocka_unit_test(a_database_may_be_made_to_encrypt_by_its_key),
	cmocka_unit_test(a_database_has_versions),
	cmocka_unit_test(versions_of_a_database_are_fenced_and_moved),
	cmocka_unit_test(a_database_may_keep_its_key_in_the_store),
};
const struct command_tests commands_nouns = {tests, COUNT_OF(tests)};
