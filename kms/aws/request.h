/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the KMS API: signed, sent, retried, and its answer read. */
#pragma once

#include "kms/aws/client.h"

#include <jansson.h>

struct aws_call {
	const char *operation; /* "Decrypt" */
	struct bytes body;     /* JSON; may hold a secret */
	const char *secret;    /* "Plaintext", if the answer has to have that member; else NULL */
};

/*
 * Makes the call within the settings' limits of attempts and time. On KMS_OK: the answer's JSON
 * (json_decref() it), and what stood in the secret member, decoded; appended. A refusal is logged
 * once, with AWS's own message and request id.
 */
enum kms_status request_call(struct aws_client *client, const struct aws_call *call,
			     struct kms_report *report, json_t **ret_answer,
			     struct buffer *ret_secret);

/* One attempt, with headers and signature; timeout_ms is for the whole of it. The remark is for the
 * user agent, empty: none. */
enum kms_status request_send(struct aws_client *client, const struct aws_call *call,
			     const struct credentials *credentials, const char *remark,
			     int64_t timeout_ms, struct http_answer *answer,
			     enum http_result *ret_result);
