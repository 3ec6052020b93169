/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: one line of JSON for each call of the KMS, each change of the hierarchy and each
 * lease that ends or recovers ([log] audit; docs/audit.md names the fields). A line is one write()
 * to a file opened for appending just then, so that processes, forks and the usual rotation tools
 * need no arrangement; it costs some microseconds beside a network call. Never a secret.
 */
#pragma once

#include "kms/kms.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

#include <stdbool.h>

/* NULL: off (the default). Copied. Else also finds out on whose host and as which user this process
 * runs (zones/kms/audit_who.h). Not while other threads write. */
bool audit_configure(const char *path);

/* With true, what would have a line there is done only if the line can be written ([log]
 * audit_required). Not while other threads write. */
void audit_require(bool required);
/* Asked before a call of the KMS and before a change: ZONE_OK: its line can be written, as far as
 * one can know before (there is room for it, too), or nobody requires that. ZONE_AUDIT_UNAVAILABLE:
 * logged. */
enum zone_status audit_ready(void);

/* The C_ function that this thread is in, for the lines it causes; static text. */
void audit_enter(const char *function);

/* Texts may be NULL where they do not apply; numbers 0. */
struct audit_event {
	const char *event;   /* "kms", "lease", or what changed: "zone", "project", "archive" … */
	const char *action;  /* a KMS operation, or "created", "changed" … */
	const char *outcome; /* "ok", or why not */
	const char *project; /* label */
	struct uid project_id;
	const char *name; /* label of what the event is about */
	uint64_t zone;
	uint32_t version;
	const char *root_key;	  /* ARN */
	const char *new_root_key; /* the same, under which ReEncrypt puts a key */
	const char *purpose;
	const char *request_id;
	/* Of an outage: calls that failed by a request, and at once, without one. */
	uint64_t failed, refused;
	int64_t duration_us;		 /* -1: none */
	const uint32_t *lease;		 /* seconds for which a yes is good; NULL: does not apply */
	const struct kms_caller *caller; /* of a call of the KMS; NULL: no call */
};
/* A failure to write is logged as a loss (base/log.h), unless the line is about that.
 * ZONE_AUDIT_UNAVAILABLE: a line that is required could not be written; whoever can still withhold
 * what was asked for, does. Keeps errno.
 */
enum zone_status audit_write(const struct audit_event *event);
