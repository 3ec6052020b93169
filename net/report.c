/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How a failure is told. */
#include "net/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

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
