/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What stands on a root key, a cluster, a zone; and when the KMS saw a root key used last. */
#include "zones/domain/usage.h"

#include "base/log.h"
#include "base/macros.h"
#include "tests/support/second_version.h"
#include "tests/support/unit.h"
#include "zones/domain/edit.h"
#include "zones/domain/root_key.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <jansson.h>
#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static json_t *usage_of(struct zones_fixture *f, const struct entry *entry)
{
	AUTO(buffer_clear) struct buffer text = {0};
	json_t *json;

	assert_int_equal(zones_usage(f->zones, entry, &text), ZONE_OK);
	json = json_loads(buffer_text(&text), 0, NULL);
	assert_non_null(json);
	return json;
}

static long number(const json_t *of, const char *name)
{
	return (long)json_integer_value(json_object_get(of, name));
}

static const char *word(const json_t *of, const char *name)
{
	return json_string_value(json_object_get(of, name));
}

static const json_t *at(const json_t *of, const char *name, size_t index)
{
	return json_array_get(json_object_get(of, name), index);
}

static struct entry *make_zone(struct zones_fixture *f, const char *label)
{
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	names.usages = USAGE_WRAP | USAGE_UNWRAP;
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

static void root_key_has_zones_versions_clusters_and_token_keys(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *a = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *b = make_root_key(f, ROOT_B);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, a, "c");
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "c/db");
	AUTO(entry_releasep) struct entry *two = NULL, *key = NULL;
	struct entry_names names = names_of("key");
	json_t *of_a, *of_b, *of_zone, *of_cluster;

	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names, &key),
			 ZONE_OK);
	two = add_second_version(f, zone, 2);
	of_a = usage_of(f, a);
	assert_int_equal(json_array_size(json_object_get(of_a, "databases")), 1);
	assert_int_equal(json_array_size(json_object_get(at(of_a, "databases", 0), "versions")), 2);
	assert_string_equal(word(at(of_a, "databases", 0), "database"), "c/db");
	assert_string_equal(word(at(of_a, "clusters", 0), "cluster"), "c");
	assert_int_equal(number(of_a, "token_keys"), 1);
	of_b = usage_of(f, b);
	assert_int_equal(json_array_size(json_object_get(of_b, "databases")), 0);
	of_cluster = usage_of(f, cluster);
	assert_int_equal(json_array_size(json_object_get(of_cluster, "databases")), 1);
	of_zone = usage_of(f, zone); /* an old state of it: the newest is told */
	assert_string_equal(word(at(at(of_zone, "databases", 0), "versions", 0), "state"),
			    "fenced");
	assert_int_equal(number(at(at(of_zone, "databases", 0), "versions", 0), "token_keys"), 1);
	assert_string_equal(word(at(at(of_zone, "databases", 0), "versions", 1), "state"),
			    "primary");
	json_decref(of_a);
	json_decref(of_b);
	json_decref(of_cluster);
	json_decref(of_zone);
}

static void what_awaits_deletion_is_told_too(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *a = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	json_t *usage;

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	usage = usage_of(f, a);
	assert_string_equal(word(at(usage, "databases", 0), "state"), "pending deletion");
	json_decref(usage);
}

static void last_use_is_as_the_kms_tells_it(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *a = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *local = make_root_key(f, LOCAL_KEY);
	struct kms_last_usage usage;

	fake_kms_used(&f->aws, ROOT_A, 1764000000000);
	assert_int_equal(zones_root_key_last_used(f->zones, a, &usage), ZONE_OK);
	assert_true(usage.used_ms == 1764000000000);
	assert_int_equal(zones_root_key_last_used(f->zones, local, &usage), ZONE_KMS_UNSUPPORTED);
	assert_non_null(strstr(log_last(), "keeps no account"));
}

static void refusal_of_that_harms_nothing(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *a = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	struct kms_last_usage usage;

	assert_int_equal(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	fake_kms_fail(&f->aws, FAKE_LAST_USAGE, KMS_DENIED, 1);
	assert_int_equal(zones_root_key_last_used(f->zones, a, &usage), ZONE_KMS_DENIED);
	assert_non_null(strstr(log_last(), "GetKeyLastUsage"));
	assert_true(ezk_leased(ezk));
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(root_key_has_zones_versions_clusters_and_token_keys,
						zones_begin, zones_end),
		cmocka_unit_test_setup_teardown(what_awaits_deletion_is_told_too, zones_begin,
						zones_end),
		cmocka_unit_test_setup_teardown(last_use_is_as_the_kms_tells_it, zones_begin,
						zones_end),
		cmocka_unit_test_setup_teardown(refusal_of_that_harms_nothing, zones_begin,
						zones_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
