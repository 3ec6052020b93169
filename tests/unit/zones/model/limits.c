/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The list of limits: there and back, and what is no list. */
#include "base/macros.h"
#include "tests/support/unit.h"
#include "zones/model/limits.h"

static void limits_are_found_by_their_tag(void **state)
{
	AUTO(buffer_clear) struct buffer limits = {0};
	struct bytes value = bytes("untouched", 9);

	(void)state;
	assert_false(limits_get(buffer_bytes(&limits), LIMIT_MECHANISMS, &value));
	limits_put(&limits, LIMIT_MECHANISMS, bytes("one", 3));
	limits_put(&limits, LIMIT_WRAP_TEMPLATE, bytes(NULL, 0));
	assert_bytes(buffer_bytes(&limits), bytes("\1\0\3one\3\0\0", 9));
	assert_int_equal(limits_check(buffer_bytes(&limits)), ZONE_OK);
	assert_false(limits_get(buffer_bytes(&limits), LIMIT_UNWRAP_TEMPLATE, &value));
	assert_bytes(value, bytes("untouched", 9));
	assert_true(limits_get(buffer_bytes(&limits), LIMIT_MECHANISMS, &value));
	assert_bytes(value, bytes("one", 3));
	assert_true(limits_get(buffer_bytes(&limits), LIMIT_WRAP_TEMPLATE, &value));
	assert_int_equal(value.len, 0);
}

static void what_is_no_list_of_limits_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum zone_status status;
	} rows[] = {
		{"", 0, ZONE_OK},
		{"\1\0\0", 3, ZONE_OK},
		{"\2\0\1x\3\0\0", 7, ZONE_OK},
		/* Cut. */
		{"\1", 1, ZONE_INVALID},
		{"\1\0", 2, ZONE_INVALID},
		{"\1\0\1", 3, ZONE_INVALID},
		{"\1\1\0x", 4, ZONE_INVALID},
		/* Twice, out of order, or none. */
		{"\1\0\0\1\0\0", 6, ZONE_INVALID},
		{"\2\0\0\1\0\0", 6, ZONE_INVALID},
		{"\0\0\0", 3, ZONE_INVALID},
		/* Not of this release. */
		{"\7\0\0", 3, ZONE_RECORD_NEWER},
		{"\1\0\0\377\0\1x", 7, ZONE_RECORD_NEWER},
		{"\6\0\0\5\0\0", 6, ZONE_INVALID},
		{"\6\0\2x", 4, ZONE_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(limits_check(bytes(rows[i].bytes, rows[i].len)), rows[i].status);
}

static void those_of_leases_come_last_and_are_numbers_of_seconds(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"", 0},
		{"\4\0\4\0\1\121\200", 7},
		{"\5\0\4\0\1\121\200", 7},
		{"\4\0\0\5\0\4\0\0\0\0", 10},
		{"\4\0\4\0\0\0\0\5\0\3\0\0\0", 13},
		{"\4\0\5\0\0\0\0\0\5\0\4\0\0\0\0", 15},
	};
	AUTO(buffer_clear) struct buffer limits = {0};
	struct lease_bounds bounds = {86400, UINT32_MAX}, found = {0};

	(void)state;
	limits_put(&limits, LIMIT_MECHANISMS, bytes("one", 3));
	limits_put_lease(&limits, &bounds);
	assert_bytes(buffer_bytes(&limits),
		     bytes("\1\0\3one\4\0\4\0\1\121\200\5\0\4\377\377\377\377", 20));
	assert_int_equal(limits.len, 6 + LEASE_LIMITS_SIZE);
	assert_int_equal(limits_check(buffer_bytes(&limits)), ZONE_OK);
	assert_true(limits_get_lease(buffer_bytes(&limits), &found));
	assert_int_equal(found.max_lease, 86400);
	assert_int_equal(found.max_stale, UINT32_MAX);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(limits_get_lease(bytes(bad[i].bytes, bad[i].len), &found));
}

static void that_a_record_is_for_its_store_has_no_value(void **state)
{
	struct lease_bounds bounds = {1, 2};
	AUTO(buffer_clear) struct buffer limits = {0};

	(void)state;
	limits_put_lease(&limits, &bounds);
	assert_false(limits_get_kept(buffer_bytes(&limits)));
	limits_put_kept(&limits);
	assert_int_equal(limits.len, LEASE_LIMITS_SIZE + KEPT_LIMIT_SIZE);
	assert_true(limits_get_kept(buffer_bytes(&limits)));
	assert_int_equal(limits_check(buffer_bytes(&limits)), ZONE_OK);
	assert_int_equal(limits_check(bytes("\6\0\1\0", 4)), ZONE_INVALID);
	assert_int_equal(limits_check(bytes("\6\0\0\6\0\0", 6)), ZONE_INVALID);
}

static void limits_have_at_most_1024_bytes(void **state)
{
	static const uint8_t value[LIMITS_MAX];
	AUTO(buffer_clear) struct buffer limits = {0};

	(void)state;
	limits_put(&limits, LIMIT_MECHANISMS, bytes(value, LIMITS_MAX - 3));
	assert_int_equal(limits.len, LIMITS_MAX);
	assert_int_equal(limits_check(buffer_bytes(&limits)), ZONE_OK);
	buffer_truncate(&limits, 0);
	limits_put(&limits, LIMIT_MECHANISMS, bytes(value, LIMITS_MAX - 2));
	assert_int_equal(limits_check(buffer_bytes(&limits)), ZONE_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_found_by_their_tag),
		cmocka_unit_test(what_is_no_list_of_limits_is_refused),
		cmocka_unit_test(those_of_leases_come_last_and_are_numbers_of_seconds),
		cmocka_unit_test(that_a_record_is_for_its_store_has_no_value),
		cmocka_unit_test(limits_have_at_most_1024_bytes),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
