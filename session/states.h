/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C_GetOperationState and C_SetOperationState, for digests. A state is the name of a copy that this
 * process keeps: no bytes of an operation leave it, and no other process, nor a fork's child, can
 * go on with one. The newest STATES_MAX are kept, until C_Finalize.
 */
#pragma once

#include "session/session.h"

enum { STATES_MAX = 256, STATE_LEN = 16 };

/* By the two-call rule. CKR_OPERATION_NOT_INITIALIZED: nothing is active. CKR_STATE_UNSAVEABLE:
 * something else than a digest is, too, which would hold a key. */
CK_RV session_save_state(struct session *session, CK_BYTE *out, CK_ULONG *out_len);
/* The session's digest is replaced by the one that was saved, which may be restored again.
 * CKR_SAVED_STATE_INVALID: there is none of this name any more. CKR_KEY_NOT_NEEDED: a key came
 * with it. */
CK_RV session_restore_state(struct session *session, struct bytes state, bool with_key);

/* With the table of sessions. */
void states_stop(void);
void states_abandon(void); /* in a fork's child: forgets, frees nothing */
