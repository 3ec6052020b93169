/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What `cmek doctor` asks of the domain: the store; each KMS that root keys are in, with endpoint,
 * credentials and identity; then each root key, and zones below it. */
#include "zones/domain/doctor.h"

#include "base/cancel.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/domain/doctor_report.h"
#include "zones/domain/levels.h"
#include "zones/domain/lookup.h"
#include "zones/domain/state.h"
#include "zones/model/moving.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- The store ------------------------------------------------------------------------------- */

static enum zone_status describe_store(struct zones *zones, struct buffer *ret_text)
{
	AUTO(zones_end_turn) struct zones *held = NULL;

	TRY(zones_begin_turn(zones, &held));
	return zones->store->operations->describe(zones->store, ret_text);
}

/* How long it takes to ask a store in the network one thing. */
static void describe_latency(struct zones *zones, struct buffer *ret_text)
{
	const struct clock *clock = zones->clock;
	int64_t began = clock->monotonic_ms(clock->state);
	struct store_facts facts;

	if (zones->store->engine->waits_ms > 0 && zones_store_look_at(zones, &facts) == ZONE_OK)
		buffer_format(ret_text, "store: a look at it takes %" PRId64 " ms\n",
			      clock->monotonic_ms(clock->state) - began);
}

/* Whether projects are here that have not gone to another store: [store] is still for them. */
static bool some_stay(struct zones *zones)
{
	struct entry **projects = NULL;
	struct bytes place;
	bool stays = false;
	size_t count = 0;

	if (zones_list_projects(zones, &projects, &count) != ZONE_OK)
		return false;
	for (size_t i = 0; i < count; i++) {
		stays |= projects[i]->state == ENTRY_ACTIVE &&
			 moving_of(projects[i], &place) == MOVING_NOT;
		entry_release(projects[i]);
	}
	free(projects);
	return stays;
}

/* What is here can be used, but hears of nothing that is changed in the other store. */
static void check_mark(struct report *report)
{
	AUTO(buffer_clear) struct buffer name = {0};
	struct doctor_row row = ROW("store");
	struct bytes place = {0};
	enum moving moving = moving_of(report->project, &place);

	if (moving == MOVING_NOT)
		return;
	buffer_append(&name, place);
	row_fault(&row, moving == MOVING_AWAY ? ZONE_STORE_MOVED : ZONE_STORE_READ_ONLY);
	buffer_put_text(&row.said,
			moving == MOVING_AWAY ? "project " : "it is not whole yet: project ");
	doctor_plain(&row.said, report->project->label);
	buffer_put_text(&row.said,
			moving == MOVING_AWAY ? " has gone to store " : " is arriving from store ");
	doctor_plain(&row.said, buffer_text(&name) == NULL ? "?" : buffer_text(&name));
	buffer_put_text(&row.said,
			moving == MOVING_AWAY
				? ", and what is deleted or rotated there is not heard of here; "
				: "; run 'cmek store copy' to its end");
	if (moving == MOVING_AWAY)
		buffer_put_text(&row.said, some_stay(report->zones)
						   ? "give its programs that store's configuration"
						   : "set [store] to that one");
	row_put(report, &row);
}

static void check_store(struct report *report)
{
	AUTO(buffer_clear) struct buffer lines = {0};
	struct doctor_row fault = ROW("store");
	unsigned reasons = log_reasons();
	enum zone_status status = describe_store(report->zones, &lines);

	if (status == ZONE_OK)
		describe_latency(report->zones, &lines);
	report_lines(report, &lines);
	if (status == ZONE_OK)
		return;
	row_fault(&fault, status);
	row_say_plain(&fault, doctor_why(reasons, status));
	row_put(report, &fault);
}

/* --- Projects -------------------------------------------------------------------------------- */

/* Nothing can be encrypted before there are these. */
static void check_set_up(struct report *report)
{
	struct entry_filter filter = {.project = report->project->project};
	struct doctor_row row = ROW("root keys");
	struct entry **entries = NULL;
	size_t count = 0;

	filter.kinds[ENTRY_ROOT_KEY] = true;
	if (zones_list(report->zones, &filter, &entries, &count) != ZONE_OK)
		return;
	for (size_t i = 0; i < count; i++)
		entry_release(entries[i]);
	free(entries);
	if (count > 0)
		return;
	row.verdict = DOCTOR_UNSET;
	buffer_format(&row.said,
		      "project %s has none; register one: cmek key add, or of the embedded KMS "
		      "cmek key create",
		      report->project->label);
	row_put(report, &row);
}

static enum zone_status check_project(struct report *report)
{
	check_mark(report);
	TRY(doctor_check_places(report));
	TRY(doctor_check_keys(report));
	doctor_check_pins(report);
	return ZONE_OK;
}

static bool is_wanted(const struct doctor_request *request, const struct entry *project)
{
	return project->state == ENTRY_ACTIVE &&
	       (request->project == NULL || strcmp(request->project, project->label) == 0);
}

static void put_no_project(struct report *report)
{
	struct doctor_row row = ROW("projects");

	row.verdict = DOCTOR_UNSET;
	buffer_put_text(&row.said, "there is none yet; make one: cmek project create NAME");
	row_put(report, &row);
}

static enum zone_status check_projects(struct report *report, const struct doctor_request *request,
				       size_t *ret_count)
{
	struct entry **projects = NULL;
	enum zone_status status;
	size_t count = 0;

	*ret_count = 0;
	status = zones_list_projects(report->zones, &projects, &count);
	for (size_t i = 0; i < count; i++) {
		if (status == ZONE_OK && is_wanted(request, projects[i])) {
			report->project = projects[i];
			status = check_project(report);
			check_set_up(report);
			++*ret_count;
		}
		entry_release(projects[i]);
	}
	report->project = NULL;
	free(projects);
	return status;
}

enum zone_status zones_doctor_rows(struct zones *zones, const struct doctor_request *request)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct report report = {.zones = zones, .all_zones = request->all_zones};
	enum zone_status status = ZONE_OK;
	size_t count = 0;

	report_begin(&report);
	check_store(&report);
	/* A store that can't be read was told of. */
	if (zones_refresh(zones, true) == ZONE_OK) {
		status = check_projects(&report, request, &count);
		if (status == ZONE_OK && count == 0 && request->project != NULL)
			status = ZONE_NOT_FOUND;
		else if (status == ZONE_OK && count == 0)
			put_no_project(&report);
	}
	doctor_check_other_places(&report);
	if (request->kms_key != NULL)
		doctor_try_key(&report, request->kms_key);
	return report_end(&report, request, status);
}

/* --- As text --------------------------------------------------------------------------------- */

struct told {
	struct buffer *text;
	struct doctor_faults *faults;
};

static void put_told(void *state, const struct doctor_row *row)
{
	struct told *told = state;

	if (row->verdict == DOCTOR_FAULT)
		told->faults->met[row->status] = true;
	doctor_row_text(row, told->text);
}

enum zone_status zones_doctor(struct zones *zones, struct uid project, struct buffer *ret_text,
			      struct doctor_faults *ret_faults)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(entry_releasep) struct entry *entry = zones_find_uid(zones, project);
	struct told told = {ret_text, ret_faults};
	const struct doctor_request request = {.put = put_told, .state = &told};
	struct report report = {.zones = zones, .project = entry, .each_zone = true};

	*ret_faults = (struct doctor_faults){0};
	if (entry == NULL)
		return ZONE_NOT_FOUND;
	report_begin(&report);
	check_store(&report);
	TRY(report_end(&report, &request, check_project(&report)));
	return ret_text->failed ? ZONE_NO_MEMORY : ZONE_OK;
}
