/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Databases and clusters that go to other root keys, or get several. */
#include "base/bytes.h"
#include "base/macros.h"
#include "cli/objects.h"
#include "tests/module/commands.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

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
	done("cluster show --project demo moving");
	assert_null(strstr(buffer_text(&out), "leaving"));
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

/* A key that the store keeps, in a database. */
static void keep_key(const char *database)
{
	AUTO(token_close) struct token token = {0};
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BBOOL yes = CK_TRUE;
	CK_OBJECT_HANDLE zone, key;
	CK_BYTE id[8], value[16] = {1};
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)}, {CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_TOKEN, &yes, sizeof(yes)},	    {CKA_CMEK_ZONE, id, sizeof(id)},
		{CKA_VALUE, value, sizeof(value)},
	};

	assert_int_equal(token_open("demo", &token), CMEK_EXIT_OK);
	assert_int_equal(token_find_one(&token, &kind_database, database, &zone), CMEK_EXIT_OK);
	put_big_endian(id, sizeof(id), object_zone_id(&token, zone));
	assert_int_equal(
		token.functions->C_CreateObject(token.session, template, COUNT_OF(template), &key),
		CKR_OK);
}

static void token_keys_go_to_the_newest_version(void **state)
{
	(void)state;
	keep_key("moving/one");
	done("database rotate --project demo moving/one");
	refused("database set --project demo --raw-version 2 --min-version 2 moving/one",
		CMEK_EXIT_REFUSED, "wrap those anew first");
	done("database rewrap --project demo --token-keys --json moving/one");
	prints("\"rewrapped\": 1");
	done("database rewrap --project demo --token-keys --json moving/one");
	prints("\"there\": 1");
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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(databases_go_to_another_root_key),
	cmocka_unit_test(two_owners_open_a_database_together),
	cmocka_unit_test(any_of_several_root_keys_opens_a_database),
	cmocka_unit_test(token_keys_go_to_the_newest_version),
	cmocka_unit_test(what_can_not_go_to_another_root_key_stays),
};
const struct command_tests commands_root_keys = {tests, COUNT_OF(tests)};
