/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The page of `cmek tree --html`. */
#pragma once

#include "base/buffer.h"

#include <jansson.h>

/*
 * Appends one HTML page that needs no other file, no script and no network: what is due, then the
 * hierarchy, which folds. `projects` is what `cmek tree --json --usage` prints. Every text in it
 * may come from others, so none of them is taken for markup, and none turns the direction of what
 * follows it. Ages are counted to `now_ms`, milliseconds since 1970. Look at the buffer's `failed`.
 */
void tree_page(const json_t *projects, int64_t now_ms, struct buffer *out);
