/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which projects have come and gone since the application looked (PKCS #11, "C_WaitForSlotEvent"):
 * a project is a token. What it has seen is what there was when it asked for slots, or for events,
 * for the first time; each event is told once. Thread-safe.
 */
#pragma once

#include "base/buffer.h"
#include "include/pkcs11.h"

#include <pthread.h>

struct zones;

struct slot_events {
	pthread_mutex_t lock;
	bool begun;
	struct buffer seen; /* struct seen[] */
};
void slot_events_init(struct slot_events *events);
void slot_events_clear(struct slot_events *events);

/* The application sees the slots, as they were last read. Later calls do nothing. */
void slot_events_begin(struct slot_events *events, struct zones *zones);
/* A slot whose project has come, gone or been replaced; CKR_NO_EVENT. Looks into the store as often
 * as any call does, so that it may be asked again and again. */
CK_RV slot_events_next(struct slot_events *events, struct zones *zones, CK_SLOT_ID *ret_slot);
