/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The registry's own structs, for registry.c and registry_end.c. */
#pragma once

#include "base/map.h"
#include "zones/ezk/registry.h"

struct registry {
	struct registry_settings settings;
	struct lease_rules rules;
	pthread_mutex_t lock;		/* guards what follows */
	struct map of[EZK_REALM_COUNT]; /* uid → struct live */
	struct live *first;
	struct map roots; /* project and ARN → struct root_lease */
};

/* A zone's versions. */
struct live {
	struct live *next;
	enum ezk_realm realm;
	struct uid uid;
	bool gone; /* the store has it no more */
	struct ezk *versions;
};

/* With the registry's lock held. */
/* Finds out which root keys stand above a live EZK, as its entry says now. */
void registry_place(struct registry *registry, struct ezk *ezk);
/* Frees it unless others hold it. Those come to it from the registry or from each other, so with
 * the registry's lock nobody new can. */
bool registry_let_go(struct ezk *ezk);
/* Forgets a zone that has no versions. */
void registry_drop(struct registry *registry, struct live *live);
