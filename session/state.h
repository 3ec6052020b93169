/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a session holds; for the files of this folder only. */
#pragma once

#include "mechanisms/operation.h"
#include "session/find.h"
#include "session/messages.h"
#include "session/ready_keys.h"
#include "session/session.h"

struct place;

/* In lines of the cache of its own: another thread may work in the session beside it. */
struct session {
	struct place *place; /* in the table; its lock is held while the session is borrowed */
	CK_SESSION_HANDLE handle;
	CK_SLOT_ID slot;
	bool read_write;
	CK_ULONG device_error; /* why the last call failed, CMEK_ERROR_… */
	unsigned thread_news;  /* what was seen of base/thread.h's count */
	int64_t realtime_ms;   /* when it was borrowed; INT64_MAX: no lease ran */
	struct objects *objects;
	struct tokens *tokens;
	struct messages messages[2]; /* to encrypt, to decrypt */
	/* Each of what follows is cleared by itself when the session is closed. */
	struct operation operations[OPERATION_KIND_COUNT];
	struct ready_keys ready;
	struct search search;
} __attribute__((aligned(64)));
