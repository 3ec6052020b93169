/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the doctor's report share. */
#pragma once

#include "kms/kms.h"
#include "zones/domain/doctor.h"

struct part;

/* Where rows go, and what they are about. */
struct report {
	struct zones *zones;
	struct entry *project; /* whose things are looked at; NULL: none in particular */
	bool all_zones;
	bool each_zone; /* a row for each, whatever is told of root keys */
	doctor_put *put;
	void *state;
	struct buffer places; /* each KMS that is told of, "\nprovider region\n" */
	struct part **parts;  /* owned; in the order in which they are told */
	size_t part_count, part_room;
	bool failed; /* for lack of memory */
};

/* Rows that are there, or something that a KMS is asked about: first all parts are planned, then
 * those are asked, at once if the caller has threads, then all are told. */
struct part {
	/* Asks, and puts rows to part->report; touches no other part. NULL: nothing is asked. */
	void (*ask)(struct part *part);
	/* When all have been asked, in order: whether its rows are told; may put more. NULL: yes.
	 */
	bool (*tell)(struct part *part);
	struct report report; /* whose rows are kept here: zones, project, put */
	struct kept *rows;    /* owned */
	size_t row_count, row_room;
	bool begun; /* under the lock of those that are asked */

	struct entry *entry;	 /* the root key or zone, held; else NULL */
	struct part *key;	 /* of a zone and of what is told below a root key: the latter */
	enum zone_status status; /* of what was asked; ZONE_OK: it works */
	unsigned opened, failed, untried; /* of a root key: zones below it */
	const char *name;		  /* a key that is tried: borrowed */
	struct {
		char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];
		unsigned need;
	} place; /* of a KMS: doctor_places.c */
};

/* The report's next part; holds the entry (which may be NULL) and the report's project. NULL: no
 * memory, and the report has failed. */
struct part *report_part(struct report *report, void (*ask)(struct part *part),
			 struct entry *entry);
/* From here on rows are kept, in order, till report_end(). */
void report_begin(struct report *report);
/* Asks, then tells all rows, unless status is ZONE_NOT_FOUND; clears. ZONE_NO_MEMORY, or status. */
enum zone_status report_end(struct report *report, const struct doctor_request *request,
			    enum zone_status status);

/* A row is filled, given to whoever asked for the report, and cleared. */
#define ROW(called)                                                                                \
	{                                                                                          \
		.what = (called)                                                                   \
	}
void row_fault(struct doctor_row *row, enum zone_status status);
/* Anybody may choose a label: control characters and colons in it are replaced. */
void doctor_label(struct buffer *text, const char *label);
void row_label(struct doctor_row *row, const char *label);
/* Words of others: control characters are replaced. */
void doctor_plain(struct buffer *text, const char *words);
void row_say_plain(struct doctor_row *row, const char *words);
/* Why something failed with `status`: what this thread was told since log_reasons() was `reasons`;
 * else the status. Borrowed until it is told the next thing. */
const char *doctor_why(unsigned reasons, enum zone_status status);
void row_put(struct report *report, struct doctor_row *row);
/* Lines that an engine or a provider wrote. */
void report_lines(struct report *report, struct buffer *lines);

void doctor_check_pins(struct report *report);
/* These plan parts. A key of a KMS that somebody asks about: described, and tried. */
void doctor_try_key(struct report *report, const char *name);
/* Each KMS once that the project's root keys are in; or, without any, the one that would be used.
 */
enum zone_status doctor_check_places(struct report *report);
/* The providers of which nothing was told yet. */
void doctor_check_other_places(struct report *report);
/* The root keys of the report's project, and its zones. */
enum zone_status doctor_check_keys(struct report *report);
