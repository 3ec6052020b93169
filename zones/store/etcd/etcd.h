/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the etcd store; for the files of zones/store/etcd/ and its tests alone. */
#pragma once

#include "base/buffer.h"
#include "net/http.h"
#include "net/retry.h"
#include "zones/store/remote/remote.h"
#include "zones/store/rows/rows.h"
#include "zones/store/store.h"

#include <jansson.h>

enum {
	ETCD_LOOK_MS = 30000,	/* how often it is asked for what is new */
	ETCD_READ_MS = 10000,	/* a call that reads, anew with each page but the first */
	ETCD_WRITE_MS = 20000,	/* a call that writes: so long others may be quicker */
	ETCD_SETTLE_MS = 10000, /* from a lost answer on, to find out what came of the write */
	ETCD_WAITS_MS = ETCD_WRITE_MS + ETCD_SETTLE_MS,
	ETCD_ATTEMPT_MS = 5000,
	ETCD_CONNECT_MS = 2000,
	ETCD_PAGE = 256,	   /* rows asked for at once; fewer where they are long */
	ETCD_ANSWER_MAX = 4 << 20, /* bytes; the longest row takes half of it */
	/* etcd's usual limit is 128 operations a transaction, counted along each way into
	 * transactions within it: some that stand by themselves, then groups of more. Releases of
	 * etcd ask for no right to write what stands in a group, so the heads never do. */
	ETCD_DIRECT = 32,
	ETCD_GROUPS = 32,
	ETCD_GROUP = 64,
	ETCD_OPS_AT_ONCE =
		64, /* that a part is put in its place by; fewer where etcd takes fewer */
	ETCD_BODY_MAX = 1900 << 10, /* bytes of JSON, which are 1.4 MiB for etcd */
	ETCD_TOKENS = 64,	    /* how many writes a project's head remembers */
};

struct etcd {
	struct store store;
	struct http *http;
	const struct clock *clock;
	void (*sleep)(void *state, int64_t ms);
	void *sleep_state;
	char *endpoint; /* without a slash at its end */
	char *prefix;	/* with one */
	char *name;	/* both, for messages */
	char *ca_bundle, *client_certificate, *client_key, *user, *password_file; /* NULL: none */
	struct retry_bucket bucket;
	/* The rest belongs to the call under way: of one store there is one at a time. */
	struct buffer token;	 /* what its user and password were good for; a secret */
	char id[ROWS_ID_SIZE];	 /* of the store that was read last; empty: none was there ever */
	bool limited;		 /* what was read last was read in part */
	struct remote_said said; /* what was logged of it last */
	unsigned page;		 /* rows asked for at once */
	size_t ops_at_once;	 /* operations of a part; fewer than usual: etcd takes few */
	uint64_t pending;	 /* the write that was not in its place at the last look; 0: none */
	bool dated;		 /* an answer has said what time it is there … */
	int64_t ahead_ms;	 /* … which was so much later than here; to the second */
	size_t requests;	 /* how many were made so far: for tests */
	struct moment deadline;	 /* of the call */
};

/* The clock is borrowed, the HTTP is taken; NULL: libcurl's. NULL: no memory (the HTTP is freed).
 */
struct store *etcd_new(const struct store_settings *settings, struct http *http,
		       const struct clock *clock, void (*sleep)(void *, int64_t),
		       void *sleep_state);

/* Logs "store NAME: …" unless the same status was the last to be logged; then it is this call's
 * reason alone. Returns the status. */
enum zone_status etcd_says(struct etcd *etcd, enum zone_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- client.c: a request and its answer */

/* What came of a request, beside the status. */
enum etcd_fate {
	ETCD_ANSWERED,	/* yes, or a no that is certain */
	ETCD_UNKNOWN,	/* its answer was lost: it may have been done, or be done yet */
	ETCD_TOO_LONG,	/* its answer, for one page */
	ETCD_COMPACTED, /* the revision that it asks for is not there any more, or not yet */
};

/* From here on the call's time counts. */
void etcd_begin(struct etcd *etcd, int64_t ms);
/* There is so much left at least. */
void etcd_go_on(struct etcd *etcd, int64_t ms);
int64_t etcd_time_left(const struct etcd *etcd);
/*
 * POSTs the body and reads the answer (json_decref() it). `again`: it may be tried again whatever
 * came of it, which holds for what only reads. Faults are told by etcd_says.
 */
enum zone_status etcd_call(struct etcd *etcd, const char *path, const struct buffer *body,
			   bool again, enum etcd_fate *ret_fate, json_t **ret_answer);
/* A number, which etcd writes as text, and leaves out where it is 0. */
uint64_t etcd_number(const json_t *object, const char *name);
uint64_t etcd_revision(const json_t *answer);
/* Base64 of a member; appended. False: no such text; or the buffer failed. */
bool etcd_bytes(const json_t *object, const char *name, struct buffer *out);

/* --- keys.c: keys below the prefix, and operations as parts of a body */

/* At most 159 bytes behind the prefix, else the buffer fails. */
void etcd_key(const struct etcd *etcd, struct buffer *out, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void etcd_key_uid(const struct etcd *etcd, struct buffer *out, const char *kind, struct uid uid);
void etcd_key_version(const struct etcd *etcd, struct buffer *out, uint64_t zone,
		      const struct ezk_version *version);
/* Of an active entry by its name; without `uid`: all that have it, as a prefix. */
void etcd_key_label(const struct etcd *etcd, struct buffer *out, struct uid project,
		    enum entry_kind kind, struct bytes label, const struct uid *uid);
/* Appends where ends what begins with a key that ends with a slash: before the same with a '0'. */
void etcd_prefix_end(struct buffer *out, struct bytes key);
/* Appends the uid of text, 32 hexadecimal digits; false: it is none. */
bool etcd_read_uid(struct bytes text, struct uid *ret_uid);

struct etcd_range {
	struct bytes key;
	struct bytes end;    /* not this one; none: `key` alone */
	bool prefix;	     /* all that begin with `key`, which ends with a slash */
	uint64_t revision;   /* as it was then; 0: as it is */
	uint64_t newer_than; /* only what was changed after it */
	unsigned limit;	     /* 0: none */
	bool keys_only, count_only;
};
void etcd_put_range(struct buffer *out, const struct etcd_range *range);
/* As an operation of a transaction, with a comma before it if it is not the first. */
void etcd_op_range(struct buffer *ops, const struct etcd_range *range);
void etcd_op_put(struct buffer *ops, struct bytes key, struct bytes value);
void etcd_op_delete(struct buffer *ops, struct bytes key, bool prefix);
/* All from a key to before another one. */
void etcd_op_delete_between(struct buffer *ops, struct bytes from, struct bytes end);
/* A comparison: with the whole range below `key` where it ends with a slash. `result`: EQUAL,
 * LESS, GREATER. */
void etcd_compare(struct buffer *compares, struct bytes key, const char *target, const char *member,
		  const char *result, uint64_t value);

/* --- look.c, read.c, few.c, find.c, list.c */

/* What a look found. */
struct etcd_look {
	uint64_t revision, cluster; /* while a large write is not in its place, before that */
	uint64_t pending;	    /* at which revision that was; 0: there is none */
	bool exists;
	char id[ROWS_ID_SIZE];
	struct store_head head;
	int64_t created_ms;
	size_t zones;
	bool limited; /* it asks more of a reader than we know */
};
struct store_cursor etcd_cursor(const struct etcd_look *look, uint64_t revision);
/* The head alone. */
enum zone_status etcd_look(struct etcd *etcd, struct etcd_look *ret_look);
/* Everything newer than `since`, as of one revision. */
enum zone_status etcd_read_news(struct etcd *etcd, const struct store_cursor *since,
				struct etcd_look *ret_look, struct store_news *ret_news);
/* The same, of a store with more than `most` rows that was not read before: the few that others
 * stand on (store.h: read_few). */
enum zone_status etcd_read_few(struct etcd *etcd, const struct store_cursor *since, size_t most,
			       struct store_news *ret_news);
enum zone_status etcd_find(struct etcd *etcd, const struct store_key *key,
			   struct store_news *ret_news);
enum zone_status etcd_list(struct etcd *etcd, struct uid project, struct uid *after,
			   struct store_news *ret_news, bool *ret_end);

/* --- write.c */

enum zone_status etcd_write(struct etcd *etcd, const struct store_cursor *since,
			    store_decide *decide, void *state, struct store_cursor *ret_cursor);
/* write_parts.c: puts in its place what is below pending/. ZONE_STORE_CORRUPT: no release wrote it.
 */
enum zone_status etcd_place_parts(struct etcd *etcd);
/* Whether this identity may write: asked without writing. */
enum zone_status etcd_may_write(struct etcd *etcd, bool *ret_writable);
