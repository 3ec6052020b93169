/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/support/zones_fixture.h"

#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "kms/aws/provider.h"
#include "pkcs11/providers.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/domain/cluster.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/root_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <stdio.h>
#include <stdlib.h>

struct zones *zones_other(struct zones_fixture *fixture)
{
	struct kms_aws_settings section = {.multi_region_order = fixture->multi_region_order};
	const struct kms_settings kms_settings = {
		.providers = fixture->providers == NULL ? module_providers : fixture->providers,
		.sections = {[PROVIDER_AWS] = &section},
		.allowed_root_keys = fixture->allowed_root_keys,
		.allowed_root_keys_at = "here.conf line 9",
		.lease_seconds = fixture->settings.lease_seconds,
		.clock = &fixture->clock.clock,
	};
	const struct store_settings store_settings = {.path = fixture->path};
	struct kms_clients *clients = kms_clients_new(&kms_settings);
	struct zones *zones = NULL;

	assert_non_null(clients);
	assert_true(kms_clients_replace(clients, "aws", &fixture->aws.client));
	assert_true(kms_clients_replace(clients, "local", &fixture->local.client));
	assert_int_equal(zones_new(&fixture->settings, fixture->engine->open(&store_settings),
				   clients, &zones),
			 ZONE_OK);
	return zones;
}

static void add_keys(struct zones_fixture *fixture)
{
	fake_kms_init(&fixture->aws, "aws");
	fake_kms_init(&fixture->local, "local");
	fake_kms_add(&fixture->aws, ROOT_A, "alias/a");
	fake_kms_add(&fixture->aws, ROOT_B, "alias/b");
	fake_kms_add(&fixture->aws, ROOT_EAST, NULL);
	fake_kms_add(&fixture->aws, ROOT_MRK, NULL);
	fake_kms_add(&fixture->aws, ROOT_MRK_EAST, NULL);
}

int zones_begin_in(const struct store_engine *engine, void **state)
{
	struct zones_fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->engine = engine;
	log_configure(LOG_OFF, "stderr");
	assert_true(crypto_start(false));
	make_test_folder("zones", fixture->folder);
	snprintf(fixture->path, sizeof(fixture->path), "%s/store.db", fixture->folder);
	fake_clock_init(&fixture->clock);
	add_keys(fixture);
	fixture->settings = (struct zones_settings){.lease_seconds = 300,
						    .new_zone = {86400, 86400},
						    .deny_seconds = 5,
						    .deletion_window_days = 30,
						    .clock = &fixture->clock.clock};
	fixture->zones = zones_other(fixture);
	assert_int_equal(
		zones_project_create(fixture->zones, 0, bytes_of("project"), &fixture->project),
		ZONE_OK);
	*state = fixture;
	return 0;
}

int zones_begin(void **state)
{
	return zones_begin_in(&store_sqlite, state);
}

int zones_end(void **state)
{
	struct zones_fixture *fixture = *state;

	entry_release(fixture->project);
	zones_free(fixture->zones);
	remove_test_folder(fixture->folder);
	free(fixture);
	return 0;
}

void zones_reopen(struct zones_fixture *fixture)
{
	entry_release(fixture->project);
	zones_free(fixture->zones);
	fixture->zones = zones_other(fixture);
	assert_int_equal(zones_refresh(fixture->zones, true), ZONE_OK);
	fixture->project = zones_find_slot(fixture->zones, 0);
}

struct entry_names names_of(const char *label)
{
	return (struct entry_names){.label = bytes_of(label),
				    .usages = USAGE_WRAP | USAGE_UNWRAP,
				    .extra = bytes_of("x")};
}

enum zone_status add_root_key(struct zones *zones, struct uid project, const char *kms_key,
			      const char *label)
{
	AUTO(entry_releasep) struct entry *root_key = NULL;
	struct entry_names names = names_of(label);

	return zones_root_key_add(zones, project, bytes_of(kms_key), &names, &root_key);
}

enum zone_status create_root_key(struct zones *zones, struct uid project, const char *kms_key,
				 const char *label)
{
	AUTO(entry_releasep) struct entry *root_key = NULL;
	struct entry_names names = names_of(label);

	return zones_root_key_create(zones, project, bytes_of(kms_key), &names, &root_key);
}

struct entry *make_root_key(struct zones_fixture *fixture, const char *kms_key)
{
	bool local = strncmp(kms_key, "local:", 6) == 0;
	struct entry_names names = names_of(NULL);
	struct entry *root_key = NULL;

	assert_int_equal((local ? zones_root_key_create
				: zones_root_key_add)(fixture->zones, fixture->project->uid,
						      bytes_of(kms_key), &names, &root_key),
			 ZONE_OK);
	return root_key;
}

enum zone_status create_cluster(struct zones *zones, const struct entry *root_key,
				const char *provider, const char *region, const char *label)
{
	AUTO(entry_releasep) struct entry *cluster = NULL;
	struct entry_names names = names_of(label);

	return zones_cluster_create(zones, root_key->project, bytes_of(provider), bytes_of(region),
				    root_key->uid, &names, &cluster);
}

struct entry *make_cluster(struct zones_fixture *fixture, const struct entry *root_key,
			   const char *label)
{
	assert_int_equal(create_cluster(fixture->zones, root_key, NULL, NULL, label), ZONE_OK);
	return find_entry(fixture->zones, root_key->project, ENTRY_CLUSTER, label);
}

static size_t list(struct zones *zones, const struct entry_filter *filter, struct entry **ret_first)
{
	struct entry **entries = NULL;
	size_t count = 0;

	assert_int_equal(zones_list(zones, filter, &entries, &count), ZONE_OK);
	*ret_first = count > 0 ? entry_hold(entries[0]) : NULL;
	for (size_t i = 0; i < count; i++)
		entry_release(entries[i]);
	free(entries);
	return count;
}

size_t count_entries(struct zones *zones, struct uid project, enum entry_kind kind, bool all)
{
	struct entry_filter filter = {.project = project, .with_pending = all};
	AUTO(entry_releasep) struct entry *first = NULL;

	filter.kinds[kind] = true;
	return list(zones, &filter, &first);
}

struct entry *find_entry(struct zones *zones, struct uid project, enum entry_kind kind,
			 const char *label)
{
	struct bytes wanted = bytes_of(label);
	struct entry_filter filter = {.project = project, .label = &wanted};
	struct entry *first = NULL;

	filter.kinds[kind] = true;
	list(zones, &filter, &first);
	return first;
}

enum zone_status fixture_create_zone(struct zones_fixture *f, const char *label,
				     struct entry **ret_zone)
{
	struct entry_names names = names_of(label);

	return zones_zone_create(f->zones, f->project->uid, &names, ret_zone);
}

enum zone_status fixture_open_zone(struct zones_fixture *f, uint64_t id)
{
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(f->zones, id);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	enum zone_status status = ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk);

	return status == ZONE_OK ? ezk_begin(ezk) : status;
}
