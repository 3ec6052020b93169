/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of one call of the KMS: in the log, in people's words, and in the audit log. Only
 * for zones/kms/door.c. */
#pragma once

#include "zones/kms/door.h"

/* One call under way. */
struct asked {
	const struct kms_door *door;
	const char *operation;
	const char *key;     /* the name that is asked: door->key, or a related one's elsewhere */
	const char *new_key; /* of ReEncrypt; else NULL */
	struct kms_report report;
	struct kms_client *client;
	int64_t started_us;
	bool leased; /* `lease`, in seconds, is how long a yes is good for */
	uint32_t lease;
	enum kms_status status;
	bool refused; /* nobody was asked, since there is silence */
	bool is_new;  /* of a failure: nobody was told of it yet (kms_turn_end) */
};

/* The value of a pair of the encryption context; NULL: there is none. */
const char *asked_context(const struct kms_door *door, const char *name);
/* The record of a zone is ours; what C_Decrypt and C_UnwrapKey bring is the caller's. */
bool asked_is_the_callers(const struct kms_door *door);
/* Whether it is about a key that is used by a lease: not what the caller encrypts, nor a backup. */
bool asked_is_leased(const struct kms_door *door);
/* " for zone 'c/d' of project 'p', version 1", as far as it is known. */
void asked_put_subject(struct buffer *line, const struct kms_door *door);
/* The failure of a call: one line with what to do about it; or, if it is not new, the same for this
 * thread alone (log_reason). */
void asked_log(const struct asked *asked);
/* A line for the call. ZONE_AUDIT_UNAVAILABLE: see audit_write(). */
enum zone_status asked_audit(const struct asked *asked);
/* This call has ended a silence: how long it was and what it cost. */
void asked_tell_end(const struct asked *asked, const struct kms_turn_news *news);
