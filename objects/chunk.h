/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks that are sealed under one key: each index once and in order, so that no IV is used twice,
 * since the IV that this module makes for a chunk is deterministic (SP 800-38D section 8.2.1). Only
 * a key that was derived here begins at 0; of any other key, even a copy, nobody knows what it has
 * sealed elsewhere. The same holds for messages, whose keys are derived of one key by their
 * numbers; there it is a key that was generated here.
 */
#pragma once

#include "objects/object.h"

/* For a key that nobody else knows yet. */
void object_begin_chunks(struct object *key);
/* Whether the key may seal chunks at all. */
bool object_has_chunks(const struct object *key);
/* Reserves this chunk for the caller. False: it or a later one was taken. Thread-safe. */
bool object_take_chunk(struct object *key, uint32_t index, bool last);

/* The same of messages, of which none is the last. */
void object_begin_messages(struct object *key);
bool object_has_messages(const struct object *key);
bool object_take_message(struct object *key, uint32_t number);
