/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: the table of handles, and what one session holds: its slot, the active operations, keys
 * made ready, a search. session_borrow finds a session without the table's lock and locks it, so
 * that closing it in another thread is harmless (that thread waits); only this lock is held while
 * we wait for the network.
 */
#pragma once

#include "base/macros.h"
#include "objects/object.h"
#include "objects/token.h"

struct session;

/* The table; one per module life. Before start and after stop every handle answers
 * CKR_CRYPTOKI_NOT_INITIALIZED. */
CK_RV sessions_start(struct objects *objects, struct tokens *tokens);
/* Closes all and waits for those in use. No random, no fetch, no network. */
void sessions_stop(void);
void sessions_abandon(void); /* in a fork's child: forgets, frees nothing */

/* CKR_ARGUMENTS_BAD without ret_handle. */
CK_RV session_open(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret_handle);
CK_RV session_close(CK_SESSION_HANDLE handle);
CK_RV session_close_all(CK_SLOT_ID slot);
/* Logins are of the token, by way of any of its sessions. CKR_SESSION_READ_ONLY_EXISTS and what
 * tokens_check_login and tokens_log_in answer. */
CK_RV session_login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, struct bytes pin);
/* CKR_SESSION_READ_ONLY, and what tokens_init_pin and tokens_set_pin answer. */
CK_RV session_init_pin(CK_SESSION_HANDLE handle, struct bytes pin);
CK_RV session_set_pin(CK_SESSION_HANDLE handle, struct bytes old, struct bytes new);
CK_RV session_logout(CK_SESSION_HANDLE handle);
CK_RV session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *ret_info);
void session_counts(CK_SLOT_ID slot, CK_ULONG *ret_all, CK_ULONG *ret_read_write);

/* CKR_CRYPTOKI_NOT_INITIALIZED, CKR_SESSION_HANDLE_INVALID. */
CK_RV session_borrow_for(const char *function, CK_SESSION_HANDLE handle,
			 struct session **ret_session);
/* The caller's name goes with it, for the audit log. */
#define session_borrow(handle, ret_session) session_borrow_for(__func__, handle, ret_session)
/* Both for AUTO; they take the thread's error reason for ulDeviceError. With the first the call has
 * ended, and what it noted is no reason of a later one (error_call_ends). */
void session_return(struct session **session);
void session_leave(struct session **session);

CK_SESSION_HANDLE session_handle(const struct session *session);
CK_SLOT_ID session_slot(const struct session *session);
bool session_is_read_write(const struct session *session);
struct objects *session_objects(const struct session *session);
struct tokens *session_tokens(const struct session *session);
/* An object that is looked at, held. The security officer sees databases, to say which are trusted
 * (CKA_TRUSTED), and uses none. CKR_OBJECT_HANDLE_INVALID. */
CK_RV session_object_seen(struct session *session, CK_OBJECT_HANDLE handle,
			  struct object **ret_object);
/* The object behind a handle, held; not a private one while login is enforced and nobody is logged
 * in. (Keys that are used again and again: session/ready_keys.h.) `invalid` is what a missing one
 * answers (CKR_KEY_HANDLE_INVALID, CKR_OBJECT_HANDLE_INVALID …). */
CK_RV session_object(struct session *session, CK_OBJECT_HANDLE handle, CK_RV invalid,
		     struct object **ret_object);
