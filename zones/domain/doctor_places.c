/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor says of each KMS that is asked, or could be: region, endpoint, credentials,
 * identity. */
#include "base/macros.h"
#include "kms/provider.h"
#include "zones/domain/doctor_report.h"
#include "zones/domain/lookup.h"
#include "zones/domain/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void release_all(struct entry **entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		entry_release(entries[i]);
	free(entries);
}

/* Each provider and region is told of once in a report. */
static bool is_new(struct report *report, const char *provider, const char *region)
{
	AUTO(buffer_clear) struct buffer line = {0};

	buffer_format(&line, "\n%s %s\n", provider, region);
	if (buffer_text(&line) == NULL || buffer_text(&report->places) == NULL) {
		report->failed = true;
		return false;
	}
	if (strstr(buffer_text(&report->places), buffer_text(&line)) != NULL)
		return false;
	buffer_append(&report->places, buffer_bytes(&line));
	return true;
}

static bool is_told(struct report *report, const char *provider)
{
	char start[KMS_PROVIDER_MAX + 3];

	snprintf(start, sizeof(start), "\n%s ", provider);
	return buffer_text(&report->places) != NULL &&
	       strstr(buffer_text(&report->places), start) != NULL;
}

/* What it is when the KMS can't be asked. */
enum need {
	NEEDED, /* a fault: root keys are in it */
	USUAL,	/* not set up: the first root key would be in it */
	OTHER,	/* nothing that anybody waits for */
};

static void put_failure(struct report *report, const char *provider, enum need need,
			enum kms_status status, const char *message)
{
	struct doctor_row row = ROW("KMS");

	row_fault(&row, zone_status_of_kms(status));
	if (need == USUAL)
		row.verdict = DOCTOR_UNSET;
	/* What nobody has set up yet is not wrong. */
	if (need == USUAL && status == KMS_MISCONFIGURED)
		buffer_format(&row.said, "%s: ", provider);
	else
		buffer_format(&row.said, "%s: ", kms_status_text(status));
	row_say_plain(&row, message);
	row_put(report, &row);
}

/* In one calm line, for nobody has to do anything about it. */
static void put_unused(struct report *report, const char *provider, const char *message)
{
	struct doctor_row row = ROW("KMS");

	buffer_format(&row.said, "%s is not set up, and nothing here needs it: ", provider);
	row_say_plain(&row, message);
	row_put(report, &row);
}

static void ask_place(struct part *part)
{
	AUTO(buffer_clear) struct buffer lines = {0};
	const char *provider = part->place.provider, *region = part->place.region;
	enum need need = (enum need)part->place.need;
	struct report *report = &part->report;
	struct doctor_row place = ROW("KMS");
	struct kms_report said = {0};
	enum kms_status status =
		kms_clients_describe(report->zones->clients, provider, region, &said, &lines);

	if (need == OTHER && status != KMS_OK) {
		put_unused(report, provider, said.message);
		return;
	}
	buffer_format(&place.said, "%s%s%s", provider, *region == 0 ? "" : ", ", region);
	row_put(report, &place);
	report_lines(report, &lines);
	if (status != KMS_OK)
		put_failure(report, provider, need, status, said.message);
}

static void describe_kms(struct report *report, const char *provider, const char *region,
			 enum need need)
{
	struct part *part;

	if (!is_new(report, provider, region) ||
	    (part = report_part(report, ask_place, NULL)) == NULL)
		return;
	snprintf(part->place.provider, sizeof(part->place.provider), "%s", provider);
	snprintf(part->place.region, sizeof(part->place.region), "%s", region);
	part->place.need = need;
}

/* Before there is a root key: the one that is configured, or what the usual provider's would
 * be; it need not be set up. */
static void describe_default(struct report *report)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];
	const char *name = report->zones->settings.default_root_key;
	const struct kms_clients *clients = report->zones->clients;

	if (name != NULL && kms_name_parse(kms_clients_providers(clients), name, provider, region))
		describe_kms(report, provider, region, NEEDED);
	else
		describe_kms(report, kms_clients_usual(clients), "", USUAL);
}

void doctor_check_other_places(struct report *report)
{
	const struct kms_provider *const *providers = kms_clients_providers(report->zones->clients);

	for (; *providers != NULL; providers++)
		if (!is_told(report, (*providers)->name))
			describe_kms(report, (*providers)->name, "", OTHER);
}

enum zone_status doctor_check_places(struct report *report)
{
	struct entry_filter filter = {.project = report->project->project};
	struct entry **entries = NULL;
	size_t count = 0;

	filter.kinds[ENTRY_ROOT_KEY] = true;
	TRY(zones_list(report->zones, &filter, &entries, &count));
	for (size_t i = 0; i < count; i++)
		describe_kms(report, entries[i]->of_root_key.provider,
			     entries[i]->of_root_key.region, NEEDED);
	if (count == 0)
		describe_default(report);
	release_all(entries, count);
	return ZONE_OK;
}
