/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the module: from C_Initialize to C_Finalize, in a fork's child anew. The parts of a
 * life are made here and linked by pointers; apart from it, only the session table, the log and the
 * library context are global.
 */
#pragma once

#include "objects/token.h"
#include "pkcs11/config.h"
#include "pkcs11/slot_events.h"

struct module {
	struct config config;
	bool no_threads;	      /* the application asked for it */
	struct buffer root_key_extra; /* of the default root key, for zones */
	struct zones *zones;
	struct objects *objects;
	struct tokens *tokens;
	struct slot_events slot_events;
	uint64_t life;	   /* which one of this process it is */
	bool is_abandoned; /* it was a parent's, and a child of a fork has let go of it */
};

/* What `doctor` reports about the module itself, a line for each thing. */
void module_describe(const struct module *module, struct buffer *out);
/* C_Initialize: no network, no store. `no_threads`: nothing of ours starts a thread.
 * CKR_CRYPTOKI_ALREADY_INITIALIZED. */
CK_RV module_start(const char *reserved, bool no_threads);
/* C_Finalize: closes all sessions, waits for those who use the module, wipes every key. In a fork's
 * child it lets go of the parent's life, once. */
CK_RV module_stop(void);

/* For functions without a session: the module stays while it is borrowed.
 * CKR_CRYPTOKI_NOT_INITIALIZED. */
CK_RV module_borrow_for(const char *function, struct module **ret_module);
/* The same; the function's name goes with it, for the audit log. */
#define module_borrow(ret_module) module_borrow_for(__func__, ret_module)
/* Both for AUTO; they accept NULL. With the first the call has ended (error_call_ends). */
void module_return(struct module **module);
void module_leave(struct module **module);
