/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from a status, and how a failure is reported. */
#include "net/answer.h"

#include "base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static const struct row {
	enum kms_status_kind kind;
	enum key_state state;
	const char *text, *remedy;
} rows[KMS_STATUS_COUNT] = {
	[KMS_OK] = {STATUS_YES, KEY_STATE_ACTIVE, "success", NULL},
#define KMS_STATUS(name, ...) [KMS_##name] = {__VA_ARGS__},
	KMS_STATUSES(KMS_STATUS)
#undef KMS_STATUS
		[KMS_NO_MEMORY] = {STATUS_OURS, KEY_STATE_UNKNOWN, "out of memory", NULL},
};

static const struct row *row_of(enum kms_status status)
{
	assert((unsigned)status < KMS_STATUS_COUNT);
	return &rows[status];
}

bool kms_status_is_no(enum kms_status status)
{
	return row_of(status)->kind == STATUS_NO || kms_status_is_no_of_key(status);
}

bool kms_status_is_no_of_key(enum kms_status status)
{
	return row_of(status)->kind == STATUS_NO_OF_KEY;
}

bool kms_status_is_outage(enum kms_status status)
{
	return row_of(status)->kind == STATUS_OUTAGE || kms_status_is_outage_of_key(status);
}

bool kms_status_is_outage_of_key(enum kms_status status)
{
	return row_of(status)->kind == STATUS_OUTAGE_OF_KEY;
}

bool kms_status_lasts(enum kms_status status)
{
	return kms_status_is_outage(status) || row_of(status)->kind == STATUS_OURS;
}

const char *kms_status_text(enum kms_status status)
{
	return row_of(status)->text;
}

const char *kms_status_remedy(enum kms_status status)
{
	return row_of(status)->remedy;
}

enum key_state kms_status_key_state(enum kms_status status)
{
	return row_of(status)->state;
}

/* Whoever asked says it again in the words of projects and zones, and with what to do; this is for
 * those who look into the KMS's dealings alone. */
void kms_log_failure(enum kms_status status, const char *operation, const struct kms_report *report)
{
	bool typed = report->error_type[0] != 0, numbered = report->request_id[0] != 0;

	log_info("KMS: %s%s%s: %s%s%s%s%s%s", operation == NULL ? "" : operation,
		 operation == NULL ? "" : ": ", kms_status_text(status), report->message,
		 typed ? " [" : "", report->error_type, typed ? "]" : "",
		 numbered ? ", request " : "", report->request_id);
}

enum kms_status kms_fail(enum kms_status status, struct kms_report *report, const char *type,
			 const char *format, ...)
{
	struct kms_report own = {0};
	va_list arguments;

	if (report == NULL)
		report = &own;
	va_start(arguments, format);
	vsnprintf(report->message, sizeof(report->message), format, arguments);
	va_end(arguments);
	snprintf(report->error_type, sizeof(report->error_type), "%s", type == NULL ? "" : type);
	kms_log_failure(status, NULL, report);
	return status;
}
