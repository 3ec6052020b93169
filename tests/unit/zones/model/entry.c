/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Entries: counting, copying, owning. */
#include "base/macros.h"
#include "tests/support/unit.h"
#include "zones/model/entry.h"

#include <stdlib.h>

static struct ezk_version *add_versions(struct entry *zone, size_t count)
{
	struct ezk_version *versions = calloc(count, sizeof(*versions));

	zone->of_zone.versions = versions;
	zone->of_zone.version_count = count;
	for (size_t i = 0; i < count; i++) {
		versions[i].version = (uint32_t)i + 1;
		versions[i].wraps = calloc(2, sizeof(*versions[i].wraps));
		versions[i].wrap_count = 2;
		for (size_t j = 0; j < 2; j++) {
			assert_true(entry_set_text(&versions[i].wraps[j].arn, bytes_of("arn:x")));
			assert_true(entry_set_bytes(&versions[i].wraps[j].blob, bytes_of("blob")));
		}
		versions[i].wraps[1].state = WRAP_UNPROVEN;
	}
	return versions;
}

static void new_entry_is_active_with_an_empty_label(void **state)
{
	AUTO(entry_releasep) struct entry *entry = entry_new(ENTRY_CLUSTER);

	(void)state;
	assert_int_equal(entry->kind, ENTRY_CLUSTER);
	assert_int_equal(entry->state, ENTRY_ACTIVE);
	assert_string_equal(entry->label, "");
	assert_int_equal(entry->references, 1);
}

static void release_accepts_null_and_keeps_what_is_held(void **state)
{
	struct entry *entry = entry_new(ENTRY_KEY);

	(void)state;
	entry_release(NULL);
	assert_ptr_equal(entry_hold(entry), entry);
	entry_release(entry);
	assert_true(entry_set_bytes(&entry->of_key.wrapped, bytes_of("wrapped")));
	entry_release(entry);
}

static void copy_of_a_zone_owns_all_it_has(void **state)
{
	struct entry *zone = entry_new(ENTRY_ZONE);
	AUTO(entry_releasep) struct entry *copy = NULL;
	const struct ezk_version *version;

	(void)state;
	add_versions(zone, 2);
	zone->of_zone.zone = 7;
	zone->revision = 9;
	assert_true(entry_set_text(&zone->label, bytes_of("c/db")));
	assert_true(entry_set_bytes(&zone->id, bytes_of("id")));
	assert_true(entry_set_bytes(&zone->extra, bytes_of("extra")));
	entry_hold(zone);
	copy = entry_copy(zone);
	assert_int_equal(copy->references, 1);
	entry_release(zone);
	entry_release(zone);
	assert_string_equal(copy->label, "c/db");
	assert_bytes(copy->id, bytes_of("id"));
	assert_bytes(copy->extra, bytes_of("extra"));
	assert_int_equal(copy->of_zone.zone, 7);
	assert_int_equal(copy->revision, 9);
	version = entry_version(copy, 2);
	assert_int_equal(version->wrap_count, 2);
	assert_string_equal(version->wraps[0].arn, "arn:x");
	assert_bytes(version->wraps[1].blob, bytes_of("blob"));
	assert_int_equal(version->wraps[1].state, WRAP_UNPROVEN);
	assert_null(entry_version(copy, 3));
}

static void copies_of_the_other_kinds_own_what_they_have(void **state)
{
	struct entry *entry = entry_new(ENTRY_ROOT_KEY);
	AUTO(entry_releasep) struct entry *copy = NULL;

	(void)state;
	assert_true(entry_set_text(&entry->of_root_key.arn, bytes_of("arn:a")));
	assert_true(entry_set_text(&entry->of_root_key.provider, bytes_of("aws")));
	assert_true(entry_set_text(&entry->of_root_key.region, bytes_of("us-west-2")));
	assert_true(entry_set_bytes(&entry->of_root_key.canary, bytes_of("canary")));
	copy = entry_copy(entry);
	entry_release(entry);
	assert_string_equal(copy->of_root_key.arn, "arn:a");
	assert_string_equal(copy->of_root_key.region, "us-west-2");
	assert_bytes(copy->of_root_key.canary, bytes_of("canary"));

	entry = entry_new(ENTRY_CLUSTER);
	assert_true(entry_set_text(&entry->of_cluster.provider, bytes_of("aws")));
	entry_release(copy);
	copy = entry_copy(entry);
	entry_release(entry);
	assert_string_equal(copy->of_cluster.provider, "aws");
	assert_null(copy->of_cluster.region);
}

static void set_replaces_and_empties(void **state)
{
	AUTO(entry_releasep) struct entry *entry = entry_new(ENTRY_PROJECT);

	(void)state;
	assert_true(entry_set_text(&entry->label, bytes_of("one")));
	assert_true(entry_set_text(&entry->label, bytes_of(entry->label + 1)));
	assert_string_equal(entry->label, "ne");
	assert_true(entry_set_bytes(&entry->id, bytes_of("id")));
	assert_true(entry_set_bytes(&entry->id, bytes(NULL, 0)));
	assert_bytes(entry->id, bytes(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_entry_is_active_with_an_empty_label),
		cmocka_unit_test(release_accepts_null_and_keeps_what_is_held),
		cmocka_unit_test(copy_of_a_zone_owns_all_it_has),
		cmocka_unit_test(copies_of_the_other_kinds_own_what_they_have),
		cmocka_unit_test(set_replaces_and_empties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
