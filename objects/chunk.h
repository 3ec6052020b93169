/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks that are sealed under one key, each index once and in order, so that no IV is used twice:
 * what this module builds of them is deterministic (SP 800-38D section 8.2.1). Only a key that was
 * derived here begins at 0; of any other, a copy too, nobody knows what it has sealed elsewhere.
 */
#pragma once

#include "objects/object.h"

/* Of a key that nobody else knows yet. */
void object_begin_chunks(struct object *key);
/* May it seal chunks at all? */
bool object_has_chunks(const struct object *key);
/* This chunk is the caller's now, and no other's. False: it or a later one was taken. Thread-safe.
 */
bool object_take_chunk(struct object *key, uint32_t index, bool last);
