/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Backups restored: what comes back, what stays as it is, and by whose root keys. */
#include "base/free.h"
#include "base/log.h"
#include "tests/support/backed_up.h"
#include "tests/support/second_version.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/retire.h"
#include "zones/domain/rewrap.h"
#include "zones/domain/standing.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/kms/ezk_rewrap.h"

/* --- Restoring what was lost */

static void lost_store_comes_back_whole(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};
	struct uid project = f->project->uid;

	rotate(f, small.zone);
	back_up(f, &file);
	lose_store(f);
	assert_null(f->project);
	assert_int_equal(restored(f, &file, NULL, "added"), 5);
	f->project = zones_find_slot(f->zones, 0);
	assert_non_null(f->project);
	assert_true(uid_equal(f->project->uid, project));
	assert_int_equal(primary_of(f, small.zone), 2);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
	zones_reopen(f);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
}

static void second_restore_changes_nothing(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};
	uint64_t generation;

	back_up(f, &file);
	generation = zones_generation(f->zones);
	assert_int_equal(restored(f, &file, NULL, "here"), 5);
	assert_int_equal(zones_generation(f->zones), generation);
}

static void dry_run_writes_nothing(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};
	const struct restore_wish wish = {.dry_run = true};
	json_t *told;

	back_up(f, &file);
	lose_store(f);
	assert_int_equal(restore_as(f, &file, &wish, &told), ZONE_OK);
	assert_int_equal(count_of(told, "added"), 5);
	assert_true(json_is_false(json_object_get(told, "written")));
	json_decref(told);
	assert_null(zones_find_slot(f->zones, 0));
	if (f->engine != &memory_store)
		assert_int_equal(access(f->path, F_OK), -1);
}

/* --- Where things are already */

static void newer_store_stays_as_it_is(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	rotate(f, small.zone);
	assert_int_equal(restored(f, &file, NULL, "here"), 5);
	assert_int_equal(primary_of(f, small.zone), 2);
}

static void older_store_gets_the_newer_versions(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer old = {0}, new = {0};

	back_up(f, &old);
	rotate(f, small.zone);
	back_up(f, &new);
	lose_store(f);
	assert_int_equal(restore(f, &old), ZONE_OK);
	assert_int_equal(primary_of(f, small.zone), 1);
	assert_int_equal(restored(f, &new, NULL, "updated"), 1);
	assert_int_equal(primary_of(f, small.zone), 2);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
}

static void versions_that_went_two_ways_are_a_conflict(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer old = {0}, new = {0};
	const struct restore_wish look = {.dry_run = true};
	json_t *told;

	back_up(f, &old);
	rotate(f, small.zone);
	back_up(f, &new);
	lose_store(f);
	assert_int_equal(restore(f, &old), ZONE_OK);
	rotate(f, small.zone);
	assert_int_equal(restore(f, &new), ZONE_RESTORE_CONFLICT);
	assert_int_equal(restore_as(f, &new, &look, &told), ZONE_OK);
	assert_int_equal(count_of(told, "conflict"), 1);
	json_decref(told);
}

static void database_that_awaits_deletion_comes_back_only_if_named(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	assert_int_equal(zones_entry_delete(f->zones, small.zone), ZONE_OK);
	assert_int_equal(restored(f, &file, NULL, "left out"), 1);
	assert_int_equal(open_key(f, small.key), ZONE_PENDING_DELETION);
	assert_int_equal(restored(f, &file, "orders", "revived"), 1);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
}

static void backup_of_a_scheduled_database_brings_it_back_scheduled(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	assert_int_equal(zones_entry_delete(f->zones, small.zone), ZONE_OK);
	back_up(f, &file);
	lose_store(f);
	assert_int_equal(restored(f, &file, NULL, "added"), 5);
	assert_int_equal(open_key(f, small.key), ZONE_PENDING_DELETION);
	lose_store(f);
	fake_clock_advance(&f->clock, (int64_t)31 * 24 * 3600 * 1000);
	assert_int_equal(restored(f, &file, NULL, "left out"), 2);
	assert_int_equal(restored(f, &file, "orders", "added"), 2);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
}

static void purged_database_comes_back_only_if_named(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};
	struct zones *other;

	back_up(f, &file);
	bury(f, small.key);
	bury(f, small.zone);
	assert_int_equal(restored(f, &file, NULL, "left out"), 2);
	other = zones_other(f);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(standing_now(other, small.zone->of_zone.zone), ZONE_DELETED);
	assert_int_equal(restored(f, &file, "orders", "revived"), 2);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
	/* A process that knew the tombstone learns of it, and so does one that reads all. */
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(standing_now(other, small.zone->of_zone.zone), ZONE_OK);
	zones_free(other);
	zones_reopen(f);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
}

static void what_a_newer_backup_knows_to_be_gone_stays_gone(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *other = make_zone(f, "other", false);
	AUTO(buffer_clear) struct buffer old = {0}, new = {0};

	back_up(f, &old);
	bury(f, small.key);
	bury(f, small.zone);
	back_up(f, &new);
	lose_store(f);
	assert_int_equal(restore(f, &new), ZONE_OK);
	assert_int_equal(standing_now(f->zones, small.zone->of_zone.zone), ZONE_DELETED);
	assert_int_equal(restored(f, &old, NULL, "left out"), 2);
	zones_reopen(f);
	assert_int_equal(standing_now(f->zones, small.zone->of_zone.zone), ZONE_DELETED);
}

static void destroyed_token_key_stays_destroyed(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	assert_int_equal(zones_entry_delete(f->zones, small.key), ZONE_OK);
	assert_int_equal(restored(f, &file, NULL, "left out"), 1);
	assert_int_equal(open_key(f, small.key), ZONE_NOT_FOUND);
}

/* Whether an entry that was left out is told with that reason. */
static bool is_left_out_since(struct zones_fixture *f, const struct buffer *file,
			      const char *reason)
{
	const struct bytes name = bytes_of("orders");
	const struct restore_wish wish = {.revive = &name, .revive_count = 1};
	AUTO(buffer_clear) struct buffer told = {0};

	assert_int_equal(zones_restore(f->zones, buffer_bytes(file), &wish, &told), ZONE_OK);
	return strstr(buffer_text(&told), reason) != NULL;
}

static void token_key_does_not_come_back_without_its_version(void **state)
{
	static const char reason[] = "its key version is retired or gone here";
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};
	AUTO(entry_releasep) struct entry *two = NULL, *retired = NULL;

	back_up(f, &file);
	two = add_second_version(f, small.zone, 2);
	assert_int_equal(zones_entry_delete(f->zones, small.key), ZONE_OK);
	assert_int_equal(zones_version_step(f->zones, two, 1, VERSION_RETIRE), ZONE_OK);
	assert_true(is_left_out_since(f, &file, reason));
	assert_int_equal(open_key(f, small.key), ZONE_NOT_FOUND);
	retired = zones_find_uid(f->zones, small.zone->uid);
	assert_int_equal(zones_version_step(f->zones, retired, 1, VERSION_PURGE), ZONE_OK);
	assert_true(is_left_out_since(f, &file, reason));
	assert_int_equal(open_key(f, small.key), ZONE_NOT_FOUND);
}

/* --- What does not fit */

static void another_project_of_the_name_is_a_conflict(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	lose_store(f);
	assert_int_equal(zones_project_create(f->zones, 0, bytes_of("project"), &f->project),
			 ZONE_OK);
	assert_int_equal(restore(f, &file), ZONE_RESTORE_CONFLICT);
	assert_int_equal(open_key(f, small.key), ZONE_NOT_FOUND);
}

static void backup_comes_beside_another_project(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	lose_store(f);
	assert_int_equal(zones_project_create(f->zones, 0, bytes_of("another"), &f->project),
			 ZONE_OK);
	assert_int_equal(restore(f, &file), ZONE_OK);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
}

static void name_that_another_database_has_is_a_conflict(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *gone = make_zone(f, "gone", false), *again = NULL;
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	bury(f, gone);
	again = make_zone(f, "default/gone", false);
	assert_int_equal(restored(f, &file, NULL, "left out"), 1);
	{
		const struct bytes name = bytes_of("gone");
		const struct restore_wish wish = {.revive = &name, .revive_count = 1};
		json_t *told;

		assert_int_equal(restore_as(f, &file, &wish, &told), ZONE_RESTORE_CONFLICT);
	}
}

/* A backup with "b/db", which has gone since, and whose cluster is "c" now. */
static struct entry *lose_from_renamed(struct zones_fixture *f, const struct small *small,
				       struct buffer *file)
{
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, small->root_key, "b");
	struct entry *zone = make_zone(f, "b/db", false);
	struct entry_names names = {.label = bytes_of("c"), .usages = cluster->usages};

	back_up(f, file);
	bury(f, zone);
	assert_int_equal(zones_entry_rename(f->zones, cluster, &names, NULL), ZONE_OK);
	return zone;
}

static void database_takes_the_name_that_its_cluster_has_here(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};
	AUTO(entry_releasep) struct entry *zone = lose_from_renamed(f, &small, &file), *now = NULL;

	assert_int_equal(restored(f, &file, "b/db", "revived"), 1);
	now = zones_find_uid(f->zones, zone->uid);
	assert_string_equal(now->label, "c/db");
}

static void name_that_it_would_take_so_is_a_conflict_if_another_has_it(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};
	AUTO(entry_releasep) struct entry *zone = lose_from_renamed(f, &small, &file);
	AUTO(entry_releasep) struct entry *other = make_zone(f, "c/db", false);
	const struct bytes name = bytes_of("b/db");
	const struct restore_wish wish = {.revive = &name, .revive_count = 1};
	json_t *told;

	assert_int_equal(restore_as(f, &file, &wish, &told), ZONE_RESTORE_CONFLICT);
}

static void root_keys_that_are_not_allowed_are_refused(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *b = make_root_key(f, ROOT_B);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, b, "b");
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "b/db", false);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	f->allowed_root_keys = "111122223333/eu-west-1";
	lose_store(f);
	assert_int_equal(verify(f, buffer_bytes(&file), false), ZONE_ROOT_KEY_REFUSED);
	assert_int_equal(restore(f, &file), ZONE_ROOT_KEY_REFUSED);
	f->allowed_root_keys = ROOT_A;
	zones_reopen(f);
	assert_int_equal(restore(f, &file), ZONE_RESTORE_CONFLICT);
	f->allowed_root_keys = NULL;
}

static void backup_that_another_key_made_is_refused(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	file.data[file.len - 1] ^= 1;
	assert_int_equal(verify(f, buffer_bytes(&file), true), ZONE_OK);
	assert_int_equal(verify(f, buffer_bytes(&file), false), ZONE_BACKUP_CORRUPT);
	assert_int_equal(restore(f, &file), ZONE_BACKUP_CORRUPT);
}

/* --- Another root key */

static enum zone_status restore_mapped(struct zones_fixture *f, const struct buffer *file,
				       const char *from, const char *to)
{
	const struct restore_map map = {bytes_of(from), bytes_of(to)};
	const struct restore_wish wish = {.maps = &map, .map_count = 1};
	json_t *told;
	enum zone_status status = restore_as(f, file, &wish, &told);

	json_decref(told);
	return status;
}

static void mapped_root_key_takes_the_place_of_the_old(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *zone = NULL, *cluster = NULL;
	AUTO(buffer_clear) struct buffer file = {0};

	rotate(f, small.zone);
	back_up(f, &file);
	lose_store(f);
	assert_int_equal(restore_mapped(f, &file, "nobody", ROOT_EAST), ZONE_NOT_FOUND);
	assert_int_equal(restore_mapped(f, &file, ROOT_A, ROOT_EAST), ZONE_OK);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	zones_reopen(f);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
	zone = zones_find_uid(f->zones, small.zone->uid);
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		assert_string_equal(zone->of_zone.versions[i].wraps[0].arn, ROOT_EAST);
	cluster = zones_find_uid(f->zones, zone->of_zone.cluster);
	assert_string_equal(cluster->of_cluster.region, "us-east-1");
}

static void a_database_of_both_root_keys_has_one_wrap_by_the_new(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *b = make_root_key(f, ROOT_B);
	AUTO(entry_releasep) struct entry *both = NULL;
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(buffer_clear) struct buffer file = {0};
	const struct bytes arns[] = {bytes_of(ROOT_A), bytes_of(ROOT_B)};

	assert_int_equal(zones_zone_set_root_keys(f->zones, small.zone, arns, 2, false, &both),
			 ZONE_OK);
	back_up(f, &file);
	lose_store(f);
	assert_int_equal(restore_mapped(f, &file, ROOT_A, ROOT_B), ZONE_OK);
	zone = zones_find_uid(f->zones, small.zone->uid);
	assert_int_equal(zone->of_zone.versions[0].wrap_count, 1);
	assert_string_equal(zone->of_zone.versions[0].wraps[0].arn, ROOT_B);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	zones_reopen(f);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
}

static void root_key_that_is_here_is_not_mapped(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	assert_int_equal(restore_mapped(f, &file, ROOT_A, ROOT_B), ZONE_RESTORE_CONFLICT);
}

/* The store has it rewrapped from ROOT_A, by the KMS alone: nobody has opened what came of it. */
static void half_rewrap(struct zones_fixture *f, const struct entry *zone, const char *to)
{
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, to);
	AUTO(entry_releasep) struct entry *now = zones_find_uid(f->zones, zone->uid);
	AUTO(entry_releasep) struct entry *next = entry_copy(now);
	const struct kms_door door = {.clients = f->zones->clients};
	const struct ezk_wish wish = {.keys = &to, .count = 1};
	struct ezk_version *version = &next->of_zone.versions[0];

	ezk_version_clear(version);
	assert_int_equal(ezk_version_rewrap(&door, now->of_zone.zone, &now->of_zone.versions[0],
					    &wish, version),
			 ZONE_OK);
	assert_int_equal(version->wraps[0].state, WRAP_UNPROVEN);
	assert_int_equal(version->wraps[1].state, WRAP_REPLACED);
	assert_int_equal(zones_change(f->zones, put_it, next), ZONE_OK);
}

static void assert_wrap(struct zones_fixture *f, const struct entry *zone, size_t at,
			const char *arn, enum wrap_state state)
{
	AUTO(entry_releasep) struct entry *now = zones_find_uid(f->zones, zone->uid);

	assert_non_null(now);
	assert_true(at < now->of_zone.versions[0].wrap_count);
	assert_string_equal(now->of_zone.versions[0].wraps[at].arn, arn);
	assert_int_equal(now->of_zone.versions[0].wraps[at].state, state);
}

static size_t wrap_count(struct zones_fixture *f, const struct entry *zone)
{
	AUTO(entry_releasep) struct entry *now = zones_find_uid(f->zones, zone->uid);

	return now->of_zone.versions[0].wrap_count;
}

static void unproven_wrap_of_a_related_root_key_stays_unproven(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	half_rewrap(f, small.zone, ROOT_MRK);
	back_up(f, &file);
	lose_store(f);
	assert_int_equal(restore_mapped(f, &file, ROOT_MRK, ROOT_MRK_EAST), ZONE_OK);
	assert_wrap(f, small.zone, 0, ROOT_MRK_EAST, WRAP_UNPROVEN);
	assert_wrap(f, small.zone, 1, ROOT_A, WRAP_REPLACED);
}

static void mapped_wrap_that_was_unproven_is_proven_first(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	half_rewrap(f, small.zone, ROOT_B);
	back_up(f, &file);
	lose_store(f);
	assert_int_equal(restore_mapped(f, &file, ROOT_B, ROOT_EAST), ZONE_OK);
	assert_wrap(f, small.zone, 0, ROOT_EAST, WRAP_ACTIVE);
	assert_int_equal(wrap_count(f, small.zone), 1);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
}

static void replaced_wrap_is_mapped_too(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};

	half_rewrap(f, small.zone, ROOT_B);
	back_up(f, &file);
	lose_store(f);
	assert_int_equal(restore_mapped(f, &file, ROOT_A, ROOT_EAST), ZONE_OK);
	assert_wrap(f, small.zone, 0, ROOT_B, WRAP_UNPROVEN);
	assert_wrap(f, small.zone, 1, ROOT_EAST, WRAP_REPLACED);
}

/* From the first encryption on. */
static void flip_after_encrypt(void *state, enum fake_kms_call call)
{
	struct fake_kms *kms = state;

	kms->flip |= call == FAKE_ENCRYPT;
}

static void what_the_new_root_key_encrypted_is_opened_before_the_old_goes(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *b = make_root_key(f, ROOT_B);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, b, "b");
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "b/db", false);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	lose_store(f);
	f->aws.on_call_state = &f->aws;
	f->aws.on_call = flip_after_encrypt;
	assert_int_equal(restore_mapped(f, &file, ROOT_A, ROOT_B), ZONE_RECORD_CORRUPT);
	f->aws.on_call = NULL;
	f->aws.flip = false;
	assert_null(zones_find_slot(f->zones, 0));
}

/* --- A backup by somebody else, who knows the project's ids */

/* The store as it was, and a file with one more version, by his own key. `honest`: the project's
 * key vouches for it too. Gives his key's ARN. */
static char *let_attack(struct zones_fixture *f, const struct small *small, bool honest,
			struct buffer *file)
{
	AUTO(buffer_clear) struct buffer old = {0};
	AUTO(entry_releasep) struct entry *his = NULL;
	char *arn;

	back_up(f, &old);
	his = make_root_key(f, LOCAL_KEY);
	arn = strdup(his->of_root_key.arn);
	assert_non_null(arn);
	rotate_by(f, small->zone, arn);
	fake_kms_set(&f->aws, ROOT_A, honest ? KMS_KEY_ENABLED : KMS_KEY_DISABLED, KMS_OK);
	back_up(f, file);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_OK);
	lose_store(f);
	assert_int_equal(restore(f, &old), ZONE_OK);
	assert_int_equal(primary_of(f, small->zone), 1);
	return arn;
}

static void backup_is_believed_only_by_a_root_key_of_the_project_here(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};
	AUTO(freep) char *his = let_attack(f, &small, false, &file);

	assert_int_equal(verify(f, buffer_bytes(&file), false), ZONE_OK);
	assert_int_equal(restore(f, &file), ZONE_ROOT_KEY_REFUSED);
	/* Nor by a label, which the file chooses itself. */
	assert_int_equal(restore_mapped(f, &file, "embedded", ROOT_A), ZONE_ROOT_KEY_REFUSED);
	assert_int_equal(primary_of(f, small.zone), 1);
	/* Whoever names the key knows it. */
	assert_int_equal(restore_mapped(f, &file, his, ROOT_A), ZONE_OK);
	assert_int_equal(primary_of(f, small.zone), 2);
}

static void newer_versions_are_taken_only_by_root_keys_of_the_project_here(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(buffer_clear) struct buffer file = {0};
	AUTO(freep) char *his = let_attack(f, &small, true, &file);

	assert_int_equal(restore(f, &file), ZONE_RESTORE_CONFLICT);
	assert_int_equal(primary_of(f, small.zone), 1);
	assert_int_equal(restore_mapped(f, &file, his, ROOT_A), ZONE_OK);
	zone = zones_find_uid(f->zones, small.zone->uid);
	assert_int_equal(zone->of_zone.primary, 2);
	assert_string_equal(zone->of_zone.versions[1].wraps[0].arn, ROOT_A);
}

static void restore_says_which_root_key_vouches(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(buffer_clear) struct buffer file = {0};
	const struct restore_wish look = {.dry_run = true};
	json_t *told;

	back_up(f, &file);
	lose_store(f);
	assert_int_equal(restore_as(f, &file, &look, &told), ZONE_OK);
	assert_string_equal(json_string_value(json_object_get(told, "vouched_by")), ROOT_A);
	json_decref(told);
}

static void two_root_keys_become_one(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *b = make_root_key(f, ROOT_B);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, b, "b");
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "b/db", false);
	AUTO(buffer_clear) struct buffer file = {0};

	back_up(f, &file);
	lose_store(f);
	assert_int_equal(restore_mapped(f, &file, ROOT_A, ROOT_B), ZONE_OK);
	f->project = zones_find_slot(f->zones, 0);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 1);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(open_key(f, small.key), ZONE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(lost_store_comes_back_whole),
		EACH(second_restore_changes_nothing),
		EACH(dry_run_writes_nothing),
		EACH(newer_store_stays_as_it_is),
		EACH(older_store_gets_the_newer_versions),
		EACH(versions_that_went_two_ways_are_a_conflict),
		EACH(database_that_awaits_deletion_comes_back_only_if_named),
		EACH(backup_of_a_scheduled_database_brings_it_back_scheduled),
		EACH(purged_database_comes_back_only_if_named),
		EACH(what_a_newer_backup_knows_to_be_gone_stays_gone),
		EACH(destroyed_token_key_stays_destroyed),
		EACH(token_key_does_not_come_back_without_its_version),
		EACH(another_project_of_the_name_is_a_conflict),
		EACH(backup_comes_beside_another_project),
		EACH(name_that_another_database_has_is_a_conflict),
		EACH(database_takes_the_name_that_its_cluster_has_here),
		EACH(name_that_it_would_take_so_is_a_conflict_if_another_has_it),
		EACH(root_keys_that_are_not_allowed_are_refused),
		EACH(backup_that_another_key_made_is_refused),
		EACH(mapped_root_key_takes_the_place_of_the_old),
		EACH(a_database_of_both_root_keys_has_one_wrap_by_the_new),
		EACH(root_key_that_is_here_is_not_mapped),
		EACH(unproven_wrap_of_a_related_root_key_stays_unproven),
		EACH(mapped_wrap_that_was_unproven_is_proven_first),
		EACH(replaced_wrap_is_mapped_too),
		EACH(what_the_new_root_key_encrypted_is_opened_before_the_old_goes),
		EACH(backup_is_believed_only_by_a_root_key_of_the_project_here),
		EACH(newer_versions_are_taken_only_by_root_keys_of_the_project_here),
		EACH(restore_says_which_root_key_vouches),
		EACH(two_root_keys_become_one),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
