/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones and clusters that move to another root key, and who may open them meanwhile. */
#include "tests/support/moved_zones.h"

#include "base/log.h"
#include "tests/support/audit_lines.h"
#include "tests/support/memory_store.h"
#include "tests/support/store_fixture.h"
#include "zones/domain/edit.h"
#include "zones/kms/audit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static unsigned calls(struct zones_fixture *f, enum fake_kms_call call)
{
	return fake_kms_calls(&f->aws, call);
}

/* --- A zone moves */

static void zone_moves_by_one_call_for_each_version(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;
	unsigned decrypts, encrypts;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	give_versions(f, zone, 4);
	decrypts = calls(f, FAKE_DECRYPT);
	encrypts = calls(f, FAKE_ENCRYPT);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(calls(f, FAKE_RE_ENCRYPT), 4);
	assert_int_equal(calls(f, FAKE_DECRYPT), decrypts);
	assert_int_equal(calls(f, FAKE_ENCRYPT), encrypts);
	assert_wraps(f, zone, "b? a-");
}

static void the_first_that_opens_it_proves_it_and_the_old_wrap_goes(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "b");
	zones_reopen(f);
	assert_wraps(f, zone, "b");
}

static void each_version_is_proven_by_itself(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *found = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	give_versions(f, zone, 2);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	found = now(f, zone);
	assert_int_equal(found->of_zone.versions[0].wrap_count, 1);
	assert_int_equal(found->of_zone.versions[1].wrap_count, 2);
	assert_false(zone_is_proven(found));
	assert_int_equal(open_anew(f, zone, 2), ZONE_OK);
	assert_wraps(f, zone, "b");
}

static void replaced_wrap_is_never_used_after_a_no(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(open_anew(f, zone, 1), ZONE_KMS_DISABLED);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, KMS_DENIED);
	assert_int_equal(open_anew(f, zone, 1), ZONE_KMS_DENIED);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	assert_int_equal(open_anew(f, zone, 1), ZONE_KMS_UNAVAILABLE);
	assert_wraps(f, zone, "b? a-");
}

struct damage {
	struct uid zone;
	struct entry *result;
};

/* As if the KMS had answered something else: the last byte of what it holds. */
static enum zone_status decide_damage(struct changes *changes, void *state)
{
	struct damage *damage = state;
	struct wrap *wrap;

	entry_release(damage->result);
	damage->result = entry_copy(index_uid(&changes->zones->index, damage->zone));
	wrap = &damage->result->of_zone.versions[0].wraps[0];
	((uint8_t *)(uintptr_t)wrap->blob.data)[wrap->blob.len - 1] ^= 1;
	return changes_put(changes, damage->result);
}

static void damage_first_wrap(struct zones_fixture *f, const struct entry *zone)
{
	struct damage damage = {zone->uid, NULL};

	assert_int_equal(zones_change(f->zones, decide_damage, &damage), ZONE_OK);
	entry_release(damage.result);
}

static void wrap_that_holds_something_else_is_dropped_and_nothing_lost(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	damage_first_wrap(f, zone);
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "a");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "b");
	damage_first_wrap(f, zone);
	assert_int_equal(open_anew(f, zone, 1), ZONE_RECORD_CORRUPT);
}

static void reader_with_a_lease_goes_on_and_asks_the_new_key(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	struct zones *reader;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	reader = zones_other(f);
	assert_int_equal(open_in(reader, zone, 1), ZONE_OK);
	assert_int_equal(ezk_find(zones_registry(reader), zone, 1, &ezk), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(zones_refresh(reader, true), ZONE_OK);
	assert_true(ezk_leased(ezk));
	/* The old key says nothing any more. */
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	fake_clock_advance(&f->clock, 290 * 1000);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_wraps(f, zone, "b");
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_DISABLED, KMS_OK);
	fake_clock_advance(&f->clock, 290 * 1000);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
	ezk_release(TAKE(ezk));
	zones_free(reader);
}

static void zone_that_awaits_deletion_moves_too(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_wraps(f, zone, "b? a-");
}

/* --- Other ways */

static void without_re_encrypt_it_is_opened_and_encrypted_and_proven_at_once(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	refuse_calls(f, FAKE_RE_ENCRYPT);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_wraps(f, zone, "b");
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
}

static void an_identity_that_may_do_neither_is_refused_and_changes_nothing(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	refuse_calls(f, FAKE_RE_ENCRYPT);
	refuse_calls(f, FAKE_DECRYPT);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_KMS_DENIED);
	assert_non_null(strstr(log_last(), "kms:ReEncryptFrom"));
	assert_wraps(f, zone, "a");
}

static void outage_changes_nothing_and_is_no_denial(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	fake_kms_fail(&f->aws, FAKE_RE_ENCRYPT, KMS_THROTTLED, 1);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_KMS_THROTTLED);
	assert_wraps(f, zone, "a");
	fake_clock_advance(&f->clock, 15 * 1000);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_wraps(f, zone, "b? a-");
}

static void once_more_proves_and_then_wraps_by_new_material(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(calls(f, FAKE_RE_ENCRYPT), 1);
	assert_wraps(f, zone, "b");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(calls(f, FAKE_RE_ENCRYPT), 2);
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "b");
}

static void move_of_what_is_unproven_keeps_the_last_that_was_proven(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *local = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_A), ZONE_OK);
	assert_wraps(f, zone, "a? a-");
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "a");
}

/* --- Several root keys */

static enum zone_status remove_key(struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep)
	struct entry *key = find_entry(f->zones, f->project->uid, ENTRY_ROOT_KEY, label);

	return zones_entry_delete(f->zones, key);
}

static struct entry *cluster_now(struct zones_fixture *f)
{
	struct entry *cluster = find_entry(f->zones, f->project->uid, ENTRY_CLUSTER, "c");

	assert_non_null(cluster);
	return cluster;
}

static bool is_leaving(struct zones_fixture *f)
{
	AUTO(entry_releasep) struct entry *cluster = cluster_now(f);

	return !uid_equal(cluster->of_cluster.leaving, (struct uid){0});
}

static enum zone_status set_keys(struct zones_fixture *f, const struct entry *zone, const char *one,
				 const char *two)
{
	AUTO(entry_releasep) struct entry *changed = NULL;
	const struct bytes arns[] = {bytes_of(one), bytes_of(two == NULL ? "" : two)};

	return zones_zone_set_root_keys(f->zones, zone, arns, two == NULL ? 1 : 2, false, &changed);
}

static void any_of_several_root_keys_opens(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	give_versions(f, zone, 3);
	assert_int_equal(set_keys(f, zone, ROOT_A, ROOT_B), ZONE_OK);
	assert_int_equal(calls(f, FAKE_RE_ENCRYPT), 3);
	assert_wraps(f, zone, "a b?");
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	for (uint32_t version = 1; version <= 3; version++)
		assert_int_equal(open_anew(f, zone, version), ZONE_OK);
	assert_wraps(f, zone, "a b");
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	assert_int_equal(open_anew(f, zone, 1), ZONE_KMS_DISABLED); /* a no without a yes */
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, KMS_OK);
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_int_equal(remove_key(f, "b"), ZONE_IN_USE);
}

static void lease_goes_on_by_the_other_and_ends_with_the_last(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *current = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(set_keys(f, zone, ROOT_A, ROOT_B), ZONE_OK);
	current = now(f, zone);
	assert_int_equal(ezk_find(zones_registry(f->zones), current, 1, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	fake_clock_advance(&f->clock, 290 * 1000);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_DISABLED, KMS_OK);
	fake_clock_advance(&f->clock, 290 * 1000);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
	ezk_release(TAKE(ezk));
}

static void the_first_moves_and_the_others_stay(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *mrk = NULL;

	place_for_zones(f);
	mrk = make_root_key(f, ROOT_MRK);
	zone = moved_zone(f, "c/d");
	assert_int_equal(set_keys(f, zone, ROOT_A, ROOT_MRK), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_wraps(f, zone, "b? other? a-");
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "b other?");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK); /* proves */
	assert_wraps(f, zone, "b other");
	assert_int_equal(set_keys(f, zone, ROOT_MRK, ROOT_B), ZONE_OK);
	assert_wraps(f, zone, "other b");
	assert_int_equal(set_keys(f, zone, ROOT_B, NULL), ZONE_OK);
	assert_wraps(f, zone, "b");
	assert_int_equal(calls(f, FAKE_RE_ENCRYPT), 2);
}

static void further_keys_are_of_the_provider_and_of_any_region(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *east = NULL, *local = NULL;

	place_for_zones(f);
	east = make_root_key(f, ROOT_EAST);
	local = make_root_key(f, LOCAL_KEY);
	zone = moved_zone(f, "c/d");
	assert_int_equal(set_keys(f, zone, ROOT_EAST, ROOT_A), ZONE_WRONG_REGION);
	assert_int_equal(set_keys(f, zone, ROOT_A, local->of_root_key.arn), ZONE_WRONG_PROVIDER);
	assert_int_equal(set_keys(f, zone, ROOT_A, ROOT_A), ZONE_EXISTS);
	assert_int_equal(zones_zone_set_root_keys(f->zones, zone, NULL, 0, false, NULL),
			 ZONE_INVALID);
	assert_wraps(f, zone, "a");
	assert_int_equal(set_keys(f, zone, ROOT_A, ROOT_EAST), ZONE_OK);
	assert_int_equal(calls(f, FAKE_RE_ENCRYPT), 0);
	assert_wraps(f, zone, "a other");
	/* They have to be named anew, before the cluster goes to another provider. */
	assert_int_equal(aim(f, "c", local->of_root_key.arn), ZONE_OK);
	assert_int_equal(rewrap(f, zone, local->of_root_key.arn), ZONE_WRONG_PROVIDER);
	assert_non_null(strstr(log_last(), "set-keys"));
	assert_int_equal(set_keys(f, zone, local->of_root_key.arn, NULL), ZONE_OK);
	assert_wraps(f, zone, "l");
	assert_false(is_leaving(f));
}

/* --- Rules */

static void zone_alone_stays_in_the_place_of_its_cluster(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *east = NULL, *local = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	east = make_root_key(f, ROOT_EAST);
	local = make_root_key(f, LOCAL_KEY);
	assert_int_equal(rewrap(f, zone, ROOT_EAST), ZONE_WRONG_REGION);
	assert_int_equal(rewrap(f, zone, local->of_root_key.arn), ZONE_WRONG_PROVIDER);
	assert_non_null(strstr(log_last(), "move the whole cluster"));
	assert_int_equal(aim(f, "c", ROOT_EAST), ZONE_WRONG_REGION);
	assert_wraps(f, zone, "a");
}

static void root_key_must_be_the_projects_and_in_use(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *b = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(rewrap(f, zone, ROOT_EAST), ZONE_NOT_FOUND);
	assert_int_equal(rewrap(f, zone, ""), ZONE_NOT_FOUND);
	b = find_entry(f->zones, f->project->uid, ENTRY_ROOT_KEY, "b");
	assert_int_equal(zones_entry_delete(f->zones, b), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_PENDING_DELETION);
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_PENDING_DELETION);
}

static void key_that_is_not_allowed_is_not_moved_to(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	f->allowed_root_keys = ROOT_A;
	zones_reopen(f);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_ROOT_KEY_REFUSED);
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_ROOT_KEY_REFUSED);
	assert_wraps(f, zone, "a");
}

static void root_key_is_in_use_as_long_as_anything_names_it(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
	assert_int_equal(remove_key(f, "a"), ZONE_IN_USE);
	assert_int_equal(remove_key(f, "b"), ZONE_IN_USE);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(remove_key(f, "a"), ZONE_IN_USE); /* nobody has opened it yet */
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
	assert_int_equal(remove_key(f, "a"), ZONE_OK);
}

/* --- A whole cluster */

static void cluster_leaves_a_key_with_the_last_zone_that_moves(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *first = NULL, *second = NULL, *fresh = NULL;

	place_for_zones(f);
	first = moved_zone(f, "c/one");
	second = moved_zone(f, "c/two");
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
	assert_true(is_leaving(f));
	fresh = moved_zone(f, "c/new");
	assert_wraps(f, fresh, "b");
	assert_int_equal(rewrap(f, second, ROOT_B), ZONE_OK);
	assert_true(is_leaving(f));
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK); /* the same again */
	assert_true(is_leaving(f));
	assert_int_equal(rewrap(f, first, ROOT_B), ZONE_OK);
	assert_false(is_leaving(f));
}

static void empty_cluster_has_nothing_to_leave(void **state)
{
	FIXTURE(state);

	place_for_zones(f);
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
	assert_false(is_leaving(f));
}

static void cluster_goes_back_but_not_to_a_third_key(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *mrk = NULL;

	place_for_zones(f);
	mrk = make_root_key(f, ROOT_MRK);
	zone = moved_zone(f, "c/d");
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
	assert_int_equal(aim(f, "c", ROOT_MRK), ZONE_MOVING);
	assert_non_null(strstr(log_last(), "leaving root key 'a' still"));
	assert_int_equal(aim(f, "c", ROOT_A), ZONE_OK);
	assert_false(is_leaving(f));
	assert_int_equal(aim(f, "c", ROOT_MRK), ZONE_OK);
}

static void cluster_does_not_go_to_a_key_that_is_switched_off(void **state)
{
	static const struct {
		enum kms_key_state key_state;
		enum zone_status status;
		const char *told;
	} rows[] = {
		{KMS_KEY_DISABLED, ZONE_KMS_DISABLED,
		 "root key 'b': its state in the KMS is Disabled"},
		{KMS_KEY_PENDING_DELETION, ZONE_KMS_PENDING_DELETION, "is PendingDeletion"},
	};
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *before = NULL;

	place_for_zones(f);
	before = cluster_now(f);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(entry_releasep) struct entry *after = NULL;

		fake_kms_set(&f->aws, ROOT_B, rows[i].key_state, 0);
		assert_int_equal(aim(f, "c", ROOT_B), rows[i].status);
		assert_non_null(strstr(log_last(), rows[i].told));
		after = cluster_now(f);
		assert_int_equal(after->revision, before->revision);
	}
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, 0);
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
}

/* Only an answer about the key counts: a lack of the right, or an outage, says nothing of its
 * state. */
static void cluster_goes_to_a_key_whose_state_nobody_tells(void **state)
{
	FIXTURE(state);

	place_for_zones(f);
	fake_kms_fail(&f->aws, FAKE_DESCRIBE, KMS_DENIED, 1);
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
	fake_kms_fail(&f->aws, FAKE_DESCRIBE, KMS_UNAVAILABLE, 1);
	assert_int_equal(aim(f, "c", ROOT_A), ZONE_OK);
}

static void zones_that_moved_come_back_with_the_cluster(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	entry_release(moved_zone(f, "c/other"));
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(aim(f, "c", ROOT_A), ZONE_OK);
	assert_true(is_leaving(f));
	assert_int_equal(rewrap(f, zone, ROOT_A), ZONE_OK);
	assert_false(is_leaving(f));
}

static void only_a_whole_cluster_changes_its_provider(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *local = make_root_key(f, LOCAL_KEY);
	AUTO(entry_releasep) struct entry *a = make_root_key(f, "alias/a");
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, local, "c");
	AUTO(entry_releasep) struct entry *zone = moved_zone(f, "c/d");
	AUTO(entry_releasep) struct entry *aimed = NULL, *back = NULL;

	assert_int_equal(rewrap(f, zone, ROOT_A), ZONE_WRONG_PROVIDER);
	assert_int_equal(aim(f, "c", ROOT_A), ZONE_OK);
	aimed = cluster_now(f);
	assert_string_equal(aimed->of_cluster.provider, "aws");
	assert_string_equal(aimed->of_cluster.region, "us-west-2");
	assert_int_equal(rewrap(f, zone, ROOT_A), ZONE_OK);
	assert_int_equal(calls(f, FAKE_RE_ENCRYPT), 0);
	assert_wraps(f, zone, "a");
	assert_false(is_leaving(f));
	assert_int_equal(aim(f, "c", local->of_root_key.arn), ZONE_OK);
	back = cluster_now(f);
	assert_string_equal(back->of_cluster.provider, "local");
	assert_string_equal(back->of_cluster.region, "us-west-2");
}

/* --- Others at the same time */

struct rival {
	struct zones_fixture *f;
	const struct entry *zone;
	const char *arn;
	bool done;
};

static void rewrap_first(void *state, enum fake_kms_call call)
{
	struct rival *rival = state;
	struct zones *other;

	if (rival->done || call != FAKE_RE_ENCRYPT)
		return;
	rival->done = true;
	other = zones_other(rival->f);
	assert_int_equal(rewrap_in(other, rival->zone, rival->arn), ZONE_OK);
	zones_free(other);
}

static void rename_first(void *state, enum fake_kms_call call)
{
	struct rival *rival = state;
	AUTO(entry_releasep) struct entry *renamed = NULL;
	struct entry_names names = names_of("c/renamed");
	struct zones *other;

	if (rival->done || call != FAKE_RE_ENCRYPT)
		return;
	rival->done = true;
	other = zones_other(rival->f);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(zones_entry_rename(other, rival->zone, &names, &renamed), ZONE_OK);
	zones_free(other);
}

static void two_that_move_a_zone_at_once_both_succeed(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct rival rival = {.f = f, .arn = ROOT_B};

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	rival.zone = zone;
	f->aws.on_call = rewrap_first;
	f->aws.on_call_state = &rival;
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_wraps(f, zone, "b? a-");
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "b");
}

static void change_of_anything_else_does_not_need_another_call(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *found = NULL;
	struct rival rival = {.f = f};

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	rival.zone = zone;
	f->aws.on_call = rename_first;
	f->aws.on_call_state = &rival;
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(calls(f, FAKE_RE_ENCRYPT), 1);
	found = now(f, zone);
	assert_string_equal(found->label, "c/renamed");
	assert_wraps(f, zone, "b? a-");
}

/* On a store whose writes come too late twice. */
static void it_happens_once_where_others_write_between(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	memory_rows.conflicts = 2;
	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(calls(f, FAKE_RE_ENCRYPT), 1);
	assert_false(is_leaving(f));
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "b");
}

static void a_process_that_may_not_write_the_store_opens_it_all_the_same(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *found = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	size_t writes;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	found = now(f, zone);
	assert_int_equal(ezk_find(zones_registry(f->zones), found, 1, &ezk), ZONE_OK);
	writes = memory_rows.writes;
	memory_rows.fault = ZONE_STORE_READ_ONLY;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	memory_rows.fault = ZONE_OK;
	assert_int_equal(memory_rows.writes, writes);
	assert_wraps(f, zone, "b? a-");
	ezk_release(TAKE(ezk));
}

/* --- While it is used, and many */

enum { READERS = 3, MOVES = 30, ZONES = 200 };

struct reader {
	struct zones_fixture *f;
	const struct entry *zone;
	atomic_bool *over;
	pthread_t thread;
	unsigned read, failed;
};

/* Another process, which asks the KMS for each use. */
static void *read_on(void *state)
{
	struct reader *reader = state;
	struct zones *zones = zones_other(reader->f);

	do {
		reader->failed += open_in(zones, reader->zone, 1) != ZONE_OK;
		reader->read++;
	} while (!atomic_load(reader->over));
	zones_free(zones);
	return NULL;
}

static void readers_go_on_while_a_zone_moves_to_and_fro(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct reader readers[READERS] = {0};
	atomic_bool over = false;

	f->settings.lease_seconds = 0;
	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.f = f, .zone = zone, .over = &over};
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
	}
	for (int i = 0; i < MOVES; i++)
		assert_int_equal(rewrap(f, zone, i % 2 == 0 ? ROOT_B : ROOT_A), ZONE_OK);
	atomic_store(&over, true);
	for (int i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_true(readers[i].read > 0);
		assert_int_equal(readers[i].failed, 0);
	}
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "a");
}

static void many_zones_take_one_call_a_version(void **state)
{
	FIXTURE(state);
	struct entry *zones[ZONES];
	char label[32];

	place_for_zones(f);
	for (int i = 0; i < ZONES; i++) {
		snprintf(label, sizeof(label), "c/%d", i);
		zones[i] = moved_zone(f, label);
	}
	give_versions(f, zones[7], 5);
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
	for (int i = 0; i < ZONES; i++) {
		assert_true(is_leaving(f));
		assert_int_equal(rewrap(f, zones[i], ROOT_B), ZONE_OK);
		entry_release(zones[i]);
	}
	assert_false(is_leaving(f));
	assert_int_equal(calls(f, FAKE_RE_ENCRYPT), ZONES + 4);
}

/* --- What is said of it */

static void audit_log_has_a_word_for_each_step(void **state)
{
	static const struct {
		const char *event, *action;
	} expected[] = {{"cluster", "root key set"},
			{"zone", "rewrapped"},
			{"cluster", "root key left"},
			{"zone", "proven"}};
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;
	char file[160];
	json_t *lines;
	size_t at = 0;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	snprintf(file, sizeof(file), "%s/audit.jsonl", f->folder);
	audit_configure(file);
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	assert_int_equal(open_in(f->zones, zone, 1), ZONE_OK);
	audit_configure(NULL);
	lines = read_lines(file);
	for (size_t i = 0; i < json_array_size(lines); i++) {
		if (strcmp(text_of(lines, i, "event"), "kms") == 0 &&
		    strcmp(text_of(lines, i, "action"), "ReEncrypt") == 0) {
			assert_text(lines, i, "root_key", ROOT_A);
			assert_text(lines, i, "new_root_key", ROOT_B);
		}
		if (strcmp(text_of(lines, i, "event"), "kms") == 0)
			continue;
		assert_true(at < COUNT_OF(expected));
		assert_text(lines, i, "event", expected[at].event);
		assert_text(lines, i, "action", expected[at++].action);
	}
	assert_int_equal(at, COUNT_OF(expected));
	json_decref(lines);
}

static void root_keys_are_listed(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *found = NULL;
	AUTO(buffer_clear) struct buffer before = {0}, after = {0};

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(zones_zone_root_keys(zone, &before), ZONE_OK);
	assert_string_equal(buffer_text(&before), "{\"policy\":\"or\",\"keys\":[\"" ROOT_A
						  "\"],\"even\":true,\"proven\":true}");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	found = now(f, zone);
	assert_int_equal(zones_zone_root_keys(found, &after), ZONE_OK);
	assert_string_equal(buffer_text(&after), "{\"policy\":\"or\",\"keys\":[\"" ROOT_B
						 "\"],\"even\":true,\"proven\":false}");
}

static int begin_in_memory(void **state)
{
	memory_rows_begin();
	return zones_begin_in(&memory_store, state);
}

static int begin_hasty(void **state)
{
	memory_rows_begin();
	return zones_begin_in(&memory_store_hasty, state);
}

static int end_in_memory(void **state)
{
	int result = zones_end(state);

	memory_rows_end();
	return result;
}

/* Of one store there is one call at a time. */
static void store_is_looked_at_only_in_its_turn(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *unproven = NULL;
	AUTO(zones_end_turn) struct zones *held = NULL;
	const struct ezk_version *version;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
	unproven = now(f, zone);
	version = &unproven->of_zone.versions[0];
	memory_rows.looks = 0;
	assert_int_equal(zones_begin_turn(f->zones, &held), ZONE_OK);
	zone_wrap_proven(f->zones, unproven, version, &version->wraps[0]);
	assert_int_equal(memory_rows.looks, 0);
	zones_end_turn(&held);
	held = NULL;
	zone_wrap_proven(f->zones, unproven, version, &version->wraps[0]);
	assert_int_equal(memory_rows.looks, 1);
	assert_wraps(f, zone, "b");
}

#define ON_DISK(name)	cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)
#define IN_MEMORY(name) cmocka_unit_test_setup_teardown(name, begin_in_memory, end_in_memory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_DISK(zone_moves_by_one_call_for_each_version),
		ON_DISK(the_first_that_opens_it_proves_it_and_the_old_wrap_goes),
		ON_DISK(each_version_is_proven_by_itself),
		ON_DISK(replaced_wrap_is_never_used_after_a_no),
		ON_DISK(wrap_that_holds_something_else_is_dropped_and_nothing_lost),
		ON_DISK(reader_with_a_lease_goes_on_and_asks_the_new_key),
		ON_DISK(zone_that_awaits_deletion_moves_too),
		ON_DISK(without_re_encrypt_it_is_opened_and_encrypted_and_proven_at_once),
		ON_DISK(an_identity_that_may_do_neither_is_refused_and_changes_nothing),
		ON_DISK(outage_changes_nothing_and_is_no_denial),
		ON_DISK(once_more_proves_and_then_wraps_by_new_material),
		ON_DISK(move_of_what_is_unproven_keeps_the_last_that_was_proven),
		ON_DISK(any_of_several_root_keys_opens),
		ON_DISK(lease_goes_on_by_the_other_and_ends_with_the_last),
		ON_DISK(the_first_moves_and_the_others_stay),
		ON_DISK(further_keys_are_of_the_provider_and_of_any_region),
		ON_DISK(zone_alone_stays_in_the_place_of_its_cluster),
		ON_DISK(root_key_must_be_the_projects_and_in_use),
		ON_DISK(key_that_is_not_allowed_is_not_moved_to),
		ON_DISK(root_key_is_in_use_as_long_as_anything_names_it),
		ON_DISK(cluster_leaves_a_key_with_the_last_zone_that_moves),
		ON_DISK(empty_cluster_has_nothing_to_leave),
		ON_DISK(cluster_goes_back_but_not_to_a_third_key),
		ON_DISK(cluster_does_not_go_to_a_key_that_is_switched_off),
		ON_DISK(cluster_goes_to_a_key_whose_state_nobody_tells),
		ON_DISK(zones_that_moved_come_back_with_the_cluster),
		ON_DISK(only_a_whole_cluster_changes_its_provider),
		ON_DISK(two_that_move_a_zone_at_once_both_succeed),
		ON_DISK(change_of_anything_else_does_not_need_another_call),
		IN_MEMORY(it_happens_once_where_others_write_between),
		IN_MEMORY(a_process_that_may_not_write_the_store_opens_it_all_the_same),
		cmocka_unit_test_setup_teardown(store_is_looked_at_only_in_its_turn, begin_hasty,
						end_in_memory),
		IN_MEMORY(readers_go_on_while_a_zone_moves_to_and_fro),
		IN_MEMORY(many_zones_take_one_call_a_version),
		ON_DISK(audit_log_has_a_word_for_each_step),
		ON_DISK(root_keys_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
