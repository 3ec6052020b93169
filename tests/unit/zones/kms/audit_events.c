/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit log has of the domain: every call names its project, zone and version; a zone that
 * is refused, and a lease that ends or recovers, leave a line. */
#include "base/log.h"
#include "tests/support/audit_lines.h"
#include "tests/support/leased_zones.h"
#include "zones/domain/edit.h"
#include "zones/domain/project.h"
#include "zones/domain/root_key.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/kms/audit.h"

#include <inttypes.h>
#include <unistd.h>

static char path[160];

static int begin_with_log(void **state)
{
	struct leased *l;

	begin(state);
	l = *state;
	snprintf(path, sizeof(path), "%s/audit.jsonl", l->f->folder);
	assert_true(audit_configure(path));
	return 0;
}

static int end_with_log(void **state)
{
	audit_configure(NULL);
	unlink(path);
	return end(state);
}

/* The lines since the last time; the file begins anew. */
static json_t *take_lines(void)
{
	json_t *lines = access(path, F_OK) == 0 ? read_lines(path) : json_array();

	unlink(path);
	return lines;
}

static void forget_lines(void)
{
	json_decref(take_lines());
}

static bool is(const json_t *lines, size_t i, const char *event, const char *action)
{
	return strcmp(text_of(lines, i, "event"), event) == 0 &&
	       strcmp(text_of(lines, i, "action"), action) == 0;
}

static size_t count(const json_t *lines, const char *event, const char *action)
{
	size_t found = 0;

	for (size_t i = 0; i < json_array_size(lines); i++)
		found += is(lines, i, event, action);
	return found;
}

/* The only one; the test fails if there is another number of them. */
static size_t only(const json_t *lines, const char *event, const char *action)
{
	size_t at = 0;

	assert_int_equal(count(lines, event, action), 1);
	while (!is(lines, at, event, action))
		at++;
	return at;
}

static void assert_project(const struct leased *l, const json_t *lines)
{
	AUTO(buffer_clear) struct buffer id = {0};

	hex_append(&id, bytes(l->f->project->uid.bytes, UID_SIZE));
	for (size_t i = 0; i < json_array_size(lines); i++) {
		assert_text(lines, i, "project", "project");
		assert_text(lines, i, "project_id", buffer_text(&id));
	}
}

/* --- Whom a line names */

static void calls_for_a_new_root_key_name_its_project(void **state)
{
	struct leased *l = *state;
	AUTO(entry_releasep) struct entry *aws = make_root_key(l->f, "alias/a");
	AUTO(entry_releasep) struct entry *local = make_root_key(l->f, LOCAL_KEY);
	json_t *lines = take_lines();

	assert_int_equal(count(lines, "kms", "DescribeKey"), 2);
	assert_int_equal(count(lines, "kms", "Encrypt"), 2);
	assert_int_equal(count(lines, "kms", "Decrypt"), 2);
	assert_int_equal(count(lines, "kms", "CreateKey"), 1);
	assert_int_equal(count(lines, "root_key", "created"), 2);
	assert_project(l, lines);
	json_decref(lines);
}

static int64_t lease_of(const json_t *lines, size_t i)
{
	const json_t *lease = json_object_get(json_array_get(lines, i), "lease");

	return lease == NULL ? -1 : json_integer_value(lease);
}

static void the_lease_is_the_smaller_of_record_and_configuration(void **state)
{
	struct leased *l = *state;
	struct ezk *bounded;
	json_t *lines;

	make_zones(l, 1);
	forget_lines();
	bounded = make_bounded_zone(l, "bounded", (struct wished_seconds){true, 7});
	lines = take_lines();
	assert_int_equal(lease_of(lines, only(lines, "zone", "created")), 7);
	assert_int_equal(lease_of(lines, only(lines, "kms", "Encrypt")), 7);
	json_decref(lines);
	seconds_pass(l, 301);
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_DENIED, 100);
	audit_enter("C_UnwrapKey");
	assert_int_equal(ezk_begin(l->ezks[0]), ZONE_KMS_DENIED);
	assert_string_equal(l->f->aws.remark, "lease/300");
	audit_enter("C_UnwrapKey");
	assert_int_equal(ezk_begin(bounded), ZONE_KMS_DENIED);
	assert_string_equal(l->f->aws.remark, "lease/7");
	lines = take_lines();
	for (size_t i = 0; i < json_array_size(lines); i++) {
		bool is_bounded = text_of(lines, i, "name") != NULL &&
				  strcmp(text_of(lines, i, "name"), "bounded") == 0;

		assert_int_equal(lease_of(lines, i), is_bounded ? 7 : 300);
		/* What a call causes is told with its identity. */
		assert_text(lines, i, "access_key_id", "AKIAFAKE");
	}
	assert_int_equal(count(lines, "lease", "ended") + count(lines, "lease", "refused"), 2);
	json_decref(lines);
	ezk_release(bounded);
}

static void data_calls_name_the_project_of_their_root_key(void **state)
{
	struct leased *l = *state;
	AUTO(entry_releasep) struct entry *local = make_root_key(l->f, LOCAL_KEY);
	AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};
	const struct kms_context none = {0};
	json_t *lines;

	forget_lines();
	assert_int_equal(zones_root_key_encrypt(l->f->zones, local, &none, bytes_of("text"), &blob),
			 ZONE_OK);
	assert_int_equal(
		zones_root_key_decrypt(l->f->zones, local, &none, buffer_bytes(&blob), &plaintext),
		ZONE_OK);
	assert_int_equal(zones_root_key_set_state(l->f->zones, local, KMS_KEY_DISABLED), ZONE_OK);
	assert_int_equal(zones_root_key_set_state(l->f->zones, local, KMS_KEY_ENABLED), ZONE_OK);
	lines = take_lines();
	assert_text(lines, only(lines, "kms", "Encrypt"), "purpose", "data");
	assert_text(lines, only(lines, "kms", "Decrypt"), "purpose", "data");
	/* No lease bounds what the caller got. */
	assert_int_equal(lease_of(lines, only(lines, "kms", "Decrypt")), -1);
	assert_string_equal(l->f->local.remark, "");
	assert_int_equal(lease_of(lines, only(lines, "kms", "DisableKey")), 300);
	only(lines, "kms", "EnableKey");
	assert_int_equal(json_array_size(lines), 4);
	assert_project(l, lines);
	json_decref(lines);
}

static void calls_for_the_state_of_a_root_key_name_its_project_and_zones(void **state)
{
	struct leased *l = *state;
	struct root_key_finding found;
	json_t *lines;

	make_zones(l, 1);
	forget_lines();
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_DENIED, 1);
	assert_true(zones_root_key_ask(l->f->zones, l->root_key, &found));
	lines = take_lines();
	assert_int_equal(json_array_size(lines), 3);
	assert_text(lines, 0, "purpose", "canary");
	assert_true(is(lines, 1, "kms", "DescribeKey"));
	assert_text(lines, 2, "purpose", "ezk");
	assert_text(lines, 2, "name", "zone-0");
	assert_project(l, lines);
	json_decref(lines);
}

static void root_key_of_a_session_is_of_no_project(void **state)
{
	struct leased *l = *state;
	AUTO(entry_releasep) struct entry *root_key = NULL;
	AUTO(buffer_clear) struct buffer blob = {0};
	const struct kms_context none = {0};
	json_t *lines;

	assert_int_equal(zones_root_key_name(l->f->zones, bytes_of(ROOT_A), &root_key), ZONE_OK);
	forget_lines();
	assert_int_equal(
		zones_root_key_encrypt(l->f->zones, root_key, &none, bytes_of("text"), &blob),
		ZONE_OK);
	lines = take_lines();
	assert_int_equal(json_array_size(lines), 1);
	assert_null(text_of(lines, 0, "project"));
	assert_null(text_of(lines, 0, "project_id"));
	json_decref(lines);
}

static void calls_for_a_cluster_elsewhere_name_its_project(void **state)
{
	struct leased *l = *state;
	AUTO(entry_releasep) struct entry *root_key = make_root_key(l->f, ROOT_MRK);
	json_t *lines;

	forget_lines();
	assert_int_equal(create_cluster(l->f->zones, root_key, "aws", "us-east-1", "east"),
			 ZONE_OK);
	lines = take_lines();
	only(lines, "kms", "DescribeKey");
	only(lines, "cluster", "created");
	assert_project(l, lines);
	json_decref(lines);
}

static void new_project_and_its_archive_have_a_label(void **state)
{
	struct leased *l = *state;
	AUTO(entry_releasep) struct entry *new = NULL;
	json_t *lines;

	forget_lines();
	assert_int_equal(zones_project_replace(l->f->zones, l->f->project, bytes_of("new"), &new),
			 ZONE_OK);
	lines = take_lines();
	assert_text(lines, only(lines, "project", "deletion scheduled"), "project", "project");
	assert_text(lines, only(lines, "project", "created"), "project", "new");
	assert_text(lines, only(lines, "archive", "created"), "project", "new");
	json_decref(lines);
}

static void zones_and_their_keys_are_named_with_their_version(void **state)
{
	struct leased *l = *state;
	struct entry_names names = names_of("dek");
	AUTO(entry_releasep) struct entry *key = NULL;
	char id[24];
	json_t *lines;
	size_t made;

	make_zones(l, 1);
	snprintf(id, sizeof(id), "%" PRIu64, ezk_zone(l->ezks[0]));
	assert_int_equal(zones_key_create(l->f->zones, l->f->project->uid, ezk_zone(l->ezks[0]), 0,
					  bytes_of("0123456789abcdef"), &names, &key),
			 ZONE_OK);
	lines = take_lines();
	assert_project(l, lines);
	made = only(lines, "key", "created");
	assert_text(lines, made, "zone", id);
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(lines, made), "version")), 1);
	for (size_t i = 0; i < json_array_size(lines); i++) {
		const char *purpose = text_of(lines, i, "purpose");

		if (purpose == NULL || strcmp(purpose, "ezk") != 0)
			continue;
		assert_text(lines, i, "zone", id);
		assert_text(lines, i, "name", "zone-0");
		assert_int_equal(
			json_integer_value(json_object_get(json_array_get(lines, i), "version")),
			1);
	}
	json_decref(lines);
}

/* --- Zones that are refused */

static void assert_refused(struct leased *l, const char *label, enum zone_status status)
{
	struct entry_names names = names_of(label);
	AUTO(entry_releasep) struct entry *zone = NULL;
	json_t *lines;
	size_t at;

	forget_lines();
	assert_int_equal(zones_zone_create(l->f->zones, l->f->project->uid, &names, &zone), status);
	lines = take_lines();
	assert_int_equal(count(lines, "zone", "created"), 0);
	at = only(lines, "zone", "creation refused");
	assert_text(lines, at, "outcome", zone_status_text(status));
	assert_text(lines, at, "name", label);
	assert_project(l, lines);
	/* The KMS's line, if it was asked, is of the same zone. */
	for (size_t i = 0; i < json_array_size(lines); i++)
		if (i != at && !is(lines, i, "outage", "ended"))
			assert_text(lines, i, "zone", text_of(lines, at, "zone"));
	json_decref(lines);
}

static enum zone_status write_in_vain(struct store *store, const struct store_cursor *since,
				      store_decide *decide, void *state,
				      struct store_cursor *ret_cursor)
{
	(void)store, (void)since, (void)decide, (void)state, (void)ret_cursor;
	return ZONE_STORE_FULL;
}

/* The same once more, in an outage. */
static void assert_no_line(struct leased *l, const char *label, enum zone_status status)
{
	struct entry_names names = names_of(label);
	AUTO(entry_releasep) struct entry *zone = NULL;
	json_t *lines;

	assert_int_equal(zones_zone_create(l->f->zones, l->f->project->uid, &names, &zone), status);
	lines = take_lines();
	assert_int_equal(json_array_size(lines), 0);
	json_decref(lines);
}

static void zone_that_is_refused_leaves_a_line(void **state)
{
	struct leased *l = *state;
	struct store *store = l->f->zones->store;
	const struct store_operations *real;
	struct store_operations operations;

	make_zones(l, 1);
	assert_refused(l, "zone-0", ZONE_EXISTS);
	assert_refused(l, "nowhere/zone", ZONE_NOT_FOUND);
	assert_refused(l, "a/b/c", ZONE_INVALID_NAME);
	set_key(l, KMS_KEY_DISABLED);
	assert_refused(l, "new", ZONE_KMS_DISABLED);
	set_key(l, KMS_KEY_ENABLED);
	fake_kms_fail(&l->f->aws, FAKE_ENCRYPT, KMS_UNAVAILABLE, 1);
	assert_refused(l, "new", ZONE_KMS_UNAVAILABLE);
	assert_no_line(l, "new", ZONE_KMS_UNAVAILABLE);
	seconds_pass(l, 1);
	fake_kms_fail(&l->f->aws, FAKE_ENCRYPT, KMS_DENIED, 1);
	assert_refused(l, "new", ZONE_KMS_DENIED);
	operations = *store->operations;
	operations.write = write_in_vain;
	real = store->operations;
	store->operations = &operations;
	assert_refused(l, "new", ZONE_STORE_FULL);
	store->operations = real;
}

static void zone_that_is_made_leaves_no_refusal(void **state)
{
	struct leased *l = *state;
	json_t *lines;

	make_zones(l, 3);
	lines = take_lines();
	assert_int_equal(count(lines, "zone", "created"), 3);
	assert_int_equal(count(lines, "zone", "creation refused"), 0);
	json_decref(lines);
}

static void imports_that_are_refused_leave_a_line(void **state)
{
	struct leased *l = *state;
	struct entry_names names = names_of("back");
	AUTO(buffer_clear) struct buffer records = {0};
	AUTO(entry_releasep) struct entry *zone = NULL;
	const struct kms_context none = {0};
	json_t *lines;
	char id[24];
	size_t at;

	make_zones(l, 1);
	zone = ezk_entry(l->ezks[0]);
	snprintf(id, sizeof(id), "%" PRIu64, ezk_zone(l->ezks[0]));
	assert_int_equal(zones_zone_export(l->f->zones, zone, &records), ZONE_OK);
	entry_release(TAKE(zone));
	forget_lines();
	assert_int_equal(zones_zone_import(l->f->zones, l->f->project->uid, l->root_key,
					   buffer_bytes(&records), false, &names, &zone),
			 ZONE_EXISTS);
	lines = take_lines();
	at = only(lines, "zone", "creation refused");
	assert_text(lines, at, "zone", id);
	assert_text(lines, at, "name", "back");
	json_decref(lines);
	assert_int_equal(zones_zone_import(l->f->zones, l->f->project->uid, l->root_key,
					   bytes_of("none"), false, &names, &zone),
			 ZONE_INVALID);
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_INVALID_CIPHERTEXT, 1);
	assert_int_equal(zones_zone_import_blob(l->f->zones, l->f->project->uid, l->root_key, &none,
						bytes_of("none"), &names, &zone),
			 ZONE_KMS_INVALID_CIPHERTEXT);
	lines = take_lines();
	assert_int_equal(count(lines, "zone", "creation refused"), 2);
	assert_project(l, lines);
	json_decref(lines);
}

/* --- Leases */

enum { ZONES = 5 };

/* One line for each zone. */
static void assert_leases(const json_t *lines, const struct leased *l, const char *action,
			  const char *outcome)
{
	assert_int_equal(count(lines, "lease", action), l->count);
	for (size_t zone = 0; zone < l->count; zone++) {
		size_t found = 0;
		char label[32];

		snprintf(label, sizeof(label), "zone-%zu", zone);
		for (size_t i = 0; i < json_array_size(lines); i++) {
			if (!is(lines, i, "lease", action) ||
			    strcmp(text_of(lines, i, "name"), label) != 0)
				continue;
			found++;
			assert_text(lines, i, "outcome", outcome);
			assert_text(lines, i, "root_key", ROOT_A);
			assert_non_null(text_of(lines, i, "zone"));
		}
		assert_int_equal(found, 1);
	}
}

static size_t lease_lines(const json_t *lines)
{
	return count(lines, "lease", "ended") + count(lines, "lease", "refused") +
	       count(lines, "lease", "recovered");
}

static void zones_in_use_write_nothing(void **state)
{
	struct leased *l = *state;
	json_t *lines;

	make_zones(l, ZONES);
	use_all(l, ZONE_OK);
	forget_lines();
	for (int i = 0; i < 1000; i++)
		use_all(l, ZONE_OK);
	assert_int_equal(access(path, F_OK), -1);
	for (int i = 0; i < 10; i++) {
		seconds_pass(l, SURELY);
		use_all(l, ZONE_OK);
	}
	lines = take_lines();
	assert_int_equal(json_array_size(lines), 10); /* the canaries */
	assert_int_equal(lease_lines(lines), 0);
	json_decref(lines);
}

static void no_about_the_key_ends_all_leases_below_it_in_the_log(void **state)
{
	struct leased *l = *state;
	json_t *lines;

	make_zones(l, ZONES);
	use_all(l, ZONE_OK);
	forget_lines();
	set_key(l, KMS_KEY_DISABLED);
	seconds_pass(l, SURELY);
	/* One is used, and all have ended. */
	assert_int_equal(use(l, 0), ZONE_KMS_DISABLED);
	lines = take_lines();
	assert_leases(lines, l, "ended", "the key is disabled");
	assert_project(l, lines);
	json_decref(lines);
	for (int i = 0; i < 20; i++) {
		use_all(l, ZONE_KMS_DISABLED);
		seconds_pass(l, DENY_SECONDS);
	}
	seconds_pass(l, LEASE_SECONDS * 10); /* sweeps forget nothing */
	use_all(l, ZONE_KMS_DISABLED);
	lines = take_lines();
	assert_int_equal(lease_lines(lines), 0);
	json_decref(lines);
	set_key(l, KMS_KEY_ENABLED);
	seconds_pass(l, DENY_SECONDS);
	use_all(l, ZONE_OK);
	use_all(l, ZONE_OK);
	lines = take_lines();
	assert_leases(lines, l, "recovered", "ok");
	assert_int_equal(lease_lines(lines), ZONES);
	assert_project(l, lines);
	json_decref(lines);
}

/* Nobody holds it, and the registry keeps it all the same. */
static void refusal_is_remembered_while_nobody_holds_the_zone(void **state)
{
	struct leased *l = *state;
	AUTO(entry_releasep) struct entry *zone = NULL;
	json_t *lines;

	make_zones(l, 2);
	use_all(l, ZONE_OK);
	zone = ezk_entry(l->ezks[0]);
	set_key(l, KMS_KEY_DISABLED);
	seconds_pass(l, SURELY);
	use_all(l, ZONE_KMS_DISABLED);
	ezk_release(TAKE(l->ezks[0]));
	set_key(l, KMS_KEY_ENABLED);
	forget_lines();
	for (int i = 0; i < 3; i++) {
		seconds_pass(l, LEASE_SECONDS * 2);
		assert_int_equal(use(l, 1), ZONE_OK); /* with sweeps */
	}
	assert_int_equal(ezk_find(zones_registry(l->f->zones), zone, EZK_PRIMARY, &l->ezks[0]),
			 ZONE_OK);
	assert_int_equal(use(l, 0), ZONE_OK);
	lines = take_lines();
	assert_leases(lines, l, "recovered", "ok");
	json_decref(lines);
}

static void outage_ends_a_lease_in_the_log_when_its_time_is_over(void **state)
{
	struct leased *l = *state;
	json_t *lines;

	make_zones(l, 1);
	use_all(l, ZONE_OK);
	forget_lines();
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_UNAVAILABLE, 1000);
	seconds_pass(l, SURELY);
	use_all(l, ZONE_OK);
	lines = take_lines();
	assert_int_equal(lease_lines(lines), 0);
	json_decref(lines);
	for (int i = 0; i < 10; i++) {
		seconds_pass(l, 60);
		use_all(l, ZONE_KMS_UNAVAILABLE);
	}
	lines = take_lines();
	assert_leases(lines, l, "ended", "the KMS is out of reach");
	assert_int_equal(lease_lines(lines), 1);
	json_decref(lines);
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_OK, 0);
	seconds_pass(l, 60);
	use_all(l, ZONE_OK);
	lines = take_lines();
	assert_leases(lines, l, "recovered", "ok");
	assert_int_equal(lease_lines(lines), 1);
	json_decref(lines);
}

static void zone_that_is_refused_from_the_first_is_told(void **state)
{
	struct leased *l = *state;
	json_t *lines;

	make_zones(l, ZONES);
	set_key(l, KMS_KEY_DISABLED);
	forget_lines();
	use_all(l, ZONE_KMS_DISABLED);
	use_all(l, ZONE_KMS_DISABLED);
	lines = take_lines();
	assert_leases(lines, l, "refused", "the key is disabled");
	assert_int_equal(lease_lines(lines), ZONES);
	json_decref(lines);
}

/* --- What a refusal says that is not asked for again */

static void the_log_is_named_only_if_it_has_a_line_that_says_more(void **state)
{
	struct leased *l = *state;
	char log_path[180];

	snprintf(log_path, sizeof(log_path), "%s/log", l->f->folder);
	make_zones(l, 1);
	set_key(l, KMS_KEY_DISABLED);
	assert_true(log_configure(LOG_ERROR, log_path));
	use_all(l, ZONE_KMS_DISABLED);
	use_all(l, ZONE_KMS_DISABLED);
	assert_non_null(strstr(log_last(), "zone 'zone-0' of project 'project', version 1: "));
	assert_non_null(strstr(log_last(), "as was heard a moment ago; the log has the line"));
	assert_true(log_configure(LOG_OFF, log_path));
	use_all(l, ZONE_KMS_DISABLED);
	assert_non_null(strstr(log_last(), "as was heard a moment ago"));
	assert_null(strstr(log_last(), "the log has"));
	assert_true(log_configure(LOG_ERROR, "stderr"));
	log_quiet(true);
	use_all(l, ZONE_KMS_DISABLED);
	assert_null(strstr(log_last(), "the log has"));
	log_quiet(false);
	assert_true(log_configure(LOG_OFF, "stderr"));
	unlink(log_path);
}

/* --- Lines that are required */

static unsigned all_calls(struct leased *l)
{
	unsigned calls = 0;

	for (int call = 0; call < FAKE_CALL_COUNT; call++)
		calls += fake_kms_calls(&l->f->aws, (enum fake_kms_call)call) +
			 fake_kms_calls(&l->f->local, (enum fake_kms_call)call);
	return calls;
}

static void require_lines_in(const char *file)
{
	assert_true(audit_configure(file));
	audit_require(true);
}

static void require_nothing(void)
{
	audit_require(false);
	assert_true(audit_configure(path));
}

static void without_its_line_the_kms_is_not_asked_and_nothing_is_changed(void **state)
{
	struct leased *l = *state;
	struct zones *zones = l->f->zones;
	struct uid project = l->f->project->uid;
	AUTO(entry_releasep) struct entry *local = NULL;
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *made = NULL;
	AUTO(buffer_clear) struct buffer blob = {0};
	const struct kms_context none = {0};
	struct entry_names names;
	unsigned calls;

	make_zones(l, 1);
	local = make_root_key(l->f, LOCAL_KEY);
	zone = find_entry(zones, project, ENTRY_ZONE, "zone-0");
	names = (struct entry_names){.label = bytes_of("other"), .usages = zone->usages};
	calls = all_calls(l);
	require_lines_in("/nowhere/audit.jsonl");
	assert_int_equal(add_root_key(zones, project, "alias/b", NULL), ZONE_AUDIT_UNAVAILABLE);
	assert_int_equal(zones_root_key_encrypt(zones, local, &none, bytes_of("text"), &blob),
			 ZONE_AUDIT_UNAVAILABLE);
	assert_int_equal(zones_root_key_set_state(zones, local, KMS_KEY_DISABLED),
			 ZONE_AUDIT_UNAVAILABLE);
	assert_int_equal(zones_zone_create(zones, project, &names, &made), ZONE_AUDIT_UNAVAILABLE);
	assert_int_equal(zones_entry_rename(zones, zone, &names, &made), ZONE_AUDIT_UNAVAILABLE);
	assert_int_equal(zones_entry_delete(zones, zone), ZONE_AUDIT_UNAVAILABLE);
	assert_int_equal(create_cluster(zones, local, NULL, NULL, "c"), ZONE_AUDIT_UNAVAILABLE);
	assert_int_equal(all_calls(l), calls);
	require_lines_in(path);
	assert_int_equal(count_entries(zones, project, ENTRY_ZONE, true), 1);
	assert_int_equal(count_entries(zones, project, ENTRY_CLUSTER, true), 1);
	assert_int_equal(zones_entry_rename(zones, zone, &names, &made), ZONE_OK);
	require_nothing();
}

/* The device takes the question whether it can be written, and then no line. */
static void what_the_kms_gave_is_withheld_if_its_line_is_lost(void **state)
{
	struct leased *l = *state;
	AUTO(entry_releasep) struct entry *root_key = make_root_key(l->f, "alias/a");
	AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};
	const struct kms_context none = {0};

	assert_int_equal(
		zones_root_key_encrypt(l->f->zones, root_key, &none, bytes_of("text"), &blob),
		ZONE_OK);
	require_lines_in("/dev/full");
	assert_int_equal(zones_root_key_decrypt(l->f->zones, root_key, &none, buffer_bytes(&blob),
						&plaintext),
			 ZONE_AUDIT_UNAVAILABLE);
	assert_int_equal(plaintext.len, 0);
	/* A no counts without a line as well. */
	set_key(l, KMS_KEY_DISABLED);
	assert_int_equal(zones_root_key_decrypt(l->f->zones, root_key, &none, buffer_bytes(&blob),
						&plaintext),
			 ZONE_KMS_DISABLED);
	require_nothing();
}

static void a_lease_goes_on_to_its_end_without_lines_and_no_further(void **state)
{
	struct leased *l = *state;

	make_zones(l, 1);
	use_all(l, ZONE_OK);
	require_lines_in("/nowhere/audit.jsonl");
	use_all(l, ZONE_OK);
	seconds_pass(l, 301);
	use_all(l, ZONE_AUDIT_UNAVAILABLE);
	require_nothing();
	seconds_pass(l, 60);
	use_all(l, ZONE_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_with_log, end_with_log)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_for_a_new_root_key_name_its_project),
		TEST(the_lease_is_the_smaller_of_record_and_configuration),
		TEST(data_calls_name_the_project_of_their_root_key),
		TEST(calls_for_the_state_of_a_root_key_name_its_project_and_zones),
		TEST(root_key_of_a_session_is_of_no_project),
		TEST(calls_for_a_cluster_elsewhere_name_its_project),
		TEST(new_project_and_its_archive_have_a_label),
		TEST(zones_and_their_keys_are_named_with_their_version),
		TEST(zone_that_is_refused_leaves_a_line),
		TEST(zone_that_is_made_leaves_no_refusal),
		TEST(imports_that_are_refused_leave_a_line),
		TEST(zones_in_use_write_nothing),
		TEST(no_about_the_key_ends_all_leases_below_it_in_the_log),
		TEST(refusal_is_remembered_while_nobody_holds_the_zone),
		TEST(outage_ends_a_lease_in_the_log_when_its_time_is_over),
		TEST(zone_that_is_refused_from_the_first_is_told),
		TEST(the_log_is_named_only_if_it_has_a_line_that_says_more),
		TEST(without_its_line_the_kms_is_not_asked_and_nothing_is_changed),
		TEST(what_the_kms_gave_is_withheld_if_its_line_is_lost),
		TEST(a_lease_goes_on_to_its_end_without_lines_and_no_further),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
