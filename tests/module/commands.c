/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tool's commands as functions, over the real module and the embedded KMS: what they answer,
 * print and leave behind. The program itself, with its standard streams and signals, is tested in
 * tests/e2e/.
 */
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/token.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <fcntl.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_KEY "00000000-0000-4000-8000-000000000000"

/* --- Nouns ----------------------------------------------------------------------------------- */

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
	prints("\"embed\": \"yes\"");
	refused("database create --project demo --max-lease soon main/new", CMEK_EXIT_USAGE,
		"--max-lease is a number of seconds up to 31536000 (a year), not soon");
	refused("database create --project demo --max-stale 31536001 main/new", CMEK_EXIT_USAGE,
		"--max-stale is a number of seconds");
	refused("database create --project demo --max-lease 60 main/orders", CMEK_EXIT_REFUSED,
		"already; choose another label");
	refused("database create --project demo main/orders", CMEK_EXIT_REFUSED,
		"already; choose another label");
	refused("database create --project demo orders", CMEK_EXIT_USAGE, "CLUSTER/DB");
}

static void databases_go_to_another_root_key(void **state)
{
	(void)state;
	done("key create --project demo local:next");
	done("cluster create --project demo moving --key root --region r");
	done("database create --project demo moving/one");
	done("database create --project demo moving/two");
	done("database rewrap --project demo --key next --dry-run moving/");
	prints("moving/one\nmoving/two\n2 databases to rewrap, 0 were there");
	done("database rewrap --project demo --key next --rate 1000 moving/one");
	prints("1 database rewrapped, 0 were there\n1 of them not opened since");
	done("database rewrap --project demo --key next --json moving/");
	prints("\"rewrapped\": 1");
	prints("\"there\": 1");
	prints("\"unproven\": 2");
	prints("\"failures\": []");
	done("database rewrap --project demo --key next --prove moving/");
	prints("2 databases rewrapped, 0 were there\n");
	done("cluster show --project demo moving --json");
	prints("\"leaving\": \"\"");
	done("database rewrap --project demo --key next --again moving/one");
	prints("1 database rewrapped");
}

static void two_owners_open_a_database_together(void **state)
{
	(void)state;
	refused("database create --project demo --both root,root moving/both", CMEK_EXIT_REFUSED,
		"are one key");
	refused("database create --project demo --both root moving/both", CMEK_EXIT_USAGE,
		"--both names two root keys");
	done("database create --project demo --both root,next moving/both");
	prints("both of arn:local:kms:local::key/");
	done("encrypt --project demo --database moving/both @plain @two.cmek");
	done("inspect @two.cmek");
	prints("both of arn:local:kms:local::key/");
	done("tree --project demo");
	prints("both of arn:local:kms:local::key/");
	done("key disable --project demo next");
	refused("decrypt --force @two.cmek @two", CMEK_EXIT_DENIED, "the key is disabled");
	refused("database set-keys --project demo --any root moving/both", CMEK_EXIT_DENIED,
		"the key is disabled");
	done("key enable --project demo next");
	done("decrypt --force @two.cmek @two");
	refused("database set-keys --project demo moving/both", CMEK_EXIT_USAGE, "--both L1,L2");
	done("database set-keys --project demo --any root moving/both");
	prints("any_of         arn:local:kms:local::key/");
	done("database set-keys --project demo --both next,root moving/both");
	prints("both_of        arn:local:kms:local::key/");
	done("database delete --project demo moving/both");
	done("database erase --project demo --yes-erase moving/both moving/both");
}

static void any_of_several_root_keys_opens_a_database(void **state)
{
	(void)state;
	done("database set-keys --project demo --any next,root moving/one");
	prints("any_of         arn:local:kms:local::key/");
	done("database show --project demo moving/one --json");
	prints(", arn:local:kms:");
	done("key disable --project demo next");
	done("encrypt --project demo --database moving/one @plain @by-any.cmek");
	done("decrypt @by-any.cmek @by-any");
	done("key disable --project demo root");
	refused("decrypt --force @by-any.cmek @by-any", CMEK_EXIT_DENIED, "the key is disabled");
	done("key enable --project demo next");
	done("key enable --project demo root");
	done("database set-keys --project demo --any next moving/one");
	refused("database set-keys --project demo --any next,next moving/one", CMEK_EXIT_REFUSED,
		"root key 'next' is named twice");
	refused("database set-keys --project demo --any next,none moving/one", CMEK_EXIT_NOT_FOUND,
		"no root key none");
	refused("database set-keys --project demo --any , moving/one", CMEK_EXIT_REFUSED,
		"with 1 to 4 keys");
}

static void token_keys_go_to_the_newest_version(void **state)
{
	(void)state;
	done("database rewrap --project demo --token-keys moving/one");
	prints("rewrapped");
	done("database rewrap --project demo --token-keys --dry-run --all");
	prints("to_rewrap");
	refused("database rewrap --project demo moving/", CMEK_EXIT_USAGE,
		"name the root key to go to (--key), or give --token-keys");
	refused("database rewrap --project demo --token-keys --key next moving/", CMEK_EXIT_USAGE,
		"--token-keys and --key are two things");
	refused("database rewrap --project demo --token-keys", CMEK_EXIT_USAGE, "or give --all");
}

static void what_can_not_go_to_another_root_key_stays(void **state)
{
	(void)state;
	refused("database rewrap --project demo --key next --rate 0 moving/", CMEK_EXIT_USAGE,
		"--rate is a number of databases a second, 1 to 10000, not 0");
	refused("database rewrap --project demo --key next", CMEK_EXIT_USAGE,
		"name a database (C/D), a whole cluster (C/), or --all");
	refused("database rewrap --project demo --key next --all moving/", CMEK_EXIT_USAGE,
		"or --all");
	refused("database rewrap --project demo --key next moving", CMEK_EXIT_USAGE,
		"a whole cluster CLUSTER/, not moving");
	refused("database rewrap --project demo --key next moving/none", CMEK_EXIT_NOT_FOUND,
		"no database moving/none");
	refused("database rewrap --project demo --key next none/", CMEK_EXIT_NOT_FOUND,
		"no cluster none");
	refused("database rewrap --project demo --key none moving/", CMEK_EXIT_NOT_FOUND,
		"no root key none");
	done("key disable --project demo root");
	refused("database rewrap --project demo --key root moving/one", CMEK_EXIT_DENIED,
		"the key is disabled");
	done("key enable --project demo root");
	done("database rewrap --project demo --key root moving/");
	prints("2 databases rewrapped, 0 were there");
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

/* --- Files ----------------------------------------------------------------------------------- */

static void a_file_goes_in_and_comes_out(void **state)
{
	json_t *told;

	(void)state;
	done("encrypt --project demo --database main/orders --name a/b @plain @file.cmek --json");
	told = printed_json();
	assert_string_equal(json_string_value(json_object_get(told, "database")), "main/orders");
	assert_int_equal(json_integer_value(json_object_get(told, "plain_bytes")), 9);
	json_decref(told);
	done("inspect @file.cmek");
	prints("plain_bytes    9");
	prints("name_bound     yes");
	done("decrypt --name a/b @file.cmek @again");
	assert_int_equal(out.len, 0);
	has("again", "card 4111");
	done("decrypt --project demo --database main/orders --name a/b @file.cmek @again --json "
	     "--force");
	prints("\"plain_bytes\": 9");
}

static void a_file_that_is_there_is_replaced_by_force_alone(void **state)
{
	(void)state;
	put("there", "mine");
	refused("encrypt --project demo --database main/orders @plain @there", CMEK_EXIT_REFUSED,
		"there: is there already; name another file, or replace it with --force");
	has("there", "mine");
	done("encrypt --project demo --database main/orders @plain @there --force");
	refused("decrypt @there @plain", CMEK_EXIT_REFUSED, "plain: is there already");
	done("decrypt --force @there @plain");
	has("plain", "card 4111");
}

static void the_input_is_never_written_to(void **state)
{
	AUTO(freep) char *file = in_home("plain"), *hard = in_home("hard"), *soft = in_home("soft");

	(void)state;
	assert_int_equal(link(file, hard), 0);
	assert_int_equal(symlink(file, soft), 0);
	refused("encrypt --project demo --database main/orders --force @plain @plain",
		CMEK_EXIT_REFUSED, "plain: is the input itself; name another file");
	refused("encrypt --project demo --database main/orders --force @plain @hard",
		CMEK_EXIT_REFUSED, "hard: is the input itself");
	refused("encrypt --project demo --database main/orders --force @soft @plain",
		CMEK_EXIT_REFUSED, "plain: is the input itself");
	has("plain", "card 4111");
	unlink(hard);
	unlink(soft);
}

static void an_empty_file_is_called_empty_and_a_cut_one_cut(void **state)
{
	(void)state;
	put("nothing", "");
	put("three", "CME");
	refused("decrypt @nothing @new", CMEK_EXIT_DAMAGED, "nothing: is empty: not an envelope");
	refused("inspect @nothing", CMEK_EXIT_DAMAGED, "nothing: is empty: not an envelope");
	refused("decrypt @three @new", CMEK_EXIT_DAMAGED, "damaged envelope: header: cut short");
	assert_false(is_there("new"));
}

static void a_message_goes_in_and_comes_out(void **state)
{
	(void)state;
	done("encrypt --project demo --database main/orders --message --collection 449302 --name "
	     "q/3 "
	     "@plain @message --json");
	prints("\"plain_bytes\": 9");
	done("inspect @message");
	prints("format         CMEK 1 message");
	prints("record         none: opens only with its store");
	prints("collection     449302");
	prints("header_bytes   120");
	done("decrypt --name q/3 --database main/orders @message @again --force --json");
	prints("\"database\": \"main/orders\"");
	has("again", "card 4111");
	refused("decrypt @message @new", CMEK_EXIT_REFUSED, "give its name with --name");
	refused("decrypt --name q/4 @message @new", CMEK_EXIT_DAMAGED, "bound to other data");
	done("encrypt --project demo --database main/orders --message --embed @plain @message "
	     "--force");
	done("inspect @message --json");
	prints("\"record\": \"embedded\"");
	done("decrypt @message @again --force");
	has("again", "card 4111");
}

static void what_is_no_message_is_refused_in_words(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *word;
	} rows[] = {
		{"encrypt --project demo --database main/orders --embed @plain @new",
		 CMEK_EXIT_USAGE, "--collection and --embed are for --message"},
		{"encrypt --project demo --database main/orders --message --collection x @plain "
		 "@new",
		 CMEK_EXIT_USAGE, "--collection is a number up to 9223372036854775807, not x"},
		{"encrypt --project demo --database main/kept --message --embed @plain @new",
		 CMEK_EXIT_REFUSED, "keeps its key's record in its store: leave out --embed"},
		{"decrypt @cut @new", CMEK_EXIT_DAMAGED, "message: cut short"},
		{"inspect @cut", CMEK_EXIT_DAMAGED, "message: cut short"},
	};
	AUTO(freep) char *cut = in_home("cut");

	(void)state;
	done("encrypt --project demo --database main/kept --message @plain @cut");
	assert_int_equal(truncate(cut, 130), 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		refused(rows[i].line, rows[i].code, rows[i].word);
		assert_false(is_there("new"));
	}
}

static void it_is_said_that_an_envelope_is_encrypted_again(void **state)
{
	(void)state;
	done("encrypt --project demo --database main/orders @plain @once --force");
	assert_int_equal(run("encrypt --project demo --database main/orders @once @twice --force"),
			 CMEK_EXIT_OK);
	assert_non_null(strstr(buffer_text(&err), "once: is an envelope already"));
	done("decrypt @twice @back --force");
	done("decrypt @back @again --force");
	has("again", "card 4111");
}

static void what_is_refused_leaves_no_file(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *word;
	} rows[] = {
		{"decrypt @free.cmek @new --name a", CMEK_EXIT_REFUSED, "leave out --name"},
		{"decrypt @free.cmek @new --database main/bills", CMEK_EXIT_REFUSED,
		 "main/orders of project demo, not main/bills"},
		{"decrypt @free.cmek @new --project none", CMEK_EXIT_NOT_FOUND, "no project none"},
		{"decrypt @plain @new", CMEK_EXIT_DAMAGED, "not an envelope"},
		{"decrypt @none @new", CMEK_EXIT_NOT_FOUND, "No such file"},
		{"decrypt @ @new", CMEK_EXIT_FAILED, "is a folder"},
		{"decrypt @free.cmek @none/new", CMEK_EXIT_NOT_FOUND, "cannot be written"},
		{"decrypt @free.cmek - --json", CMEK_EXIT_USAGE, "name a file"},
		{"encrypt --project demo --database main/none @plain @new", CMEK_EXIT_NOT_FOUND,
		 "no database main/none"},
	};

	(void)state;
	done("encrypt --project demo --database main/orders @plain @free.cmek --force");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		refused(rows[i].line, rows[i].code, rows[i].word);
		assert_false(is_there("new"));
	}
}

static void an_envelope_of_another_project_is_told_by_its_name(void **state)
{
	(void)state;
	done("encrypt --project demo --database main/orders @plain @free.cmek --force");
	done("project create other");
	refused("decrypt --project other @free.cmek @new", CMEK_EXIT_NOT_FOUND,
		"it belongs to database main/orders of project demo, and project other can't open "
		"it; leave out --project");
	refused("decrypt --project other --database main/orders @free.cmek @new",
		CMEK_EXIT_NOT_FOUND, "it belongs to database main/orders of project demo");
	done("encrypt --project demo --database main/orders --message @plain @free.message");
	refused("decrypt --project other @free.message @new", CMEK_EXIT_NOT_FOUND,
		"it belongs to database main/orders of project demo");
	/* By the record that travels with it, where the root key is known. */
	done("key add --project other local:root");
	done("decrypt --project other @free.cmek @again --json --force");
	prints("\"database\": \"\"");
	has("again", "card 4111");
}

/* --- Looking --------------------------------------------------------------------------------- */

static void the_hierarchy_is_shown(void **state)
{
	(void)state;
	done("tree --project demo");
	prints("database main/orders");
	done("tree --json");
	json_decref(printed_json());
	refused("policy --project demo --role reader main/orders", CMEK_EXIT_NOT_FOUND,
		"no root key whose KMS has policies");
	refused("policy --project demo --role owner", CMEK_EXIT_USAGE, "rewrapper");
}

static void doctor_finds_what_is_wrong(void **state)
{
	(void)state;
	done("doctor --project demo");
	prints("root key root");
	done("key disable --project demo root");
	assert_int_not_equal(run("doctor --project demo --json"), CMEK_EXIT_OK);
	prints("\"ok\": false");
	done("key enable --project demo root");
}

/* --- The store's level ----------------------------------------------------------------------- */

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
	assert_int_equal(count, 11);
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
	refused("store upgrade --to soon", CMEK_EXIT_USAGE, "to 1, not soon");
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
		CMEK_EXIT_NOT_FOUND, "in no project here");
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

/* --- Words ----------------------------------------------------------------------------------- */

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
	assert_int_equal(run("restore --json --revive none,other @all.backup"), CMEK_EXIT_OK);
	assert_int_equal(run("restore @all.backup"), CMEK_EXIT_OK);
	refused("restore --map nobody=local:x @all.backup", CMEK_EXIT_NOT_FOUND, "nobody");
	refused("restore --map nobody @all.backup", CMEK_EXIT_USAGE, "OLD=NEW");
	refused("restore @none.backup", CMEK_EXIT_NOT_FOUND, "none.backup");
}

static void help_is_for_all_and_for_each(void **state)
{
	(void)state;
	done("--help");
	prints("Commands:");
	done("key --help");
	prints("cmek key add");
	done("--version");
	prints("cmek " CMEK_VERSION);
	for (size_t i = 0; i < command_count; i++) {
		AUTO(buffer_clear) struct buffer line = {0};

		buffer_format(&line, "%s%s%s --help", commands[i].noun,
			      commands[i].verb == NULL ? "" : " ",
			      commands[i].verb == NULL ? "" : commands[i].verb);
		done(buffer_text(&line));
		prints("usage: cmek ");
		prints(commands[i].help);
	}
}

static void a_wrong_line_is_a_usage_error(void **state)
{
	(void)state;
	refused("", CMEK_EXIT_USAGE, "no command given");
	refused("frobnicate", CMEK_EXIT_USAGE, "no such command: frobnicate");
	refused("key", CMEK_EXIT_USAGE, "see cmek key --help");
	refused("key list", CMEK_EXIT_USAGE, "missing --project");
	refused("key list --porject demo", CMEK_EXIT_USAGE, "--porject");
	refused("key list --project", CMEK_EXIT_USAGE, "--project");
	refused("inspect a b", CMEK_EXIT_USAGE, "one argument too many: b");
}

/* --- Failures --------------------------------------------------------------------------------- */

/* The reason counts, where the module gives one; else the return value. */
static void each_failure_has_its_exit_code(void **state)
{
	static const struct {
		CK_RV rv;
		CK_ULONG reason;
		int code;
	} rows[] = {
		{CKR_FUNCTION_FAILED, CMEK_ERROR_KMS_DISABLED, CMEK_EXIT_DENIED},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_KMS_DENIED, CMEK_EXIT_DENIED},
		{CKR_DEVICE_ERROR, CMEK_ERROR_KMS_UNAVAILABLE, CMEK_EXIT_UNAVAILABLE},
		{CKR_DEVICE_ERROR, CMEK_ERROR_STORE_READ_ONLY, CMEK_EXIT_UNAVAILABLE},
		{CKR_DEVICE_ERROR, CMEK_ERROR_STORE_CORRUPT, CMEK_EXIT_DAMAGED},
		{CKR_DEVICE_ERROR, CMEK_ERROR_KMS_INVALID_CIPHERTEXT, CMEK_EXIT_DAMAGED},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_NOT_FOUND, CMEK_EXIT_NOT_FOUND},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_EXISTS, CMEK_EXIT_REFUSED},
		{CKR_DEVICE_ERROR, CMEK_ERROR_NONE, CMEK_EXIT_UNAVAILABLE},
		{CKR_KEY_NOT_WRAPPABLE, CMEK_ERROR_NONE, CMEK_EXIT_REFUSED},
		{CKR_GENERAL_ERROR, CMEK_ERROR_NONE, CMEK_EXIT_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(exit_code_for(rows[i].rv, rows[i].reason), rows[i].code);
	assert_string_equal(rv_text(CKR_TOKEN_WRITE_PROTECTED), "the store is read-only");
	assert_string_equal(rv_text(CKR_GENERAL_ERROR), "PKCS #11 error 0x5");
}

/* --- Deletion -------------------------------------------------------------------------------- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(projects),
		cmocka_unit_test(root_keys),
		cmocka_unit_test(clusters),
		cmocka_unit_test(databases),
		cmocka_unit_test(databases_go_to_another_root_key),
		cmocka_unit_test(two_owners_open_a_database_together),
		cmocka_unit_test(any_of_several_root_keys_opens_a_database),
		cmocka_unit_test(token_keys_go_to_the_newest_version),
		cmocka_unit_test(what_can_not_go_to_another_root_key_stays),
		cmocka_unit_test(a_database_has_versions),
		cmocka_unit_test(versions_of_a_database_are_fenced_and_moved),
		cmocka_unit_test(a_database_may_keep_its_key_in_the_store),
		cmocka_unit_test(a_file_goes_in_and_comes_out),
		cmocka_unit_test(a_file_that_is_there_is_replaced_by_force_alone),
		cmocka_unit_test(the_input_is_never_written_to),
		cmocka_unit_test(an_empty_file_is_called_empty_and_a_cut_one_cut),
		cmocka_unit_test(a_message_goes_in_and_comes_out),
		cmocka_unit_test(what_is_no_message_is_refused_in_words),
		cmocka_unit_test(it_is_said_that_an_envelope_is_encrypted_again),
		cmocka_unit_test(what_is_refused_leaves_no_file),
		cmocka_unit_test(an_envelope_of_another_project_is_told_by_its_name),
		cmocka_unit_test(a_project_is_backed_up_and_restored),
		cmocka_unit_test(the_hierarchy_is_shown),
		cmocka_unit_test(doctor_finds_what_is_wrong),
		cmocka_unit_test(a_store_without_a_project_is_none_yet),
		cmocka_unit_test(the_store_is_shown_in_the_same_words_as_json_and_text),
		cmocka_unit_test(a_store_at_the_only_level_stays_there),
		cmocka_unit_test(a_store_goes_up_and_down_its_levels),
		cmocka_unit_test(help_is_for_all_and_for_each),
		cmocka_unit_test(a_wrong_line_is_a_usage_error),
		cmocka_unit_test(each_failure_has_its_exit_code),
		cmocka_unit_test(what_is_deleted_comes_back_under_a_free_name),
		cmocka_unit_test(erasing_asks_for_the_name_once_more),
		cmocka_unit_test(mistyped_root_key_costs_no_place),
		cmocka_unit_test(version_in_use_is_not_retired),
		cmocka_unit_test(clusters_go_and_come_back),
	};

	return cmocka_run_group_tests(tests, tool_start, tool_stop);
}
