/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which wraps count, and which go, when an EZK version moves. */
#include "zones/model/wraps.h"

#include "base/macros.h"
#include "tests/support/unit.h"
#include "zones/model/record.h"

#include <stdlib.h>

/* "b? a-": letters are names and blobs at once; ? unproven, - replaced. */
static struct ezk_version version_of(const char *text)
{
	struct ezk_version version = {.version = 1};
	char name[2] = "";

	for (; *text != '\0'; text++) {
		if (*text == ' ')
			continue;
		name[0] = *text;
		assert_int_equal(ezk_version_add_wrap(&version, name, bytes_of(name)), ZONE_OK);
		if (text[1] == '?' || text[1] == '-')
			version.wraps[version.wrap_count - 1].state =
				*++text == '?' ? WRAP_UNPROVEN : WRAP_REPLACED;
	}
	return version;
}

static void assert_is(const struct ezk_version *version, const char *text)
{
	AUTO(ezk_version_clear) struct ezk_version expected = version_of(text);

	assert_true(ezk_version_same_wraps(version, &expected));
}

static void what_was_opened_is_active_and_the_needless_goes(void **state)
{
	static const struct {
		const char *before, *opened, *after;
	} rows[] = {
		{"b? a-", "b", "b"},	{"b? a-", "a", "a"},   {"b? c? a-", "c", "b? c"},
		{"b? c? a-", "a", "a"}, {"b c? ", "c", "b c"}, {"c? b- a-", "b", "b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(ezk_version_clear) struct ezk_version version = version_of(rows[i].before);

		assert_true(ezk_version_prove(&version, bytes_of(rows[i].opened)));
		assert_is(&version, rows[i].after);
	}
}

static void what_is_active_or_not_there_proves_nothing(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = version_of("b c?");

	(void)state;
	assert_false(ezk_version_prove(&version, bytes_of("b")));
	assert_false(ezk_version_prove(&version, bytes_of("x")));
	assert_is(&version, "b c?");
}

static void only_live_wraps_are_found(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = version_of("b? a-");

	(void)state;
	assert_non_null(ezk_version_live_wrap(&version, "b"));
	assert_null(ezk_version_live_wrap(&version, "a"));
	assert_true(ezk_version_has_blob(&version, bytes_of("a")));
	assert_int_equal(ezk_version_count(&version, WRAP_REPLACED), 1);
}

static struct entry *zone_of(const char *text)
{
	struct entry *zone = entry_new(ENTRY_ZONE);

	assert_non_null(zone);
	zone->of_zone.versions = calloc(1, sizeof(struct ezk_version));
	zone->of_zone.versions[0] = version_of(text);
	zone->of_zone.version_count = 1;
	return zone;
}

static void a_change_has_its_word(void **state)
{
	static const struct {
		const char *before, *after, *word;
	} rows[] = {
		{"a", "b? a-", "rewrapped"},	     {"b? a-", "b", "proven"},
		{"b? a-", "a", "rewrap undone"},     {"a", "a", NULL},
		{"a", "a b?", "rewrapped"},	     {"a b", "a", "root keys changed"},
		{"a b", "b a", "root keys changed"}, {"a b?", "a b", "proven"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(entry_releasep) struct entry *before = zone_of(rows[i].before);
		AUTO(entry_releasep) struct entry *after = zone_of(rows[i].after);
		const char *word = zone_wraps_change(before, after);

		assert_true((word == NULL) == (rows[i].word == NULL));
		if (word != NULL)
			assert_string_equal(word, rows[i].word);
	}
}

static void the_only_root_key_is_that_of_all_live_wraps(void **state)
{
	AUTO(entry_releasep) struct entry *one = zone_of("b? a-");
	AUTO(entry_releasep) struct entry *two = zone_of("b c");

	(void)state;
	assert_string_equal(zone_only_root_key(one), "b");
	assert_null(zone_only_root_key(two));
	assert_true(zone_is_under(two, "c"));
	assert_false(zone_is_under(one, "a"));
	assert_false(zone_is_proven(one));
	assert_true(zone_is_proven(two));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_opened_is_active_and_the_needless_goes),
		cmocka_unit_test(what_is_active_or_not_there_proves_nothing),
		cmocka_unit_test(only_live_wraps_are_found),
		cmocka_unit_test(a_change_has_its_word),
		cmocka_unit_test(the_only_root_key_is_that_of_all_live_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
