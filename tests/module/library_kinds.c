/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of failure that libcmek tells apart, provoked. */
#include "base/free.h"
#include "base/macros.h"
#include "tests/support/unit.h"

#include "library.h"

#include <unistd.h>

static enum cmek_status unseal(const struct buffer *sealed)
{
	uint8_t plain[4096];
	size_t len;

	return cmek_unseal(client, sealed->data, sealed->len, NULL, plain, sizeof(plain), &len,
			   &why);
}

static void plain_data_and_nothing_are_no_envelopes(void **state)
{
	uint8_t room[8];
	size_t len;

	(void)state;
	refuses(CMEK_NOT_AN_ENVELOPE,
		cmek_unseal(client, "plain", 5, NULL, room, sizeof(room), &len, &why),
		"not an envelope of cmek");
	refuses(CMEK_NOT_AN_ENVELOPE,
		cmek_unseal(client, "", 0, NULL, room, sizeof(room), &len, &why), "is empty");
	assert_int_equal(cmek_unsealed_size("plain", 5), 0);
	assert_int_equal(cmek_unsealed_size("", 0), 0);
}

static void in_place(uint8_t *data, size_t len, const struct cmek_seal_options *options,
		     uint8_t *to, size_t room)
{
	size_t sealed_len = 4711;

	refuses(CMEK_REFUSED, cmek_seal(orders, data, len, options, to, room, &sealed_len, &why),
		"not sealed in place");
	assert_int_equal(sealed_len, 4711);
}

/* Bytes of `out` are written before all of the data are read. */
static void a_message_is_not_sealed_in_place(void **state)
{
	uint8_t memory[1024] = "account 4711", back[1024];
	const struct cmek_seal_options named = {
		.size = sizeof(named), .name = memory + 800, .name_len = 3};
	size_t room = cmek_sealed_size(orders, 40, NULL), len;

	(void)state;
	in_place(memory, 40, NULL, memory, sizeof(memory));
	in_place(memory, 40, NULL, memory + 39, room);
	in_place(memory + room - 1, 40, NULL, memory, room);
	in_place(memory + 100, 40, NULL, memory, sizeof(memory));
	in_place(memory, 40, &named, memory + 802, room);
	assert_string_equal(memory, "account 4711");
	works(cmek_seal(orders, memory, 40, NULL, memory + 40, room, &len, &why));
	works(cmek_unseal(client, memory + 40, len, NULL, back, sizeof(back), &len, &why));
	assert_memory_equal(back, memory, 40);
	works(cmek_seal(orders, memory + room, 40, NULL, memory, room, &len, &why));
	works(cmek_seal(orders, memory, 0, NULL, memory, room, &len, &why));
}

static void a_format_of_a_later_release_is_newer(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};

	(void)state;
	seal_message(orders, "row", NULL, &sealed);
	sealed.data[4] = 2;
	refuses(CMEK_NEWER, unseal(&sealed), "newer");
	seal_stream(orders, 10, &sealed);
	sealed.data[4] = 2;
	refuses(CMEK_NEWER, unseal(&sealed), "newer");
}

static void each_byte_that_is_changed_is_damage(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};

	(void)state;
	seal_message(orders, "row", NULL, &sealed);
	for (size_t i = 100; i < sealed.len; i++) {
		sealed.data[i] ^= 1;
		assert_int_not_equal(unseal(&sealed), CMEK_OK);
		assert_int_not_equal(cmek_error_status(why), CMEK_FAILED);
		cmek_error_free(TAKE(why));
		sealed.data[i] ^= 1;
	}
	works(unseal(&sealed));
}

/* Under a lease of no time each use asks the KMS. */
static void a_disabled_key_denies_and_the_same_call_works_when_it_is_enabled(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t room[256];
	cmek_zone *zone;
	size_t len;

	(void)state;
	client_stop(NULL);
	done("database create --project demo --max-lease 0 main/strict");
	client_start(NULL);
	works(cmek_zone_open(client, "main/strict", &zone, &why));
	seal_message(zone, "row", NULL, &sealed);
	cmek_zone_free(zone);
	client_stop(NULL);
	done("key disable --project demo root");
	client_start(NULL);
	assert_int_equal(unseal(&sealed), CMEK_DENIED);
	assert_true(cmek_error_may_pass(why));
	refuses(CMEK_DENIED, CMEK_DENIED, "disabled");
	works(cmek_zone_open(client, "main/strict", &zone, &why));
	refuses(CMEK_DENIED, cmek_seal(zone, "row", 3, NULL, room, sizeof(room), &len, &why),
		"disabled");
	cmek_zone_free(zone);
	client_stop(NULL);
	done("key enable --project demo root");
	client_start(NULL);
	works(unseal(&sealed));
}

static void what_an_erased_database_sealed_is_refused(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	cmek_zone *zone;

	(void)state;
	client_stop(NULL);
	done("database create --project demo main/gone");
	client_start(NULL);
	works(cmek_zone_open(client, "main/gone", &zone, &why));
	seal_message(zone, "row", NULL, &sealed);
	client_stop(NULL);
	cmek_zone_free(zone);
	done("database delete --project demo main/gone");
	done("database erase --project demo --yes-erase main/gone main/gone");
	client_start(NULL);
	assert_int_not_equal(unseal(&sealed), CMEK_OK);
	refuses(cmek_error_status(why), cmek_error_status(why), "zone ");
	refuses(CMEK_NOT_FOUND, cmek_zone_open(client, "main/gone", &zone, &why), "main/gone");
}

static void a_record_of_a_root_key_that_is_not_here_is_not_trusted(void **state)
{
	const struct cmek_client_options other = {.size = sizeof(other), .project = "elsewhere"};
	const struct cmek_seal_options embed = {.size = sizeof(embed), .embed = true};
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t room[4096];
	cmek_client *second;
	size_t len;

	(void)state;
	client_stop(NULL);
	done("project create elsewhere");
	client_start(NULL);
	seal_message(orders, "row", &embed, &sealed);
	works(cmek_open(&other, &second, &why));
	refuses(CMEK_UNTRUSTED_ROOT,
		cmek_unseal(second, sealed.data, sealed.len, NULL, room, sizeof(room), &len, &why),
		"if you trust that key");
	seal_message(orders, "row", NULL, &sealed);
	refuses(CMEK_NOT_FOUND,
		cmek_unseal(second, sealed.data, sealed.len, NULL, room, sizeof(room), &len, &why),
		"use the store where its database lives");
	cmek_close(second);
}

static void a_message_is_no_stream(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	struct source source;
	cmek_reader *reader;

	(void)state;
	seal_message(orders, "row", NULL, &sealed);
	source = (struct source){.left = buffer_bytes(&sealed)};
	refuses(CMEK_REFUSED, cmek_reader_new(client, NULL, read_from, &source, &reader, &why),
		"of a message");
}

static void a_module_that_is_not_there_or_no_module_is_told(void **state)
{
	const struct cmek_client_options nowhere = {.size = sizeof(nowhere),
						    .module = "/nowhere/cmek-pkcs11.so"};
	const struct cmek_client_options relative = {.size = sizeof(relative), .module = "m.so"};
	const struct cmek_client_options spaced = {.size = sizeof(spaced),
						   .configuration = "/no where/cmek.conf"};
	const struct cmek_client_options missing = {.size = sizeof(missing),
						    .configuration = "/nowhere/cmek.conf"};
	cmek_client *none;

	(void)state;
	client_stop(NULL);
	done("project list");
	refuses(CMEK_NOT_FOUND, cmek_open(&nowhere, &none, &why), "/nowhere/cmek-pkcs11.so");
	refuses(CMEK_REFUSED, cmek_open(&relative, &none, &why), "m.so: should be");
	refuses(CMEK_REFUSED, cmek_open(&spaced, &none, &why), "CMEK_PKCS11_CONF");
	/* The tool has initialized the module, so it is used as it is. */
	works(cmek_open(&missing, &none, &why));
	cmek_close(none);
	client_start(NULL);
}

static void a_pin_that_is_missing_or_wrong_denies(void **state)
{
	struct cmek_client_options options = {.size = sizeof(options), .project = "guarded"};
	AUTO(buffer_clear) struct buffer sealed = {0};
	cmek_client *guarded;
	cmek_zone *zone;

	(void)state;
	client_stop(NULL);
	setenv("CMEK_SO_PIN", "so pin", 1);
	setenv("CMEK_PIN", "user pin", 1);
	done("project create guarded");
	unsetenv("CMEK_PIN");
	done("key add --project guarded --label root local:root");
	done("cluster create --project guarded main --key root --region r");
	unsetenv("CMEK_SO_PIN");
	setenv("CMEK_PIN", "user pin", 1);
	done("database create --project guarded main/safe");
	unsetenv("CMEK_PIN");
	done("project list");
	works(cmek_open(&options, &guarded, &why));
	refuses(CMEK_DENIED, cmek_zone_open(guarded, "main/safe", &zone, &why), "has a PIN");
	cmek_close(guarded);
	options.pin = "wrong";
	refuses(CMEK_DENIED, cmek_open(&options, &guarded, &why), "guarded: ");
	options.pin = "user pin";
	works(cmek_open(&options, &guarded, &why));
	works(cmek_zone_open(guarded, "main/safe", &zone, &why));
	seal_message(zone, "row", NULL, &sealed);
	cmek_zone_free(zone);
	cmek_close(guarded);
	client_start(NULL);
	refuses(CMEK_DENIED, unseal(&sealed), "project guarded has a PIN");
}

const struct CMUnitTest library_kind_tests[] = {
	cmocka_unit_test(plain_data_and_nothing_are_no_envelopes),
	cmocka_unit_test(a_message_is_not_sealed_in_place),
	cmocka_unit_test(a_format_of_a_later_release_is_newer),
	cmocka_unit_test(each_byte_that_is_changed_is_damage),
	cmocka_unit_test(a_disabled_key_denies_and_the_same_call_works_when_it_is_enabled),
	cmocka_unit_test(what_an_erased_database_sealed_is_refused),
	cmocka_unit_test(a_record_of_a_root_key_that_is_not_here_is_not_trusted),
	cmocka_unit_test(a_message_is_no_stream),
	cmocka_unit_test(a_module_that_is_not_there_or_no_module_is_told),
	cmocka_unit_test(a_pin_that_is_missing_or_wrong_denies),
};
const size_t library_kind_count = COUNT_OF(library_kind_tests);
