/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A key of a KMS that somebody asks the doctor about, before it is registered or after: it is
 * described, and encrypts and decrypts a text of ours. Nothing is stored. */
#include "base/log.h"
#include "base/macros.h"
#include "zones/domain/doctor_report.h"
#include "zones/domain/root_key_private.h"
#include "zones/kms/canary.h"

static enum zone_status try_key(struct zones *zones, const char *name, struct candidate *candidate)
{
	AUTO(buffer_clear) struct buffer canary = {.limit = KMS_BLOB_MAX};
	const struct uid no_project = {{0}};

	TRY(candidate_describe(zones, no_project, name, bytes(NULL, 0), LOCAL_KEY_FOUND,
			       candidate));
	return canary_make(zones->clients, candidate->entry, NULL, &canary);
}

static void ask_key(struct part *part)
{
	AUTO(candidate_clear) struct candidate candidate = {0};
	struct doctor_row row = ROW("key");
	unsigned reasons = log_reasons();
	enum zone_status status = try_key(part->report.zones, part->name, &candidate);

	doctor_plain(&row.details,
		     candidate.entry != NULL ? candidate.entry->of_root_key.arn : part->name);
	if (status == ZONE_OK) {
		buffer_put_text(&row.said, "ok, it encrypts and decrypts");
	} else {
		row_fault(&row, status);
		row_say_plain(&row, doctor_why(reasons, status));
	}
	row_put(&part->report, &row);
}

void doctor_try_key(struct report *report, const char *name)
{
	struct part *part = report_part(report, ask_key, NULL);

	if (part != NULL)
		part->name = name;
}
