/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with projects, with their keys and with the store: a row for each thing that was
 * looked at. */
#pragma once

#include "base/buffer.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

struct zones;

enum doctor_verdict {
	DOCTOR_FINE,
	DOCTOR_NOTE,  /* worth a look; nothing stops for it */
	DOCTOR_UNSET, /* not set up yet */
	DOCTOR_FAULT,
};

/* "root key payments (arn:…, us-west-2): FAILED: disabled: …; enable the key" */
struct doctor_row {
	const char *what;    /* "root key", "zone", "store", "KMS", … */
	const char *project; /* its label; NULL: it is about no single one */
	struct buffer which; /* its label, without invisible characters and colons; may be empty */
	struct buffer details; /* what stands in parentheses; may be empty */
	struct buffer said;    /* what there is to say, and after the last "; " what to do */
	enum doctor_verdict verdict;
	enum zone_status status; /* of a fault */
};
typedef void doctor_put(void *state, const struct doctor_row *row);

/* Who asks where there are several things to ask. `run` calls `ask` once for each number below
 * `count`, with `asked`, from as many threads as it likes, and returns when all calls have
 * returned. What it did not ask is asked after it. In a fork's child `ask` does nothing. KMS. */
typedef void doctor_ask(void *asked, size_t number);
typedef void doctor_ask_all(void *state, size_t count, doctor_ask *ask, void *asked);

struct doctor_request {
	const char *project; /* the label of the only one that is looked at; NULL: all */
	const char *kms_key; /* a key that is to be tried, registered or not; NULL: none */
	bool all_zones;	     /* else only some below each root key are opened */
	doctor_put *put;     /* by the calling thread, in an order that no answer changes */
	doctor_ask_all *run; /* NULL: one is asked after the other */
	void *state;
};

/* The store; each provider of keys, with endpoint, credentials and identity; root keys and zones.
 * Zones below a root key that is a fault are not opened: one row tells of all. KMS. ZONE_NOT_FOUND:
 * there is no project of that label. */
enum zone_status zones_doctor_rows(struct zones *zones, const struct doctor_request *request);

/* The same of one project, every zone opened, as text, a line for a row; and which statuses are
 * behind its faults. KMS. */
struct doctor_faults {
	bool met[ZONE_STATUS_COUNT];
};
enum zone_status zones_doctor(struct zones *zones, struct uid project, struct buffer *ret_text,
			      struct doctor_faults *ret_faults);

/* The row as a line, with its end. */
void doctor_row_text(const struct doctor_row *row, struct buffer *out);
/* Lines "what: said", one a row, are given as rows; "warning: " before one makes it a note. */
void doctor_put_lines(struct bytes lines, doctor_put *put, void *state);
