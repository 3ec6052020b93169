/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a session's operations begin, run and end. Whoever runs a step takes the operation out of the
 * session; it ends with the scope unless it is put back. That is the standard's rule that any error
 * but CKR_BUFFER_TOO_SMALL ends an operation.
 */
#pragma once

#include "mechanisms/operation.h"
#include "session/session.h"

/* C_EncryptInit, C_DecryptInit, C_SignInit, C_VerifyInit, C_DigestInit (no key). A NULL mechanism
 * ends what is active. KMS where a lease has ended. */
CK_RV session_begin(struct session *session, enum operation_kind kind,
		    const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
/* A step, by the two-call rule: the length alone for a NULL `out` (an upper bound; asks nobody);
 * CKR_BUFFER_TOO_SMALL and the length for too little room. Only these two, and a part, leave the
 * operation active. */
CK_RV session_run(struct session *session, enum operation_kind kind, enum step step,
		  struct bytes in, CK_BYTE *out, CK_ULONG *out_len);
/* C_Verify, C_VerifyFinal: STEP_ONCE or STEP_LAST. Ends the operation whatever it answers:
 * CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE. */
CK_RV session_verify(struct session *session, enum step step, struct bytes in,
		     struct bytes signature);
/* C_DigestUpdate, C_SignUpdate, C_VerifyUpdate: a part without output. */
CK_RV session_feed(struct session *session, enum operation_kind kind, struct bytes in);
/* C_DigestKey. */
CK_RV session_feed_key(struct session *session, CK_OBJECT_HANDLE key);
/* C_SessionCancel: ends the operations that the flags of CK_MECHANISM_INFO name (CKF_ENCRYPT …,
 * also CKF_FIND_OBJECTS), as far as they are active. All others go on. */
void session_cancel(struct session *session, CK_FLAGS flags);
