/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process and its children tell each other of a PIN, in memory that they share. A wrong one
 * counts in the store, so it is tried once by all of them; logins by the right one need not wait
 * for each other, which take long at a slow store. Where it is changed in that very moment, it is
 * tried so often as logins go on at once, and once more: fewer times than lock it.
 */
#pragma once

#include "include/pkcs11.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { LIBRARY_LOGINS_AT_ONCE = 4 };

struct library_refusal {
	pthread_mutex_t lock; /* of a try that may be the first of a wrong PIN */
	atomic_bool refused;
	atomic_uint accepted; /* logins */
	atomic_uint at_once;  /* logins that go on without the lock; those of the dead count on */
};

struct library_refusal *library_refusal_new(void); /* NULL: no memory */
/* Leaves it to the others who share it. Accepts NULL. */
void library_refusal_free(struct library_refusal *refusal);

/* How many logins were accepted when the caller came: for library_refusal_try. */
unsigned library_refusal_look(const struct library_refusal *refusal);

/* A login by the PIN, which answers as C_Login does. */
typedef CK_RV library_refusal_login(void *state);

/* Logs in, one after the other until a login is accepted: those who have come before that then do
 * so at once, LIBRARY_LOGINS_AT_ONCE of them. *ret_tried: false if the PIN was refused before,
 * which is CKR_PIN_INCORRECT. One that dies here blocks no other. */
CK_RV library_refusal_try(struct library_refusal *refusal, unsigned accepted_before,
			  library_refusal_login *login, void *state, bool *ret_tried);
