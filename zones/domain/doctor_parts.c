/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor's report in parts: planned, asked by whatever threads the caller has, and told in the
 * order in which they were planned. */
#include "base/cancel.h"
#include "base/free.h"
#include "base/macros.h"
#include "zones/domain/doctor_report.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- Rows that are kept ---------------------------------------------------------------------- */

struct kept {
	struct doctor_row row;
	char *what, *project; /* owned */
};

static void kept_clear(struct kept *kept)
{
	buffer_clear(&kept->row.which);
	buffer_clear(&kept->row.details);
	buffer_clear(&kept->row.said);
	free(kept->what);
	free(kept->project);
}

/* A copy that ends in a NUL, as the original. */
static bool copy_text(const struct buffer *from, struct buffer *to)
{
	buffer_append(to, buffer_bytes(from));
	return buffer_text(to) != NULL;
}

static bool copy_row(const struct doctor_row *row, struct kept *kept)
{
	kept->row = *row;
	kept->row.which = kept->row.details = kept->row.said = (struct buffer){0};
	kept->row.what = kept->what = strdup(row->what);
	kept->row.project = kept->project = row->project == NULL ? NULL : strdup(row->project);
	return kept->what != NULL && (kept->project != NULL || row->project == NULL) &&
	       copy_text(&row->which, &kept->row.which) &&
	       copy_text(&row->details, &kept->row.details) &&
	       copy_text(&row->said, &kept->row.said);
}

static bool make_room(void **list, size_t count, size_t *room, size_t size)
{
	size_t wanted = *room * 2 + 8;
	void *more;

	if (count < *room)
		return true;
	more = realloc(*list, wanted * size);
	if (more == NULL)
		return false;
	*list = more;
	*room = wanted;
	return true;
}

static void keep(void *state, const struct doctor_row *row)
{
	struct part *part = state;
	void *rows = part->rows;
	struct kept kept = {0};

	part->report.failed |=
		!make_room(&rows, part->row_count, &part->row_room, sizeof(*part->rows));
	part->rows = rows;
	if (part->report.failed || !copy_row(row, &kept)) {
		part->report.failed = true;
		kept_clear(&kept);
		return;
	}
	part->rows[part->row_count++] = kept;
}

/* --- Planning -------------------------------------------------------------------------------- */

static struct part *add_part(struct report *report)
{
	struct part *part = calloc(1, sizeof(*part));
	void *parts = report->parts;

	if (part == NULL ||
	    !make_room(&parts, report->part_count, &report->part_room, sizeof(*report->parts))) {
		free(part);
		report->failed = true;
		return NULL;
	}
	report->parts = parts;
	report->parts[report->part_count++] = part;
	return part;
}

struct part *report_part(struct report *report, void (*ask)(struct part *part), struct entry *entry)
{
	struct part *part = add_part(report);

	if (part == NULL)
		return NULL;
	part->ask = ask;
	part->entry = entry;
	part->report = (struct report){
		.zones = report->zones,
		.project = report->project,
		.all_zones = report->all_zones,
		.each_zone = report->each_zone,
		.put = keep,
		.state = part,
	};
	if (entry != NULL)
		entry_hold(entry);
	if (report->project != NULL)
		entry_hold(report->project);
	return part;
}

/* Rows that nothing need be asked for stand where they were put. */
static void put_in_order(void *state, const struct doctor_row *row)
{
	struct report *report = state;
	struct part *part = report_part(report, NULL, NULL);

	if (part != NULL)
		keep(part, row);
}

void report_begin(struct report *report)
{
	report->put = put_in_order;
	report->state = report;
}

/* --- Asking ---------------------------------------------------------------------------------- */

/* Those that are asked. */
struct asked {
	struct part **list; /* owned; the parts are the report's */
	size_t count;
	pthread_mutex_t lock;
	pthread_cond_t ended; /* one that was under way */
	size_t under_way;
	pid_t process; /* whose threads these are, and its connections */
};

static struct part *begin_part(struct asked *asked, size_t number)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&asked->lock);
	struct part *part = number < asked->count ? asked->list[number] : NULL;

	if (part == NULL || part->begun)
		return NULL;
	part->begun = true;
	asked->under_way++;
	return part;
}

static void end_part(struct asked *asked)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&asked->lock);

	asked->under_way--;
	pthread_cond_broadcast(&asked->ended);
}

/* A child of a fork within the call has none of the parent's locks, nor its threads, whether or not
 * it has begun a life of its own. */
static bool is_elsewhere(const struct asked *asked)
{
	return getpid() != asked->process;
}

/* By any thread. */
static void ask_one(void *state, size_t number)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct asked *asked = state;
	struct part *part;

	if (is_elsewhere(asked) || (part = begin_part(asked, number)) == NULL)
		return;
	part->ask(part);
	end_part(asked);
}

/* Nobody is in a part any more that is to be told, or cleared. */
static void wait_for_all(struct asked *asked)
{
	AUTO(unlockp) pthread_mutex_t *held = NULL;

	if (is_elsewhere(asked))
		return;
	held = locked(&asked->lock);
	while (asked->under_way > 0)
		pthread_cond_wait(&asked->ended, &asked->lock);
}

static void ask_all(struct report *report, const struct doctor_request *request)
{
	struct asked asked = {.list = calloc(report->part_count + 1, sizeof(*asked.list)),
			      .process = getpid()};

	if (asked.list == NULL) {
		report->failed = true;
		return;
	}
	for (size_t i = 0; i < report->part_count; i++)
		if (report->parts[i]->ask != NULL)
			asked.list[asked.count++] = report->parts[i];
	pthread_mutex_init(&asked.lock, NULL);
	pthread_cond_init(&asked.ended, NULL);
	if (request->run != NULL)
		request->run(request->state, asked.count, ask_one, &asked);
	for (size_t i = 0; i < asked.count; i++)
		ask_one(&asked, i);
	wait_for_all(&asked);
	pthread_cond_destroy(&asked.ended);
	pthread_mutex_destroy(&asked.lock);
	free(asked.list);
}

/* --- Telling --------------------------------------------------------------------------------- */

static void tell(struct report *report, struct part *part, const struct doctor_request *request)
{
	bool is_told = part->tell == NULL || part->tell(part);

	for (size_t i = 0; is_told && i < part->row_count; i++)
		request->put(request->state, &part->rows[i].row);
	report->failed |= part->report.failed;
}

static void part_free(struct part *part)
{
	for (size_t i = 0; i < part->row_count; i++)
		kept_clear(&part->rows[i]);
	free(part->rows);
	entry_release(part->entry);
	entry_release(part->report.project);
	free(part);
}

enum zone_status report_end(struct report *report, const struct doctor_request *request,
			    enum zone_status status)
{
	if (status != ZONE_NOT_FOUND) {
		ask_all(report, request);
		for (size_t i = 0; i < report->part_count; i++)
			tell(report, report->parts[i], request);
	}
	for (size_t i = 0; i < report->part_count; i++)
		part_free(report->parts[i]);
	free(report->parts);
	buffer_clear(&report->places);
	return report->failed && status == ZONE_OK ? ZONE_NO_MEMORY : status;
}
