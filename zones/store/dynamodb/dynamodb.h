/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the DynamoDB store; for the files of zones/store/dynamodb/ and its tests alone. */
#pragma once

#include "aws/credentials/chain.h"
#include "aws/service.h"
#include "base/buffer.h"
#include "net/http.h"
#include "net/retry.h"
#include "zones/store/remote/remote.h"
#include "zones/store/rows/rows.h"
#include "zones/store/store.h"

#include <jansson.h>

enum {
	DYNAMODB_LOOK_MS = 30000,   /* how often it is asked for what is new */
	DYNAMODB_READ_MS = 10000,   /* a call that reads, anew with each page but the first */
	DYNAMODB_WRITE_MS = 20000,  /* a call that writes: so long others may be quicker */
	DYNAMODB_SETTLE_MS = 10000, /* from a lost answer on, to find out what came of the write */
	DYNAMODB_WAITS_MS = DYNAMODB_WRITE_MS + DYNAMODB_SETTLE_MS,
	DYNAMODB_PATIENCE_MS = 5000, /* of a look, or a search: waiting for what is not as it
					should be, of all projects together */
	DYNAMODB_ATTEMPT_MS = 5000,
	DYNAMODB_CONNECT_MS = 2000,
	DYNAMODB_ANSWER_MAX = 8 << 20, /* bytes; a page of a Query has 1 MiB before JSON escapes */
	/* Limits of DynamoDB (Amazon DynamoDB Developer Guide, "Quotas"). */
	DYNAMODB_ITEM_MAX = 400 * 1024,
	DYNAMODB_OPS_MAX = 100,
	DYNAMODB_BODY_MAX = 4 << 20,
	DYNAMODB_KEYS_MAX = 100, /* of a BatchGetItem */
	/* Ours. */
	DYNAMODB_LOG_KEPT = 1024, /* writes of a project that its log has */
	DYNAMODB_KNOWN = 4,	  /* cursors that are remembered */
	DYNAMODB_TOKEN_SIZE = 33, /* 32 hexadecimal digits and a NUL */
};

/* How far a project has been read: its head. */
struct dynamodb_position {
	struct uid project;
	uint64_t rev;		      /* of its last write; 0: there was none */
	char by[DYNAMODB_TOKEN_SIZE]; /* that write's token */
	uint64_t zones;		      /* how many it has */
	uint64_t rows;		      /* the same of all kinds, with tombstones; 0: not counted, and
					 no `few` items either: an earlier build's */
	uint64_t parts;		      /* of the last write, hidden ones that are not in their
					 place yet; 0: all are */
};

/* How far all projects have been read, in the order of their uids. */
struct dynamodb_positions {
	uint64_t serial; /* never twice in a process; 0: none */
	char id[ROWS_ID_SIZE];
	struct dynamodb_position *list;
	size_t count;
};

/* What a look at the store's partition found. */
struct dynamodb_look {
	bool exists;
	bool limited; /* it asks more of a reader than we know */
	char id[ROWS_ID_SIZE];
	struct store_head head;
	int64_t created_ms;
	uint64_t wide; /* how often was changed what is unique in the store; set by writes alone */
	uint64_t zones;
	struct dynamodb_positions at;
};
void dynamodb_look_clear(struct dynamodb_look *look);

struct dynamodb {
	struct store store;
	struct aws_settings aws; /* texts are owned */
	struct aws_transport transport;
	struct environment environment;
	_Atomic int64_t sts_skew_ms;
	struct credentials_place place;
	struct credentials_chain *chain;
	char *table, *endpoint, *profile, *region, *ca_bundle; /* all but table may be NULL */
	char *name;					       /* for messages */
	/* The rest belongs to the call under way: of one store there is one at a time. */
	struct service service;
	char place_text[REGION_TEXT_MAX + 1 + 256]; /* REGION/TABLE, once it was looked at */
	bool ready;				    /* the service was found */
	bool limited;				    /* what was read last was read in part */
	struct remote_said said;		    /* what was logged of it last */
	char id[ROWS_ID_SIZE]; /* of the store that was read last; empty: none was there ever */
	struct dynamodb_positions known[DYNAMODB_KNOWN];
	size_t next_known;
	size_t at_once;		     /* keys asked for at once */
	const struct uid *of;	     /* the project that is being read; NULL: none */
	bool blamed;		     /* it was said that the fault is that project's own */
	int64_t patience_ms;	     /* that is left */
	bool hopeless;		     /* it could not be read the last time: it is not waited for */
	struct store_unread *unread; /* what could not be read at the last reading */
	size_t unread_count;
	struct moment deadline; /* of the call */
};

/* The clock is borrowed; a zero transport means the real one. NULL: no memory. */
struct store *dynamodb_new(const struct store_settings *settings,
			   const struct aws_transport *transport, const struct clock *clock);

/* ZONE_INVALID, logged with the setting's place (settings.c). */
enum zone_status dynamodb_check(const struct store_settings *settings);

/* Logs "store NAME: …" unless the same status was the last to be logged; then it is this call's
 * reason alone. Returns the status. */
enum zone_status dynamodb_says(struct dynamodb *dynamodb, enum zone_status status,
			       const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same about the project that is being read: others are read all the same (unread.c). */
enum zone_status dynamodb_blames(struct dynamodb *dynamodb, enum zone_status status,
				 const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What stands in an item is not what a release writes. */
enum zone_status dynamodb_damaged(struct dynamodb *dynamodb, const char *sort, const char *what);

/* --- client.c: a request and its answer */

/* What came of a request, beside the status. */
enum dynamodb_fate {
	DYNAMODB_ANSWERED, /* yes, or a no that is certain */
	DYNAMODB_UNKNOWN,  /* its answer was lost: it may have been done, or be done yet */
	DYNAMODB_TOO_LONG, /* its answer */
	DYNAMODB_CANCELED, /* a transaction; the answer has the reasons */
	DYNAMODB_UNFIT,	   /* it does not take what was asked, as it is */
	DYNAMODB_NO_TABLE,
};

/* From here on the call's time counts. */
void dynamodb_begin(struct dynamodb *dynamodb, int64_t ms);
/* There is so much left at least. */
void dynamodb_go_on(struct dynamodb *dynamodb, int64_t ms);
int64_t dynamodb_time_left(const struct dynamodb *dynamodb);
void dynamodb_sleep(struct dynamodb *dynamodb, int64_t ms);
/* From here on there is all of DYNAMODB_PATIENCE_MS. */
void dynamodb_be_patient(struct dynamodb *dynamodb);
/* Whether the project that is being read is waited for: not if it was in vain the last time, nor
 * when patience is at its end. */
bool dynamodb_is_patient(const struct dynamodb *dynamodb);
/* Sleeps, and takes that from the patience. */
void dynamodb_wait(struct dynamodb *dynamodb, int64_t ms);
/*
 * Asks for the operation and reads the answer (json_decref() it). `again`: it may be tried again
 * whatever came of it, which holds for what only reads. Faults are told by dynamodb_says; but what
 * is unfit, or can't be read, while a project is read is damage of that project, and told so.
 */
enum zone_status dynamodb_call(struct dynamodb *dynamodb, const char *operation,
			       const struct buffer *body, bool again, enum dynamodb_fate *ret_fate,
			       json_t **ret_answer);

/* --- words.c: the words of DynamoDB, where they are not those of every service */

struct dynamodb_word {
	const char *type; /* of the error; NULL: the end of the list */
	enum zone_status status;
	enum dynamodb_fate fate;
	enum retry_kind retry;
	const char *remedy;
};
extern const struct dynamodb_word dynamodb_words[];
/* By DynamoDB's word for it, else by what every service may say. */
struct dynamodb_word dynamodb_word_of(const char *type, const struct status_rule *rule);

/* --- items.c: keys, and parts of bodies */

struct dynamodb_key {
	char partition[2 + 2 * UID_SIZE + 1];
	char sort[64];
};
struct dynamodb_key dynamodb_key_head(void);
struct dynamodb_key dynamodb_key_wide(void);
struct dynamodb_key dynamodb_key_zone(uint64_t zone);
struct dynamodb_key dynamodb_key_project(struct uid project);
struct dynamodb_key dynamodb_key_log(struct uid project, uint64_t rev);
struct dynamodb_key dynamodb_key_row(struct uid project, struct uid uid);
/* That a row is one of the few which each process reads: all but zones and token keys. */
struct dynamodb_key dynamodb_key_few(struct uid project, struct uid uid);
/* That a zone has versions of another, or had; `from`: that one. */
struct dynamodb_key dynamodb_key_import(uint64_t from, struct uid zone);
struct dynamodb_key dynamodb_key_version(struct uid project, uint64_t zone,
					 const struct ezk_version *version);
struct dynamodb_key dynamodb_key_part(struct uid project, const char *token, size_t number);

/* {"PK":{"S":"…"},"SK":{"S":"…"}} */
void dynamodb_put_key(struct buffer *out, const struct dynamodb_key *key);
/* ,"NAME":{"S":"…"} and ,"NAME":{"N":"…"}: attributes of an item. */
void dynamodb_put_text(struct buffer *out, const char *name, const char *text);
void dynamodb_put_number(struct buffer *out, const char *name, uint64_t number);
/* "TableName":"…" */
void dynamodb_put_table(struct buffer *out, const struct dynamodb *dynamodb);
/* By what an active entry is found in the index of labels: its kind and its name. */
void dynamodb_put_label(struct buffer *out, enum entry_kind kind, struct bytes label);

/* On which condition an item is written. */
enum dynamodb_when {
	WHEN_ANY,
	WHEN_NEW,   /* there is none with that key */
	WHEN_THERE, /* there is one */
	WHEN_AT,    /* its `rev` is this */
	WHEN_PARTS, /* its `rev` is this, and it has parts that are not in their place */
	WHEN_NEVER,
};
struct dynamodb_condition {
	enum dynamodb_when when;
	uint64_t rev;
};

/* The operations of a transaction: a JSON list without its brackets. */
struct dynamodb_ops {
	struct buffer text;
	size_t count;
};
/* `attributes`: text as from dynamodb_put_text(), for all but the key; borrowed. */
void dynamodb_op_put(const struct dynamodb *dynamodb, struct dynamodb_ops *ops,
		     const struct dynamodb_key *key, const struct buffer *attributes,
		     struct dynamodb_condition condition);
void dynamodb_op_check(const struct dynamodb *dynamodb, struct dynamodb_ops *ops,
		       const struct dynamodb_key *key, struct dynamodb_condition condition);
void dynamodb_op_delete(const struct dynamodb *dynamodb, struct dynamodb_ops *ops,
			const struct dynamodb_key *key, struct dynamodb_condition condition);

/* Of an item: a text (borrowed), a number; "" and 0 if it has none. */
const char *dynamodb_text(const json_t *item, const char *name);
uint64_t dynamodb_number(const json_t *item, const char *name);
/* Whose project and uid an item names; false: it names none. */
bool dynamodb_read_place(const json_t *item, struct uid *ret_project, struct uid *ret_uid);
/* The next version that a zone's `have` names, and past it; false: there is none. */
bool dynamodb_next_version(const char **have, struct ezk_version *ret_version);
/* The uid of 32 hexadecimal digits, with nothing behind them; false: it is none. */
bool dynamodb_read_uid(const char *text, struct uid *ret_uid);

/* --- fetch.c: items by their keys, and by ranges of them */

typedef enum zone_status dynamodb_visit(void *state, const json_t *item);

struct dynamodb_range {
	const char *partition, *from, *to; /* sort keys, both included */
	bool labels;			   /* of the index of labels, by L */
};
/* Each item of a range, read consistently, page by page. */
enum zone_status dynamodb_query(struct dynamodb *dynamodb, const struct dynamodb_range *range,
				dynamodb_visit *visit, void *state);
/* The same of the first `most` items at most; *ret_more: there are more behind them. */
enum zone_status dynamodb_query_some(struct dynamodb *dynamodb, const struct dynamodb_range *range,
				     unsigned most, dynamodb_visit *visit, void *state,
				     bool *ret_more);
/* Each item of so many keys that is there, read consistently, in any order. */
enum zone_status dynamodb_fetch(struct dynamodb *dynamodb, const struct dynamodb_key *keys,
				size_t count, dynamodb_visit *visit, void *state);
/* The same, but each item has its key alone, whatever else stands in it. */
enum zone_status dynamodb_fetch_keys(struct dynamodb *dynamodb, const struct dynamodb_key *keys,
				     size_t count, dynamodb_visit *visit, void *state);
/* One item; NULL: there is none (json_decref() it). */
enum zone_status dynamodb_get(struct dynamodb *dynamodb, const struct dynamodb_key *key,
			      json_t **ret_item);

/* --- look.c: heads and cursors */

/* All heads of the store's partition. */
enum zone_status dynamodb_look(struct dynamodb *dynamodb, struct dynamodb_look *ret_look);
/* How often was changed what is unique in the store, 0: never. A write reads it before the heads,
 * and is done on the condition that it still is so: nobody has then changed such since. */
enum zone_status dynamodb_read_wide(struct dynamodb *dynamodb, uint64_t *ret_wide);
/* The store's own head alone. */
enum zone_status dynamodb_look_at_head(struct dynamodb *dynamodb, struct dynamodb_look *ret_look);
/* An item as a head of a project; false: it is none that a release wrote. */
bool dynamodb_read_position(const json_t *item, struct dynamodb_position *ret_position);
/* Such an item's attributes. */
void dynamodb_put_position(struct buffer *out, const struct dynamodb_position *position);
/* NULL: none. */
struct dynamodb_position *dynamodb_position_of(const struct dynamodb_positions *positions,
					       struct uid project);
/* Sets the head of a project, a new one at its place in the order. False: no memory. */
bool dynamodb_set_position(struct dynamodb_positions *positions,
			   const struct dynamodb_position *position);
/* Remembers how far was read (takes the list), under a new serial; the zero cursor for a store
 * that is not there. */
struct store_cursor dynamodb_remember(struct dynamodb *dynamodb, struct dynamodb_look *look);
/* NULL: nothing, or it is not remembered any more. */
const struct dynamodb_positions *dynamodb_recall(const struct dynamodb *dynamodb,
						 const struct store_cursor *cursor);

/* --- project.c: the rows of one project, as of one of its writes */

struct dynamodb_reading {
	struct dynamodb *dynamodb;
	struct rows_reading rows;
	struct store_news news;
};
/* What was written since `then` (NULL: all there is), appended to the news. *now is its head as it
 * was looked at, and afterwards as of which the rows are. *ret_lost: `then` is not in its log, so
 * nothing was read. */
enum zone_status dynamodb_read_project(struct dynamodb_reading *reading,
				       const struct dynamodb_position *then,
				       struct dynamodb_position *now, bool *ret_lost);
/* The same of its few rows that are neither zones nor token keys, all there are. */
enum zone_status dynamodb_read_few(struct dynamodb_reading *reading, struct dynamodb_position *now,
				   bool *ret_lost);
/* The rows of these uids alone, with the versions of those that are zones; appended. */
enum zone_status dynamodb_read_rows(struct dynamodb_reading *reading, struct uid project,
				    const struct uid *uids, size_t count);

/* A page of it (store.h: list), with its other rows and tombstones. */
enum zone_status dynamodb_read_page(struct dynamodb_reading *reading, struct uid project,
				    struct uid *after, bool *ret_end);

/* --- unread.c: a project that can't be read keeps nobody from the others */

/* As dynamodb_read_project(), or dynamodb_read_few(), but where the fault is the project's own, the
 * news say so, and *now is `then` again (its rev 0: nothing), so that the next look tries once
 * more. */
enum zone_status dynamodb_try_project(struct dynamodb_reading *reading,
				      const struct dynamodb_position *then,
				      struct dynamodb_position *now, bool few, bool *ret_lost);
/* Whether a call for the project that is being read failed by that project's own fault. */
bool dynamodb_is_its_own(const struct dynamodb *dynamodb, enum zone_status status);
/* The rows of such a one, behind the first `count`. */
void dynamodb_drop_rows(struct store_news *news, size_t count);
/* Remembers what the news say can't be read. */
enum zone_status dynamodb_note_unread(struct dynamodb *dynamodb, const struct store_news *news);
/* ZONE_OK, or why nothing can be said of a project, told as this call's reason. */
enum zone_status dynamodb_check_project(struct dynamodb *dynamodb, struct uid project);
/* The same of all projects that a change looks at. */
enum zone_status dynamodb_check_readable(struct dynamodb *dynamodb,
					 const struct store_change *change);

/* --- read.c, part.c, find.c, list.c */

/* Everything newer than `since`; of a store that was not read before and has more than `most` rows,
 * the few alone (store.h: read_few). */
enum zone_status dynamodb_read_news(struct dynamodb *dynamodb, const struct store_cursor *since,
				    size_t most, struct dynamodb_look *ret_look,
				    struct store_news *ret_news);
/* What holds at every level, of a store that asks more of a reader; appended to the news. */
enum zone_status dynamodb_read_in_part(struct dynamodb_reading *reading,
				       const struct dynamodb_look *look);
enum zone_status dynamodb_tell_limit(struct dynamodb *dynamodb, const struct dynamodb_look *look);
enum zone_status dynamodb_find(struct dynamodb *dynamodb, const struct store_key *key,
			       struct store_news *ret_news);
/* After a look, before rows alone are read: a refusal where they would fit nothing that is known.
 */
enum zone_status dynamodb_check_alone(struct dynamodb *dynamodb, const struct dynamodb_look *look);
enum zone_status dynamodb_list(struct dynamodb *dynamodb, struct uid project, struct uid *after,
			       struct store_news *ret_news, bool *ret_end);

/* --- table.c */

/* The table, with its backups, if it is not there; tells what it did. */
enum zone_status dynamodb_create(struct dynamodb *dynamodb, struct buffer *ret_text);
enum zone_status dynamodb_examine(struct dynamodb *dynamodb, struct buffer *ret_text);

/* --- parts.c: a write that is more than one transaction takes */

/* A last write that is hidden in parts is put in its place, by whoever wrote it, else by the
 * caller; *now is then
 * the head without parts, perhaps of a later write. */
enum zone_status dynamodb_await_parts(struct dynamodb *dynamodb, struct dynamodb_position *now);
/* The same of a project whose rows alone are read next: what is known may be of that write already.
 * *ret_exists: there is such a project. */
enum zone_status dynamodb_await_project(struct dynamodb *dynamodb, struct uid project,
					bool *ret_exists);
/* The same at once, by the one that wrote them. */
enum zone_status dynamodb_place_parts(struct dynamodb *dynamodb, struct dynamodb_position *now);

/* --- write.c */

enum zone_status dynamodb_write(struct dynamodb *dynamodb, const struct store_cursor *since,
				store_decide *decide, void *state, struct store_cursor *ret_cursor);
/* Whether this identity may write: asked without writing. */
enum zone_status dynamodb_may_write(struct dynamodb *dynamodb, bool *ret_writable);
