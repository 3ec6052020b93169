/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A zone's limits: into its record, and what a row or a template comes to beside it. */
#include "base/log.h"
#include "base/macros.h"
#include "objects/template.h"
#include "objects/zone_limits.h"
#include "tests/support/unit.h"
#include "zones/model/limits.h"

#define TYPES(...)                                                                                 \
	bytes((const CK_MECHANISM_TYPE[]){__VA_ARGS__},                                            \
	      sizeof((const CK_MECHANISM_TYPE[]){__VA_ARGS__}))

/* Stored templates, as template_pack writes them. */
#define ATTRIBUTE(type, value) "\0\0\0\0\0\0\1" type "\0\1" value
#define STORED(text)	       bytes(text, sizeof(text) - 1)
static const char sensitive[] = ATTRIBUTE("\3", "\1"), visible[] = ATTRIBUTE("\3", "\0");
static const char stays[] = ATTRIBUTE("\142", "\0");

static struct bytes of(const char *stored)
{
	return bytes(stored, 11);
}

static void limits_of_a_zone_are_written_for_its_record(void **state)
{
	const struct object nothing = {0},
			    zone = {
				    .allowed_mechanisms = TYPES(0x1087, 0x1081, 0x1087),
				    .unwrap_template = of(sensitive),
			    };
	AUTO(buffer_clear) struct buffer limits = {0};

	(void)state;
	assert_int_equal(zone_limits_write(&nothing, &limits), CKR_OK);
	assert_int_equal(limits.len, 0);
	assert_int_equal(zone_limits_write(&zone, &limits), CKR_OK);
	assert_int_equal(limits_check(buffer_bytes(&limits)), ZONE_OK);
	assert_bytes(buffer_bytes(&limits),
		     STORED("\1\0\20\0\0\0\0\0\0\20\201\0\0\0\0\0\0\20\207\2\0\13"
			    "\0\0\0\0\0\0\1\3\0\1\1"));
}

static void more_than_a_record_holds_is_not_written(void **state)
{
	enum { FULL = LIMITS_MAX - LEASE_LIMITS_SIZE - KEPT_LIMIT_SIZE - 3 };
	static uint8_t template[FULL + 1];
	struct object zone = {.wrap_template = bytes(template, FULL)};
	AUTO(buffer_clear) struct buffer limits = {0}, more = {0};

	(void)state;
	assert_int_equal(zone_limits_write(&zone, &limits), CKR_OK);
	zone.wrap_template.len++;
	assert_int_equal(zone_limits_write(&zone, &more), CKR_ATTRIBUTE_VALUE_INVALID);
	assert_non_null(strstr(log_last(), "1008 bytes"));
}

/* --- Kept to */

static const uint32_t all = 0x7f;

static struct ezk_version record_of(struct buffer *limits, const struct object *zone,
				    uint32_t greatest)
{
	assert_int_equal(zone_limits_write(zone, limits), CKR_OK);
	return (struct ezk_version){
		.version = 1, .greatest_usages = greatest, .limits = buffer_bytes(limits)};
}

/* What a row that allows `row` comes to beside a record of `made`. */
static void comes_to(const struct object *made, const struct object *row,
		     const struct object *expected)
{
	AUTO(zone_limits_clear) struct zone_limits limits = {0};
	AUTO(buffer_clear) struct buffer stored = {0};
	struct ezk_version version = record_of(&stored, made, made->usages);
	struct object model = {0};

	zone_limits_begin(row, &limits);
	zone_limits_keep_to(&limits, &version);
	assert_true(zone_limits_put(&limits, &model));
	assert_int_equal(model.usages, expected->usages);
	assert_bytes(model.allowed_mechanisms, expected->allowed_mechanisms);
	assert_bytes(model.unwrap_template, expected->unwrap_template);
	assert_bytes(model.wrap_template, expected->wrap_template);
}

static void a_row_counts_for_less_and_never_for_more(void **state)
{
	static char both[22], other[22];
	const struct {
		struct object record, row, both;
	} rows[] = {
		{{.usages = 3}, {.usages = 6}, {.usages = 2}},
		{{.usages = 3, .allowed_mechanisms = TYPES(1, 2)},
		 {.usages = all},
		 {.usages = 3, .allowed_mechanisms = TYPES(1, 2)}},
		{{.usages = 3},
		 {.usages = all, .allowed_mechanisms = TYPES(7)},
		 {.usages = 3, .allowed_mechanisms = TYPES(7)}},
		{{.usages = 3, .allowed_mechanisms = TYPES(1, 2, 5)},
		 {.usages = 3, .allowed_mechanisms = TYPES(9, 5, 1)},
		 {.usages = 3, .allowed_mechanisms = TYPES(5, 1)}},
		/* An empty list would be no limit. */
		{{.usages = 3, .allowed_mechanisms = TYPES(1)},
		 {.usages = 3, .allowed_mechanisms = TYPES(2)},
		 {.usages = 0, .allowed_mechanisms = TYPES(2)}},
		{{.usages = 3, .unwrap_template = of(sensitive), .wrap_template = of(stays)},
		 {.usages = 3},
		 {.usages = 3, .unwrap_template = of(sensitive), .wrap_template = of(stays)}},
		{{.usages = 3, .unwrap_template = of(sensitive)},
		 {.usages = 3, .unwrap_template = of(visible)},
		 {.usages = 3, .unwrap_template = of(sensitive)}},
		{{.usages = 3, .unwrap_template = of(sensitive)},
		 {.usages = 3, .unwrap_template = bytes(other, sizeof(other))},
		 {.usages = 3, .unwrap_template = bytes(both, sizeof(both))}},
	};

	(void)state;
	memcpy(both, sensitive, 11);
	memcpy(both + 11, stays, 11);
	memcpy(other, stays, 11);
	memcpy(other + 11, visible, 11);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		comes_to(&rows[i].record, &rows[i].row, &rows[i].both);
}

static void a_template_that_is_damaged_stays_one(void **state)
{
	const struct object made = {.usages = 3, .unwrap_template = of(sensitive)};
	const struct object row = {.usages = 3, .unwrap_template = bytes(stays, 10)};
	AUTO(zone_limits_clear) struct zone_limits limits = {0};
	AUTO(buffer_clear) struct buffer stored = {0};
	struct ezk_version version = record_of(&stored, &made, 3);
	struct template template = {0};

	(void)state;
	zone_limits_begin(&row, &limits);
	zone_limits_keep_to(&limits, &version);
	assert_int_equal(
		template_force(TEMPLATE_UNWRAP, buffer_bytes(&limits.unwrap_template), &template),
		CKR_DEVICE_ERROR);
}

static uint32_t usages_beside(const struct ezk_version *version)
{
	AUTO(zone_limits_clear) struct zone_limits limits = {.usages = all};

	zone_limits_keep_to(&limits, version);
	return limits.usages;
}

static void a_record_that_cannot_be_kept_to_allows_nothing(void **state)
{
	const struct bytes unreadable[] = {
		STORED("\1\0\0"),   STORED("\1\0\7\0\0\0\0\0\0\1"),
		STORED("\1\0"),	    STORED("\2\0\0\1\0\0\0"),
		STORED("\310\0\0"),
	};
	struct ezk_version version = {.version = 1, .greatest_usages = all};

	(void)state;
	assert_int_equal(usages_beside(&version), all);
	assert_int_equal(usages_beside(NULL), 0);
	for (size_t i = 0; i < COUNT_OF(unreadable); i++) {
		version.limits = unreadable[i];
		assert_int_equal(usages_beside(&version), 0);
	}
}

static uint32_t greatest_usages(const struct object *zone)
{
	uint32_t usages;

	assert_true(zone_greatest_usages(zone, &usages));
	return usages;
}

/* The primary version is for new wraps, the raw one for the rest. */
static void a_zone_keeps_to_its_primary_and_its_raw_version(void **state)
{
	struct entry *zone = entry_new(ENTRY_ZONE);
	const uint32_t greatest[] = {3, 1, 6};
	const struct object object = {.kind = OBJECT_ZONE, .entry = zone};

	(void)state;
	zone->of_zone.versions = calloc(3, sizeof(struct ezk_version));
	zone->of_zone.version_count = 3;
	zone->of_zone.raw = 1;
	zone->of_zone.primary = 3;
	for (uint32_t i = 0; i < 3; i++)
		zone->of_zone.versions[i] =
			(struct ezk_version){.version = i + 1, .greatest_usages = greatest[i]};
	assert_int_equal(greatest_usages(&object), 2);
	zone->of_zone.primary = 1;
	assert_int_equal(greatest_usages(&object), 3);
	zone->of_zone.primary = 4;
	assert_int_equal(greatest_usages(&object), 0);
	entry_release(zone);
}

static int quiet(void **state)
{
	(void)state;
	return !log_configure(LOG_OFF, "stderr");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_of_a_zone_are_written_for_its_record),
		cmocka_unit_test(more_than_a_record_holds_is_not_written),
		cmocka_unit_test(a_row_counts_for_less_and_never_for_more),
		cmocka_unit_test(a_template_that_is_damaged_stays_one),
		cmocka_unit_test(a_record_that_cannot_be_kept_to_allows_nothing),
		cmocka_unit_test(a_zone_keeps_to_its_primary_and_its_raw_version),
	};

	return cmocka_run_group_tests_name("zone limits", tests, quiet, NULL);
}
