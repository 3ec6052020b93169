/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Deletion, and what comes back. */
#include "base/macros.h"
#include "cli/cli.h"
#include "tests/module/commands.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <jansson.h>

static void what_is_deleted_comes_back_under_a_free_name(void **state)
{
	json_t *json;

	(void)state;
	done("cluster create --project demo brief --key root --region us-west-2");
	done("database create --project demo brief/db");
	done("database delete --project demo --dry-run brief/db");
	prints("would not open any more, until it is brought back: 1 database, 1 key version");
	prints("nothing was changed");
	done("database delete --project demo --dry-run --json brief/db");
	json = printed_json();
	assert_true(json_is_false(json_object_get(json, "changed")));
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(json, "usage"), "databases")), 1);
	json_decref(json);
	refused("database undelete --project demo brief/db", CMEK_EXIT_REFUSED,
		"does not await deletion");
	done("database delete --project demo brief/db");
	prints("purge_date");
	refused("database show --project demo brief/db", CMEK_EXIT_NOT_FOUND, "has no database");
	done("database list --project demo --deleted");
	prints("brief/db");
	done("maintain --dry-run");
	prints("restorable");
	refused("cluster delete --project demo brief", CMEK_EXIT_REFUSED,
		"'brief' is needed by zone 'brief/db', which awaits deletion");
	done("database create --project demo brief/db");
	refused("database undelete --project demo brief/db", CMEK_EXIT_REFUSED,
		"choose another label");
	refused("database undelete --project demo --label main/db brief/db", CMEK_EXIT_REFUSED,
		"can't be renamed into another cluster");
	done("database undelete --project demo --label brief/old brief/db");
	done("database delete --project demo brief/db");
	done("database create --project demo brief/db");
	done("database delete --project demo brief/db");
	refused("database undelete --project demo brief/db", CMEK_EXIT_REFUSED, "give one as --id");
	refused("database undelete --project demo --id 1 brief/db", CMEK_EXIT_NOT_FOUND,
		"that awaits deletion");
}

static void erasing_asks_for_the_name_once_more(void **state)
{
	(void)state;
	done("database create --project demo main/end");
	refused("database erase --project demo --yes-erase main/end main/end", CMEK_EXIT_REFUSED,
		"does not await deletion: delete it first");
	done("database delete --project demo main/end");
	refused("database erase --project demo --yes-erase main/bills main/end", CMEK_EXIT_USAGE,
		"nothing was erased");
	done("database erase --project demo --yes-erase main/end main/end");
	prints("its files carry its key's record");
	prints("backups");
	refused("database undelete --project demo main/end", CMEK_EXIT_NOT_FOUND,
		"has no database main/end that awaits deletion");
	done("database create --project demo main/end");
	done("database delete --project demo main/end");
	done("database erase --project demo --yes-erase main/end --json main/end");
	prints("\"changed\": true");
}

static void mistyped_root_key_costs_no_place(void **state)
{
	(void)state;
	done("key create --project demo local:mistyped");
	done("key remove --project demo --dry-run mistyped");
	prints("would be taken away: nothing stands on it");
	done("key remove --project demo --now mistyped");
	prints("gone for good");
	refused("key show --project demo mistyped", CMEK_EXIT_NOT_FOUND, "has no root key");
	done("key add --project demo local:mistyped");
	done("key remove --project demo mistyped");
	done("key list --project demo --deleted");
	prints("mistyped");
	done("key restore --project demo --label other mistyped");
	done("key remove --project demo other");
	done("key remove --project demo --now other");
	refused("key remove --project demo root", CMEK_EXIT_REFUSED, "'root' is needed by zone");
	refused("key remove --project demo --now root", CMEK_EXIT_REFUSED, "has something on it");
	done("key remove --project demo --dry-run root");
	prints("would stay, since this stands on it");
	done("key show --project demo --offline root");
	prints("version 1, primary");
	done("tree --offline --usage");
	prints("versions: 1 primary");
}

static void version_in_use_is_not_retired(void **state)
{
	(void)state;
	refused("database retire --project demo --version 1 main/orders", CMEK_EXIT_REFUSED,
		"is in use: move the fence above it first");
	refused("database unretire --project demo --version 9 main/orders", CMEK_EXIT_NOT_FOUND,
		"has no version 9");
	refused("database retire --project demo --version one main/orders", CMEK_EXIT_USAGE,
		"--version is a number");
	refused("database erase --project demo --version 1 --yes-erase main/orders main/orders",
		CMEK_EXIT_REFUSED, "is not retired");
	done("database retire --project demo --dry-run --version 1 main/orders");
	prints("what this version encrypted");
}

static void clusters_go_and_come_back(void **state)
{
	(void)state;
	done("cluster create --project demo idle --key root --region us-west-2");
	done("cluster delete --project demo --dry-run idle");
	done("cluster delete --project demo idle");
	done("cluster list --project demo --deleted");
	prints("idle");
	done("cluster undelete --project demo idle");
	done("cluster show --project demo idle");
	done("maintain --json");
	done("maintain --now");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_is_deleted_comes_back_under_a_free_name),
	cmocka_unit_test(erasing_asks_for_the_name_once_more),
	cmocka_unit_test(mistyped_root_key_costs_no_place),
	cmocka_unit_test(version_in_use_is_not_retired),
	cmocka_unit_test(clusters_go_and_come_back),
};
const struct command_tests commands_deleted = {tests, COUNT_OF(tests)};
