/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What token.c and token_pin.c share. */
#pragma once

#include "base/map.h"
#include "objects/pin.h"
#include "objects/token.h"
#include "zones/model/status.h"

#include <pthread.h>
#include <stdatomic.h>

/* What this process remembers of a slot. */
struct token {
	CK_SLOT_ID slot;
	bool shown;	    /* the caller has been shown … */
	struct uid project; /* … this project */
	atomic_int user;
	struct token_login login; /* of `user`; under the lock of tokens */
	_Atomic uint64_t stands;  /* the generation of zones in which the login was seen to stand */
	/* Has the project a PIN (the lowest bit), and, above, one more than the generation of zones
	 * in which that was seen. */
	_Atomic uint64_t pin_seen;
	_Atomic uint64_t seen; /* one more than the generation in which the project was there */
	/* By CKU_SO and CKU_USER: wrong PINs that the store could not take. */
	atomic_uint unwritten[2];
	atomic_uint counting; /* threads that are writing such */
	/* By CKU_SO and CKU_USER: wrong PINs that are on their way into the store. */
	atomic_uint under_way[2];
	pthread_mutex_t writing;     /* held by whoever counts in the store, and so waits for it */
	atomic_uint writes_failed;   /* how often it could not be written */
	enum zone_status why_failed; /* the last time; under `writing` */
};

struct tokens {
	struct objects *objects;
	struct token_settings settings;
	pthread_mutex_t lock;	      /* of the map; tokens live as long as it */
	struct map tokens;	      /* slot to struct token */
	_Atomic(struct token *) last; /* that was looked up, so that most look-ups need no lock */
};

/* What is remembered of a slot; made at the first use. NULL: no memory. */
struct token *token_of(struct tokens *tokens, CK_SLOT_ID slot);
/* The PINs that a new project in the place of `old` (NULL: in none) has when the SO gives `pin`:
 * the old one's SO keeps his. CKR_PIN_INCORRECT, CKR_PIN_LOCKED. */
CK_RV token_new_pins(struct tokens *tokens, struct token *token, const struct entry *old,
		     struct bytes pin, struct buffer *out);
/* Whether the project's PINs let that user in; counts a wrong one. A project without PINs takes
 * any. CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_USER_PIN_NOT_INITIALIZED. */
CK_RV token_check_pin(struct tokens *tokens, struct token *token, CK_USER_TYPE user,
		      struct bytes pin, struct token_login *ret_login);
/* Who is logged in to the project with any text has now set its PIN, and so stays logged in. */
void token_has_set_pin(struct tokens *tokens, struct token *token, CK_USER_TYPE user,
		       struct uid project);
/* CKF_USER_PIN_… and CKF_SO_PIN_…. */
CK_FLAGS token_pin_flags(const struct tokens *tokens, const struct entry *project);
