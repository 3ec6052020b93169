/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcmek over the real module and the embedded KMS. Here: databases and messages; streams, files
 * and ranges, kinds of failures, forks and threads have files of their own.
 */
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "envelope/header.h"
#include "envelope/message.h"
#include "library/zone.h"
#include "tests/support/unit.h"

#include "library.h"

#include <errno.h>

cmek_client *client;
cmek_zone *orders, *bills;
cmek_error *why;

/* --- Helpers --------------------------------------------------------------------------------- */

void works(enum cmek_status status)
{
	if (status != CMEK_OK)
		fail_msg("%s", cmek_error_text(why));
}

void refuses(enum cmek_status expected, enum cmek_status status, const char *word)
{
	if (status != expected || strstr(cmek_error_text(why), word) == NULL)
		fail_msg("%d: '%s' and not %d with '%s'", status, cmek_error_text(why), expected,
			 word);
	assert_int_equal(cmek_error_status(why), expected);
	assert_null(strchr(cmek_error_text(why), '\n'));
	cmek_error_free(why);
	why = NULL;
}

int client_start(void **state)
{
	(void)state;
	works(cmek_open(NULL, &client, &why));
	works(cmek_zone_open(client, "main/orders", &orders, &why));
	works(cmek_zone_open(client, "demo:main/bills", &bills, &why));
	return 0;
}

int client_stop(void **state)
{
	(void)state;
	cmek_zone_free(TAKE(orders));
	cmek_zone_free(TAKE(bills));
	cmek_close(TAKE(client));
	return 0;
}

uint8_t *pattern(size_t len)
{
	uint8_t *made = malloc(len + 1);

	assert_non_null(made);
	for (size_t i = 0; i < len; i++)
		made[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16));
	return made;
}

void seal_message(cmek_zone *zone, const char *text, const struct cmek_seal_options *options,
		  struct buffer *ret_sealed)
{
	size_t room = cmek_sealed_size(zone, strlen(text), options);

	buffer_clear(ret_sealed);
	assert_non_null(buffer_extend(ret_sealed, room));
	works(cmek_seal(zone, text, strlen(text), options, ret_sealed->data, room, &ret_sealed->len,
			&why));
}

static void opens(const struct buffer *sealed, const struct cmek_unseal_options *options,
		  const char *text)
{
	size_t size = cmek_unsealed_size(sealed->data, sealed->len), len = 0;
	AUTO(freep) uint8_t *plain = malloc(size + 1);

	assert_int_equal(size, strlen(text));
	works(cmek_unseal(client, sealed->data, sealed->len, options, plain, size, &len, &why));
	assert_bytes(bytes(plain, len), bytes_of(text));
}

static enum cmek_status try_open(const struct buffer *sealed,
				 const struct cmek_unseal_options *options)
{
	uint8_t plain[256];
	size_t len;

	return cmek_unseal(client, sealed->data, sealed->len, options, plain, sizeof(plain), &len,
			   &why);
}

/* --- Databases ------------------------------------------------------------------------------- */

static void a_database_is_found_by_its_name_with_its_project_or_by_its_id(void **state)
{
	cmek_zone *again;
	char id[32];

	(void)state;
	assert_string_equal(cmek_zone_name(orders), "main/orders");
	assert_string_equal(cmek_zone_project(bills), "demo");
	assert_true(cmek_zone_id(orders) != cmek_zone_id(bills));
	snprintf(id, sizeof(id), "%llu", (unsigned long long)cmek_zone_id(orders));
	works(cmek_zone_open(client, id, &again, &why));
	assert_string_equal(cmek_zone_name(again), "main/orders");
	cmek_zone_free(again);
}

static void a_database_that_is_not_there_is_not_found(void **state)
{
	cmek_zone *none;

	(void)state;
	refuses(CMEK_NOT_FOUND, cmek_zone_open(client, "main/none", &none, &why), "main/none");
	refuses(CMEK_NOT_FOUND, cmek_zone_open(client, "other:main/orders", &none, &why),
		"other:main/orders");
	refuses(CMEK_NOT_FOUND, cmek_zone_open(client, "4711", &none, &why), "4711");
	refuses(CMEK_REFUSED, cmek_zone_open(client, NULL, &none, &why), "NULL");
}

static void a_name_that_two_projects_have_is_refused_without_the_project(void **state)
{
	const struct cmek_client_options one = {.size = sizeof(one), .project = "second"};
	cmek_client *of_second;
	cmek_zone *zone;

	(void)state;
	client_stop(NULL);
	done("project create second");
	done("key add --project second --label root local:root");
	done("cluster create --project second main --key root --region r");
	done("database create --project second main/orders");
	works(cmek_open(NULL, &client, &why));
	refuses(CMEK_REFUSED, cmek_zone_open(client, "main/orders", &zone, &why), "second");
	works(cmek_zone_open(client, "second:main/orders", &zone, &why));
	assert_string_equal(cmek_zone_project(zone), "second");
	cmek_zone_free(zone);
	works(cmek_open(&one, &of_second, &why));
	works(cmek_zone_open(of_second, "main/orders", &zone, &why));
	cmek_zone_free(zone);
	cmek_close(of_second);
	cmek_close(client);
	done("database delete --project second main/orders");
	client_start(NULL);
}

/* --- Messages -------------------------------------------------------------------------------- */

static void a_message_comes_back_and_has_the_size_that_was_foretold(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};

	(void)state;
	seal_message(orders, "insert", NULL, &sealed);
	assert_int_equal(sealed.len, cmek_sealed_size(orders, strlen("insert"), NULL));
	assert_int_equal(sealed.len, MESSAGE_HEADER + strlen("insert") + ENVELOPE_TAG);
	opens(&sealed, NULL, "insert");
	seal_message(orders, "", NULL, &sealed);
	opens(&sealed, NULL, "");
}

static void many_messages_share_a_data_key_and_no_number(void **state)
{
	AUTO(buffer_clear) struct buffer one = {0}, two = {0};
	struct envelope_error error = {0};
	struct message first, second;

	(void)state;
	seal_message(orders, "1", NULL, &one);
	seal_message(orders, "2", NULL, &two);
	assert_int_equal(message_decode(buffer_bytes(&one), &first, &error), ENVELOPE_OK);
	assert_int_equal(message_decode(buffer_bytes(&two), &second, &error), ENVELOPE_OK);
	assert_bytes(first.dek, second.dek);
	assert_int_equal(second.number, first.number + 1);
}

static void a_message_opens_by_the_name_it_was_bound_to_and_by_no_other(void **state)
{
	const struct cmek_seal_options bound = {
		.size = sizeof(bound), .name = "orders/1", .name_len = 8, .collection = 42};
	struct cmek_unseal_options options = {
		.size = sizeof(options), .name = "orders/1", .name_len = 8};
	AUTO(buffer_clear) struct buffer sealed = {0};

	(void)state;
	seal_message(orders, "row", &bound, &sealed);
	opens(&sealed, &options, "row");
	options.name = "orders/2";
	refuses(CMEK_DAMAGED, try_open(&sealed, &options), "bound to another name");
	refuses(CMEK_REFUSED, try_open(&sealed, NULL), "none was given; give the name");
	seal_message(orders, "row", NULL, &sealed);
	refuses(CMEK_REFUSED, try_open(&sealed, &options), "bound to none");
}

static void a_message_with_its_record_is_as_long_as_foretold_at_most(void **state)
{
	const struct cmek_seal_options embed = {.size = sizeof(embed), .embed = true};
	AUTO(buffer_clear) struct buffer sealed = {0};
	struct envelope_error error = {0};
	struct message message;

	(void)state;
	seal_message(orders, "row", &embed, &sealed);
	assert_in_range(sealed.len, 200, cmek_sealed_size(orders, 3, &embed));
	assert_int_equal(message_decode(buffer_bytes(&sealed), &message, &error), ENVELOPE_OK);
	assert_true(message.record.len > 0);
	opens(&sealed, NULL, "row");
}

static void a_message_of_another_database_than_the_expected_one_is_refused(void **state)
{
	const struct cmek_unseal_options of_bills = {.size = sizeof(of_bills), .zone = bills};
	const struct cmek_unseal_options of_orders = {.size = sizeof(of_orders), .zone = orders};
	AUTO(buffer_clear) struct buffer sealed = {0};

	(void)state;
	seal_message(orders, "row", NULL, &sealed);
	refuses(CMEK_REFUSED, try_open(&sealed, &of_bills), "another database");
	opens(&sealed, &of_orders, "row");
}

static void room_that_is_too_small_is_refused_and_left_alone(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t room[64];
	size_t len;

	(void)state;
	memset(room, 'x', sizeof(room));
	refuses(CMEK_REFUSED, cmek_seal(orders, "row", 3, NULL, room, sizeof(room), &len, &why),
		"cmek_sealed_size");
	seal_message(orders, "row", NULL, &sealed);
	refuses(CMEK_REFUSED,
		cmek_unseal(client, sealed.data, sealed.len, NULL, room, 2, &len, &why),
		"cmek_unsealed_size");
	for (size_t i = 0; i < sizeof(room); i++)
		assert_int_equal(room[i], 'x');
}

static void limits_are_refused(void **state)
{
	const struct cmek_seal_options far = {.size = sizeof(far), .collection = UINT64_MAX};
	uint8_t room[256];
	size_t len;

	(void)state;
	refuses(CMEK_REFUSED, cmek_seal(orders, "row", 3, &far, room, sizeof(room), &len, &why),
		"a collection");
	assert_int_equal(cmek_sealed_size(orders, 3, &far), 0);
	refuses(CMEK_REFUSED,
		cmek_seal(orders, "row", ((size_t)64 << 20) + 1, NULL, room, sizeof(room), &len,
			  &why),
		"64 MiB");
}

static void memory_that_is_null_is_refused(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t room[256];
	size_t len = 99;

	(void)state;
	refuses(CMEK_REFUSED, cmek_seal(orders, NULL, 3, NULL, room, sizeof(room), &len, &why),
		"3 bytes that is NULL");
	refuses(CMEK_REFUSED, cmek_seal(orders, "row", 3, NULL, NULL, 256, &len, &why), "256");
	seal_message(orders, "row", NULL, &sealed);
	refuses(CMEK_REFUSED, cmek_unseal(client, NULL, 99, NULL, room, 3, &len, &why), "99");
	refuses(CMEK_REFUSED,
		cmek_unseal(client, sealed.data, sealed.len, NULL, NULL, 3, &len, &why), "NULL");
	assert_int_equal(len, 99);
}

static void a_record_that_has_grown_has_room_at_the_second_try(void **state)
{
	const struct cmek_seal_options embed = {.size = sizeof(embed), .embed = true};
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t room[8192];
	size_t len, before = atomic_load(&orders->record_room);

	(void)state;
	atomic_store(&orders->record_room, 0); /* as of a much shorter one */
	refuses(CMEK_REFUSED,
		cmek_seal(orders, "row", 3, &embed, room, cmek_sealed_size(orders, 3, &embed), &len,
			  &why),
		"are needed");
	assert_int_equal(atomic_load(&orders->record_room), before);
	seal_message(orders, "row", &embed, &sealed);
	opens(&sealed, NULL, "row");
}

static void a_large_message_that_does_not_open_leaves_no_memory_behind(void **state)
{
	enum { LARGE = 1 << 20 };
	AUTO(freep) uint8_t *data = pattern(LARGE), *sealed = malloc(LARGE + 256);
	size_t len;

	(void)state;
	works(cmek_seal(orders, data, LARGE, NULL, sealed, LARGE + 256, &len, &why));
	sealed[len - 1] ^= 1;
	refuses(CMEK_DAMAGED, cmek_unseal(client, sealed, len, NULL, data, LARGE, &len, &why),
		"changed");
	for (const struct library_project *at = atomic_load(&client->projects); at != NULL;
	     at = at->before)
		for (const struct library_worker *idle = at->pool->idle; idle != NULL;
		     idle = idle->next)
			assert_in_range(idle->scratch.capacity, 0, LARGE / 16);
}

static void options_of_any_release_are_read_or_refused(void **state)
{
	struct {
		struct cmek_seal_options known;
		uint64_t later;
	} options = {.known = {.size = sizeof(options), .name = "n", .name_len = 1}};
	const struct cmek_seal_options short_ones = {.size = sizeof(size_t), .name_len = 99};
	const struct cmek_seal_options none = {.name_len = 1}, half = {.size = 12};
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t room[256];
	size_t len;

	(void)state;
	seal_message(orders, "row", &options.known, &sealed);
	seal_message(orders, "row", &short_ones, &sealed);
	opens(&sealed, NULL, "row");
	options.known.name = NULL;
	refuses(CMEK_REFUSED,
		cmek_seal(orders, "row", 3, &options.known, room, sizeof(room), &len, &why),
		"that is NULL");
	options.later = 1;
	refuses(CMEK_REFUSED,
		cmek_seal(orders, "row", 3, &options.known, room, sizeof(room), &len, &why),
		"later release");
	refuses(CMEK_REFUSED, cmek_seal(orders, "row", 3, &none, room, sizeof(room), &len, &why),
		"sizeof");
	refuses(CMEK_REFUSED, cmek_seal(orders, "row", 3, &half, room, sizeof(room), &len, &why),
		"12");
}

/* NULL is none. What a program has computed, and is empty, is a mistake. */
static void an_empty_name_is_refused_since_it_binds_nothing(void **state)
{
	const struct cmek_seal_options to = {.size = sizeof(to), .name = ""};
	const struct cmek_unseal_options from = {.size = sizeof(from), .name = ""};
	const char text[] = "an empty name binds nothing";
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t room[256];
	cmek_writer *writer;
	cmek_reader *reader;
	cmek_range *range;
	size_t len;

	(void)state;
	seal_message(orders, "row", NULL, &sealed);
	assert_int_equal(cmek_sealed_size(orders, 3, &to), 0);
	refuses(CMEK_REFUSED, cmek_seal(orders, "row", 3, &to, room, sizeof(room), &len, &why),
		text);
	refuses(CMEK_REFUSED,
		cmek_unseal(client, sealed.data, sealed.len, &from, room, sizeof(room), &len, &why),
		text);
	refuses(CMEK_REFUSED, cmek_seal_file(orders, "/none", "/none.cmek", true, &to, &why), text);
	refuses(CMEK_REFUSED, cmek_unseal_file(client, "/none.cmek", "/none", true, &from, &why),
		text);
	refuses(CMEK_REFUSED, cmek_writer_new(orders, &to, NULL, NULL, &writer, &why), text);
	refuses(CMEK_REFUSED, cmek_reader_new(client, &from, NULL, NULL, &reader, &why), text);
	refuses(CMEK_REFUSED, cmek_range_new(client, &from, NULL, NULL, 999, &range, &why), text);
}

static void any_byte_but_0_is_yes_in_options(void **state)
{
	struct cmek_seal_options embed = {.size = sizeof(embed)};
	AUTO(buffer_clear) struct buffer sealed = {0};
	struct envelope_error error = {0};
	struct message message;

	(void)state;
	memset(&embed.embed, 0xff, sizeof(embed.embed));
	seal_message(orders, "row", &embed, &sealed);
	assert_int_equal(message_decode(buffer_bytes(&sealed), &message, &error), ENVELOPE_OK);
	assert_true(message.record.len > 0);
	opens(&sealed, NULL, "row");
}

/* --- Whole format ---------------------------------------------------------------------------- */

static void read_home(const char *name, struct buffer *out_bytes)
{
	AUTO(freep) char *path = in_home(name);

	buffer_clear(out_bytes);
	assert_true(file_read(path, 1 << 24, out_bytes));
}

static void the_tool_opens_what_the_library_seals_and_the_other_way_round(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	AUTO(freep) char *path = in_home("message");

	(void)state;
	seal_message(orders, "by the library", NULL, &sealed);
	assert_true(file_replace(path, buffer_bytes(&sealed), 0600));
	client_stop(NULL);
	done("decrypt --force @message @message.plain");
	has("message.plain", "by the library");
	done("encrypt --project demo --database main/orders --message --force @plain @message");
	done("encrypt --project demo --database main/orders --force @plain @plain.cmek");
	client_start(NULL);
	read_home("message", &sealed);
	works(try_open(&sealed, NULL));
	read_home("plain.cmek", &sealed);
	works(try_open(&sealed, NULL));
}

/* --- Clients --------------------------------------------------------------------------------- */

static void clients_share_one_module_with_one_configuration(void **state)
{
	const struct cmek_client_options other = {.size = sizeof(other),
						  .configuration = "/nowhere/cmek.conf"};
	const struct cmek_client_options unnamed = {.size = sizeof(unnamed), .project = "none"};
	cmek_client *second;

	(void)state;
	works(cmek_open(NULL, &second, &why));
	cmek_close(second);
	refuses(CMEK_REFUSED, cmek_open(&other, &second, &why), "one configuration");
	refuses(CMEK_NOT_FOUND, cmek_open(&unnamed, &second, &why), "no project none");
	a_database_is_found_by_its_name_with_its_project_or_by_its_id(NULL);
}

static void a_client_goes_on_when_others_close_all_its_sessions(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t room[256];
	size_t len;

	(void)state;
	seal_message(orders, "row", NULL, &sealed);
	done("project list"); /* finalizes the module, and initializes it again */
	assert_int_not_equal(cmek_seal(orders, "row", 3, NULL, room, sizeof(room), &len, NULL),
			     CMEK_OK);
	seal_message(orders, "row", NULL, &sealed);
	opens(&sealed, NULL, "row");
}

static void what_is_null_may_be_freed_and_asked(void **state)
{
	(void)state;
	cmek_close(NULL);
	cmek_zone_free(NULL);
	cmek_writer_free(NULL);
	cmek_reader_free(NULL);
	cmek_range_free(NULL);
	cmek_error_free(NULL);
	assert_int_equal(cmek_error_status(NULL), CMEK_OK);
	assert_string_equal(cmek_error_text(NULL), "");
	assert_string_equal(cmek_error_request_id(NULL), "");
	assert_string_equal(cmek_version(), CMEK_VERSION);
}

static const struct CMUnitTest message_tests[] = {
	cmocka_unit_test(a_database_is_found_by_its_name_with_its_project_or_by_its_id),
	cmocka_unit_test(a_database_that_is_not_there_is_not_found),
	cmocka_unit_test(a_name_that_two_projects_have_is_refused_without_the_project),
	cmocka_unit_test(a_message_comes_back_and_has_the_size_that_was_foretold),
	cmocka_unit_test(many_messages_share_a_data_key_and_no_number),
	cmocka_unit_test(a_message_opens_by_the_name_it_was_bound_to_and_by_no_other),
	cmocka_unit_test(a_message_with_its_record_is_as_long_as_foretold_at_most),
	cmocka_unit_test(a_message_of_another_database_than_the_expected_one_is_refused),
	cmocka_unit_test(room_that_is_too_small_is_refused_and_left_alone),
	cmocka_unit_test(limits_are_refused),
	cmocka_unit_test(options_of_any_release_are_read_or_refused),
	cmocka_unit_test(memory_that_is_null_is_refused),
	cmocka_unit_test(a_record_that_has_grown_has_room_at_the_second_try),
	cmocka_unit_test(a_large_message_that_does_not_open_leaves_no_memory_behind),
	cmocka_unit_test(an_empty_name_is_refused_since_it_binds_nothing),
	cmocka_unit_test(any_byte_but_0_is_yes_in_options),
	cmocka_unit_test(the_tool_opens_what_the_library_seals_and_the_other_way_round),
	cmocka_unit_test(clients_share_one_module_with_one_configuration),
	cmocka_unit_test(a_client_goes_on_when_others_close_all_its_sessions),
	cmocka_unit_test(what_is_null_may_be_freed_and_asked),
};

static int start(void **state)
{
	return tool_start(state) == 0 ? client_start(state) : -1;
}

static int stop(void **state)
{
	client_stop(state);
	return tool_stop(state);
}

/* `library seals`: what is sealed and opened; else whatever else there is, of PINs, forks and other
 * code of the process. */
int main(int argc, char **argv)
{
	const bool seals = argc == 2 && strcmp(argv[1], "seals") == 0;
	struct CMUnitTest all[128];
	size_t count = 0;
	const struct {
		bool seals;
		const struct CMUnitTest *tests;
		size_t count;
	} files[] = {
		{true, message_tests, COUNT_OF(message_tests)},
		{true, library_stream_tests, library_stream_count},
		{true, library_file_tests, library_file_count},
		{false, library_fork_tests, library_fork_count},
		{false, library_kind_tests, library_kind_count},
		{false, library_other_tests, library_other_count},
	};

	for (size_t i = 0; i < COUNT_OF(files); i++)
		for (size_t j = 0; j < files[i].count && files[i].seals == seals; j++) {
			assert_true(count < COUNT_OF(all));
			all[count++] = files[i].tests[j];
		}
	return _cmocka_run_group_tests("library", all, count, start, stop);
}
