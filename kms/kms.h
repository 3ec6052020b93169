/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KMS as the layers above see it: a table of functions, one client per provider and region.
 * This is the only header of kms/ that others include. The words are those of the AWS KMS API
 * Reference; `local` answers in the same way.
 *
 * Thread-safe: any number of threads may call one client. Calls block until answered, refused or
 * out of time; no lock of ours is held while they wait for the network.
 */
#pragma once

#include "base/buffer.h"
#include "base/clock.h"
#include "net/answer.h"

enum kms_key_state {
	KMS_KEY_ENABLED,
	KMS_KEY_DISABLED,
	KMS_KEY_PENDING_DELETION,
	KMS_KEY_PENDING_IMPORT,
	KMS_KEY_UNAVAILABLE, /* its custom key store is out of reach */
	KMS_KEY_UNUSABLE,    /* any other state of the key: Creating … */
};
const char *kms_key_state_text(enum kms_key_state state); /* "Enabled" … */
/* What a use of such a key is answered; KMS_OK: it works. */
enum kms_status kms_key_state_status(enum kms_key_state state);

/* Limits of the KMS API: KeyId, CiphertextBlob, Plaintext. */
enum {
	KMS_ARN_MAX = 2048,
	KMS_BLOB_MAX = 6144,
	KMS_PLAINTEXT_MAX = 4096,
	KMS_PROVIDER_MAX = 15,
	KMS_PROVIDERS_MAX = 8,
	KMS_REGION_MAX = 63
};

/* What DescribeKey answers. */
struct kms_key {
	char arn[KMS_ARN_MAX +
		 1]; /* the canonical name, however the key was named in the request */
	char provider[KMS_PROVIDER_MAX + 1];
	char region[KMS_REGION_MAX + 1]; /* of an embedded key: its provider's only one */
	enum kms_key_state state;
	int64_t deletion_ms; /* real time; 0: it is not pending deletion, or nobody says until when
			      */
	bool encrypts;	     /* symmetric, KeyUsage ENCRYPT_DECRYPT */
	bool multi_region;   /* it has related keys, which differ in region alone */
};

/* Encryption context: pairs of text, bound to a ciphertext; order does not matter, names are
 * unique. */
struct kms_pair {
	const char *name;
	const char *value;
};
struct kms_context {
	const struct kms_pair *pairs;
	size_t count;
};

/* What GetKeyLastUsage answers. */
struct kms_last_usage {
	int64_t used_ms;    /* real time of the last use that succeeded; 0: none since `since_ms` */
	int64_t since_ms;   /* from when on the KMS has kept account; 0: it does not say */
	char operation[48]; /* "Decrypt" …; "": none */
};

struct kms_client;

struct kms_operations {
	/* `key`: key ARN, alias ARN, alias/NAME, key id; for local: "local:NAME" or the ARN it
	 * answered. */
	enum kms_status (*describe)(struct kms_client *client, const char *key,
				    struct kms_report *report, struct kms_key *ret_key);
	/* Plaintext of 1..KMS_PLAINTEXT_MAX bytes. */
	enum kms_status (*encrypt)(struct kms_client *client, const char *key,
				   struct bytes plaintext, const struct kms_context *context,
				   struct kms_report *report, struct buffer *ret_blob);
	/* KeyId is always sent, and the answer's KeyId compared. What is returned is secret: clear
	 * the buffer. */
	enum kms_status (*decrypt)(struct kms_client *client, const char *key, struct bytes blob,
				   const struct kms_context *context, struct kms_report *report,
				   struct buffer *ret_plaintext);
	/* A new data key of 32 bytes. */
	enum kms_status (*generate_data_key)(struct kms_client *client, const char *key,
					     const struct kms_context *context,
					     struct kms_report *report,
					     struct buffer *ret_plaintext, struct buffer *ret_blob);
	/* The plaintext stays in the KMS. */
	enum kms_status (*re_encrypt)(struct kms_client *client, const char *key, struct bytes blob,
				      const struct kms_context *context, const char *new_key,
				      const struct kms_context *new_context,
				      struct kms_report *report, struct buffer *ret_blob);
	/* By the key's ARN or id, in its own region alone. NULL: the KMS keeps no account. */
	enum kms_status (*last_usage)(struct kms_client *client, const char *key,
				      struct kms_report *report, struct kms_last_usage *ret_usage);
	/* Enable, disable, schedule deletion. NULL: that is done in the KMS itself, not here. */
	enum kms_status (*set_state)(struct kms_client *client, const char *key,
				     enum kms_key_state state, struct kms_report *report);
	/* Makes a key of that name unless it exists, and says which; local only. Where keys of
	 * this KMS are registered already, but the file with them is missing, it is lost, not new:
	 * KMS_MISCONFIGURED. */
	enum kms_status (*create)(struct kms_client *client, const char *key, bool registered,
				  struct kms_report *report, bool *ret_made);
	void (*free)(struct kms_client *client);
};

/* What every client begins with. */
struct kms_client {
	const struct kms_operations *operations;
};

/* What cmek.conf says. In all of it, also in the sections, a text that is NULL and a number that is
 * 0 are not set. */
struct kms_provider; /* kms/provider.h */
struct kms_settings {
	/* Those that there are, KMS_PROVIDERS_MAX at most, ending with NULL; the first is the one
	 * that `doctor` expects where no key is named. Needed, and static. */
	const struct kms_provider *const *providers;
	/* What the section of each provider's name says, in their order: the struct in that
	 * provider's header. NULL: nothing. */
	void *sections[KMS_PROVIDERS_MAX];
	bool no_threads;	       /* nothing of ours may start one, nor may a library for us */
	const char *allowed_root_keys; /* kms_keys_valid; NULL: all */
	const char *allowed_root_keys_at; /* file and line, for messages; NULL: not known */
	unsigned lease_seconds;		  /* of the layers above, who ask for it (below) */
	const struct clock *clock;	  /* NULL: clock_system */
};

/* What a key's name says, without asking anybody: its provider and region ("" = not said). False:
 * not a name of a key. */
bool kms_name_parse(const struct kms_provider *const *providers, const char *key,
		    char ret_provider[static KMS_PROVIDER_MAX + 1],
		    char ret_region[static KMS_REGION_MAX + 1]);
/* The ARN of the related key in another region. False: not a multi-Region key, or not a region. */
bool kms_arn_in_region(const struct kms_provider *const *providers, const char *arn,
		       struct bytes region, char ret_arn[static KMS_ARN_MAX + 1]);
/* Whether two canonical names are of one key: they are equal, or of related multi-Region keys. */
bool kms_same_key(const struct kms_provider *const *providers, const char *a, const char *b);

/*
 * The set of clients of a process: one per provider and region, made at first need and kept.
 * kms_clients_new touches nothing; making a client may read the environment and its provider's
 * own files; network, curl and `local.keys` are touched by the first call on a client.
 */
struct kms_clients;
struct kms_clients *kms_clients_new(
	const struct kms_settings *settings); /* are copied, with sections and strings */
void kms_clients_free(struct kms_clients *clients);
/* In a fork's child: forgets connections and handles without a call on them. Leaks them by
 * intention. */
void kms_clients_abandon(struct kms_clients *clients);
/* The client for a provider and region ("": that of keys named without one). Borrowed: lives as
 * long as the set. */
enum kms_status kms_clients_find(struct kms_clients *clients, const char *provider,
				 const char *region, struct kms_report *report,
				 struct kms_client **ret_client);
/*
 * Whether a text may be an allowed_root_keys: patterns with commas, blanks or line breaks between.
 * A pattern is a key ARN in whose fields (partition, region, account, key id) `*` stands for any
 * characters, none of them a colon; ACCOUNT (12 digits) for all its keys; ACCOUNT/REGION, which may
 * have a `*` too; or local:* for all of the embedded KMS. ret_bad: the first that is invalid.
 */
bool kms_keys_valid(const struct kms_provider *const *providers, const char *patterns,
		    struct bytes *ret_bad);
/* In words, for messages: "A, B or C". */
void kms_keys_wanted(const struct kms_provider *const *providers, struct buffer *out);
/* By allowed_root_keys: a key ARN; or "local:NAME", of a key that is to be made. Other names are no
 * key's own: false, unless all are allowed. */
bool kms_clients_allow(const struct kms_clients *clients, const char *key);
/* Where it is set: file and line, or "". */
const char *kms_clients_allowed_at(const struct kms_clients *clients);
/* The longest that a call of a provider may take, in milliseconds. */
unsigned kms_settings_call_ms(const struct kms_settings *settings);
/* [kms] lease_seconds: for whoever tells with a call what its yes is good for. */
unsigned kms_clients_lease(const struct kms_clients *clients);
/* Whether a text may be a provider's order of regions: with spaces between, not too many. */
bool kms_regions_valid(const char *order);
/* The names under which a key may be asked: index 0, 1 … until false. A multi-Region key has one in
 * each region of its provider's order and its own; any other key has its own. */
bool kms_clients_name(const struct kms_clients *clients, const char *arn, size_t index,
		      char ret_arn[static KMS_ARN_MAX + 1]);

/*
 * Whom to ask in one call with a key, in which order and until when (kms/route.c):
 *
 *	kms_route_begin(&route, clients, key, false);
 *	while (kms_route_next(&route))
 *		status = …ask route.arn until route.until…, counts = kms_route_heard(&route, …);
 *
 * A multi-Region key has a name in each region of its provider's order and its own; those of
 *regions that did not answer lately come last. The whole takes no longer than its provider allows:
 *each name gets an equal part of the time that is left, the last one all of it. Whoever answers
 *first decides, be it yes or no. Once the key's own region has said no about the key, it alone is
 * asked until it has said yes. A change of the region that is used is a notice in the log.
 */
struct kms_route {
	/* The name that is to be asked now, and how long. */
	char arn[KMS_ARN_MAX + 1];
	char region[KMS_REGION_MAX + 1];
	struct moment until;
	/* kms/route.c's own. */
	const char *key; /* borrowed */
	struct regions *regions;
	struct regions_key *known; /* NULL: the key has one name */
	uint64_t no_count;
	struct moment deadline;
	size_t own, at;
	uint32_t open, behind; /* a bit for each name: yet to be asked; of those, after the rest */
};

/* `own_only`: related keys elsewhere will not do. */
void kms_route_begin(struct kms_route *route, struct kms_clients *clients, const char *key,
		     bool own_only);
/* False: nobody is left to be asked, or the call is answered. */
bool kms_route_next(struct kms_route *route);
/* What came of it. True: that is the call's answer, unless another follows; false: a region without
 * a replica, which says nothing of the key. */
bool kms_route_heard(struct kms_route *route, enum kms_status status,
		     const struct kms_report *report);
/* What was heard of a key in its own region on no route, by describing it: a no about the key
 * counts as one, a yes takes none back. */
void kms_clients_heard(struct kms_clients *clients, const char *key, enum kms_status status);
/* For a key that has several names: the region that said the last yes. False: there was none. */
bool kms_clients_answered(struct kms_clients *clients, const char *key,
			  char ret_region[static KMS_REGION_MAX + 1]);

/*
 * Whether a key may be asked now (kms/silence.c). Each call of a client is framed:
 *
 *	TRY(kms_turn_begin(&turn, clients, key, &report));	fails: silence lasts, do not ask
 *	report.once = kms_turn_is_for_all(&turn);
 *	status = …
 *	kms_turn_end(&turn, clients, status, &report, &news);
 *
 * An outage (kms_status_is_outage) is remembered for its endpoint, that is, provider and region; or
 * for the key alone, if it is about that: throttling, what lies behind the key, and an error of the
 * KMS itself until a second key there meets one too. While it lasts, calls fail at once with the
 * same status. When a backoff with jitter is over (half a second, doubled up to 13 s), the next
 * caller asks, one at a time, whichever key of the endpoint it is about; any answer frees all of
 * them. The embedded KMS is always asked, since that costs a look at a file.
 */
struct kms_turn {
	bool quiet; /* set by the caller before the end: what is new is not told, so it stays new */
	/* kms/silence.c's own. */
	const char *key; /* borrowed */
	char endpoint[KMS_PROVIDER_MAX + 1 + KMS_REGION_MAX + 1];
	bool local, for_endpoint, for_key;
	struct moment began;
};
struct kms_turn_news {
	/* Of a failure: to be told. What lasts (an outage, credentials, memory, the configuration)
	 * is told once for a cause, until the KMS answers; anything else each time. */
	bool is_new;
	/* A silence is over, or a fault that was told once and came again: of the key alone, or of
	 * the endpoint; how many calls failed by a request, how many without one, and how long it
	 * was, from the begin of the request that failed first. */
	bool ended, of_key;
	uint64_t failed, refused;
	int64_t lasted_ms;
};
/* The report's message says what was heard. `key` lives as long as the turn. */
enum kms_status kms_turn_begin(struct kms_turn *turn, struct kms_clients *clients, const char *key,
			       struct kms_report *report);
/* It asks for all who do not: to be tried once, since another comes soon. */
static inline bool kms_turn_is_for_all(const struct kms_turn *turn)
{
	return turn->for_endpoint || turn->for_key;
}
void kms_turn_end(const struct kms_turn *turn, struct kms_clients *clients, enum kms_status status,
		  const struct kms_report *report, struct kms_turn_news *ret_news);
/* For those who would wait for another's request: is each name of the key silent now, and why?
 * Counts as a call that failed at once. KMS_OK: no. */
enum kms_status kms_clients_silent(struct kms_clients *clients, const char *key);

/* The list that the settings have. */
const struct kms_provider *const *kms_clients_providers(const struct kms_clients *clients);
/* The name of the first. */
const char *kms_clients_usual(const struct kms_clients *clients);
/* How keys are named, in words, for messages: "A, B, or C". */
void kms_clients_put_key_names(const struct kms_clients *clients, struct buffer *out);
/* Keys of this provider (by name) are on this machine, made, enabled and disabled here. */
bool kms_clients_embed(const struct kms_clients *clients, const char *provider);
/* They fit a cluster of any region. */
bool kms_clients_fit_anywhere(const struct kms_clients *clients, const char *provider);
/* It is a key's own name; an alias, or a name without a region, says nothing of the key before
 * somebody is asked. */
bool kms_clients_is_own_name(const struct kms_clients *clients, const char *key);
/* The id in a key's own name; no bytes: it is no such name. */
struct bytes kms_clients_key_id(const struct kms_clients *clients, const char *arn);
/* The label in a key's name; no bytes: none. True: it names a key that can be made here. */
struct bytes kms_clients_label(const struct kms_clients *clients, const char *key);
bool kms_clients_may_make(const struct kms_clients *clients, const char *key);
/* What to do about a status in the key's own provider's words (NULL: the message has it). False:
 * as usual. */
bool kms_clients_remedy(const struct kms_clients *clients, const char *key, enum kms_status status,
			const char **ret_text);

/* Tests put their own client in place of a provider, for every region; not owned. */
bool kms_clients_replace(struct kms_clients *clients, const char *provider,
			 struct kms_client *client);

/* For `doctor`: which endpoint a region has, where credentials come from, and whose they are (which
 * the provider is asked), as lines of text. What is known is said also on failure. */
enum kms_status kms_clients_describe(struct kms_clients *clients, const char *provider,
				     const char *region, struct kms_report *report,
				     struct buffer *ret_text);
