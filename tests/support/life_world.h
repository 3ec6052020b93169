/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processes that live on one store by chance, for tests/unit/zones/domain/life.c: what they
 * have, what was done so far, and what the model (life_model.h) says of it. All of it is one
 * test's: what does not hold ends that, with its seed and its steps.
 */
#pragma once

#include "tests/support/life_model.h"
#include "tests/support/zones_fixture.h"
#include "zones/ezk/ezk.h"

enum {
	LIFE_PROCESSES = 2,
	LIFE_SEALS = 40,
	LIFE_SNAPSHOTS = 2,
	LIFE_DEK = 16,
	LIFE_WRAPPED = LIFE_DEK + DEK_WRAP_OVERHEAD,
};

/* What was encrypted, and by what. */
struct life_seal {
	uint64_t zone;
	uint32_t version;
	uint8_t ezk[LIFE_EZK], dek[LIFE_DEK], wrapped[LIFE_WRAPPED];
};

struct life_snapshot {
	bool there;
	struct life life;
	struct buffer file;
};

/* A record set that travelled, by its newest version. */
struct life_record {
	uint32_t version;
	struct buffer file;
};

struct life_world {
	struct zones_fixture *f;
	uint64_t seed, random;
	bool leased;
	char arns[LIFE_KEYS][96];
	struct zones *processes[LIFE_PROCESSES];
	struct uid project;
	struct life life;
	life_answers answers;
	int next_cluster, next_zone, next_token; /* places are used once */
	struct life_seal seals[LIFE_SEALS];
	size_t seal_count;
	struct life_snapshot snapshots[LIFE_SNAPSHOTS];
	struct life_record records[LIFE_ZONES];
	/* Who takes a step of its own when the KMS is asked next; NULL: nobody. */
	struct zones *rival;
	bool rival_came;
	struct buffer story;
	/* Figures. */
	size_t yes[LIFE_STEP_COUNT], no[LIFE_STEP_COUNT];
	size_t rivals, opened, closed, by_records, backups, restores, losses;
};

/* A line of the story, or a part of one. */
void life_tell(struct life_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void life_fail(struct life_world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
#define LIFE_HOLDS(w, condition, ...)                                                              \
	do {                                                                                       \
		if (!(condition))                                                                  \
			life_fail(w, __VA_ARGS__);                                                 \
	} while (0)

/* The same numbers for the same seed. */
uint64_t life_draw(struct life_world *w);
int life_below(struct life_world *w, int limit);
bool life_one_in(struct life_world *w, int count);
/* Mostly the few that are used a lot; all regions and providers. */
int life_draw_key(struct life_world *w);

/* The KMS has all keys of the model, and each says yes. */
void life_begin_kms(struct life_world *w);
void life_set_answer(struct life_world *w, int key, enum kms_status answer);
unsigned life_calls(struct life_world *w, enum fake_kms_call call);
/* The fake KMS shows what a blob holds: whose it is, borrowed, and the key. */
struct bytes life_blob_arn(struct bytes blob);
void life_blob_key(struct bytes blob, uint8_t ret_ezk[static LIFE_EZK]);

/* Looks into the store. */
void life_refresh(struct life_world *w, struct zones *zones);
