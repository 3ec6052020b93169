/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS credentials: where they come from. One source a file behind one interface; the chain
 * (aws/credentials/chain.h) asks them in the order of the AWS SDKs and keeps what it got.
 */
#pragma once

#include "aws/environment.h"
#include "aws/settings.h"
#include "aws/transport.h"
#include "base/buffer.h"
#include "net/answer.h"
#include "net/http.h"

struct credentials {
	struct buffer access_key_id, secret_access_key,
		session_token;	/* text; may be empty: token */
	struct buffer origin;	/* text, for people: "profile work: role arn:… by …" */
	struct buffer identity; /* text: the ARN that came with them; may be empty */
	int64_t expires_ms;	/* since 1970; 0: never, as far as the source says */
	bool outlasts;		/* usable past that end while the source gives no others */
	uint64_t number;	/* of the chain: changes with each fetch */
	unsigned references;	/* of the chain */
};
void credentials_clear(struct credentials *credentials);
/* Whether memory ran out while taking them in; then the source is not at fault. */
static inline bool credentials_lack_memory(const struct credentials *credentials)
{
	return credentials->access_key_id.failed || credentials->secret_access_key.failed ||
	       credentials->session_token.failed || credentials->origin.failed ||
	       credentials->identity.failed;
}
bool credentials_equal(const struct credentials *a, const struct credentials *b);
/* Ends each text, so that many threads may read it. KMS_NO_CREDENTIALS: incomplete, or with
 * characters that AWS never uses, such as the line break that `echo` leaves after a secret: AWS
 * would only say that the signature is wrong. */
enum kms_status credentials_check(struct credentials *credentials, struct kms_report *report);
/* For "it gave …". */
extern const char credentials_bad_end[];

/*
 * The status of a source whose request failed, logged: "WHO: what the report says". An outage stays
 * an outage, and a refusal by AWS (`by_aws`) a refusal; anything else is KMS_NO_CREDENTIALS, never
 * "not set up" or something about a key.
 */
enum kms_status credentials_not_given(const char *who, bool by_aws, enum kms_status status,
				      struct kms_report *report);

/* What sources may use for one fetch. */
struct credentials_place {
	const struct aws_settings *settings; /* with their clock */
	const struct environment *environment;
	const struct aws_transport
		*transport;	      /* http and sleep are set; for sources that ask an endpoint */
	_Atomic int64_t *sts_skew_ms; /* STS's clock minus ours, as far as it is known */
	const char *region;	      /* the caller's: STS is asked there if none is set; or NULL */
	struct moment deadline;	      /* no source works longer */
};

struct credentials_source {
	const char *name;
	/*
	 * KMS_NOT_FOUND: this source is not set up here, ask the next (nothing is logged).
	 * Any other failure ends the search: an identity that was named and can't be used must
	 * not become another one. KMS_DENIED: AWS said that this identity may not be taken.
	 */
	enum kms_status (*fetch)(const struct credentials_place *place, struct kms_report *report,
				 struct credentials *ret_credentials);
};
