/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The messages about the outcome of a call. */
#include "zones/kms/door_log.h"

#include "base/log.h"
#include "base/macros.h"
#include "zones/kms/audit.h"
#include "zones/model/title.h"

#include <inttypes.h>
#include <string.h>

const char *asked_context(const struct kms_door *door, const char *name)
{
	for (size_t i = 0; door->context != NULL && i < door->context->count; i++)
		if (strcmp(door->context->pairs[i].name, name) == 0)
			return door->context->pairs[i].value;
	return NULL;
}

/* What the root key is used for. */
static const char *purpose_of(const struct kms_door *door)
{
	return asked_context(door, "cmek:purpose");
}

bool asked_is_the_callers(const struct kms_door *door)
{
	const char *purpose = purpose_of(door);

	return purpose != NULL && (strcmp(purpose, "data") == 0 || strcmp(purpose, "import") == 0);
}

bool asked_is_leased(const struct kms_door *door)
{
	const char *purpose = purpose_of(door);

	return !asked_is_the_callers(door) && (purpose == NULL || strcmp(purpose, "backup") != 0);
}

/* NULL: the message has it. */
static const char *remedy(const struct kms_door *door, enum kms_status status)
{
	const char *own;

	if (kms_clients_remedy(door->clients, door->key, status, &own))
		return own;
	if (status == KMS_INVALID_CIPHERTEXT && asked_is_the_callers(door))
		return "give what this key encrypted, and the same encryption context";
	return kms_status_remedy(status);
}

static bool is_said(const char *text)
{
	return text != NULL && *text != '\0';
}

void asked_put_subject(struct buffer *line, const struct kms_door *door)
{
	bool of_zone = door->zone_id != 0 || is_said(door->zone);
	const char *share = asked_context(door, "cmek:share");

	if (of_zone)
		buffer_format(line, " for %s",
			      zone_title_as(door->zone, door->project, door->zone_id).text);
	else if (is_said(door->project))
		buffer_format(line, " of project '%s'", door->project);
	if (of_zone && door->version != 0)
		buffer_format(line, ", version %" PRIu32, door->version);
	if (share != NULL)
		buffer_format(line, ", share %s", share);
}

/* ": what the KMS said [its name for that, request id]". */
static void put_report(struct buffer *line, const struct kms_report *report)
{
	if (is_said(report->message))
		buffer_format(line, ": %s", report->message);
	if (is_said(report->error_type))
		buffer_format(line, " [%s]", report->error_type);
	if (is_said(report->request_id))
		buffer_format(line, " (request %s)", report->request_id);
}

/* "aws in eu-west-1", or the key. */
static void put_silent(struct buffer *line, const struct asked *asked, bool of_key)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];

	if (of_key || !kms_name_parse(kms_clients_providers(asked->door->clients), asked->key,
				      provider, region))
		buffer_format(line, "root key %s", asked->key);
	else
		buffer_format(line, "%s%s%s", provider, region[0] == '\0' ? "" : " in ", region);
}

/* An outage concerns whatever is done there, so the line is short: where, and why. The audit log
 * has the rest. */
static void put_outage(struct buffer *line, const struct asked *asked)
{
	put_silent(line, asked, kms_status_is_outage_of_key(asked->status));
	buffer_format(line, ": %s", kms_status_text(asked->status));
	if (is_said(asked->report.message))
		buffer_format(line, ": %s", asked->report.message);
	if (is_said(asked->report.error_type) &&
	    !kms_status_is_outage_of_key(asked->status)) /* whose text says the same */
		buffer_format(line, " [%s]", asked->report.error_type);
}

static void put_failure(struct buffer *line, const struct asked *asked)
{
	buffer_format(line, "KMS %s with key %s", asked->operation, asked->key);
	if (asked->new_key != NULL)
		buffer_format(line, " to %s", asked->new_key);
	asked_put_subject(line, asked->door);
	buffer_format(line, ": %s", kms_status_text(asked->status));
	put_report(line, &asked->report);
}

void asked_log(const struct asked *asked)
{
	AUTO(buffer_clear) struct buffer line = {0};
	const char *todo = remedy(asked->door, asked->status), *text;

	if (kms_status_is_outage(asked->status))
		put_outage(&line, asked);
	else
		put_failure(&line, asked);
	if (todo != NULL)
		buffer_format(&line, "; %s", todo);
	text = buffer_text(&line);
	if (text == NULL)
		text = asked->operation;
	if (asked->is_new)
		log_error("%s", text);
	else
		log_reason("%s", text);
	log_reason_request(asked->report.request_id);
}

enum zone_status asked_audit(const struct asked *asked)
{
	const struct kms_door *door = asked->door;

	return audit_write(&(struct audit_event){
		.event = "kms",
		.action = asked->operation,
		.outcome = asked->status == KMS_OK ? "ok" : kms_status_text(asked->status),
		.project = door->project,
		.project_id = door->project_id,
		.name = door->zone,
		.zone = door->zone_id,
		.version = door->version,
		.root_key = asked->key,
		.new_root_key = asked->new_key,
		.purpose = purpose_of(door),
		.request_id = asked->report.request_id,
		.duration_us = clock_precise_us() - asked->started_us,
		.lease = asked->leased ? &asked->lease : NULL,
		.caller = &asked->report.caller,
	});
}

/* --- The end of a silence */

/* Of a key that has a name in several regions, kms/route.c tells which region answers again. */
static bool is_told_by_region(const struct asked *asked)
{
	char other[KMS_ARN_MAX + 1];

	return kms_clients_name(asked->door->clients, asked->key, 1, other);
}

void asked_tell_end(const struct asked *asked, const struct kms_turn_news *news)
{
	AUTO(buffer_clear) struct buffer line = {0};

	put_silent(&line, asked, news->of_key);
	if (!is_told_by_region(asked) && buffer_text(&line) != NULL)
		log_notice("KMS: %s answers again after %" PRId64 ".%" PRId64
			   " s; meanwhile %" PRIu64 " calls failed, and %" PRIu64
			   " more at once, without a request",
			   buffer_text(&line), news->lasted_ms / 1000, news->lasted_ms % 1000 / 100,
			   news->failed, news->refused);
	audit_write(&(struct audit_event){
		.event = "outage",
		.action = "ended",
		.outcome = "ok",
		.project = asked->door->project,
		.project_id = asked->door->project_id,
		.root_key = asked->key,
		.failed = news->failed,
		.refused = news->refused,
		.duration_us = news->lasted_ms * 1000,
	});
}
