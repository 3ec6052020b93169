/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a project is to be after each step of its life, worked out from the rules of
 * docs/lifecycle.md alone: plain structs, which know nothing of zones/ but its words. The ids and
 * keys that the product draws are told to it when they are made.
 *
 * 	wish = life_expect(&life, answers, &step);	then the product takes the step
 * 	life_apply(&life, &step);			if it said yes
 */
#pragma once

#include "zones/model/entry.h"
#include "zones/model/status.h"

enum {
	LIFE_KEYS = 26, /* which the KMS has */
	LIFE_WEST_KEYS = 22,
	LIFE_LOCAL_KEYS = 2,
	LIFE_CLUSTERS = 10,
	LIFE_ZONES = 14,
	LIFE_VERSIONS = 12,
	LIFE_WRAPS = 12,
	LIFE_TOKENS = 12,
	LIFE_NAMED = 4, /* keys of one step */
	LIFE_EZK = 32,
	LIFE_NONE = -1,
};

enum life_place { LIFE_WEST, LIFE_EAST, LIFE_LOCAL };

/* Of what was never there, or not in this store: absent. A version that awaits deletion is a
 * retired one. */
enum life_state { LIFE_ABSENT, LIFE_ACTIVE, LIFE_PENDING, LIFE_GONE };
static inline bool life_is_there(enum life_state state)
{
	return state == LIFE_ACTIVE || state == LIFE_PENDING;
}

struct life_key {
	enum life_state state; /* never gone: it can be added again */
	struct uid uid;
	int64_t due_ms;
};

struct life_cluster {
	enum life_state state;
	struct uid uid;
	int64_t due_ms;
	char label[16];
	int key, leaving; /* places among the keys; LIFE_NONE */
	bool local;	  /* its provider is the embedded KMS */
	enum life_place region;
};

struct life_wrap {
	int key;
	enum wrap_state state;
};

struct life_version {
	enum life_state state;
	int64_t due_ms;
	uint8_t ezk[LIFE_EZK];
	struct life_wrap wraps[LIFE_WRAPS]; /* those in use first, in the order they are asked */
	size_t wrap_count;
};

struct life_zone {
	enum life_state state;
	struct uid uid;
	uint64_t id;
	int64_t due_ms;
	char label[32];
	int cluster;
	uint32_t primary, raw, minimum;
	struct life_version versions[LIFE_VERSIONS]; /* number n at n - 1 */
};

struct life_token {
	enum life_state state;
	struct uid uid;
	int zone;
	uint32_t version;
	uint8_t value[16];
};

/* What a store has of the project. */
struct life {
	int64_t now_ms, announced_ms;
	struct life_key keys[LIFE_KEYS];
	struct life_cluster clusters[LIFE_CLUSTERS];
	struct life_zone zones[LIFE_ZONES];
	struct life_token tokens[LIFE_TOKENS];
};

enum life_kind {
	LIFE_KEY_ADD,
	LIFE_KEY_REMOVE,
	LIFE_KEY_RESTORE,
	LIFE_KEY_PURGE,
	LIFE_CLUSTER_CREATE,
	LIFE_CLUSTER_RENAME,
	LIFE_CLUSTER_DELETE,
	LIFE_CLUSTER_UNDELETE,
	LIFE_CLUSTER_PURGE,
	LIFE_CLUSTER_REWRAP,
	LIFE_ZONE_CREATE,
	LIFE_ZONE_RENAME,
	LIFE_ZONE_DELETE,
	LIFE_ZONE_UNDELETE,
	LIFE_ZONE_ERASE,
	LIFE_ROTATE,
	LIFE_RAW,
	LIFE_MINIMUM,
	LIFE_RETIRE,
	LIFE_UNRETIRE,
	LIFE_VERSION_PURGE,
	LIFE_REWRAP,
	LIFE_SET_KEYS,
	LIFE_SEAL,
	LIFE_TOKEN_CREATE,
	LIFE_TOKEN_DESTROY,
	LIFE_PURGE,
	LIFE_PURGE_DUE,
	LIFE_STEP_COUNT
};

/* Places are those in struct life; what a kind does not use is not looked at. */
struct life_step {
	enum life_kind kind;
	int key, cluster, zone, token; /* of what is made: a place that is absent */
	char label[32];		       /* of a zone: with its cluster's */
	uint32_t version;
	int named[LIFE_NAMED];
	size_t named_count;
	/* Of a zone that is to go where it is already: life_decide(). */
	bool proves, anew;
};

/* What each key of the KMS answers now; KMS_OK. */
typedef enum kms_status life_answers[LIFE_KEYS];

enum life_wish {
	LIFE_MUST,
	LIFE_MAY, /* another way may be found where some keys refuse; or not */
	LIFE_MUST_NOT,
};
/* What a move begins as, it goes on to be, whatever others do meanwhile. */
void life_decide(const struct life *life, struct life_step *ret_step);
enum life_wish life_expect(const struct life *life, const life_answers answers,
			   const struct life_step *step);
/* What follows from a yes; but not what is drawn: ids, and the EZK of a new version. */
void life_apply(struct life *life, const struct life_step *step);

enum life_place life_key_place(int key);
/* NULL: it has none in this store. */
const struct life_version *life_version(const struct life_zone *zone, uint32_t version);
/* Is there anything, not gone, that the version stands on by any wrap, also one kept in reserve? */
bool life_version_uses(const struct life_version *version, int key);
/* Whether the store has nothing against opening it. */
bool life_may_open(const struct life_zone *zone, uint32_t version);
/* Whether one of its root keys says yes. */
bool life_kms_opens(const struct life_version *version, const life_answers answers);
/* How many root keys are asked for a new version. */
size_t life_live_wraps(const struct life_version *version);
size_t life_registered(const struct life *life);
/* Of a step that is refused: whether but one rule says so, or few. */
bool life_is_near(const struct life *life, const struct life_step *step);
