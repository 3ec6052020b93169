/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service answered, or that it did not: one list of statuses (net/statuses.h) for the KMS,
 * for those who give credentials for it and for the way there, and the report of a call. How a
 * failure is told stands here too: the report of the call and one line of the log, in one place.
 */
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "net/statuses.h"

/* KMS_DENIED …: a row of net/statuses.h each. */
enum kms_status {
	KMS_OK = 0,
#define KMS_STATUS(name, ...) KMS_##name,
	KMS_STATUSES(KMS_STATUS)
#undef KMS_STATUS
		KMS_NO_MEMORY,
	KMS_STATUS_COUNT
};

/* An explicit no, as against a fault that may pass (leases end at once on the first, not on the
 * second). */
bool kms_status_is_no(enum kms_status status);
/* A no about the key itself (disabled, unusable, gone), whoever asks; not one about a right. */
bool kms_status_is_no_of_key(enum kms_status status);
/* Nobody answered, or nobody who could say yes or no: out of reach, or throttled. */
bool kms_status_is_outage(enum kms_status status);
/* An outage of this key alone, as far as can be known; the KMS may well answer for other keys. */
bool kms_status_is_outage_of_key(enum kms_status status);
/* It goes on by itself until something else changes: an outage, or a fault on our side. */
bool kms_status_lasts(enum kms_status status);
/* "access denied", for logs and messages. */
const char *kms_status_text(enum kms_status status);
/* What to do about it; NULL: the service's message says it. */
const char *kms_status_remedy(enum kms_status status);
/* What it says of the key's state; KEY_STATE_UNKNOWN: nothing. */
enum key_state kms_status_key_state(enum kms_status status);

/* As whom a KMS was asked, for the audit trail; no secret. Empty: not known, or nobody was. What is
 * too long is cut. */
enum { KMS_CALLER_MAX = 255, KMS_ACCESS_KEY_MAX = 128 };
struct kms_caller {
	char identity[KMS_CALLER_MAX + 1]; /* aws: the ARN that STS gave with a role's credentials;
					      local: the file of its keys */
	char access_key_id[KMS_ACCESS_KEY_MAX + 1];
	char credentials[KMS_CALLER_MAX + 1]; /* where they are from: "profile work: role …" */
};

/* What goes with a call: how long it may take, and what it leaves for the log and the audit trail.
 * Zeroed by the caller, may be NULL. */
enum { KMS_REMARK_MAX = 31 };
struct kms_report {
	/* Read at the call's begin. */
	struct moment until;		 /* no later than that; zero: as the settings say */
	bool once;			 /* it is not tried again */
	char remark[KMS_REMARK_MAX + 1]; /* for the user agent, which the KMS's own log shows */
	/* What came of it. */
	bool sent; /* something went to the KMS, or was to: credentials were there */
	char request_id[64];
	char error_type[64];	  /* "AccessDeniedException"; empty when there was no answer */
	char message[512];	  /* of the KMS, or what went wrong on the way, without secrets */
	struct kms_caller caller; /* of the last attempt */
};

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
