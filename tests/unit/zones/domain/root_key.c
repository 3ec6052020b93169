/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Root keys and their rules. */
#include "base/macros.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/root_key.h"
#include "zones/domain/zones.h"

#include <stdio.h>
#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static void root_key_is_known_by_its_canonical_arn(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, "alias/a");

	assert_string_equal(root_key->of_root_key.arn, ROOT_A);
	assert_string_equal(root_key->of_root_key.provider, "aws");
	assert_string_equal(root_key->of_root_key.region, "us-west-2");
	assert_string_equal(root_key->label, "a");
	assert_true(root_key->of_root_key.canary.len > 0);
	assert_int_equal(root_key->id.len, UID_SIZE);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), 1);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_DECRYPT), 1);
}

static void default_label_is_the_key_id_when_no_name_is_given(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);

	assert_string_equal(root_key->label, "11111111-1111-1111-1111-111111111111");
}

static void local_key_is_made_when_that_is_asked_for(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, LOCAL_KEY);

	assert_string_equal(root_key->label, "embedded");
	assert_string_equal(root_key->of_root_key.provider, "local");
	assert_int_equal(fake_kms_calls(&f->local, FAKE_CREATE), 1);
	assert_int_equal(f->local.key_count, 1);
	assert_int_equal(add_root_key(f->zones, f->project->uid, LOCAL_KEY, NULL), ZONE_EXISTS);
	assert_int_equal(create_root_key(f->zones, f->project->uid, LOCAL_KEY, "again"),
			 ZONE_EXISTS);
}

static void adding_a_local_key_makes_none(void **state)
{
	FIXTURE(state);

	assert_int_equal(add_root_key(f->zones, f->project->uid, LOCAL_KEY, NULL),
			 ZONE_KMS_NOT_FOUND);
	assert_int_equal(fake_kms_calls(&f->local, FAKE_CREATE), 0);
	assert_int_equal(f->local.key_count, 0);
}

static void only_a_local_name_can_be_made(void **state)
{
	static const char *const others[] = {
		ROOT_A, "alias/a", "alias/new",
		"arn:local:kms:local::key/00000000-0000-4000-8000-000000000000"};
	FIXTURE(state);

	for (size_t i = 0; i < COUNT_OF(others); i++)
		assert_int_equal(create_root_key(f->zones, f->project->uid, others[i], NULL),
				 ZONE_INVALID);
	assert_int_equal(fake_kms_calls(&f->local, FAKE_CREATE), 0);
}

static void no_local_key_is_made_for_a_label_that_is_taken(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, LOCAL_KEY);

	assert_int_equal(create_root_key(f->zones, f->project->uid, "local:more", "embedded"),
			 ZONE_EXISTS);
	assert_int_equal(f->local.key_count, 1);
}

static void same_key_by_any_name_is_a_duplicate(void **state)
{
	static const char *const others[] = {ROOT_A, "alias/a",
					     "arn:aws:kms:us-west-2:111122223333:alias/a",
					     "11111111-1111-1111-1111-111111111111"};
	FIXTURE(state);

	for (size_t i = 0; i < COUNT_OF(others); i++) {
		struct entry_names names = names_of("first");
		AUTO(entry_releasep) struct entry *first = NULL;

		snprintf(f->aws.keys[0].name, sizeof(f->aws.keys[0].name), "%s",
			 i < 2 ? "alias/a" : others[i]);
		assert_int_equal(zones_root_key_add(f->zones, f->project->uid, bytes_of(others[i]),
						    &names, &first),
				 ZONE_OK);
		for (size_t j = 0; j < COUNT_OF(others); j++) {
			snprintf(f->aws.keys[0].name, sizeof(f->aws.keys[0].name), "%s",
				 j < 2 ? "alias/a" : others[j]);
			assert_int_equal(
				add_root_key(f->zones, f->project->uid, others[j], "again"),
				ZONE_EXISTS);
		}
		assert_int_equal(zones_entry_delete(f->zones, first), ZONE_OK);
	}
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 1);
}

static void related_multi_region_keys_are_one(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_MRK);

	assert_true(root_key->of_root_key.multi_region);
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_MRK_EAST, NULL), ZONE_EXISTS);
	assert_true(zones_root_key_is(f->zones, root_key, bytes_of(ROOT_MRK)));
	assert_true(zones_root_key_is(f->zones, root_key, bytes_of(ROOT_MRK_EAST)));
	assert_false(zones_root_key_is(f->zones, root_key, bytes_of(ROOT_A)));
	/* With the NUL behind it, it is no name. */
	assert_false(zones_root_key_is(f->zones, root_key, bytes(ROOT_MRK, sizeof(ROOT_MRK))));
}

static void duplicate_is_refused_before_the_key_is_used(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);

	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, NULL), ZONE_EXISTS);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), 1);
}

static void another_project_may_have_the_same_key(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *project = NULL;

	assert_int_equal(zones_project_create(f->zones, 1, bytes_of("two"), &project), ZONE_OK);
	assert_int_equal(add_root_key(f->zones, project->uid, ROOT_A, NULL), ZONE_OK);
}

static void add_keys(struct zones_fixture *f, int from, int to)
{
	for (int i = from; i < to; i++) {
		char arn[128];

		snprintf(arn, sizeof(arn), FAKE_ARN("99999999-9999-9999-9999-9999999999%02d"), i);
		fake_kms_add(&f->aws, arn, NULL);
		assert_int_equal(add_root_key(f->zones, f->project->uid, arn, NULL), ZONE_OK);
	}
}

/* The embedded KMS learns whether a missing file is a new one or a lost one. */
static void making_a_local_key_says_whether_the_store_has_one(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *cloud = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *first = make_root_key(f, LOCAL_KEY);
	AUTO(entry_releasep) struct entry *other = NULL;

	assert_false(f->local.create_registered);
	assert_int_equal(zones_project_create(f->zones, 1, bytes_of("other"), &other), ZONE_OK);
	assert_int_equal(create_root_key(f->zones, other->uid, "local:second", NULL), ZONE_OK);
	assert_true(f->local.create_registered);
}

static void project_has_twenty_root_keys_over_all_providers(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *local = make_root_key(f, LOCAL_KEY);

	add_keys(f, 0, 19);
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, NULL),
			 ZONE_TOO_MANY_ROOT_KEYS);
	/* One that is there is a duplicate all the same. */
	assert_int_equal(add_root_key(f->zones, f->project->uid, LOCAL_KEY, NULL), ZONE_EXISTS);
	/* And no local key is made for nothing. */
	assert_int_equal(create_root_key(f->zones, f->project->uid, "local:more", NULL),
			 ZONE_TOO_MANY_ROOT_KEYS);
	assert_int_equal(f->local.key_count, 1);
}

static void what_awaits_removal_counts_until_its_time_is_over(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *local = make_root_key(f, LOCAL_KEY);

	add_keys(f, 0, 19);
	assert_int_equal(zones_entry_delete(f->zones, local), ZONE_OK);
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, NULL),
			 ZONE_TOO_MANY_ROOT_KEYS);
	fake_clock_advance(&f->clock, (int64_t)30 * 24 * 3600 * 1000);
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, NULL), ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 20);
	assert_null(zones_find_uid(f->zones, local->uid));
}

static void adding_what_awaits_removal_restores_it(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *first = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *again = NULL;
	struct entry_names names = names_of(NULL);

	assert_int_equal(zones_entry_delete(f->zones, first), ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, false), 0);
	assert_int_equal(
		zones_root_key_add(f->zones, f->project->uid, bytes_of("alias/a"), &names, &again),
		ZONE_OK);
	assert_true(uid_equal(again->uid, first->uid));
	assert_int_equal(again->number, first->number);
	assert_int_equal(again->state, ENTRY_ACTIVE);
	assert_int_equal(again->delete_after_ms, 0);
	assert_string_equal(again->label, first->label);
}

static void explicit_label_must_be_free_and_a_default_gives_way(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *second = NULL;
	struct entry_names names = names_of(NULL);

	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, "b"), ZONE_OK);
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_EAST, "b"), ZONE_EXISTS);
	assert_int_equal(
		zones_root_key_add(f->zones, f->project->uid, bytes_of("alias/b"), &names, &second),
		ZONE_OK);
	assert_string_equal(second->label, "22222222-2222-2222-2222-222222222222");
}

static void key_that_cannot_do_its_work_is_not_added(void **state)
{
	static const struct {
		enum fake_kms_call call;
		enum kms_status fault;
		enum zone_status status;
	} faults[] = {
		{FAKE_DESCRIBE, KMS_NOT_FOUND, ZONE_KMS_NOT_FOUND},
		{FAKE_DESCRIBE, KMS_NO_CREDENTIALS, ZONE_KMS_NO_CREDENTIALS},
		{FAKE_ENCRYPT, KMS_DENIED, ZONE_KMS_DENIED},
		{FAKE_ENCRYPT, KMS_DISABLED, ZONE_KMS_DISABLED},
		{FAKE_DECRYPT, KMS_DENIED, ZONE_KMS_DENIED},
		{FAKE_DECRYPT, KMS_UNAVAILABLE, ZONE_KMS_UNAVAILABLE},
	};
	FIXTURE(state);

	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		fake_kms_fail(&f->aws, faults[i].call, faults[i].fault, 1);
		assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, NULL),
				 faults[i].status);
		fake_clock_advance(&f->clock, 13000); /* past the longest silence */
	}
	f->aws.flip = true;
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, NULL),
			 ZONE_KMS_BAD_ANSWER);
	f->aws.flip = false;
	f->aws.keys[0].encrypts = false;
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, NULL),
			 ZONE_KMS_INVALID_KEY_USAGE);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 0);
}

static void malformed_names_are_refused_without_the_kms(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *none = NULL;
	struct entry_names names = names_of(NULL);
	char *long_name = calloc(1, 3000);

	memset(long_name, 'a', 2999);
	assert_int_equal(add_root_key(f->zones, f->project->uid, "", NULL), ZONE_INVALID);
	assert_int_equal(add_root_key(f->zones, f->project->uid, "alias/\xff", NULL), ZONE_INVALID);
	assert_int_equal(add_root_key(f->zones, f->project->uid, long_name, NULL), ZONE_INVALID);
	assert_int_equal(zones_root_key_add(f->zones, f->project->uid, bytes("alias/a\0b", 9),
					    &names, &none),
			 ZONE_INVALID);
	assert_int_equal(add_root_key(f->zones, f->project->uid, "arn:aws:s3:::bucket", NULL),
			 ZONE_INVALID);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_DESCRIBE), 0);
	free(long_name);
}

/* Another process takes the same key between our trial and our transaction. */
struct rival {
	struct zones_fixture *f;
	struct zones *zones;
	enum zone_status status;
	bool done;
};

static void add_first(void *state, enum fake_kms_call call)
{
	struct rival *rival = state;

	if (call != FAKE_DECRYPT || rival->done)
		return;
	rival->done = true;
	rival->status = add_root_key(rival->zones, rival->f->project->uid, ROOT_A, NULL);
}

static void race_for_the_same_key_has_one_winner(void **state)
{
	FIXTURE(state);
	struct rival rival = {.f = f, .zones = zones_other(f)};

	assert_int_equal(zones_refresh(rival.zones, true), ZONE_OK);
	f->aws.on_call_state = &rival;
	f->aws.on_call = add_first;
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, NULL), ZONE_EXISTS);
	assert_int_equal(rival.status, ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 1);
	f->aws.on_call = NULL;
	zones_free(rival.zones);
}

static void applications_encrypt_with_the_purpose_data(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(buffer_clear) struct buffer blob = {0};
	AUTO(buffer_clear) struct buffer plaintext = {0};
	struct kms_pair pairs[] = {{"file", "x"}};
	const struct kms_context context = {pairs, 1}, none = {0};
	const struct kms_pair expected[] = {{"cmek:purpose", "data"}, {"file", "x"}};
	const struct kms_context full = {expected, 2};

	assert_int_equal(
		zones_root_key_encrypt(f->zones, root_key, &context, bytes_of("text"), &blob),
		ZONE_OK);
	assert_int_equal(f->aws.client.operations->decrypt(&f->aws.client, ROOT_A,
							   buffer_bytes(&blob), &full, NULL,
							   &plaintext),
			 KMS_OK);
	buffer_truncate(&plaintext, 0);
	assert_int_equal(zones_root_key_decrypt(f->zones, root_key, &context, buffer_bytes(&blob),
						&plaintext),
			 ZONE_OK);
	assert_bytes(buffer_bytes(&plaintext), bytes_of("text"));
	assert_int_equal(
		zones_root_key_decrypt(f->zones, root_key, &none, buffer_bytes(&blob), &plaintext),
		ZONE_KMS_INVALID_CIPHERTEXT);
	/* The canary is not theirs to read. */
	assert_int_equal(zones_root_key_decrypt(f->zones, root_key, &none,
						root_key->of_root_key.canary, &plaintext),
			 ZONE_KMS_INVALID_CIPHERTEXT);
}

static void callers_cannot_name_our_own_context(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(buffer_clear) struct buffer out = {0};
	struct kms_pair pairs[] = {{"a", "b"}, {"cmek:purpose", "ezk"}};
	const struct kms_context context = {pairs, 2};

	assert_int_equal(zones_root_key_encrypt(f->zones, root_key, &context, bytes_of("x"), &out),
			 ZONE_INVALID);
	assert_int_equal(zones_root_key_decrypt(f->zones, root_key, &context, bytes_of("x"), &out),
			 ZONE_INVALID);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), 1); /* the trial's */
}

static void named_root_key_is_in_no_project(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = NULL;

	assert_int_equal(zones_root_key_name(f->zones, bytes_of(ROOT_A), &root_key), ZONE_OK);
	assert_string_equal(root_key->of_root_key.arn, ROOT_A);
	assert_string_equal(root_key->of_root_key.region, "us-west-2");
	assert_int_not_equal(root_key->number, 0);
	assert_null(zones_find_number(f->zones, root_key->number));
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_DESCRIBE), 0);
	assert_int_equal(zones_entry_delete(f->zones, root_key), ZONE_NOT_FOUND);
}

static void state_is_asked_and_set_where_the_key_lives(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *local = make_root_key(f, LOCAL_KEY);
	AUTO(entry_releasep) struct entry *cloud = make_root_key(f, ROOT_A);
	struct root_key_finding found;

	assert_int_equal(zones_root_key_set_state(f->zones, local, KMS_KEY_DISABLED), ZONE_OK);
	assert_true(zones_root_key_ask(f->zones, local, &found));
	assert_int_equal(found.status, ZONE_KMS_DISABLED);
	assert_int_equal(zones_root_key_set_state(f->zones, cloud, KMS_KEY_DISABLED),
			 ZONE_KMS_UNSUPPORTED);
	assert_true(zones_root_key_ask(f->zones, cloud, &found));
	assert_int_equal(found.status, ZONE_OK);
}

static void clusters_have_their_root_keys_provider_and_region(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = NULL;

	assert_int_equal(create_cluster(f->zones, root_key, "aws", "us-west-2", "c"), ZONE_OK);
	assert_int_equal(create_cluster(f->zones, root_key, "local", "us-west-2", "d"),
			 ZONE_WRONG_PROVIDER);
	assert_int_equal(create_cluster(f->zones, root_key, "aws", "us-east-1", "d"),
			 ZONE_WRONG_REGION);
	assert_int_equal(create_cluster(f->zones, root_key, "aws", "US WEST", "d"), ZONE_INVALID);
	assert_int_equal(create_cluster(f->zones, root_key, NULL, NULL, "e"), ZONE_OK);
	cluster = find_entry(f->zones, f->project->uid, ENTRY_CLUSTER, "e");
	assert_string_equal(cluster->of_cluster.provider, "aws");
	assert_string_equal(cluster->of_cluster.region, "us-west-2");
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_CLUSTER, true), 2);
}

static void local_key_fits_any_region(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, LOCAL_KEY);
	AUTO(entry_releasep) struct entry *cluster = NULL;

	assert_int_equal(create_cluster(f->zones, root_key, "local", "eu-central-1", "c"), ZONE_OK);
	cluster = find_entry(f->zones, f->project->uid, ENTRY_CLUSTER, "c");
	assert_string_equal(cluster->of_cluster.region, "eu-central-1");
	assert_int_equal(create_cluster(f->zones, root_key, "aws", "eu-central-1", "d"),
			 ZONE_WRONG_PROVIDER);
}

static void multi_region_key_fits_where_its_replica_answers(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_MRK);

	assert_int_equal(create_cluster(f->zones, root_key, "aws", "us-east-1", "east"), ZONE_OK);
	assert_int_equal(create_cluster(f->zones, root_key, "aws", "eu-west-1", "west"),
			 ZONE_WRONG_REGION);
	fake_kms_fail(&f->aws, FAKE_DESCRIBE, KMS_DENIED, 1);
	assert_int_equal(create_cluster(f->zones, root_key, "aws", "us-east-1", "two"),
			 ZONE_KMS_DENIED);
}

static void cluster_labels_are_unique_and_freed_by_deletion(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "c");

	assert_int_equal(create_cluster(f->zones, root_key, NULL, NULL, "c"), ZONE_EXISTS);
	assert_int_equal(create_cluster(f->zones, root_key, NULL, NULL, "a/b"), ZONE_INVALID_NAME);
	assert_int_equal(create_cluster(f->zones, root_key, NULL, NULL, ""), ZONE_INVALID_NAME);
	assert_int_equal(zones_entry_delete(f->zones, cluster), ZONE_OK);
	assert_int_equal(create_cluster(f->zones, root_key, NULL, NULL, "c"), ZONE_OK);
}

static void cluster_needs_a_root_key_of_its_project(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *foreign = NULL;

	assert_int_equal(zones_project_create(f->zones, 1, bytes_of("two"), &project), ZONE_OK);
	foreign = entry_copy(root_key);
	foreign->project = project->uid;
	assert_int_equal(create_cluster(f->zones, foreign, NULL, NULL, "c"), ZONE_NOT_FOUND);
	assert_int_equal(zones_entry_delete(f->zones, root_key), ZONE_OK);
	assert_int_equal(create_cluster(f->zones, root_key, NULL, NULL, "c"),
			 ZONE_PENDING_DELETION);
}

#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONES_TEST(root_key_is_known_by_its_canonical_arn),
		ZONES_TEST(default_label_is_the_key_id_when_no_name_is_given),
		ZONES_TEST(local_key_is_made_when_that_is_asked_for),
		ZONES_TEST(adding_a_local_key_makes_none),
		ZONES_TEST(only_a_local_name_can_be_made),
		ZONES_TEST(no_local_key_is_made_for_a_label_that_is_taken),
		ZONES_TEST(making_a_local_key_says_whether_the_store_has_one),
		ZONES_TEST(same_key_by_any_name_is_a_duplicate),
		ZONES_TEST(related_multi_region_keys_are_one),
		ZONES_TEST(duplicate_is_refused_before_the_key_is_used),
		ZONES_TEST(another_project_may_have_the_same_key),
		ZONES_TEST(project_has_twenty_root_keys_over_all_providers),
		ZONES_TEST(what_awaits_removal_counts_until_its_time_is_over),
		ZONES_TEST(adding_what_awaits_removal_restores_it),
		ZONES_TEST(explicit_label_must_be_free_and_a_default_gives_way),
		ZONES_TEST(key_that_cannot_do_its_work_is_not_added),
		ZONES_TEST(malformed_names_are_refused_without_the_kms),
		ZONES_TEST(race_for_the_same_key_has_one_winner),
		ZONES_TEST(applications_encrypt_with_the_purpose_data),
		ZONES_TEST(callers_cannot_name_our_own_context),
		ZONES_TEST(named_root_key_is_in_no_project),
		ZONES_TEST(state_is_asked_and_set_where_the_key_lives),
		ZONES_TEST(clusters_have_their_root_keys_provider_and_region),
		ZONES_TEST(local_key_fits_any_region),
		ZONES_TEST(multi_region_key_fits_where_its_replica_answers),
		ZONES_TEST(cluster_labels_are_unique_and_freed_by_deletion),
		ZONES_TEST(cluster_needs_a_root_key_of_its_project),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
