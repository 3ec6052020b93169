/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages (PKCS #11 3.0): how a series of messages under one key begins and ends, and how each
 * message does. An error ends its message, never the series. Between two messages nothing of the
 * key is kept but its handle: each message looks it up, asks what it may be used for, and has its
 * lease checked, as C_EncryptInit would. `kind` is one of OPERATION_MESSAGE_….
 */
#pragma once

#include "mechanisms/operation.h"
#include "session/session.h"

struct messages {
	bool active;
	CK_MECHANISM_TYPE type;
	CK_OBJECT_HANDLE key;
};

/* What comes along with each call about a message; the caller's memory. */
struct message_call {
	void *parameter;
	CK_ULONG parameter_len;
	struct bytes aad, in;
	CK_BYTE *out;
	CK_ULONG *out_len;
};

/* C_MessageEncryptInit, C_MessageDecryptInit. A NULL mechanism ends the series and its message.
 * KMS where a lease has ended. */
CK_RV session_messages_begin(struct session *session, enum operation_kind kind,
			     const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
/* C_MessageEncryptFinal, C_MessageDecryptFinal: also in the middle of a message. */
CK_RV session_messages_end(struct session *session, enum operation_kind kind);

/* C_EncryptMessage, C_DecryptMessage. A NULL `out` asks for the length alone, too little room is
 * CKR_BUFFER_TOO_SMALL: neither makes an IV nor asks the KMS. (But that an empty message is
 * authentic is looked at without any room.) CKR_OPERATION_ACTIVE: a message in parts is under way,
 * and goes on. */
CK_RV session_message(struct session *session, enum operation_kind kind,
		      const struct message_call *call);
/* C_EncryptMessageBegin, C_DecryptMessageBegin: parameter and aad. CKR_OPERATION_ACTIVE, as above.
 */
CK_RV session_message_begin(struct session *session, enum operation_kind kind,
			    const struct message_call *call);
/* C_EncryptMessageNext, C_DecryptMessageNext. The parameter matters at the end alone: its tag. An
 * end that gives no byte needs no room. */
CK_RV session_message_next(struct session *session, enum operation_kind kind,
			   const struct message_call *call, CK_FLAGS flags);
