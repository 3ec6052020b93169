/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as text: what is written is read, and what no release wrote is not. */
#include "zones/store/rows/rows.h"

#include "base/macros.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/model/record.h"

/* --- There and back */

static void read_whole(const struct entry *entry, struct rows_reading *reading,
		       struct store_row *ret_row)
{
	AUTO(buffer_clear) struct buffer text = {0};

	rows_put_entry(entry, &text);
	assert_false(text.failed);
	assert_int_equal(rows_read_entry(reading, buffer_bytes(&text), 7, ret_row), ZONE_OK);
	for (size_t i = 0; entry->kind == ENTRY_ZONE && i < entry->of_zone.version_count; i++) {
		buffer_truncate(&text, 0);
		rows_put_version(entry->of_zone.zone, &entry->of_zone.versions[i], &text);
		assert_int_equal(rows_read_version(reading, buffer_bytes(&text), ret_row->entry),
				 ZONE_OK);
	}
}

static void every_kind_is_read_as_it_was_written(void **state)
{
	(void)state;
	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++) {
		AUTO(entry_releasep) struct entry *entry = test_entry((enum entry_kind)kind, 1);
		AUTO(entry_releasep) struct entry *back = NULL;
		struct rows_reading reading = {0};
		struct store_row row;

		if (kind == ENTRY_PROJECT)
			assert_true(entry_set_text(&entry->label, bytes_of("a \xc3\xa4 \"q\\\"")));
		entry->state = kind % 2 == 0 ? ENTRY_ACTIVE : ENTRY_PENDING_DELETION;
		entry->revision = 7;
		read_whole(entry, &reading, &row);
		back = row.entry;
		assert_false(row.removed);
		assert_same_entry(entry, back);
		assert_int_equal(reading.unknown, 0);
		assert_true(kind != ENTRY_ZONE || rows_zone_is_whole(back));
	}
}

static void greatest_numbers_and_blobs_are_kept(void **state)
{
	AUTO(entry_releasep) struct entry *zone = test_entry(ENTRY_ZONE, 1);
	AUTO(entry_releasep) struct entry *back = NULL;
	AUTO(buffer_clear) struct buffer extra = {0};
	struct rows_reading reading = {0};
	struct store_row row;

	(void)state;
	memset(buffer_extend(&extra, EXTRA_MAX), 0xa5, EXTRA_MAX);
	assert_true(entry_set_bytes(&zone->extra, buffer_bytes(&extra)));
	zone->of_zone.zone = ZONE_ID_MAX;
	zone->created_ms = INT64_MAX;
	zone->usages = UINT32_MAX;
	zone->revision = 7;
	read_whole(zone, &reading, &row);
	back = row.entry;
	assert_same_entry(zone, back);
}

static void tombstone_keeps_what_it_was(void **state)
{
	(void)state;
	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++) {
		AUTO(entry_releasep) struct entry *entry = test_entry((enum entry_kind)kind, 5);
		AUTO(buffer_clear) struct buffer text = {0};
		struct rows_reading reading = {0};
		struct rows_minimum minimum;
		struct store_row row;

		rows_put_tombstone(entry, 1700000000000, &text);
		assert_int_equal(rows_read_entry(&reading, buffer_bytes(&text), 9, &row), ZONE_OK);
		assert_true(row.removed);
		assert_int_equal(row.entry->kind, kind);
		assert_int_equal(row.entry->revision, 9);
		assert_true(uid_equal(row.entry->uid, entry->uid));
		assert_true(uid_equal(row.entry->project, entry->project));
		assert_true(rows_number(row.entry) == rows_number(entry));
		entry_release(row.entry);
		assert_int_equal(rows_read_minimum(&reading, buffer_bytes(&text), 9, &minimum),
				 ZONE_OK);
		assert_true(minimum.row.removed);
		entry_release(minimum.row.entry);
	}
}

/* --- What no release wrote */

/* The text with one piece replaced; the piece must be there. */
static void replace(struct buffer *text, const char *piece, const char *by)
{
	const char *all = buffer_text(text), *at = strstr(all, piece);
	struct buffer changed = {0};

	if (at == NULL)
		fail_msg("'%s' is not in %s", piece, all);
	buffer_append(&changed, bytes(all, (size_t)(at - all)));
	buffer_put_text(&changed, by);
	buffer_put_text(&changed, at + strlen(piece));
	buffer_clear(text);
	*text = changed;
}

static enum zone_status read_changed(enum entry_kind kind, const char *piece, const char *by,
				     struct rows_reading *reading, struct store_row *ret_row)
{
	AUTO(entry_releasep) struct entry *entry = test_entry(kind, 1);
	AUTO(buffer_clear) struct buffer text = {0};

	if (kind == ENTRY_PROJECT)
		assert_true(entry_set_text(&entry->label, bytes_of("label/1")));
	rows_put_entry(entry, &text);
	replace(&text, piece, by);
	return rows_read_entry(reading, buffer_bytes(&text), 7, ret_row);
}

/* Bytes, in base64. */
#define OF_36 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void what_no_release_wrote_is_damage(void **state)
{
	static const struct {
		enum entry_kind kind;
		const char *piece, *by, *fault;
	} rows[] = {
		{ENTRY_PROJECT, "{\"format\"", "[\"format\"", "the text"},
		{ENTRY_PROJECT, "\"format\":1", "\"format\":2", "format"},
		{ENTRY_PROJECT, "\"format\":1", "\"format\":\"1\"", "format"},
		{ENTRY_PROJECT, "\"kind\":\"project\"", "\"kind\":\"planet\"", "kind"},
		{ENTRY_PROJECT, "\"uid\":\"a0", "\"uid\":\"A0", "uid"},
		{ENTRY_PROJECT, "\"uid\":\"a0", "\"uid\":\"a", "uid"},
		{ENTRY_PROJECT, "\"state\":\"active\"", "\"state\":\"gone\"", "state"},
		{ENTRY_PROJECT, "\"created_ms\":1", "\"created_ms\":-1", "created_ms"},
		{ENTRY_PROJECT, "\"created_ms\":1", "\"created_ms\":1.", "created_ms"},
		{ENTRY_PROJECT, "\"label\":\"label", "\"label\":\" label", "label"},
		{ENTRY_PROJECT, "\"label\":\"label",
		 "\"label\":\"1234567890123456789012345678901234", "label"},
		{ENTRY_PROJECT, "\"slot\":1", "\"slot\":2147483648", "slot"},
		{ENTRY_PROJECT, "\"slot\":1", "\"slot\":1,\"slot\":1", "the text"},
		{ENTRY_PROJECT, "\"slot\":1", "\"slat\":1", "slot"},
		{ENTRY_PROJECT, "\"usages\":85", "\"usages\":4294967296", "usages"},
		{ENTRY_PROJECT, "\"id\":\"AP8=\"", "\"id\":\"AP8\"", "id"},
		{ENTRY_PROJECT, "\"id\":\"AP8=\"",
		 "\"id\":\"" OF_36 OF_36 OF_36 OF_36 OF_36 OF_36 OF_36 OF_36 "\"", "id"},
		{ENTRY_PROJECT, "\"kind\"", "\"removed\":false,\"kind\"", "removed"},
		{ENTRY_ROOT_KEY, "\"multi_region\":true", "\"multi_region\":1", "multi_region"},
		{ENTRY_ROOT_KEY, "\"provider\":\"aws", "\"provider\":\"aws4567890123456",
		 "provider"},
		{ENTRY_CLUSTER, "\"leaving\":\"a0", "\"leaving\":\"g0", "leaving"},
		{ENTRY_ZONE, "\"zone\":\"4", "\"zone\":\"-4", "zone"},
		{ENTRY_ZONE, "\"zone\":\"4", "\"zone\":\"0", "zone"},
		{ENTRY_ZONE, "\"zone\":\"4", "\"zone\":\"94", "zone"},
		{ENTRY_ZONE, "\"primary_version\":2", "\"primary_version\":0", "primary_version"},
		{ENTRY_KEY, "\"wrapped\":\"", "\"wrapped\":\"!", "wrapped"},
		{ENTRY_ARCHIVE, "\"archived\":\"", "\"archived\":\"0", "archived"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct rows_reading reading = {0};
		struct store_row row;

		if (read_changed(rows[i].kind, rows[i].piece, rows[i].by, &reading, &row) !=
		    ZONE_STORE_CORRUPT)
			fail_msg("%s was taken", rows[i].by);
		assert_null(row.entry);
		assert_string_equal(reading.fault, rows[i].fault);
	}
}

static enum zone_status read_changed_version(const char *piece, const char *by,
					     struct rows_reading *reading, struct entry *zone)
{
	AUTO(entry_releasep) struct entry *from = test_entry(ENTRY_ZONE, 1);
	AUTO(buffer_clear) struct buffer text = {0};

	rows_put_version(from->of_zone.zone, &from->of_zone.versions[0], &text);
	replace(&text, piece, by);
	return rows_read_version(reading, buffer_bytes(&text), zone);
}

static struct entry *zone_without_versions(void)
{
	struct entry *zone = entry_new(ENTRY_ZONE);

	zone->of_zone.zone = ((uint64_t)1 << 62) + 1;
	zone->of_zone.primary = zone->of_zone.raw = 1;
	return zone;
}

static void version_that_no_release_wrote_is_damage(void **state)
{
	static const char *const rows[][3] = {
		{"\"zone\":\"46", "\"zone\":\"45", "zone"},
		{"\"version\":1", "\"version\":0", "version"},
		{"\"mac\":\"09", "\"mac\":\"9", "mac"},
		{"\"fingerprint\":\"", "\"fingerprint\":\"00", "fingerprint"},
		{"\"state\":\"unproven\"", "\"state\":\"\"", "state"},
		{"\"all_wraps\":false", "\"all_wraps\":null", "all_wraps"},
		{"\"wraps\":[", "\"wraps\":[1,", "state"},
		{"\"wraps\":[", "\"wrap\":[", "wraps"},
		{"\"blob\":\"YmxvYiBvbmU=\"", "\"blob\":\"\"", "blob"},
		{"\"share\":0", "\"share\":3", "share"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(entry_releasep) struct entry *zone = zone_without_versions();
		struct rows_reading reading = {0};

		if (read_changed_version(rows[i][0], rows[i][1], &reading, zone) !=
		    ZONE_STORE_CORRUPT)
			fail_msg("%s was taken", rows[i][1]);
		assert_string_equal(reading.fault, rows[i][2]);
		assert_int_equal(zone->of_zone.version_count, 0);
		assert_false(rows_zone_is_whole(zone));
	}
}

static void versions_come_in_their_order_and_once(void **state)
{
	AUTO(entry_releasep) struct entry *zone = zone_without_versions();
	struct rows_reading reading = {0};

	(void)state;
	assert_int_equal(read_changed_version("\"version\":1", "\"version\":2", &reading, zone),
			 ZONE_OK);
	assert_false(rows_zone_is_whole(zone));
	assert_int_equal(read_changed_version("\"version\":1", "\"version\":2", &reading, zone),
			 ZONE_STORE_CORRUPT);
	assert_int_equal(read_changed_version("\"version\":1", "\"version\":1", &reading, zone),
			 ZONE_STORE_CORRUPT);
}

/* --- Of later releases */

static void unknown_words_of_a_newer_store_allow_nothing(void **state)
{
	AUTO(entry_releasep) struct entry *zone = zone_without_versions();
	AUTO(entry_releasep) struct entry *frozen = NULL;
	struct rows_reading reading = {.newer = true};
	struct store_row row;

	(void)state;
	assert_int_equal(read_changed(ENTRY_ZONE, "\"state\":\"active\"", "\"state\":\"frozen\"",
				      &reading, &row),
			 ZONE_OK);
	frozen = row.entry;
	assert_int_equal(frozen->state, ENTRY_PENDING_DELETION);
	assert_int_equal(read_changed_version("\"state\":\"active\"", "\"state\":\"frozen\"",
					      &reading, zone),
			 ZONE_OK);
	assert_true(zone->of_zone.versions[0].retired);
	assert_int_equal(reading.unknown, 2);
}

static void unknown_kinds_and_formats_of_a_newer_store_are_passed_over(void **state)
{
	struct rows_reading reading = {.newer = true};
	struct store_row row;

	(void)state;
	assert_int_equal(read_changed(ENTRY_KEY, "\"kind\":\"token key\"", "\"kind\":\"note\"",
				      &reading, &row),
			 ZONE_OK);
	assert_null(row.entry);
	assert_int_equal(read_changed(ENTRY_KEY, "\"format\":1", "\"format\":2", &reading, &row),
			 ZONE_OK);
	assert_null(row.entry);
	assert_int_equal(reading.unknown, 2);
}

static void members_of_later_releases_are_passed_over(void **state)
{
	struct rows_reading reading = {0};
	struct store_row row;

	(void)state;
	assert_int_equal(
		read_changed(ENTRY_ZONE, "\"state\"", "\"note\":[{}],\"state\"", &reading, &row),
		ZONE_OK);
	assert_non_null(row.entry);
	entry_release(row.entry);
}

static void at_every_level_a_zone_tells_whether_it_may_be_used(void **state)
{
	(void)state;
	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++) {
		AUTO(entry_releasep) struct entry *entry = test_entry((enum entry_kind)kind, 1);
		AUTO(buffer_clear) struct buffer text = {0};
		struct rows_reading reading = {.newer = true};
		struct rows_minimum minimum;

		if (kind == ENTRY_PROJECT)
			assert_true(entry_set_text(&entry->label, bytes_of("label/1")));
		rows_put_entry(entry, &text);
		assert_int_equal(rows_read_minimum(&reading, buffer_bytes(&text), 3, &minimum),
				 ZONE_OK);
		assert_true((minimum.row.entry != NULL) ==
			    (kind <= ENTRY_ROOT_KEY || kind == ENTRY_ZONE));
		assert_true(minimum.active == (kind == ENTRY_ZONE));
		entry_release(minimum.row.entry);
	}
}

/* --- The head */

static void head_says_what_it_was_given(void **state)
{
	static const char id[] = "00112233445566778899aabbccddeeff";
	const struct store_level level = {3, 1, 2, "0.9.0", "made up"};
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_head head;
	char back[ROWS_ID_SIZE];
	int64_t created_ms;

	(void)state;
	rows_put_head(id, &level, 17, &text);
	assert_int_equal(rows_read_head(buffer_bytes(&text), back, &head, &created_ms), ZONE_OK);
	assert_string_equal(back, id);
	assert_int_equal(created_ms, 17);
	assert_int_equal(head.level, 3);
	assert_int_equal(head.min_reader, 1);
	assert_int_equal(head.min_writer, 2);
	assert_string_equal(head.release, "cmek-pkcs11 0.9.0");
	replace(&text, "0.9.0", "evil\\u001b[2J");
	assert_int_equal(rows_read_head(buffer_bytes(&text), back, &head, &created_ms), ZONE_OK);
	assert_string_equal(head.release, "a later release");
}

static void head_that_contradicts_itself_is_damage(void **state)
{
	static const char *const rows[][2] = {
		{"\"level\":1", "\"level\":0"},		  {"\"min_reader\":1", "\"min_reader\":2"},
		{"\"min_writer\":1", "\"min_writer\":0"}, {"\"id\":\"00", "\"id\":\""},
		{"\"format\":1", "\"format\":2"},
	};
	struct store_head head;
	char id[ROWS_ID_SIZE];
	int64_t created_ms;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(buffer_clear) struct buffer text = {0};

		rows_put_head("00112233445566778899aabbccddeeff", store_level_row(1), 0, &text);
		replace(&text, rows[i][0], rows[i][1]);
		assert_int_equal(rows_read_head(buffer_bytes(&text), id, &head, &created_ms),
				 ZONE_STORE_CORRUPT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_read_as_it_was_written),
		cmocka_unit_test(greatest_numbers_and_blobs_are_kept),
		cmocka_unit_test(tombstone_keeps_what_it_was),
		cmocka_unit_test(what_no_release_wrote_is_damage),
		cmocka_unit_test(version_that_no_release_wrote_is_damage),
		cmocka_unit_test(versions_come_in_their_order_and_once),
		cmocka_unit_test(unknown_words_of_a_newer_store_allow_nothing),
		cmocka_unit_test(unknown_kinds_and_formats_of_a_newer_store_are_passed_over),
		cmocka_unit_test(members_of_later_releases_are_passed_over),
		cmocka_unit_test(at_every_level_a_zone_tells_whether_it_may_be_used),
		cmocka_unit_test(head_says_what_it_was_given),
		cmocka_unit_test(head_that_contradicts_itself_is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
