/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How backups are written and read, without a MAC that anybody looks at. */
#include "zones/model/backup.h"

#include "base/log.h"
#include "base/macros.h"
#include "tests/support/unit.h"
#include "zones/model/limits.h"
#include "zones/model/record.h"

#define ARN "arn:aws:kms:us-west-2:111122223333:key/1"

enum { ZONE = 42, HEAD_WRAPS = 68 };

/* --- A backup with one entry of each kind */

static struct entry *entry_of(enum entry_kind kind, uint8_t id, const char *label)
{
	struct entry *entry = entry_new(kind);

	assert_non_null(entry);
	entry->uid = (struct uid){{id}};
	entry->project = (struct uid){{1}};
	entry->created_ms = 1764000000123;
	entry->usages = id;
	assert_true(entry_set_text(&entry->label, bytes_of(label)));
	assert_true(entry_set_bytes(&entry->id, bytes(&id, 1)));
	assert_true(entry_set_bytes(&entry->extra, bytes_of("more")));
	return entry;
}

static struct entry *root_key_of(void)
{
	struct entry *entry = entry_of(ENTRY_ROOT_KEY, 2, "root");

	entry->of_root_key.multi_region = true;
	assert_true(entry_set_text(&entry->of_root_key.arn, bytes_of(ARN)));
	assert_true(entry_set_text(&entry->of_root_key.provider, bytes_of("aws")));
	assert_true(entry_set_text(&entry->of_root_key.region, bytes_of("us-west-2")));
	assert_true(entry_set_bytes(&entry->of_root_key.canary, bytes_of("canary")));
	return entry;
}

static struct entry *cluster_of(void)
{
	struct entry *entry = entry_of(ENTRY_CLUSTER, 3, "prod");

	entry->of_cluster.root_key = (struct uid){{2}};
	entry->of_cluster.leaving = (struct uid){{2}};
	assert_true(entry_set_text(&entry->of_cluster.provider, bytes_of("aws")));
	assert_true(entry_set_text(&entry->of_cluster.region, bytes_of("us-west-2")));
	return entry;
}

static void add_version(struct entry *zone, size_t at, uint64_t record_zone, uint32_t number)
{
	struct ezk_version *version = &zone->of_zone.versions[at];
	AUTO(buffer_clear) struct buffer limits = {0};

	*version = (struct ezk_version){.record_zone = record_zone,
					.version = number,
					.created_ms = 1764000000124,
					.greatest_usages = 48,
					.fingerprint = {(uint8_t)at, 7},
					.mac = {(uint8_t)at, 8},
					.project = {{1}},
					.cluster = {{3}}};
	limits_put_lease(&limits, &(struct lease_bounds){3600, 7200});
	assert_true(entry_set_bytes(&version->limits, buffer_bytes(&limits)));
	assert_int_equal(ezk_version_add_wrap(version, ARN, bytes_of("blob")), ZONE_OK);
	zone->of_zone.version_count = at + 1;
}

static struct entry *zone_of(void)
{
	struct entry *entry = entry_of(ENTRY_ZONE, 4, "prod/orders");

	entry->state = ENTRY_PENDING_DELETION;
	entry->delete_after_ms = 1765000000000;
	entry->of_zone.zone = ZONE;
	entry->of_zone.cluster = (struct uid){{3}};
	entry->of_zone.primary = 2;
	entry->of_zone.raw = 1;
	entry->of_zone.minimum = 1;
	entry->of_zone.rotate_days = 90;
	entry->of_zone.versions = calloc(3, sizeof(*entry->of_zone.versions));
	add_version(entry, 0, 0, 1);
	entry->of_zone.versions[0].retired = true;
	entry->of_zone.versions[0].delete_after_ms = 1765000000001;
	add_version(entry, 1, 0, 2);
	assert_int_equal(
		ezk_version_add_wrap(&entry->of_zone.versions[1], ARN "2", bytes_of("blob 2")),
		ZONE_OK);
	entry->of_zone.versions[1].wraps[1].state = WRAP_UNPROVEN;
	add_version(entry, 2, 7, 1);
	return entry;
}

static struct entry *key_of(void)
{
	struct entry *entry = entry_of(ENTRY_KEY, 5, "stored");

	entry->of_key.zone = ZONE;
	entry->of_key.key_type = 31;
	entry->of_key.value_len = 16;
	assert_true(entry_set_bytes(&entry->of_key.wrapped, bytes_of("wrapped")));
	return entry;
}

/* Takes the entry. */
static void add(struct backup *backup, struct entry *entry)
{
	assert_true(backup_add(backup, entry));
	entry_release(entry);
}

static void fill(struct backup *backup)
{
	*backup = (struct backup){.id = {{9}}, .made_ms = 1764000000125, .project = {{1}}};
	assert_true(backup_add_wrap(backup, ARN, bytes_of("mac key")));
	add(backup, entry_of(ENTRY_PROJECT, 1, "project"));
	add(backup, root_key_of());
	add(backup, cluster_of());
	add(backup, zone_of());
	add(backup, key_of());
	assert_true(backup_add_gone(backup, (struct uid){{6}}, 43));
	assert_true(backup_add_gone(backup, (struct uid){{8}}, 0));
}

static void encode(const struct backup *backup, struct buffer *file)
{
	assert_int_equal(backup_encode(backup, file), ZONE_OK);
	buffer_append(file, bytes("0123456789abcdef0123456789abcdef", BACKUP_MAC_SIZE));
	assert_false(file->failed);
}

static enum zone_status decode(struct bytes file)
{
	AUTO(backup_clear) struct backup backup = {0};

	return backup_decode(file, &backup);
}

static enum zone_status decode_backup(const struct backup *backup)
{
	AUTO(buffer_clear) struct buffer file = {0};

	encode(backup, &file);
	return decode(buffer_bytes(&file));
}

/* --- Tests */

static void what_is_written_is_read(void **state)
{
	AUTO(backup_clear) struct backup backup, read = {0};
	AUTO(buffer_clear) struct buffer file = {0}, again = {0};
	const struct entry *zone;

	(void)state;
	fill(&backup);
	encode(&backup, &file);
	assert_int_equal(backup_decode(buffer_bytes(&file), &read), ZONE_OK);
	encode(&read, &again);
	assert_bytes(buffer_bytes(&again), buffer_bytes(&file));
	zone = backup_zone(&read, ZONE);
	assert_ptr_equal(zone, backup_find(&read, ENTRY_ZONE, (struct uid){{4}}));
	assert_null(backup_find(&read, ENTRY_KEY, (struct uid){{4}}));
	assert_string_equal(zone->label, "prod/orders");
	assert_int_equal(zone->state, ENTRY_PENDING_DELETION);
	assert_int_equal(zone->of_zone.version_count, 3);
	assert_true(zone->of_zone.versions[0].retired);
	assert_int_equal(zone->of_zone.versions[1].wraps[1].state, WRAP_UNPROVEN);
	assert_int_equal(zone->of_zone.versions[2].record_zone, 7);
	assert_int_equal(zone->of_zone.rotate_days, 90);
	assert_int_equal(read.gone_count, 2);
	assert_int_equal(read.gone[0].zone, 43);
	assert_bytes(read.entries[4]->of_key.wrapped, bytes_of("wrapped"));
	assert_bytes(read.entries[1]->of_root_key.canary, bytes_of("canary"));
}

static void mac_covers_all_before_it(void **state)
{
	AUTO(backup_clear) struct backup backup;
	AUTO(buffer_clear) struct buffer file = {0};
	struct bytes mac, covered;

	(void)state;
	fill(&backup);
	encode(&backup, &file);
	covered = backup_covered(buffer_bytes(&file), &mac);
	assert_ptr_equal(covered.data, file.data);
	assert_int_equal(covered.len + mac.len, file.len);
	assert_bytes(mac, bytes("0123456789abcdef0123456789abcdef", 32));
}

static void root_keys_of_its_zones_are_known(void **state)
{
	AUTO(backup_clear) struct backup backup;
	struct backup_arns arns;

	(void)state;
	fill(&backup);
	backup_arns(&backup, &arns);
	assert_int_equal(arns.count, 2);
	assert_string_equal(arns.list[0], ARN);
	assert_string_equal(arns.list[1], ARN "2");
	assert_non_null(backup_wrap(&backup, ARN));
	assert_null(backup_wrap(&backup, ARN "2"));
}

static void every_cut_is_refused(void **state)
{
	AUTO(backup_clear) struct backup backup;
	AUTO(buffer_clear) struct buffer file = {0};

	(void)state;
	fill(&backup);
	encode(&backup, &file);
	for (size_t len = 0; len < file.len; len++)
		assert_int_equal(decode(bytes(file.data, len)), ZONE_BACKUP_CORRUPT);
}

/* Without the MAC a changed name is a name; but nothing crashes, and what is read can be written.
 */
static void flipped_bits_are_refused_or_read(void **state)
{
	AUTO(backup_clear) struct backup backup;
	AUTO(buffer_clear) struct buffer file = {0};

	(void)state;
	fill(&backup);
	encode(&backup, &file);
	for (size_t at = 0; at < file.len - BACKUP_MAC_SIZE; at++)
		for (int bit = 0; bit < 8; bit++) {
			AUTO(backup_clear) struct backup read = {0};
			AUTO(buffer_clear) struct buffer again = {0};

			file.data[at] ^= (uint8_t)(1 << bit);
			if (backup_decode(buffer_bytes(&file), &read) == ZONE_OK)
				encode(&read, &again);
			if (again.len > 0)
				assert_bytes(buffer_bytes(&again), buffer_bytes(&file));
			file.data[at] ^= (uint8_t)(1 << bit);
		}
}

static void later_format_and_unknown_items_need_a_later_release(void **state)
{
	AUTO(backup_clear) struct backup backup;
	AUTO(buffer_clear) struct buffer file = {0};

	(void)state;
	fill(&backup);
	encode(&backup, &file);
	file.data[4] = 2;
	assert_int_equal(decode(buffer_bytes(&file)), ZONE_BACKUP_NEWER);
	file.data[4] = 1;
	/* The last item is a tombstone of 24 bytes behind its kind and length. */
	file.data[file.len - BACKUP_MAC_SIZE - 24 - 5] = 7;
	assert_int_equal(decode(buffer_bytes(&file)), ZONE_BACKUP_NEWER);
	file.data[0] = 'X';
	assert_int_equal(decode(buffer_bytes(&file)), ZONE_BACKUP_CORRUPT);
}

static void parts_that_do_not_fit_are_refused(void **state)
{
	AUTO(backup_clear) struct backup backup;

	(void)state;
	fill(&backup);
	backup.entries[2]->of_cluster.root_key = (struct uid){{99}};
	assert_int_equal(decode_backup(&backup), ZONE_BACKUP_CORRUPT);
	backup.entries[2]->of_cluster.root_key = (struct uid){{2}};
	backup.entries[3]->of_zone.cluster = (struct uid){{99}};
	assert_int_equal(decode_backup(&backup), ZONE_BACKUP_CORRUPT);
	backup.entries[3]->of_zone.cluster = (struct uid){{3}};
	backup.entries[3]->of_zone.primary = 3;
	assert_int_equal(decode_backup(&backup), ZONE_BACKUP_CORRUPT);
	backup.entries[3]->of_zone.primary = 2;
	backup.entries[4]->of_key.zone = 5;
	assert_int_equal(decode_backup(&backup), ZONE_BACKUP_CORRUPT);
	backup.entries[4]->of_key.zone = ZONE;
	backup.entries[4]->uid = (struct uid){{4}};
	assert_int_equal(decode_backup(&backup), ZONE_BACKUP_CORRUPT);
	backup.entries[4]->uid = (struct uid){{5}};
	backup.project = (struct uid){{2}};
	assert_int_equal(decode_backup(&backup), ZONE_BACKUP_CORRUPT);
	backup.project = (struct uid){{1}};
	assert_int_equal(decode_backup(&backup), ZONE_OK);
}

static void versions_out_of_order_are_refused(void **state)
{
	AUTO(backup_clear) struct backup backup;

	(void)state;
	fill(&backup);
	backup.entries[3]->of_zone.versions[2].record_zone = 0;
	assert_int_equal(decode_backup(&backup), ZONE_BACKUP_CORRUPT);
	backup.entries[3]->of_zone.versions[2].record_zone = 7;
	assert_int_equal(decode_backup(&backup), ZONE_OK);
}

static void names_are_names(void **state)
{
	AUTO(backup_clear) struct backup backup;

	(void)state;
	fill(&backup);
	assert_true(entry_set_text(&backup.entries[3]->label, bytes_of("a\nb")));
	assert_int_equal(decode_backup(&backup), ZONE_BACKUP_CORRUPT);
}

static void wraps_are_between_one_and_the_most(void **state)
{
	AUTO(backup_clear) struct backup backup;
	AUTO(buffer_clear) struct buffer file = {0};

	(void)state;
	fill(&backup);
	encode(&backup, &file);
	assert_int_equal(file.data[HEAD_WRAPS], 1);
	file.data[HEAD_WRAPS] = 0;
	assert_int_equal(decode(buffer_bytes(&file)), ZONE_BACKUP_CORRUPT);
	while (backup.wrap_count < BACKUP_WRAPS_MAX)
		assert_true(backup_add_wrap(&backup, ARN, bytes_of("more")));
	assert_false(backup_add_wrap(&backup, ARN, bytes_of("too many")));
	assert_int_equal(decode_backup(&backup), ZONE_OK);
}

/* The seed of tests/fuzz/backup.c: CMEK_WRITE_SEED names the file. */
static void seed_is_a_backup(void **state)
{
	AUTO(backup_clear) struct backup backup;
	AUTO(buffer_clear) struct buffer file = {0};
	const char *path = getenv("CMEK_WRITE_SEED");
	FILE *seed;

	(void)state;
	fill(&backup);
	encode(&backup, &file);
	if (path != NULL) {
		seed = fopen(path, "w");
		assert_non_null(seed);
		assert_int_equal(fwrite(file.data, 1, file.len, seed), file.len);
		fclose(seed);
	}
	assert_int_equal(decode(buffer_bytes(&file)), ZONE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(mac_covers_all_before_it),
		cmocka_unit_test(root_keys_of_its_zones_are_known),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(flipped_bits_are_refused_or_read),
		cmocka_unit_test(later_format_and_unknown_items_need_a_later_release),
		cmocka_unit_test(parts_that_do_not_fit_are_refused),
		cmocka_unit_test(versions_out_of_order_are_refused),
		cmocka_unit_test(names_are_names),
		cmocka_unit_test(wraps_are_between_one_and_the_most),
		cmocka_unit_test(seed_is_a_backup),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
