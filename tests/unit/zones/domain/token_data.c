/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Data in the store: kept by its zone as a token key is. */
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/live_zones.h"
#include "tests/support/stored_keys.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/retire.h"
#include "zones/domain/rotate.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

static struct entry *make_data(struct zones_fixture *f, const struct entry *zone, const char *label,
			       struct bytes content)
{
	struct entry_names names = names_of(label);
	struct entry *data = NULL;

	names.data = true;
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0, content,
					  &names, &data),
			 ZONE_OK);
	return data;
}

static void has_content(struct zones_fixture *f, const struct entry *data, struct bytes content)
{
	AUTO(secret_freep) uint8_t *secret = NULL;

	assert_true(zones_key_is_data(data));
	assert_int_equal(data->of_key.value_len, content.len);
	assert_int_equal(zones_key_open(f->zones, data, &secret, NULL), ZONE_OK);
	assert_true(bytes_equal(bytes(secret, content.len), content));
}

static void data_of_each_length_is_kept_by_its_zone(void **state)
{
	static uint8_t content[DATA_MAX + 1];
	static const size_t lengths[] = {0, 1, 512, 513, 4096, 4097, DATA_MAX};
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	struct entry_names names = names_of("long");
	struct entry *none = NULL;

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 5 + i / 256);
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		const struct bytes part = bytes(content, lengths[i]);
		AUTO(entry_releasep) struct entry *data = make_data(f, zone, "data", part);
		AUTO(entry_releasep) struct entry *found = NULL;

		zones_reopen(f);
		found = zones_find_uid(f->zones, data->uid);
		has_content(f, found, part);
	}
	names.data = true;
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0,
					  bytes(content, DATA_MAX + 1), &names, &none),
			 ZONE_INVALID);
	names.data = false;
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0,
					  bytes(content, 513), &names, &none),
			 ZONE_INVALID);
}

static void data_opens_as_no_key_and_a_key_as_no_data(void **state)
{
	static const char *const magics[] = {"CTKN", "CTDA"};
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(f->zones, key->of_key.zone);
	AUTO(entry_releasep) struct entry *data = make_data(f, zone, "data", bytes_of(value));

	for (size_t i = 0; i < COUNT_OF(magics); i++) {
		AUTO(entry_releasep) struct entry *changed = entry_copy(i == 0 ? data : key);
		uint8_t blob[sizeof(value) - 1 + DEK_WRAP_OVERHEAD];

		assert_int_equal(changed->of_key.wrapped.len, sizeof(blob));
		memcpy(blob, changed->of_key.wrapped.data, sizeof(blob));
		memcpy(blob, magics[i], 4);
		assert_true(entry_set_bytes(&changed->of_key.wrapped, bytes(blob, sizeof(blob))));
		assert_int_equal(open_key(f->zones, changed), ZONE_RECORD_CORRUPT);
	}
}

static void data_goes_on_to_its_zones_newest_version(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *data = make_data(f, zone, "data", bytes_of("content"));
	AUTO(entry_releasep) struct entry *rotated = NULL, *moved = NULL;

	assert_int_equal(zones_zone_rotate(f->zones, zone, 2, &rotated), ZONE_OK);
	assert_int_equal(zones_key_rewrap(f->zones, data, 2), ZONE_OK);
	moved = zones_find_uid(f->zones, data->uid);
	assert_int_equal(zones_key_version(moved), 2);
	has_content(f, moved, bytes_of("content"));
}

static void data_gets_a_new_value_with_a_new_wrap(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *data = make_data(f, zone, "data", bytes_of("before"));
	AUTO(entry_releasep) struct entry *replaced = NULL, *changed = entry_copy(data);
	const struct entry_names names = names_of("data");
	struct entry *none = NULL;

	/* What another program changed in the store is not vouched for. */
	change_extra(changed);
	assert_int_equal(zones_key_replace(f->zones, changed, &names, bytes_of("after"), &none),
			 ZONE_RECORD_CORRUPT);
	assert_int_equal(zones_key_replace(f->zones, data, &names, bytes_of("later on"), &replaced),
			 ZONE_OK);
	has_content(f, replaced, bytes_of("later on"));
	assert_int_equal(zones_key_replace(f->zones, data, &names, bytes_of("after"), &none),
			 ZONE_CONFLICT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONES_TEST(data_of_each_length_is_kept_by_its_zone),
		ZONES_TEST(data_opens_as_no_key_and_a_key_as_no_data),
		ZONES_TEST(data_goes_on_to_its_zones_newest_version),
		ZONES_TEST(data_gets_a_new_value_with_a_new_wrap),
	};

	return cmocka_run_group_tests_name("data in the store", tests, NULL, NULL);
}
