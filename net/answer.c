/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of the statuses, which of them are a no, and how a failure is reported. */
#include "net/answer.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	const char *text;
	enum { NEITHER, NO, OUTAGE } kind;
} statuses[KMS_STATUS_COUNT] = {
	/* clang-format off */
	[KMS_OK]                  = { "success",                                 NEITHER },
	[KMS_DENIED]              = { "access denied",                           NO },
	[KMS_DISABLED]            = { "the key is disabled",                     NO },
	[KMS_PENDING_DELETION]    = { "the key is pending deletion",             NO },
	[KMS_PENDING_IMPORT]      = { "the key is pending import",               NO },
	[KMS_KEY_STORE_UNAVAILABLE] = { "the key's custom key store is unavailable", NO },
	[KMS_INVALID_STATE]       = { "the key's state does not allow it",       NO },
	[KMS_NOT_FOUND]           = { "no such key",                             NO },
	[KMS_INVALID_CIPHERTEXT]  = { "ciphertext or encryption context wrong",  NEITHER },
	[KMS_INCORRECT_KEY]       = { "ciphertext of another key",               NEITHER },
	[KMS_INVALID_KEY_USAGE]   = { "not a symmetric encryption key",          NEITHER },
	[KMS_INVALID_REQUEST]     = { "invalid request",                         NEITHER },
	[KMS_UNSUPPORTED]         = { "not supported",                           NEITHER },
	[KMS_LIMIT_EXCEEDED]      = { "a quota is exhausted",                    NEITHER },
	[KMS_THROTTLED]           = { "throttled",                               OUTAGE },
	[KMS_UNAVAILABLE]         = { "the KMS cannot be reached",               OUTAGE },
	[KMS_NO_CREDENTIALS]      = { "no credentials",                          NEITHER },
	[KMS_CREDENTIALS_REFUSED] = { "credentials refused",                     NEITHER },
	[KMS_BAD_ANSWER]          = { "the KMS's answer is invalid",             NEITHER },
	[KMS_NO_MEMORY]           = { "out of memory",                           NEITHER },
	[KMS_MISCONFIGURED]       = { "wrong configuration",                     NEITHER },
	/* clang-format on */
};

bool kms_status_is_no(enum kms_status status)
{
	return (unsigned)status < KMS_STATUS_COUNT && statuses[status].kind == NO;
}

bool kms_status_is_no_of_key(enum kms_status status)
{
	return kms_status_is_no(status) && status != KMS_DENIED;
}

bool kms_status_is_outage(enum kms_status status)
{
	return (unsigned)status < KMS_STATUS_COUNT && statuses[status].kind == OUTAGE;
}

const char *kms_status_text(enum kms_status status)
{
	return (unsigned)status < KMS_STATUS_COUNT ? statuses[status].text : "unknown";
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
