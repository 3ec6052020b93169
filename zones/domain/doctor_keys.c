/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor says of a project's root keys and zones. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/domain/ahead.h"
#include "zones/domain/doctor_report.h"
#include "zones/domain/lookup.h"
#include "zones/domain/root_key.h"
#include "zones/domain/root_key_private.h"
#include "zones/domain/standing.h"
#include "zones/ezk/ezk.h"
#include "zones/kms/door.h"
#include "zones/model/names.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Zones below one root key that are opened unless all are: their keys are opened alike. */
enum { SAMPLE = 3 };

static void release_all(struct entry **entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		entry_release(entries[i]);
	free(entries);
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

/* What this thread was told since, or the status; key: whose row it is, or NULL. */
static void put_reason(struct doctor_row *row, unsigned reasons, enum zone_status status,
		       const char *key)
{
	const char *why = doctor_why(reasons, status);
	AUTO(freep) char *own = key == NULL ? NULL : strdup(why);

	if (own != NULL) {
		leave_out(own, " with key ", key);
		leave_out(own, ": ", kms_status_text(KMS_UNAVAILABLE)); /* "not reachable" */
	}
	row_say_plain(row, own == NULL ? why : own);
}

/* Its state, in the words that tree and key show have; if it is a fault, with what the KMS said and
 * what to do. */
static void put_state(struct report *report, const struct entry *root_key, struct doctor_row *row)
{
	unsigned reasons = log_reasons();
	struct root_key_finding finding;
	bool told = zones_root_key_ask(report->zones, root_key, &finding);

	if (told && finding.status == ZONE_OK) {
		buffer_format(&row->said, "ok, %s", zone_status_word(finding.status));
		return;
	}
	row_fault(row, finding.status);
	if (finding.status == ZONE_ROOT_KEY_REFUSED)
		buffer_put_text(&row->said, "not allowed");
	else
		buffer_put_text(&row->said, told ? zone_status_word(finding.status) : "not known");
	put_deletion(&row->said, finding.deletion_ms);
	buffer_put_text(&row->said, ": ");
	put_reason(row, reasons, finding.status, root_key->of_root_key.arn);
}

/* The related key in another region that may be asked in its place. */
static void check_replica(struct report *report, const struct entry *root_key, const char *arn)
{
	struct kms_report said = {0};
	const struct kms_door door = {
		.clients = report->zones->clients,
		.key = arn,
		.project = entry_label(report->project),
		.project_id = root_key->project,
		.report = &said,
		.quiet = true,
		.related = true,
	};
	struct kms_key key = {0};
	struct doctor_row row = ROW("root key");
	enum zone_status status = door_describe(&door, &key);

	row_label(&row, root_key->label);
	buffer_format(&row.details, "%s, by multi_region_order", arn);
	if (status == ZONE_OK)
		status = root_key_meaning(key.state);
	if (status == ZONE_KMS_NOT_FOUND) {
		buffer_put_text(&row.said, "none there, the region is passed over");
	} else if (status == ZONE_OK) {
		buffer_format(&row.said, "ok, %s", zone_status_word(status));
	} else {
		row_fault(&row, status);
		buffer_put_text(&row.said, zone_status_word(status));
		put_deletion(&row.said, key.deletion_ms);
		if (said.message[0] != '\0')
			buffer_put_text(&row.said, ": ");
		row_say_plain(&row, said.message);
		buffer_put_text(&row.said,
				"; set this right, or take the region out of multi_region_order");
	}
	row_put(report, &row);
}

static void check_replicas(struct report *report, const struct entry *root_key)
{
	const char *own = root_key->of_root_key.arn;
	char arn[KMS_ARN_MAX + 1];

	for (size_t i = 0; kms_clients_name(report->zones->clients, own, i, arn); i++)
		if (strcmp(arn, own) != 0)
			check_replica(report, root_key, arn);
}

static void ask_root_key(struct part *part)
{
	const struct entry *root_key = part->entry;
	struct doctor_row row = ROW("root key");

	row_label(&row, root_key->label);
	buffer_format(&row.details, "%s, %s", root_key->of_root_key.arn,
		      root_key->of_root_key.region);
	if (root_key->state == ENTRY_PENDING_DELETION)
		buffer_put_text(&row.said, "awaits removal from the project");
	else
		put_state(&part->report, root_key, &row);
	part->status = row.status;
	row_put(&part->report, &row);
	check_replicas(&part->report, root_key);
}

/* --- Zones ----------------------------------------------------------------------------------- */

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
static void put_ahead(const struct report *report, const struct entry *zone, struct buffer *said)
{
	char made[25];

	if (!zone_is_ahead(report->zones, zone))
		return;
	clock_extended_utc(entry_version(zone, zone->of_zone.primary)->created_ms, made);
	buffer_format(said,
		      "; but its version says that it was made on %.10s, so that a rotation by its "
		      "age is put off: if this clock is right, rotate it by hand ('cmek database "
		      "rotate')",
		      made);
}

static void put_opened(struct report *report, const struct entry *zone, unsigned reasons,
		       enum zone_status status, struct doctor_row *row)
{
	if (status == ZONE_OK) {
		buffer_put_text(&row->said, "ok");
		put_region(report->zones, zone, &row->said);
		put_ahead(report, zone, &row->said);
		return;
	}
	row_fault(row, status);
	if (standing_is(status))
		put_reason(row, reasons, status, NULL);
	else
		buffer_put_text(&row->said, zone_status_text(status));
}

static void begin_row(const struct entry *zone, struct doctor_row *row)
{
	row_label(row, zone->label);
	buffer_format(&row->details, "id %" PRIu64 ", version %" PRIu32 "%s", zone->of_zone.zone,
		      zone->of_zone.primary, zone->of_zone.imported ? ", imported" : "");
}

static void ask_zone(struct part *part)
{
	unsigned reasons = log_reasons();
	struct doctor_row row = ROW("zone");

	part->status = open_zone(part->report.zones, part->entry);
	begin_row(part->entry, &row);
	put_opened(&part->report, part->entry, reasons, part->status, &row);
	row_put(&part->report, &row);
}

/* Not what is told of the root key already. */
static bool tell_zone(struct part *part)
{
	struct part *key = part->key;

	if (part->report.each_zone || key == NULL || part->status == ZONE_OK ||
	    part->status != key->status)
		return true;
	key->failed++;
	return false;
}

/* The root keys of a project. */
struct known_keys {
	struct part **list; /* owned; the parts are the report's */
	size_t count;
};

/* The first of the root keys by which the zone's primary version opens. */
static struct part *key_of(const struct report *report, const struct known_keys *keys,
			   const struct entry *zone)
{
	const struct ezk_version *version = entry_version(zone, zone->of_zone.primary);

	for (size_t i = 0; version != NULL && i < version->wrap_count; i++)
		for (size_t k = 0; k < keys->count; k++)
			if (version->wraps[i].state != WRAP_REPLACED &&
			    zones_root_key_is(report->zones, keys->list[k]->entry,
					      bytes_of(version->wraps[i].arn)))
				return keys->list[k];
	return NULL;
}

static void plan_opening(struct report *report, const struct known_keys *keys, struct entry *zone)
{
	struct part *key = key_of(report, keys, zone), *part;

	if (!report->each_zone && key != NULL && !report->all_zones && key->opened == SAMPLE) {
		key->untried++;
		return;
	}
	part = report_part(report, ask_zone, zone);
	if (part == NULL)
		return;
	part->tell = tell_zone;
	part->key = key;
	if (key != NULL)
		key->opened++;
}

static void plan_zone(struct report *report, const struct known_keys *keys, struct entry *zone)
{
	struct doctor_row row = ROW("zone");

	if (zone->state == ENTRY_ACTIVE) {
		plan_opening(report, keys, zone);
		return;
	}
	begin_row(zone, &row);
	buffer_put_text(&row.said, "awaits deletion");
	row_put(report, &row);
}

/* What was not told zone by zone. Where some can't be opened, nor can those that nobody tried. */
static bool tell_rest(struct part *part)
{
	struct doctor_row row = ROW("zones");
	struct part *key = part->key;

	if (key->failed + key->untried == 0)
		return false;
	buffer_put_text(&row.details, "below root key ");
	doctor_label(&row.details, key->entry->label);
	if (key->failed > 0) {
		row.verdict = DOCTOR_NOTE;
		buffer_format(&row.said, "%u can't be opened for that; mend the root key",
			      key->failed + key->untried);
	} else {
		buffer_format(&row.said, "%u more were not opened; to open each: --all",
			      key->untried);
	}
	row_put(&part->report, &row);
	return true;
}

/* --- A project ------------------------------------------------------------------------------- */

static enum zone_status list(struct report *report, enum entry_kind kind,
			     struct entry ***ret_entries, size_t *ret_count)
{
	struct entry_filter filter = {.project = report->project->project, .with_pending = true};

	filter.kinds[kind] = true;
	return zones_list(report->zones, &filter, ret_entries, ret_count);
}

static enum zone_status plan_zones(struct report *report, const struct known_keys *keys)
{
	struct entry **entries = NULL;
	size_t count = 0;

	TRY(list(report, ENTRY_ZONE, &entries, &count));
	for (size_t i = 0; i < count; i++)
		plan_zone(report, keys, entries[i]);
	release_all(entries, count);
	return ZONE_OK;
}

static void plan_rest(struct report *report, const struct known_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++) {
		struct part *part = report_part(report, NULL, NULL);

		if (part == NULL)
			return;
		part->tell = tell_rest;
		part->key = keys->list[i];
	}
}

static enum zone_status plan_keys(struct report *report, struct known_keys *keys)
{
	struct entry **entries = NULL;
	size_t count = 0;

	TRY(list(report, ENTRY_ROOT_KEY, &entries, &count));
	keys->list = calloc(count + 1, sizeof(*keys->list));
	for (size_t i = 0; keys->list != NULL && i < count; i++) {
		struct part *part = report_part(report, ask_root_key, entries[i]);

		if (part != NULL)
			keys->list[keys->count++] = part;
	}
	release_all(entries, count);
	return keys->list == NULL ? ZONE_NO_MEMORY : ZONE_OK;
}

enum zone_status doctor_check_keys(struct report *report)
{
	struct known_keys keys = {0};
	enum zone_status status = plan_keys(report, &keys);

	if (status == ZONE_OK)
		status = plan_zones(report, &keys);
	plan_rest(report, &keys);
	free(keys.list);
	return status;
}
