/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* [kms] allowed_root_keys: what is not among them is neither added nor asked for anything, whoever
 * wrote it into the store and when. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/root_key.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static const struct kms_context none_context;

/* Processes that begin from here on have the setting. */
static void allow(struct zones_fixture *f, const char *patterns)
{
	f->allowed_root_keys = patterns;
	zones_reopen(f);
}

static unsigned calls(struct zones_fixture *f)
{
	unsigned sum = 0;

	for (int call = 0; call < FAKE_CALL_COUNT; call++)
		sum += fake_kms_calls(&f->aws, (enum fake_kms_call)call) +
		       fake_kms_calls(&f->local, (enum fake_kms_call)call);
	return sum;
}

static void assert_says(const char *words)
{
	if (strstr(log_last(), words) == NULL)
		fail_msg("'%s' does not say: %s", log_last(), words);
}

static struct entry *make_zone(struct zones_fixture *f, const char *label)
{
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

/* --- Adding */

static void root_key_that_is_not_allowed_is_not_added(void **state)
{
	static const struct {
		const char *patterns, *key;
		bool added, asked;
	} rows[] = {
		{"111122223333", ROOT_A, true, true},
		{"111122223333/us-west-2", ROOT_A, true, true},
		{"111122223333/us-east-1", ROOT_A, false, false},
		{"444455556666", ROOT_A, false, false},
		{"local:*", ROOT_A, false, false},
		/* What an alias stands for is known when it was asked. */
		{ROOT_A, "alias/a", true, true},
		{ROOT_A, "alias/b", false, true},
		{"111122223333", LOCAL_KEY, false, false},
		{"local:*", LOCAL_KEY, true, true},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct zones_fixture *f;
		enum zone_status status;
		unsigned before;

		zones_begin(state);
		f = *state;
		allow(f, rows[i].patterns);
		before = calls(f);
		status = (strcmp(rows[i].key, LOCAL_KEY) == 0 ? create_root_key : add_root_key)(
			f->zones, f->project->uid, rows[i].key, "k");
		if ((status == ZONE_OK) != rows[i].added || (calls(f) > before) != rows[i].asked)
			fail_msg("%s, %s: %s", rows[i].patterns, rows[i].key,
				 zone_status_text(status));
		if (!rows[i].added) {
			assert_int_equal(status, ZONE_ROOT_KEY_REFUSED);
			assert_says("is not among [kms] allowed_root_keys (here.conf line 9)");
			assert_int_equal(
				count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 0);
		}
		zones_end(state);
	}
}

static void default_root_key_must_be_allowed_too(void **state)
{
	FIXTURE(state);
	struct entry_names names = names_of("db");
	AUTO(entry_releasep) struct entry *zone = NULL;

	f->settings.default_root_key = "alias/b";
	allow(f, ROOT_A);
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone),
			 ZONE_ROOT_KEY_REFUSED);
	assert_says(ROOT_B);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_CLUSTER, true), 0);
}

/* --- Using one that is there */

/* A project as it was made before the setting was. */
struct world {
	struct zones_fixture *f;
	struct entry *root_key, *zone;
	struct buffer records, blob;
};

static enum zone_status make_another(struct world *w)
{
	struct entry_names names = names_of("another");
	AUTO(entry_releasep) struct entry *zone = NULL;

	return zones_zone_create(w->f->zones, w->f->project->uid, &names, &zone);
}

static enum zone_status begin_lease(struct world *w)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(ezk_find(zones_registry(w->f->zones), w->zone, EZK_PRIMARY, &ezk));
	return ezk_begin(ezk);
}

static enum zone_status open_record(struct world *w)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	return ezk_from_records(zones_registry(w->f->zones), w->root_key, buffer_bytes(&w->records),
				&ezk);
}

static enum zone_status name_for_a_session(struct world *w)
{
	AUTO(entry_releasep) struct entry *named = NULL;

	return zones_root_key_name(w->f->zones, bytes_of(ROOT_A), &named);
}

static enum zone_status open_record_by_alias(struct world *w)
{
	AUTO(entry_releasep) struct entry *named = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(zones_root_key_name(w->f->zones, bytes_of("alias/a"), &named));
	return ezk_from_records(zones_registry(w->f->zones), named, buffer_bytes(&w->records),
				&ezk);
}

static enum zone_status encrypt_by_it(struct world *w)
{
	AUTO(buffer_clear) struct buffer blob = {0};

	return zones_root_key_encrypt(w->f->zones, w->root_key, &none_context, bytes_of("text"),
				      &blob);
}

static enum zone_status decrypt_by_it(struct world *w)
{
	AUTO(buffer_clear) struct buffer text = {0};

	return zones_root_key_decrypt(w->f->zones, w->root_key, &none_context,
				      buffer_bytes(&w->blob), &text);
}

static enum zone_status ask_its_state(struct world *w)
{
	struct root_key_finding finding;

	zones_root_key_ask(w->f->zones, w->root_key, &finding);
	return finding.status;
}

static enum zone_status import_blob(struct world *w)
{
	struct entry_names names = names_of("brought");
	AUTO(entry_releasep) struct entry *zone = NULL;

	return zones_zone_import_blob(w->f->zones, w->f->project->uid, w->root_key, &none_context,
				      buffer_bytes(&w->blob), &names, &zone);
}

static enum zone_status make_cluster_of_it(struct world *w)
{
	return create_cluster(w->f->zones, w->root_key, NULL, NULL, "cluster");
}

static const struct way {
	const char *name;
	enum zone_status (*go)(struct world *w);
	enum zone_status allowed;
	bool asks; /* before it can be refused */
} ways[] = {
	{"a zone is made", make_another, ZONE_OK, false},
	{"a lease begins", begin_lease, ZONE_OK, false},
	{"a record is opened", open_record, ZONE_OK, false},
	{"a session names it", name_for_a_session, ZONE_OK, false},
	{"a record is opened by an alias", open_record_by_alias, ZONE_OK, true},
	{"it encrypts", encrypt_by_it, ZONE_OK, false},
	{"it decrypts", decrypt_by_it, ZONE_OK, false},
	{"its state is asked", ask_its_state, ZONE_OK, false},
	{"an EZK is brought", import_blob, ZONE_KMS_INVALID_CIPHERTEXT, false},
	{"a cluster is made", make_cluster_of_it, ZONE_OK, false},
};

static void take_all_ways(struct world *w, bool allowed)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		enum zone_status expected = allowed ? ways[i].allowed : ZONE_ROOT_KEY_REFUSED;
		unsigned before = calls(w->f);
		enum zone_status status;

		log_reason("nothing");
		status = ways[i].go(w);
		if (status != expected)
			fail_msg("%s: %s", ways[i].name, zone_status_text(status));
		if (allowed)
			continue;
		if (calls(w->f) != before && !ways[i].asks)
			fail_msg("%s: the KMS was asked", ways[i].name);
		assert_says(ROOT_A " ");
		assert_says("is not among [kms] allowed_root_keys (here.conf line 9)");
	}
}

static void root_key_that_is_not_allowed_is_not_used(void **state)
{
	FIXTURE(state);
	struct world w = {.f = f};

	w.root_key = make_root_key(f, ROOT_A);
	w.zone = make_zone(f, "db");
	assert_int_equal(zones_zone_export(f->zones, w.zone, &w.records), ZONE_OK);
	assert_int_equal(zones_root_key_encrypt(f->zones, w.root_key, &none_context,
						bytes_of("text"), &w.blob),
			 ZONE_OK);
	allow(f, ROOT_B " 111122223333/us-east-1");
	take_all_ways(&w, false);
	allow(f, ROOT_B " 111122223333/us-west-2");
	take_all_ways(&w, true);
	entry_release(w.root_key);
	entry_release(w.zone);
	buffer_clear(&w.records);
	buffer_clear(&w.blob);
}

/* A related key is asked where the key itself is allowed: the order of regions is configuration. */
static void regions_in_order_need_no_pattern_of_their_own(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = NULL;
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	f->multi_region_order = "us-east-1";
	allow(f, ROOT_MRK);
	root_key = make_root_key(f, ROOT_MRK);
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_MRK_EAST, "x"),
			 ZONE_ROOT_KEY_REFUSED);
	zone = make_zone(f, "db");
	assert_int_equal(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(create_cluster(f->zones, root_key, NULL, "us-east-1", "east"), ZONE_OK);
}

/* --- What a store writer does under a running process */

static void write_store(struct zones_fixture *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void write_store(struct zones_fixture *f, const char *format, ...)
{
	char sql[1024] = "UPDATE store SET revision = revision + 1; ";
	size_t len = strlen(sql);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sql + len, sizeof(sql) - len, format, arguments);
	va_end(arguments);
	raw_sql(f->path, sql);
	fake_clock_advance(&f->clock, 1000);
	assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
}

static void set_wrap(struct zones_fixture *f, const struct entry *zone, const char *arn)
{
	write_store(f,
		    "UPDATE wraps SET arn = '%s' WHERE zone = %" PRIu64 "; "
		    "UPDATE zones SET revision = (SELECT revision FROM store) WHERE zone = "
		    "%" PRIu64,
		    arn, zone->of_zone.zone, zone->of_zone.zone);
}

static void row_that_names_another_root_key_ends_the_lease(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = NULL;
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	allow(f, ROOT_A);
	root_key = make_root_key(f, ROOT_A);
	zone = make_zone(f, "db");
	assert_int_equal(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	set_wrap(f, zone, ROOT_B);
	assert_int_equal(ezk_continue(ezk), ZONE_ROOT_KEY_REFUSED);
	assert_says("database 'db' (zone ");
	assert_says("its root key " ROOT_B " is not among [kms] allowed_root_keys");
	assert_int_equal(ezk_begin(ezk), ZONE_ROOT_KEY_REFUSED);
	set_wrap(f, zone, ROOT_A);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
}

static void cluster_that_is_redirected_makes_no_zone(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *first = make_zone(f, "c");
	AUTO(entry_releasep) struct entry *other = make_root_key(f, ROOT_B);
	struct entry_names names = names_of("db");
	AUTO(entry_releasep) struct entry *zone = NULL;

	/* Each row as it was, but the root key's own. */
	allow(f, ROOT_A);
	write_store(f, "UPDATE root_keys SET arn = 'x' WHERE arn = '" ROOT_A "'; "
		       "UPDATE root_keys SET arn = '" ROOT_A "' WHERE arn = '" ROOT_B "'; "
		       "UPDATE root_keys SET arn = '" ROOT_B "' WHERE arn = 'x'; "
		       "UPDATE root_keys SET revision = (SELECT revision FROM store)");
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone),
			 ZONE_ROOT_KEY_REFUSED);
	assert_says(ROOT_B);
}

#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_key_that_is_not_allowed_is_not_added),
		ZONES_TEST(default_root_key_must_be_allowed_too),
		ZONES_TEST(root_key_that_is_not_allowed_is_not_used),
		ZONES_TEST(regions_in_order_need_no_pattern_of_their_own),
		ZONES_TEST(row_that_names_another_root_key_ends_the_lease),
		ZONES_TEST(cluster_that_is_redirected_makes_no_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
