/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What `cmek doctor` asks of the domain: the store; each KMS that a project's root keys are in,
 * with endpoint, credentials and identity; then each root key and zone, a line each, "ok" or what
 * is wrong with it. */
#include "zones/domain/doctor.h"

#include "base/cancel.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/name.h"
#include "zones/domain/ahead.h"
#include "zones/domain/doctor_report.h"
#include "zones/domain/lookup.h"
#include "zones/domain/root_key.h"
#include "zones/domain/root_key_private.h"
#include "zones/domain/standing.h"
#include "zones/ezk/ezk.h"
#include "zones/kms/door.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void release_all(struct entry **entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		entry_release(entries[i]);
	free(entries);
}

/* A fault's line goes on after this. */
void doctor_put_fault(struct report *report, enum zone_status status)
{
	buffer_put_text(report->text, "FAILED: ");
	report->faults->met[status] = true;
}

/* Characters that nobody sees, controls among them, as \xNN: what others wrote makes no line of its
 * own, and steers no terminal. */
static void put_plain(struct buffer *text, const char *words, char also)
{
	size_t unseen = 0;

	for (const char *at = words; *at != '\0'; at++, unseen -= unseen > 0) {
		if (unseen == 0)
			unseen = text_unseen(at);
		if (unseen > 0 || *at == also)
			buffer_format(text, "\\x%02x", (unsigned char)*at);
		else
			buffer_put_u8(text, (uint8_t)*at);
	}
}

/* Labels are anybody's: none says what follows a colon. */
void doctor_put_label(struct buffer *text, const char *label)
{
	put_plain(text, label, ':');
}

/* " until 2026-12-24T04:38:06.000Z" */
static void put_deletion(struct buffer *text, int64_t deletion_ms)
{
	char moment[25];

	if (deletion_ms == 0)
		return;
	clock_extended_utc(deletion_ms, moment);
	buffer_format(text, " until %s", moment);
}

/* `line` without the words between which `said` is: the report has said them. */
static void leave_out(char *line, const char *before, const char *said)
{
	size_t head = strlen(before), len = strlen(said);

	for (char *at = line; (at = strstr(at, before)) != NULL; at += head) {
		if (strncmp(at + head, said, len) != 0)
			continue;
		memmove(at, at + head + len, strlen(at + head + len) + 1);
		return;
	}
}

/* What this thread was told since, or the status; key: whose line it is, or NULL. */
static void put_reason(struct report *report, unsigned reasons, enum zone_status status,
		       const char *key)
{
	const char *why = log_reasons() != reasons ? log_last() : zone_status_text(status);
	AUTO(freep) char *own = key == NULL ? NULL : strdup(why);

	if (own != NULL) {
		leave_out(own, " with key ", key);
		leave_out(own, ": ", kms_status_text(KMS_UNAVAILABLE)); /* "not reachable" */
	}
	put_plain(report->text, own == NULL ? why : own, '\n');
	buffer_put_u8(report->text, '\n');
}

/* Its state, in the words that tree and key show have; if it is a fault, with what the KMS said and
 * what to do. */
static void put_state(struct report *report, const struct entry *root_key)
{
	unsigned reasons = log_reasons();
	struct root_key_finding finding;
	bool told = zones_root_key_ask(report->zones, root_key, &finding);

	if (told && finding.status == ZONE_OK) {
		buffer_format(report->text, "ok, %s\n", zone_status_word(finding.status));
		return;
	}
	doctor_put_fault(report, finding.status);
	if (finding.status == ZONE_ROOT_KEY_REFUSED)
		buffer_put_text(report->text, "not allowed");
	else
		buffer_put_text(report->text,
				told ? zone_status_word(finding.status) : "not known");
	put_deletion(report->text, finding.deletion_ms);
	buffer_put_text(report->text, ": ");
	put_reason(report, reasons, finding.status, root_key->of_root_key.arn);
}

/* The related key in another region that may be asked in its place. */
static void check_replica(struct report *report, const struct entry *root_key, const char *arn)
{
	AUTO(entry_releasep)
	struct entry *project = zones_find_uid(report->zones, root_key->project);
	struct kms_report said = {0};
	const struct kms_door door = {
		.clients = report->zones->clients,
		.key = arn,
		.project = entry_label(project),
		.project_id = root_key->project,
		.report = &said,
		.quiet = true,
		.related = true,
	};
	struct kms_key key = {0};
	enum zone_status status = door_describe(&door, &key);

	buffer_put_text(report->text, "root key ");
	doctor_put_label(report->text, root_key->label);
	buffer_format(report->text, " (%s, by multi_region_order): ", arn);
	if (status == ZONE_OK)
		status = root_key_meaning(key.state);
	if (status == ZONE_KMS_NOT_FOUND) {
		buffer_put_text(report->text, "none there, the region is passed over\n");
		return;
	}
	if (status == ZONE_OK) {
		buffer_format(report->text, "ok, %s\n", zone_status_word(status));
		return;
	}
	doctor_put_fault(report, status);
	buffer_put_text(report->text, zone_status_word(status));
	put_deletion(report->text, key.deletion_ms);
	if (said.message[0] != '\0')
		buffer_put_text(report->text, ": ");
	put_plain(report->text, said.message, '\n');
	buffer_put_text(report->text,
			"; set this right, or take the region out of multi_region_order\n");
}

static void check_replicas(struct report *report, const struct entry *root_key)
{
	const char *own = root_key->of_root_key.arn;
	char arn[KMS_ARN_MAX + 1];

	for (size_t i = 0; kms_clients_name(report->zones->clients, own, i, arn); i++)
		if (strcmp(arn, own) != 0)
			check_replica(report, root_key, arn);
}

static void check_root_key(struct report *report, const struct entry *root_key)
{
	buffer_put_text(report->text, "root key ");
	doctor_put_label(report->text, root_key->label);
	buffer_format(report->text, " (%s, %s): ", root_key->of_root_key.arn,
		      root_key->of_root_key.region);
	if (root_key->state == ENTRY_PENDING_DELETION)
		buffer_put_text(report->text, "awaits removal from the project\n");
	else
		put_state(report, root_key);
	check_replicas(report, root_key);
}

static bool same_place(const struct entry *a, const struct entry *b)
{
	return strcmp(a->of_root_key.provider, b->of_root_key.provider) == 0 &&
	       strcmp(a->of_root_key.region, b->of_root_key.region) == 0;
}

/* `needed`: what fails is a fault; else it is merely not set up. */
static void describe_kms(struct report *report, const char *provider, const char *region,
			 bool needed)
{
	struct kms_report said = {0};
	enum kms_status status;

	buffer_format(report->text, "KMS: %s%s%s\n", provider, *region == 0 ? "" : ", ", region);
	status =
		kms_clients_describe(report->zones->clients, provider, region, &said, report->text);
	if (status == KMS_OK)
		return;
	buffer_put_text(report->text, "KMS: ");
	if (needed)
		doctor_put_fault(report, zone_status_of_kms(status));
	else
		buffer_put_text(report->text, "not set up: ");
	buffer_format(report->text, "%s: %s\n", kms_status_text(status), said.message);
}

/* Before there is a root key: the one that is configured, or what the usual provider's would
 * be; it need not be set up. */
static void describe_default(struct report *report)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];
	const char *name = report->zones->settings.default_root_key;

	const struct kms_clients *clients = report->zones->clients;

	if (name != NULL && kms_name_parse(kms_clients_providers(clients), name, provider, region))
		describe_kms(report, provider, region, true);
	else
		describe_kms(report, kms_clients_usual(clients), "", false);
}

/* Each provider and region once. */
static enum zone_status describe_places(struct report *report, struct uid project)
{
	struct entry_filter filter = {.project = project};
	struct entry **entries = NULL;
	size_t count = 0;

	filter.kinds[ENTRY_ROOT_KEY] = true;
	TRY(zones_list(report->zones, &filter, &entries, &count));
	for (size_t i = 0; i < count; i++) {
		size_t first = 0;

		while (!same_place(entries[first], entries[i]))
			first++;
		if (first == i)
			describe_kms(report, entries[i]->of_root_key.provider,
				     entries[i]->of_root_key.region, true);
	}
	if (count == 0)
		describe_default(report);
	release_all(entries, count);
	return ZONE_OK;
}

/* May be answered by a lease that runs. */
static enum zone_status open_zone(struct zones *zones, const struct entry *zone)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(ezk_find(zones->registry, zone, EZK_PRIMARY, &ezk));
	return ezk_begin(ezk);
}

/* Where several regions may be asked: the one that said yes. */
static void put_region(struct zones *zones, const struct entry *zone, struct buffer *text)
{
	const struct ezk_version *version = entry_version(zone, zone->of_zone.primary);
	char region[KMS_REGION_MAX + 1];

	for (size_t i = 0; version != NULL && i < version->wrap_count; i++)
		if (version->wraps[i].state != WRAP_REPLACED &&
		    kms_clients_answered(zones->clients, version->wraps[i].arn, region))
			buffer_format(text, ", by %s", region);
}

/* No fault: which clock is right nobody here knows. */
static void put_ahead(const struct report *report, const struct entry *zone)
{
	char made[25];

	if (!zone_is_ahead(report->zones, zone))
		return;
	clock_extended_utc(entry_version(zone, zone->of_zone.primary)->created_ms, made);
	buffer_format(report->text,
		      "; but its version says that it was made on %.10s, so that a rotation by its "
		      "age is put off: if this clock is right, rotate it by hand ('cmek database "
		      "rotate')",
		      made);
}

static void check_zone(struct report *report, const struct entry *zone)
{
	unsigned reasons = log_reasons();
	enum zone_status status =
		zone->state == ENTRY_ACTIVE ? open_zone(report->zones, zone) : ZONE_OK;

	buffer_put_text(report->text, "zone ");
	doctor_put_label(report->text, zone->label);
	buffer_format(report->text,
		      " (id %" PRIu64 ", version %" PRIu32 "%s): ", zone->of_zone.zone,
		      zone->of_zone.primary, zone->of_zone.imported ? ", imported" : "");
	if (zone->state == ENTRY_PENDING_DELETION) {
		buffer_put_text(report->text, "awaits deletion\n");
	} else if (status == ZONE_OK) {
		buffer_put_text(report->text, "ok");
		put_region(report->zones, zone, report->text);
		put_ahead(report, zone);
		buffer_put_u8(report->text, '\n');
	} else {
		doctor_put_fault(report, status);
		if (standing_is(status))
			put_reason(report, reasons, status, NULL);
		else
			buffer_format(report->text, "%s\n", zone_status_text(status));
	}
}

static enum zone_status check_all(struct report *report, struct uid project, enum entry_kind kind,
				  void (*check)(struct report *, const struct entry *))
{
	struct entry_filter filter = {.project = project, .with_pending = true};
	struct entry **entries = NULL;
	size_t count = 0;

	filter.kinds[kind] = true;
	TRY(zones_list(report->zones, &filter, &entries, &count));
	for (size_t i = 0; i < count; i++)
		check(report, entries[i]);
	release_all(entries, count);
	return ZONE_OK;
}

static enum zone_status describe_store(struct zones *zones, struct buffer *ret_text)
{
	AUTO(zones_end_turn) struct zones *held = NULL;

	TRY(zones_begin_turn(zones, &held));
	return zones->store->operations->describe(zones->store, ret_text);
}

enum zone_status zones_doctor(struct zones *zones, struct uid project, struct buffer *ret_text,
			      struct doctor_faults *ret_faults)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct report report = {zones, ret_text, ret_faults};
	enum zone_status status;

	*ret_faults = (struct doctor_faults){0};
	status = describe_store(zones, ret_text);
	if (status != ZONE_OK) {
		buffer_put_text(ret_text, "store: ");
		doctor_put_fault(&report, status);
		buffer_format(ret_text, "%s\n", zone_status_text(status));
	}
	TRY(describe_places(&report, project));
	TRY(check_all(&report, project, ENTRY_ROOT_KEY, check_root_key));
	TRY(check_all(&report, project, ENTRY_ZONE, check_zone));
	doctor_check_pins(&report, project);
	return ret_text->failed ? ZONE_NO_MEMORY : ZONE_OK;
}
