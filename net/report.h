/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How a failure is told: the report of the call and one line of the log, in one place. */
#pragma once

#include "kms/kms.h"

/*
 * Notes in the report (may be NULL) what went wrong, logs it as information (the caller, who knows
 * project and zone, tells people), and returns the status, so that failing is one line. `type` is
 * the KMS's word for it ("DisabledException"), or NULL. The request id is taken from the report if
 * there is one already.
 */
enum kms_status kms_fail(enum kms_status status, struct kms_report *report, const char *type,
			 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The line of the log alone, for a report that is filled already; `operation` may be NULL. */
void kms_log_failure(enum kms_status status, const char *operation,
		     const struct kms_report *report);
