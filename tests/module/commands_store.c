/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of the store, its levels, and backups of it. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "tests/module/commands.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <jansson.h>
#include <sqlite3.h>
#include <stdlib.h>

/* The module, or that of a release to come, which knows two levels more. */
static void use_module(const char *path)
{
	setenv("CMEK_PKCS11_MODULE", path, 1);
}

static void in_store(const char *sql)
{
	AUTO(freep) char *path = in_home("store.db");
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void told_levels(const char *line, int from, int to, bool changed)
{
	json_t *told;

	done(line);
	told = printed_json();
	assert_int_equal(json_integer_value(json_object_get(told, "from")), from);
	assert_int_equal(json_integer_value(json_object_get(told, "to")), to);
	assert_int_equal(json_is_true(json_object_get(told, "changed")), changed);
	json_decref(told);
}

static void a_store_without_a_project_is_none_yet(void **state)
{
	static const char *const lines[] = {"store show", "store show --json", "store upgrade",
					    "store downgrade"};
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(freep) char *there = in_home("cmek.conf"), *empty = in_home("empty.conf");

	(void)state;
	buffer_format(&text, "[store]\npath = %s/none.db\n", home);
	put("empty.conf", buffer_text(&text));
	setenv("CMEK_PKCS11_CONF", empty, 1);
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		refused(lines[i], CMEK_EXIT_NOT_FOUND,
			"there is no store yet, or no project in it: 'cmek project create NAME' "
			"makes "
			"both, where [store] path says");
	assert_false(is_there("none.db"));
	setenv("CMEK_PKCS11_CONF", there, 1);
}

/* Also where there is no project yet. */
static void the_store_is_checked_and_made_without_a_project(void **state)
{
	AUTO(freep) char *there = in_home("cmek.conf"), *empty = in_home("empty.conf");
	json_t *told;

	(void)state;
	setenv("CMEK_PKCS11_CONF", empty, 1);
	done("store create");
	prints("nothing to make");
	done("store check");
	prints("its head was read in");
	done("tree");
	prints("no project yet; make one: cmek project create NAME");
	done("tree --json");
	assert_string_equal(buffer_text(&out), "[]\n");
	assert_false(is_there("none.db"));
	setenv("CMEK_PKCS11_CONF", there, 1);
	done("store check --json");
	told = printed_json();
	assert_true(json_is_true(json_object_get(told, "ok")));
	assert_non_null(strstr(json_string_value(json_object_get(told, "report")), "writable"));
	json_decref(told);
}

/* Each word of the text is one of the JSON, and the values begin in one column. */
static void the_store_is_shown_in_the_same_words_as_json_and_text(void **state)
{
	AUTO(freep) char *text = NULL;
	char *rest = NULL, *line;
	size_t count = 0;
	json_t *facts;

	(void)state;
	done("store show");
	text = strdup(buffer_text(&out));
	done("store show --json");
	facts = printed_json();
	assert_true(json_is_true(json_object_get(facts, "exists")));
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		size_t len = strcspn(line, " ");

		assert_int_equal(strspn(line + len, " ") + len, 15);
		line[len] = '\0';
		assert_non_null(json_object_get(facts, line));
		count++;
	}
	assert_int_equal(count, 12);
	json_decref(facts);
}

static void a_store_at_the_only_level_stays_there(void **state)
{
	(void)state;
	done("store upgrade");
	prints("is at level 1, the newest that this release knows");
	done("store downgrade --dry-run");
	prints("is at level 1, the lowest");
	told_levels("store upgrade --to 1 --json", 1, 1, false);
	told_levels("store downgrade --json", 1, 1, false);
	refused("store upgrade --to 2", CMEK_EXIT_USAGE,
		"--to is a level from 1 (where the store is) to 1, not 2");
	refused("store upgrade --to soon", CMEK_EXIT_USAGE, "--to is a number, not soon");
}

static void writers_of_before_are_stopped(void)
{
	use_module(CMEK_MODULE);
	done("store show");
	prints("writes         no: a later release is needed");
	prints("reads          yes");
	refused("store upgrade", CMEK_EXIT_REFUSED,
		"is at level 2, and this release (0.1.0) knows level 1 alone");
	refused("store downgrade", CMEK_EXIT_REFUSED, "do it with cmek-pkcs11 0.2.0");
	refused("database create --project demo main/new", CMEK_EXIT_REFUSED,
		"install cmek-pkcs11 0.2.0");
	done("doctor --project demo");
	prints("rows, readable, not to be changed by this release");
	use_module(CMEK_NEXT);
}

static void readers_of_before_are_stopped(void)
{
	use_module(CMEK_MODULE);
	done("store show");
	prints("reads          projects and root keys alone");
	refused("database list --project demo", CMEK_EXIT_DAMAGED, "install cmek-pkcs11 0.3.0");
	done("decrypt @free.cmek @back --force");
	has("back", "card 4111");
	/* Its key is there, for all that this release can know. */
	refused("decrypt @held.cmek @back --force", CMEK_EXIT_DAMAGED, "install cmek-pkcs11 0.3.0");
	assert_non_null(strstr(buffer_text(&err), "held.cmek: looking for its key: store "));
	refused("decrypt --project demo @held.cmek @back --force", CMEK_EXIT_DAMAGED,
		"reading it takes level 3");
	refused("decrypt --project demo --database main/held @held.cmek @back --force",
		CMEK_EXIT_DAMAGED, "held.cmek: looking for its database: store ");
	refused("decrypt --project none --database main/held @held.cmek @back --force",
		CMEK_EXIT_NOT_FOUND, "it belongs to project demo");
	use_module(CMEK_NEXT);
}

static void a_store_goes_up_and_down_its_levels(void **state)
{
	(void)state;
	assert_int_equal(run("database create --project demo --no-embed main/held"), CMEK_EXIT_OK);
	done("encrypt --project demo --database main/held @plain @held.cmek --force");
	done("encrypt --project demo --database main/orders @plain @free.cmek --force");
	use_module(CMEK_NEXT);
	done("store upgrade --to 2 --dry-run");
	prints("switched on: made up for tests: notes on databases (level 2)");
	prints("it is changed by releases that know level 2: cmek-pkcs11 0.2.0 or later");
	prints("nothing was changed");
	told_levels("store upgrade --json --dry-run", 1, 3, false);
	told_levels("store upgrade --to 2 --json", 1, 2, true);
	done("store upgrade --to 2");
	prints("is at level 2, as --to asks");
	refused("store upgrade --to 1", CMEK_EXIT_USAGE, "from 2 (where the store is) to 3, not 1");
	writers_of_before_are_stopped();
	done("store upgrade");
	prints("the way back, until one of these is used: cmek store downgrade");
	prints("done");
	readers_of_before_are_stopped();
	in_store("INSERT INTO frozen VALUES (1)");
	refused("store downgrade", CMEK_EXIT_REFUSED,
		"stays at level 3: what this level switched on is in use");
	in_store("DELETE FROM frozen");
	done("store downgrade");
	prints("switched off: made up for tests: frozen databases (level 3)");
	told_levels("store downgrade --json", 2, 1, true);
	use_module(CMEK_MODULE);
	done("decrypt @held.cmek @back --force");
	has("back", "card 4111");
}

/* The databases may keep their keys out of their files, which is said: a line, and no failure. */
static void a_project_is_backed_up_and_restored(void **state)
{
	(void)state;
	assert_int_equal(run("backup --project demo @all.backup"), CMEK_EXIT_OK);
	assert_int_equal(run("backup --project demo --json --force --embedding-only @all.backup"),
			 CMEK_EXIT_OK);
	refused("backup --project demo @all.backup", CMEK_EXIT_REFUSED, "is there already");
	refused("backup --project demo --json -", CMEK_EXIT_USAGE, "can't both go");
	refused("backup --project demo --database none @x.backup", CMEK_EXIT_NOT_FOUND, "none");
	assert_int_equal(run("backup verify --offline @all.backup"), CMEK_EXIT_OK);
	assert_non_null(strstr(buffer_text(&out), "structure only"));
	assert_int_equal(run("backup verify --json --offline @all.backup"), CMEK_EXIT_OK);
	assert_int_equal(run("restore --dry-run @all.backup"), CMEK_EXIT_OK);
	refused("restore --json --revive main/orders,other @all.backup", CMEK_EXIT_NOT_FOUND,
		"the backup has no database 'other' to bring back");
	assert_int_equal(run("restore --json --revive main/orders @all.backup"), CMEK_EXIT_OK);
	assert_int_equal(run("restore @all.backup"), CMEK_EXIT_OK);
	assert_int_equal(run("restore --dry-run --as copy @all.backup"), CMEK_EXIT_OK);
	assert_int_equal(run("restore --as demo @all.backup"), CMEK_EXIT_REFUSED);
	done("restore --as copy @all.backup");
	prints("as             copy");
	done("database list --project copy");
	refused("restore @plain", CMEK_EXIT_DAMAGED, "this is no backup of a project");
	refused("restore --map nobody=local:x @all.backup", CMEK_EXIT_NOT_FOUND, "nobody");
	refused("restore --map nobody @all.backup", CMEK_EXIT_USAGE, "OLD=NEW");
	refused("restore @none.backup", CMEK_EXIT_NOT_FOUND, "none.backup");
}

static void copy_store(const char *options, const char *to)
{
	AUTO(buffer_clear) struct buffer line = {0};

	buffer_format(&line, "store copy --to %s%s/there.db%s", to, home, options);
	done(buffer_text(&line));
}

static void told_copied(const char *options, const char *member, bool expected)
{
	json_t *told;

	copy_store(options, "sqlite:");
	told = printed_json();
	assert_int_equal(json_is_true(json_object_get(told, member)), expected);
	assert_true(json_integer_value(json_object_get(told, "rows")) > 0);
	json_decref(told);
}

static void use_configuration_of(const char *store)
{
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(freep) char *path = in_home("there.conf");

	buffer_format(&text, "[store]\npath = %s/%s\n[local]\npath = %s/local.keys\n", home, store,
		      home);
	put("there.conf", buffer_text(&text));
	setenv("CMEK_PKCS11_CONF", path, 1);
}

static void refused_copies(void)
{
	refused("store copy", CMEK_EXIT_USAGE, "--to");
	refused("store copy --to @none.conf", CMEK_EXIT_NOT_FOUND, "none.conf");
	refused("store copy --to sqlite:here.db", CMEK_EXIT_REFUSED, "should be");
	refused("store copy --to @plain", CMEK_EXIT_REFUSED, "plain line 1");
	refused("store copy --from @none.conf --to @cmek.conf", CMEK_EXIT_NOT_FOUND, "none.conf");
	refused("store copy --to @cmek.conf", CMEK_EXIT_REFUSED, "is this store itself");
	refused("store copy --project none --to @cmek.conf", CMEK_EXIT_NOT_FOUND, "none");
}

static void projects_go_to_another_store_and_come_back(void **state)
{
	AUTO(freep) char *here = in_home("cmek.conf");

	(void)state;
	refused_copies();
	told_copied(" --dry-run --json", "dry_run", true);
	assert_false(is_there("there.db"));
	copy_store(" --undo", "sqlite:");
	prints("has begun");
	copy_store(" --project demo --dry-run", "sqlite:");
	prints("nothing was changed");
	copy_store(" --project demo", "sqlite:");
	assert_int_equal(run("doctor --project demo"), CMEK_EXIT_REFUSED);
	prints("not heard of here; give its programs that store's configuration");
	refused("project create late", CMEK_EXIT_REFUSED,
		"new projects are made where project demo has gone, store ");
	copy_store("", "sqlite:");
	prints("they live in store");
	copy_store("", "sqlite:");
	prints("already");
	refused("database create --project demo main/late", CMEK_EXIT_REFUSED, "has gone to store");
	assert_int_equal(run("doctor --project demo"), CMEK_EXIT_REFUSED);
	prints("FAILED: project demo has gone to store");
	prints("not heard of here; set [store] to that one");
	prints("verdict: moved to another store");
	done("decrypt @free.cmek @back --force");
	use_configuration_of("there.db");
	done("database create --project demo main/late");
	done("decrypt @free.cmek @back --force");
	has("back", "card 4111");
	done("store copy --to @cmek.conf");
	setenv("CMEK_PKCS11_CONF", here, 1);
	done("database show --project demo main/late");
	done("database delete --project demo main/late");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_project_is_backed_up_and_restored),
	cmocka_unit_test(a_store_without_a_project_is_none_yet),
	cmocka_unit_test(the_store_is_checked_and_made_without_a_project),
	cmocka_unit_test(the_store_is_shown_in_the_same_words_as_json_and_text),
	cmocka_unit_test(a_store_at_the_only_level_stays_there),
	cmocka_unit_test(a_store_goes_up_and_down_its_levels),
	cmocka_unit_test(projects_go_to_another_store_and_come_back),
};
const struct command_tests commands_store = {tests, COUNT_OF(tests)};
