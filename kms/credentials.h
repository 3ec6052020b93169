/*
 * AWS credentials: where they come from. One source a file behind one interface; the chain asks
 * them in the order of the AWS SDKs and keeps what it got.
 */
#pragma once

#include "base/buffer.h"
#include "kms/environment.h"
#include "kms/http.h"
#include "kms/kms.h"

struct credentials {
	struct buffer access_key_id, secret_access_key,
		session_token; /* text; token may be empty */
	int64_t expires_ms;    /* since 1970; 0: never, as far as the source says */
	const char *source;    /* static text: "environment" */
	uint64_t number;       /* of the chain: changes with each fetch */
	unsigned references;   /* of the chain */
};
void credentials_clear(struct credentials *credentials);
bool credentials_equal(const struct credentials *a, const struct credentials *b);

/* What sources may look at. */
struct credentials_place {
	const struct kms_settings *settings;
	const struct environment *environment;
	struct http *http; /* for sources that ask an endpoint */
};

struct credentials_source {
	const char *name;
	/* KMS_NOT_FOUND: this source is not set up here, ask the next (nothing is logged).
	 * Any other failure ends the search: an identity that was named and can't be used must
	 * not become another one. */
	enum kms_status (*fetch)(const struct credentials_place *place, struct kms_report *report,
				 struct credentials *ret_credentials);
};

extern const struct credentials_source credentials_environment;
extern const struct credentials_source credentials_profile;

/* All sources in their order. */
extern const struct credentials_source *const credentials_order[];
extern const size_t credentials_order_count;

/* The chain; thread-safe. One thread fetches while the others wait for it (the one lock that is
 * held while the network may be asked). */
struct credentials_chain;
struct credentials_chain *credentials_chain_new(const struct credentials_place *place,
						const struct clock *clock,
						const struct credentials_source *const *order,
						size_t order_count);
void credentials_chain_free(struct credentials_chain *chain);
/* What is kept, or fetched anew if it is about to expire. A counted reference: give it back by
 * _return. KMS_NO_CREDENTIALS: no source has any, or the one that should failed. */
enum kms_status credentials_chain_borrow(struct credentials_chain *chain, struct kms_report *report,
					 struct credentials **ret_credentials);
void credentials_chain_return(struct credentials_chain *chain, struct credentials *credentials);
/* These were refused: fetches again, unless somebody has since. True: there are others now, it is
 * worth another try. */
bool credentials_chain_renew(struct credentials_chain *chain, const struct credentials *refused);
