/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of AWS services: from what came over the wire to enum kms_status. The one place that knows
 * AWS's names for errors.
 */
#pragma once

#include "net/answer.h"
#include "net/http.h"
#include "net/retry.h"

struct status_rule {
	const char *type;
	enum kms_status status;
	enum retry_kind retry;
};

/*
 * The rule for an error type as AWS sends it: "ns#AccessDeniedException:http://…" counts as
 * "AccessDeniedException". Types that are not known are judged by the HTTP status: 500 and above an
 * outage; else KMS_INVALID_REQUEST, or KMS_BAD_ANSWER if there was no type at all, which is how a
 * gateway on the way answers.
 */
struct status_rule status_find(const char *type, unsigned http_status);

/* The bare name within such a type, cut to fit. */
void status_type_name(const char *type, char *ret_name, size_t size);

/*
 * The error in an answer's body: JSON's __type and message (or Message), or Code and Message of the
 * XML that query services and gateways send; else the X-Amzn-ErrorType header. Written into the
 * report's error_type and message. False: no memory to read it.
 */
bool status_read_error(const struct http_answer *answer, struct kms_report *report);

/* The meaning of an answer, or of its absence; fills the report (not NULL), request id included;
 * logs nothing. */
struct status_rule status_judge(enum http_result result, const struct http_answer *answer,
				struct kms_report *report);

/* The rows that status_find() looks through, for docs/errors.md and its test. */
const struct status_rule *status_rules(size_t *ret_count);
