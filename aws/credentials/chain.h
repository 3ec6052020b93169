/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the sources, and the credentials that are kept until they are about to expire or are
 * refused. Thread-safe. One thread fetches; the others go on with the old ones while those are
 * good, else they wait for that fetch. No lock is held while a source is asked.
 *
 * 15 minutes before the end (a quarter of the life, if that is less) new ones are fetched; if that
 * fails, the old ones serve. From 10 minutes before the end (a sixth of the life) on, everybody
 * waits for the fetch; if it fails by an outage, the old ones still serve to their end, but a
 * refusal by AWS counts.
 */
#pragma once

#include "aws/credentials.h"

/* All sources in their order. */
extern const struct credentials_source *const credentials_order[];
extern const size_t credentials_order_count;

/* What the caller who wants credentials gives. */
struct credentials_wish {
	const char *region;	/* of the client, or NULL */
	struct moment deadline; /* the caller waits no longer */
};

struct credentials_chain;
/* What the place points at is borrowed; its region and deadline are not used. */
struct credentials_chain *credentials_chain_new(const struct credentials_place *place,
						const struct credentials_source *const *order,
						size_t order_count);
void credentials_chain_free(struct credentials_chain *chain);

/*
 * The credentials that are kept, or new ones. A counted reference: give it back by _return.
 * KMS_NO_CREDENTIALS: no source has any, or the source that should have them failed; KMS_DENIED:
 * AWS refused the identity; KMS_UNAVAILABLE, KMS_THROTTLED: the service that issues them can't be
 * reached now.
 */
enum kms_status credentials_chain_borrow(struct credentials_chain *chain,
					 const struct credentials_wish *wish,
					 struct kms_report *report,
					 struct credentials **ret_credentials);
void credentials_chain_return(struct credentials_chain *chain, struct credentials *credentials);
/* These were refused: fetches again, unless another thread has since. *ret_others: there are new
 * ones now, so another try makes sense. A failure is that of the fetch. */
enum kms_status credentials_chain_renew(struct credentials_chain *chain,
					const struct credentials_wish *wish,
					const struct credentials *refused,
					struct kms_report *report, bool *ret_others);
