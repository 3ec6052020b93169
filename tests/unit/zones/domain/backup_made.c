/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Backups made and verified, and what they take of the KMS. */
#include "base/clock.h"
#include "base/log.h"
#include "tests/support/backed_up.h"

/* --- Making and verifying */

static void backup_is_authentic_and_holds_all_of_the_project(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0}, told = {0};
	const struct backup_wish wish = {0};
	json_t *json;

	assert_int_equal(zones_backup_make(f->zones, f->project->uid, &wish, &file, &told),
			 ZONE_OK);
	json = json_loads(buffer_text(&told), 0, NULL);
	assert_int_equal(json_array_size(json_object_get(json, "databases")), 1);
	assert_int_equal(json_integer_value(json_object_get(json, "token_keys")), 1);
	assert_int_equal(json_integer_value(json_object_get(json, "clusters")), 1);
	assert_true(json_is_true(json_object_get(json, "whole")));
	json_decref(json);
	assert_int_equal(verify(f, buffer_bytes(&file), false), ZONE_OK);
	assert_int_equal(verify(f, buffer_bytes(&file), true), ZONE_OK);
	/* Nor is the key of a token key in it, or anything else that opens it. */
	assert_null(memmem(file.data, file.len, backed_up_value, sizeof(backed_up_value) - 1));
}

static void kms_is_asked_once_for_each_root_key(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *more = make_zone(f, "more", false);
	AUTO(buffer_clear) struct buffer file = {0};
	unsigned encrypts = fake_kms_calls(&f->aws, FAKE_ENCRYPT),
		 decrypts = fake_kms_calls(&f->aws, FAKE_DECRYPT);

	back_up(f, &file);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), encrypts + 1);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_DECRYPT), decrypts);
	lose_store(f);
	assert_int_equal(restore(f, &file), ZONE_OK);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), encrypts + 1);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_DECRYPT), decrypts + 1);
}

static void every_flipped_bit_and_every_cut_is_refused(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	for (size_t len = 0; len < file.len; len++)
		assert_int_equal(verify(f, bytes(file.data, len), true), ZONE_BACKUP_CORRUPT);
	for (size_t at = 0; at < file.len; at++)
		for (int bit = 0; bit < 8; bit++) {
			file.data[at] ^= (uint8_t)(1 << bit);
			assert_int_not_equal(verify(f, buffer_bytes(&file), false), ZONE_OK);
			file.data[at] ^= (uint8_t)(1 << bit);
		}
	buffer_put_u8(&file, 0);
	assert_int_equal(verify(f, buffer_bytes(&file), true), ZONE_BACKUP_CORRUPT);
}

static void root_key_that_refuses_does_not_stop_the_backup(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *b = make_root_key(f, ROOT_B);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, b, "b");
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "b/db", false);
	AUTO(buffer_clear) struct buffer file = {0}, told = {0};
	json_t *json;

	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	back_up(f, &file);
	assert_int_equal(zones_backup_verify(f->zones, buffer_bytes(&file), false, &told), ZONE_OK);
	json = json_loads(buffer_text(&told), 0, NULL);
	assert_int_equal(json_array_size(json_object_get(json, "root_keys")), 2);
	json_decref(json);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_DISABLED, KMS_OK);
	buffer_clear(&file);
	assert_int_equal(back_up_as(f, &(struct backup_wish){0}, &file), ZONE_KMS_DISABLED);
}

static void one_database_is_backed_up_alone(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *other = make_zone(f, "other", false);
	AUTO(entry_releasep) struct entry *key = make_key(f, other);
	AUTO(buffer_clear) struct buffer file = {0};
	const struct backup_wish wish = {.zone = small.zone->of_zone.zone};

	assert_int_equal(back_up_as(f, &wish, &file), ZONE_OK);
	lose_store(f);
	assert_int_equal(restored(f, &file, NULL, "added"), 5);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
	assert_int_equal(open_key(f, key), ZONE_NOT_FOUND);
}

static void kept_records_are_in_it_unless_they_are_left_out(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *kept = make_zone(f, "tenant", true);
	AUTO(entry_releasep) struct entry *key = make_key(f, kept);
	AUTO(buffer_clear) struct buffer all = {0}, some = {0}, none = {0};
	const struct backup_wish without = {.embedding_only = true},
				 alone = {kept->of_zone.zone, true};

	back_up(f, &all);
	assert_int_equal(back_up_as(f, &without, &some), ZONE_OK);
	assert_int_equal(back_up_as(f, &alone, &none), ZONE_RECORD_KEPT);
	lose_store(f);
	assert_int_equal(restore(f, &some), ZONE_OK);
	assert_int_equal(open_key(f, key), ZONE_NOT_FOUND);
	assert_int_equal(restore(f, &all), ZONE_OK);
	assert_int_equal(open_key(f, key), ZONE_OK);
}

static void nothing_is_backed_up_without_a_root_key(void **state)
{
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer file = {0};
	const struct backup_wish missing = {.zone = 7};

	assert_int_equal(back_up_as(f, &(struct backup_wish){0}, &file), ZONE_NO_ROOT_KEY);
	assert_int_equal(back_up_as(f, &missing, &file), ZONE_NOT_FOUND);
}

/* --- Many databases: $CMEK_BACKUP_ZONES, else 300 */

struct many {
	const struct entry *like;
	size_t count;
};

static enum zone_status put_many(struct changes *changes, void *state)
{
	const struct many *many = state;

	for (size_t i = 0; i < many->count; i++) {
		AUTO(entry_releasep) struct entry *zone = entry_copy(many->like);
		AUTO(buffer_clear) struct buffer label = {0};
		uint8_t *fingerprint = zone->of_zone.versions[0].fingerprint;

		zone->revision = 0;
		zone->number = 0;
		zone->of_zone.zone = 1000 + i;
		memcpy(zone->uid.bytes, &zone->of_zone.zone, sizeof(zone->of_zone.zone));
		memcpy(fingerprint, &zone->of_zone.zone, sizeof(zone->of_zone.zone));
		buffer_format(&label, "many-%zu", i);
		assert_true(entry_set_text(&zone->label, buffer_bytes(&label)));
		TRY(changes_put(changes, zone));
	}
	return ZONE_OK;
}

static double seconds_since(int64_t began_us)
{
	return (double)(clock_precise_us() - began_us) / 1e6;
}

static void many_databases_take_one_call_of_the_kms(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};
	const char *wished = getenv("CMEK_BACKUP_ZONES");
	struct many many = {small.zone, wished == NULL ? 300 : strtoul(wished, NULL, 10)};
	unsigned encrypts, decrypts;
	int64_t began;
	double made;

	assert_int_equal(zones_change(f->zones, put_many, &many), ZONE_OK);
	encrypts = fake_kms_calls(&f->aws, FAKE_ENCRYPT);
	decrypts = fake_kms_calls(&f->aws, FAKE_DECRYPT);
	began = clock_precise_us();
	back_up(f, &file);
	made = seconds_since(began);
	lose_store(f);
	began = clock_precise_us();
	assert_int_equal(restored(f, &file, NULL, "added"), 5 + (json_int_t)many.count);
	print_message("# %zu databases: %zu bytes, backed up in %.3f s by %u call of the KMS, "
		      "restored in %.3f s by %u\n",
		      many.count + 1, file.len, made,
		      fake_kms_calls(&f->aws, FAKE_ENCRYPT) - encrypts, seconds_since(began),
		      fake_kms_calls(&f->aws, FAKE_DECRYPT) - decrypts);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), encrypts + 1);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_DECRYPT), decrypts + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(backup_is_authentic_and_holds_all_of_the_project),
		EACH(kms_is_asked_once_for_each_root_key),
		cmocka_unit_test_setup_teardown(every_flipped_bit_and_every_cut_is_refused,
						zones_begin, zones_end),
		EACH(root_key_that_refuses_does_not_stop_the_backup),
		EACH(one_database_is_backed_up_alone),
		EACH(kept_records_are_in_it_unless_they_are_left_out),
		EACH(nothing_is_backed_up_without_a_root_key),
		cmocka_unit_test_setup_teardown(many_databases_take_one_call_of_the_kms,
						zones_begin, zones_end),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
