/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The last report is kept, so that a caller who asks for its length first reads the same one. */
#include "objects/report.h"

#include "base/free.h"
#include "base/macros.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "zones/domain/doctor.h"

struct report {
	pthread_mutex_t lock;
	char *preface;
	struct uid project;
	struct buffer text;
	struct doctor_faults faults;
};

struct report *report_new(void)
{
	struct report *report = calloc(1, sizeof(*report));

	if (report != NULL)
		pthread_mutex_init(&report->lock, NULL);
	return report;
}

void report_free(struct report *report)
{
	if (report == NULL)
		return;
	buffer_clear(&report->text);
	free(report->preface);
	pthread_mutex_destroy(&report->lock);
	free(report);
}

CK_RV report_describe(struct objects *objects, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return CKR_HOST_MEMORY;
	free(objects->report->preface);
	objects->report->preface = copy;
	return CKR_OK;
}

CK_RV report_make(struct objects *objects, const struct entry *project)
{
	struct report *report = objects->report;
	AUTO(unlockp) pthread_mutex_t *held = NULL;
	AUTO(buffer_clear) struct buffer text = {0};
	struct doctor_faults faults;
	enum zone_status status;

	if (report->preface != NULL)
		buffer_put_text(&text, report->preface);
	/* Without the lock, since the KMS is asked. */
	status = zones_doctor(objects->zones, project->project, &text, &faults);
	if (status != ZONE_OK)
		return error_of_zone(status, ERROR_TOKEN);
	if (text.failed)
		return CKR_HOST_MEMORY;
	held = locked(&report->lock);
	buffer_clear(&report->text);
	report->text = text;
	text = (struct buffer){0};
	report->faults = faults;
	report->project = project->project;
	return CKR_OK;
}

/* A part of the report. */
typedef void put_part(const struct report *report, struct buffer *out);

static void put_text(const struct report *report, struct buffer *out)
{
	buffer_append(out, buffer_bytes(&report->text));
}

static void put_faults(const struct report *report, struct buffer *out)
{
	for (int status = 0; status < ZONE_STATUS_COUNT; status++) {
		CK_ULONG reason = error_reason_of((enum zone_status)status);

		if (report->faults.met[status])
			buffer_append(out, bytes(&reason, sizeof(reason)));
	}
}

static bool has_report(struct report *report, const struct entry *project, put_part *put,
		       struct buffer *out)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&report->lock);

	if (report->text.len == 0 || !uid_equal(report->project, project->project))
		return false;
	put(report, out);
	return true;
}

static void get(struct objects *objects, const struct entry *project, put_part *put,
		struct buffer *out)
{
	if (has_report(objects->report, project, put, out))
		return;
	if (report_make(objects, project) != CKR_OK ||
	    !has_report(objects->report, project, put, out))
		out->failed = true;
}

void report_get(struct objects *objects, const struct entry *project, struct buffer *out)
{
	get(objects, project, put_text, out);
}

void report_get_faults(struct objects *objects, const struct entry *project, struct buffer *out)
{
	get(objects, project, put_faults, out);
}
