/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Making databases: their place, their names, their ids, and that a failure leaves nothing. */
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/doctor.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/ezk/ezk.h"
#include "zones/model/record.h"

#include <inttypes.h>
#include <stdio.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static enum zone_status try_create(struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep) struct entry *zone = NULL;

	return fixture_create_zone(f, label, &zone);
}

static void assert_nothing_was_made(struct zones_fixture *f)
{
	struct zones *other = zones_other(f);

	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(count_entries(other, f->project->uid, ENTRY_ZONE, true), 0);
	assert_int_equal(count_entries(other, f->project->uid, ENTRY_CLUSTER, true), 0);
	zones_free(other);
}

static void zone_has_a_random_id_and_version_one(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "c");
	AUTO(entry_releasep) struct entry *zone = NULL;
	const struct ezk_version *version;

	assert_int_equal(fixture_create_zone(f, "c/db", &zone), ZONE_OK);
	assert_string_equal(zone->label, "c/db");
	assert_true(zone->of_zone.zone > 0 && zone->of_zone.zone <= INT64_MAX);
	assert_true(uid_equal(zone->of_zone.cluster, cluster->uid));
	assert_int_equal(zone->of_zone.primary, 1);
	assert_int_equal(zone->of_zone.raw, 1);
	assert_int_equal(zone->of_zone.minimum, 1);
	assert_int_equal(zone->id.len, 8);
	assert_int_not_equal(zone->number, 0);
	version = entry_version(zone, 1);
	assert_int_equal(version->greatest_usages, USAGE_WRAP | USAGE_UNWRAP);
	assert_string_equal(version->wraps[0].arn, ROOT_A);
	assert_true(uid_equal(version->project, f->project->uid));
	assert_true(uid_equal(version->cluster, cluster->uid));
}

static void zone_opens_in_another_process(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *found = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	assert_int_equal(fixture_create_zone(f, "db", &zone), ZONE_OK);
	zones_reopen(f);
	found = zones_find_zone(f->zones, zone->of_zone.zone);
	assert_non_null(found);
	assert_int_equal(ezk_find(zones_registry(f->zones), found, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	ezk_release(TAKE(ezk));
}

static void default_cluster_is_made_on_demand_in_the_root_keys_region(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = NULL;

	assert_int_equal(try_create(f, "db"), ZONE_OK);
	cluster = find_entry(f->zones, f->project->uid, ENTRY_CLUSTER, "default");
	assert_non_null(cluster);
	assert_string_equal(cluster->of_cluster.region, "us-west-2");
	assert_true(uid_equal(cluster->of_cluster.root_key, root_key->uid));
	assert_int_equal(try_create(f, "db2"), ZONE_OK);
	assert_int_equal(try_create(f, "default/db3"), ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_CLUSTER, true), 1);
}

static void other_clusters_are_not_made_on_demand(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);

	assert_int_equal(try_create(f, "none/db"), ZONE_NOT_FOUND);
	assert_nothing_was_made(f);
}

static void zone_without_a_label_is_named_by_its_id(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL;
	char expected[32];

	assert_int_equal(fixture_create_zone(f, "", &zone), ZONE_OK);
	snprintf(expected, sizeof(expected), "zone-%" PRIu64, zone->of_zone.zone);
	assert_string_equal(zone->label, expected);
	assert_int_equal(try_create(f, ""), ZONE_OK);
}

static void malformed_labels_are_refused(void **state)
{
	static const char *const labels[] = {"/db", "c/", "c/d/e", "/", "\xc3\x28"};
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	struct entry_names names = names_of("db");
	struct entry *none = NULL;
	char long_label[300];

	for (size_t i = 0; i < COUNT_OF(labels); i++)
		assert_int_equal(try_create(f, labels[i]), ZONE_INVALID_NAME);
	memset(long_label, 'a', sizeof(long_label));
	long_label[256] = '\0';
	assert_int_equal(try_create(f, long_label), ZONE_INVALID_NAME);
	names.id = bytes(long_label, 256);
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &none), ZONE_INVALID);
	assert_nothing_was_made(f);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), 1); /* the root key's trial */
}

static void zone_labels_are_unique_in_a_project_and_freed_by_deletion(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL;
	unsigned encrypts;

	assert_int_equal(fixture_create_zone(f, "db", &zone), ZONE_OK);
	encrypts = fake_kms_calls(&f->aws, FAKE_ENCRYPT);
	assert_int_equal(try_create(f, "db"), ZONE_EXISTS);
	assert_int_equal(try_create(f, "default/db"), ZONE_EXISTS);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), encrypts);
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	assert_int_equal(try_create(f, "default/db"), ZONE_OK);
	assert_int_equal(try_create(f, "db"), ZONE_EXISTS);
}

/* --- Which root key */

static void project_without_root_key_needs_a_default(void **state)
{
	FIXTURE(state);

	assert_int_equal(try_create(f, "db"), ZONE_NO_ROOT_KEY);
	assert_nothing_was_made(f);
}

static void default_root_key_is_added_on_demand(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = NULL;

	f->settings.default_root_key = "alias/b";
	zones_reopen(f);
	assert_int_equal(try_create(f, "db"), ZONE_OK);
	root_key = find_entry(f->zones, f->project->uid, ENTRY_ROOT_KEY, "b");
	assert_non_null(root_key);
	assert_string_equal(root_key->of_root_key.arn, ROOT_B);
	assert_true(root_key->of_root_key.canary.len > 0);
	assert_int_equal(try_create(f, "db2"), ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 1);
}

static void default_root_key_may_be_a_new_local_one(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *cluster = NULL;

	f->settings.default_root_key = LOCAL_KEY;
	zones_reopen(f);
	assert_int_equal(try_create(f, "db"), ZONE_OK);
	cluster = find_entry(f->zones, f->project->uid, ENTRY_CLUSTER, "default");
	assert_string_equal(cluster->of_cluster.provider, "local");
	assert_string_equal(cluster->of_cluster.region, "local");
}

static void several_root_keys_leave_the_choice_to_the_configuration(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *a = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *b = make_root_key(f, ROOT_B);
	AUTO(entry_releasep) struct entry *zone = NULL;

	assert_int_equal(try_create(f, "db"), ZONE_NO_ROOT_KEY);
	assert_nothing_was_made(f);
	f->settings.default_root_key = "alias/b";
	zones_reopen(f);
	assert_int_equal(fixture_create_zone(f, "db", &zone), ZONE_OK);
	assert_string_equal(entry_version(zone, 1)->wraps[0].arn, ROOT_B);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 2);
}

static void removed_default_root_key_comes_back_with_the_zone(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *a = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *found = NULL;

	assert_int_equal(zones_entry_delete(f->zones, a), ZONE_OK);
	f->settings.default_root_key = ROOT_A;
	zones_reopen(f);
	assert_int_equal(try_create(f, "db"), ZONE_OK);
	found = zones_find_uid(f->zones, a->uid);
	assert_int_equal(found->state, ENTRY_ACTIVE);
}

/* --- Failures */

static void kms_failure_leaves_nothing(void **state)
{
	static const struct {
		enum fake_kms_call call;
		enum kms_status fault;
		enum zone_status status;
	} faults[] = {
		{FAKE_DESCRIBE, KMS_DENIED, ZONE_KMS_DENIED},
		{FAKE_ENCRYPT, KMS_DISABLED, ZONE_KMS_DISABLED},
		{FAKE_DECRYPT, KMS_THROTTLED, ZONE_KMS_THROTTLED},
	};
	FIXTURE(state);

	f->settings.default_root_key = "alias/a";
	zones_reopen(f);
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		fake_kms_fail(&f->aws, faults[i].call, faults[i].fault, 1);
		assert_int_equal(try_create(f, "db"), faults[i].status);
		assert_nothing_was_made(f);
		assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 0);
		fake_clock_advance(&f->clock, 13000); /* past the longest silence */
	}
	assert_int_equal(try_create(f, "db"), ZONE_OK);
}

static void second_encrypt_refused_leaves_nothing(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);

	fake_kms_fail(&f->aws, FAKE_ENCRYPT, KMS_DENIED, 1);
	assert_int_equal(try_create(f, "db"), ZONE_KMS_DENIED);
	assert_nothing_was_made(f);
}

/* --- What happens while the KMS is asked */

struct meanwhile {
	struct zones_fixture *f;
	struct zones *zones; /* another process */
	void (*act)(struct meanwhile *);
	enum zone_status status;
	bool done;
};

static void once(void *state, enum fake_kms_call call)
{
	struct meanwhile *meanwhile = state;

	if (call != FAKE_ENCRYPT || meanwhile->done)
		return;
	meanwhile->done = true;
	assert_int_equal(zones_refresh(meanwhile->zones, true), ZONE_OK);
	meanwhile->act(meanwhile);
}

static enum zone_status create_while(struct zones_fixture *f, void (*act)(struct meanwhile *))
{
	struct meanwhile meanwhile = {.f = f, .zones = zones_other(f), .act = act};
	enum zone_status status;

	f->aws.on_call_state = &meanwhile;
	f->aws.on_call = once;
	status = try_create(f, "db");
	f->aws.on_call = NULL;
	assert_true(meanwhile.done);
	assert_int_equal(meanwhile.status, ZONE_OK);
	zones_free(meanwhile.zones);
	return status;
}

static void take_the_label(struct meanwhile *m)
{
	struct entry_names names = names_of("db");
	AUTO(entry_releasep) struct entry *zone = NULL;

	m->status = zones_zone_create(m->zones, m->f->project->uid, &names, &zone);
}

static void make_the_default_cluster(struct meanwhile *m)
{
	struct entry_names names = names_of("theirs");
	AUTO(entry_releasep) struct entry *zone = NULL;

	m->status = zones_zone_create(m->zones, m->f->project->uid, &names, &zone);
}

static void archive_the_project(struct meanwhile *m)
{
	AUTO(entry_releasep) struct entry *project = zones_find_slot(m->zones, 0);
	AUTO(entry_releasep) struct entry *new = NULL;

	m->status = zones_project_replace(m->zones, project, bytes_of("new"), &new);
}

static void rename_the_cluster(struct meanwhile *m)
{
	AUTO(entry_releasep)
	struct entry *cluster = find_entry(m->zones, m->f->project->uid, ENTRY_CLUSTER, "default");
	struct entry_names names = names_of("renamed");

	m->status = zones_entry_rename(m->zones, cluster, &names, NULL);
}

static void remove_the_root_key(struct meanwhile *m)
{
	AUTO(entry_releasep)
	struct entry *root_key = find_entry(m->zones, m->f->project->uid, ENTRY_ROOT_KEY,
					    "11111111-1111-1111-1111-111111111111");

	m->status = zones_entry_delete(m->zones, root_key);
}

static void label_taken_meanwhile_is_refused(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);

	assert_int_equal(create_while(f, take_the_label), ZONE_EXISTS);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), 1);
}

static void cluster_made_meanwhile_is_used(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *ours = NULL;
	AUTO(entry_releasep) struct entry *theirs = NULL;

	assert_int_equal(create_while(f, make_the_default_cluster), ZONE_OK);
	ours = find_entry(f->zones, f->project->uid, ENTRY_ZONE, "db");
	theirs = find_entry(f->zones, f->project->uid, ENTRY_ZONE, "theirs");
	assert_true(uid_equal(ours->of_zone.cluster, theirs->of_zone.cluster));
	/* The record is bound to that cluster, not to the one we had in mind first. */
	assert_true(uid_equal(entry_version(ours, 1)->cluster, ours->of_zone.cluster));
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_CLUSTER, true), 1);
}

/* Its name begins with its cluster's; so one of the wished name is made, as if there had been none.
 */
static void zone_is_made_in_no_cluster_that_was_renamed_meanwhile(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "default");
	AUTO(entry_releasep) struct entry *zone = NULL;

	assert_int_equal(create_while(f, rename_the_cluster), ZONE_OK);
	zone = find_entry(f->zones, f->project->uid, ENTRY_ZONE, "db");
	assert_non_null(zone);
	assert_false(uid_equal(zone->of_zone.cluster, cluster->uid));
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_CLUSTER, true), 2);
}

static void project_archived_meanwhile_gets_no_zone(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);

	assert_int_equal(create_while(f, archive_the_project), ZONE_NOT_FOUND);
}

static void root_key_removed_meanwhile_is_not_used(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);

	assert_int_equal(create_while(f, remove_the_root_key), ZONE_NO_ROOT_KEY);
	assert_nothing_was_made(f);
}

/* --- A store that somebody wrote to */

static void change_store(struct zones_fixture *f, const char *format, uint64_t a, uint64_t b)
{
	char sql[600];

	snprintf(sql, sizeof(sql), format, a, b);
	raw_sql(f->path, sql);
	zones_reopen(f);
}

static void record_copied_to_another_zone_opens_nothing(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *one = NULL;
	AUTO(entry_releasep) struct entry *two = NULL;
	uint64_t from, to;

	assert_int_equal(fixture_create_zone(f, "one", &one), ZONE_OK);
	assert_int_equal(fixture_create_zone(f, "two", &two), ZONE_OK);
	from = one->of_zone.zone;
	to = two->of_zone.zone;
	/* The blob alone: the KMS knows for which zone it was made. */
	change_store(f,
		     "UPDATE wraps SET blob = (SELECT blob FROM wraps WHERE zone = %" PRIu64 ") "
		     "WHERE zone = %" PRIu64,
		     from, to);
	assert_int_not_equal(fixture_open_zone(f, to), ZONE_OK);
	assert_int_equal(fixture_open_zone(f, from), ZONE_OK);
	/* The whole record, in place of the other's. */
	change_store(f,
		     "UPDATE ezk_versions SET mac = (SELECT mac FROM ezk_versions WHERE zone = "
		     "%" PRIu64 "), fingerprint = randomblob(16) WHERE zone = %" PRIu64,
		     from, to);
	assert_int_not_equal(fixture_open_zone(f, to), ZONE_OK);
}

static void changed_record_opens_nothing(void **state)
{
	static const char *const changes[] = {
		"UPDATE ezk_versions SET greatest_usages = 127 WHERE zone = %" PRIu64,
		"UPDATE ezk_versions SET limits = x'030000' WHERE zone = %" PRIu64,
		"UPDATE ezk_versions SET created_ms = created_ms + 1 WHERE zone = %" PRIu64,
		"UPDATE ezk_versions SET mac = randomblob(32) WHERE zone = %" PRIu64,
		"UPDATE ezk_versions SET fingerprint = randomblob(16) WHERE zone = %" PRIu64,
		"UPDATE ezk_versions SET project = substr(project, 2) || substr(project, 1, 1) "
		"WHERE zone = "
		"%" PRIu64,
		"UPDATE ezk_versions SET cluster = substr(cluster, 2) || substr(cluster, 1, 1) "
		"WHERE zone = "
		"%" PRIu64,
	};
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL;

	assert_int_equal(fixture_create_zone(f, "db", &zone), ZONE_OK);
	assert_int_equal(fixture_open_zone(f, zone->of_zone.zone), ZONE_OK);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct entry_names names = names_of(NULL);
		AUTO(entry_releasep) struct entry *other = NULL;

		assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &other),
				 ZONE_OK);
		change_store(f, changes[i], other->of_zone.zone, 0);
		assert_int_not_equal(fixture_open_zone(f, other->of_zone.zone), ZONE_OK);
		assert_int_equal(fixture_open_zone(f, zone->of_zone.zone), ZONE_OK);
	}
}

/* --- Token keys */

static void assert_opens(struct zones_fixture *f, const struct entry *key, const char *value)
{
	AUTO(secret_freep) uint8_t *out = NULL;

	assert_int_equal(zones_key_open(f->zones, key, &out, NULL), ZONE_OK);
	assert_memory_equal(out, value, strlen(value));
}

static void token_key_is_kept_wrapped_by_its_zone(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *key = NULL;
	AUTO(entry_releasep) struct entry *found = NULL;
	struct entry_names names = names_of("key");

	assert_int_equal(fixture_create_zone(f, "db", &zone), ZONE_OK);
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names, &key),
			 ZONE_OK);
	assert_int_equal(key->of_key.value_len, 16);
	assert_int_equal(key->of_key.key_type, 0x1f);
	assert_int_equal(key->id.len, 0);
	zones_reopen(f);
	found = find_entry(f->zones, f->project->uid, ENTRY_KEY, "key");
	assert_opens(f, found, "0123456789abcdef");
	/* Labels of keys need not differ, or be there at all. */
	entry_release(TAKE(key));
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names, &key),
			 ZONE_OK);
	entry_release(TAKE(key));
	names.label = bytes(NULL, 0);
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names, &key),
			 ZONE_OK);
	assert_string_equal(key->label, "");
}

static void token_key_without_a_zone_goes_to_the_default_one(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	struct entry_names names = names_of("key");

	for (int i = 0; i < 2; i++) {
		AUTO(entry_releasep) struct entry *key = NULL;

		assert_int_equal(zones_key_create(f->zones, f->project->uid, 0, 0x1f,
						  bytes_of("0123456789abcdef"), &names, &key),
				 ZONE_OK);
		assert_opens(f, key, "0123456789abcdef");
	}
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), 1);
	assert_int_equal(try_create(f, "default"), ZONE_EXISTS);
}

static void token_key_needs_a_zone_of_its_project(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *project = NULL;
	struct entry_names names = names_of("key");
	struct bytes value = bytes_of("0123456789abcdef");
	struct entry *none = NULL;
	char long_value[513];

	assert_int_equal(fixture_create_zone(f, "db", &zone), ZONE_OK);
	assert_int_equal(zones_project_create(f->zones, 1, bytes_of("two"), &project), ZONE_OK);
	assert_int_equal(zones_key_create(f->zones, project->uid, zone->of_zone.zone, 0x1f, value,
					  &names, &none),
			 ZONE_OTHER_ZONE);
	assert_int_equal(
		zones_key_create(f->zones, f->project->uid, 12345, 0x1f, value, &names, &none),
		ZONE_NOT_FOUND);
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes(NULL, 0), &names, &none),
			 ZONE_INVALID);
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes(long_value, sizeof(long_value)), &names, &none),
			 ZONE_INVALID);
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  value, &names, &none),
			 ZONE_PENDING_DELETION);
}

static void doctor_names_what_is_wrong(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, "alias/a");
	AUTO(entry_releasep) struct entry *gone = NULL;
	AUTO(buffer_clear) struct buffer text = {0};
	struct doctor_faults faults;

	assert_int_equal(try_create(f, "db"), ZONE_OK);
	assert_int_equal(fixture_create_zone(f, "gone", &gone), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, gone), ZONE_OK);
	assert_int_equal(zones_doctor(f->zones, f->project->uid, &text, &faults), ZONE_OK);
	assert_non_null(
		strstr(buffer_text(&text), "root key a (" ROOT_A ", us-west-2): ok, active\n"));
	assert_false(faults.met[ZONE_KMS_DISABLED]);
	assert_non_null(strstr(buffer_text(&text), "version 1): ok\n"));
	assert_non_null(strstr(buffer_text(&text), "awaits deletion\n"));
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	zones_reopen(f);
	buffer_truncate(&text, 0);
	assert_int_equal(zones_doctor(f->zones, f->project->uid, &text, &faults), ZONE_OK);
	/* The key is named once. */
	assert_non_null(strstr(buffer_text(&text), "root key a (" ROOT_A ", us-west-2): FAILED: "
						   "disabled: KMS Decrypt of project "));
	assert_non_null(strstr(buffer_text(&text), "FAILED: the key is disabled\n"));
	assert_true(faults.met[ZONE_KMS_DISABLED] && !faults.met[ZONE_KMS_UNAVAILABLE]);
}

#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

/* --- Many at once */

enum { MANY = 20 };

static enum zone_status create_many(struct zones_fixture *f, const char *const *labels,
				    size_t count, struct entry **ret_first)
{
	struct entry_names names = names_of(NULL);
	struct bytes texts[MANY];

	for (size_t i = 0; i < count; i++)
		texts[i] = bytes_of(labels[i]);
	return zones_zone_create_many(f->zones, f->project->uid, &names, texts, count, ret_first);
}

static void many_are_made_by_one_transaction(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "c");
	AUTO(entry_releasep) struct entry *first = NULL;
	char labels[MANY][16];
	const char *texts[MANY];
	unsigned before = fake_kms_calls(&f->aws, FAKE_ENCRYPT);

	for (size_t i = 0; i < MANY; i++) {
		snprintf(labels[i], sizeof(labels[i]), "c/db-%zu", i);
		texts[i] = labels[i];
	}
	assert_int_equal(create_many(f, texts, MANY, &first), ZONE_OK);
	assert_string_equal(first->label, "c/db-0");
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT) - before, MANY);
	zones_reopen(f);
	for (size_t i = 0; i < MANY; i++) {
		AUTO(entry_releasep)
		struct entry *zone = find_entry(f->zones, f->project->uid, ENTRY_ZONE, labels[i]);

		assert_non_null(zone);
		assert_int_equal(zone->revision, first->revision);
		assert_int_equal(zone->of_zone.version_count, 1);
		assert_true(i == 0 || zone->of_zone.zone != first->of_zone.zone);
	}
}

static void of_many_all_are_made_or_none(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "c");
	AUTO(entry_releasep) struct entry *there = NULL, *none = NULL;
	static const char *const taken[] = {"c/a", "c/there", "c/b"};
	static const char *const twice[] = {"c/a", "c/b", "c/a"};
	static const char *const homeless[] = {"c/a", "default/b"};
	static const char *const unnamed[] = {"c/a", "c/"};
	static const char *const free_names[] = {"c/a", "c/b"};
	unsigned calls;

	assert_int_equal(fixture_create_zone(f, "c/there", &there), ZONE_OK);
	calls = fake_kms_calls(&f->aws, FAKE_ENCRYPT);
	assert_int_equal(create_many(f, taken, COUNT_OF(taken), &none), ZONE_EXISTS);
	assert_int_equal(create_many(f, twice, COUNT_OF(twice), &none), ZONE_EXISTS);
	assert_int_equal(create_many(f, homeless, COUNT_OF(homeless), &none), ZONE_NOT_FOUND);
	assert_int_equal(create_many(f, unnamed, COUNT_OF(unnamed), &none), ZONE_INVALID_NAME);
	assert_int_equal(create_many(f, free_names, 0, &none), ZONE_INVALID);
	/* The KMS was not asked for any of them. */
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), calls);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(create_many(f, free_names, COUNT_OF(free_names), &none),
			 ZONE_KMS_DISABLED);
	assert_null(none);
	zones_reopen(f);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), 1);
}

/* "default/db" and "db" are one name. */
static void of_many_both_spellings_of_a_name_are_one(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "default");
	AUTO(entry_releasep) struct entry *none = NULL;
	static const char *const both[] = {"default/db", "other", "db"};

	assert_int_equal(create_many(f, both, COUNT_OF(both), &none), ZONE_EXISTS);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONES_TEST(zone_has_a_random_id_and_version_one),
		ZONES_TEST(zone_opens_in_another_process),
		ZONES_TEST(default_cluster_is_made_on_demand_in_the_root_keys_region),
		ZONES_TEST(other_clusters_are_not_made_on_demand),
		ZONES_TEST(zone_without_a_label_is_named_by_its_id),
		ZONES_TEST(malformed_labels_are_refused),
		ZONES_TEST(zone_labels_are_unique_in_a_project_and_freed_by_deletion),
		ZONES_TEST(project_without_root_key_needs_a_default),
		ZONES_TEST(default_root_key_is_added_on_demand),
		ZONES_TEST(default_root_key_may_be_a_new_local_one),
		ZONES_TEST(several_root_keys_leave_the_choice_to_the_configuration),
		ZONES_TEST(removed_default_root_key_comes_back_with_the_zone),
		ZONES_TEST(kms_failure_leaves_nothing),
		ZONES_TEST(second_encrypt_refused_leaves_nothing),
		ZONES_TEST(label_taken_meanwhile_is_refused),
		ZONES_TEST(cluster_made_meanwhile_is_used),
		ZONES_TEST(zone_is_made_in_no_cluster_that_was_renamed_meanwhile),
		ZONES_TEST(project_archived_meanwhile_gets_no_zone),
		ZONES_TEST(root_key_removed_meanwhile_is_not_used),
		ZONES_TEST(record_copied_to_another_zone_opens_nothing),
		ZONES_TEST(changed_record_opens_nothing),
		ZONES_TEST(token_key_is_kept_wrapped_by_its_zone),
		ZONES_TEST(token_key_without_a_zone_goes_to_the_default_one),
		ZONES_TEST(token_key_needs_a_zone_of_its_project),
		ZONES_TEST(doctor_names_what_is_wrong),
		ZONES_TEST(many_are_made_by_one_transaction),
		ZONES_TEST(of_many_all_are_made_or_none),
		ZONES_TEST(of_many_both_spellings_of_a_name_are_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
