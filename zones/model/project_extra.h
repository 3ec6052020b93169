/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in `extra` of a project's row (docs/format.md, 6.2 and 6.3): its PINs, which the
 * layer above reads, then the mark of its move to another store. Either may be absent. */
#pragma once

#include "zones/model/entry.h"

enum { PROJECT_PINS_HEAD = 6 }; /* "PIN", their format, and how long they are (2) */

/* Borrowed, with that head; empty: none. What is cut off counts as PINs, and no mark. */
struct bytes project_extra_pins(const struct entry *project);
struct bytes project_extra_mark(const struct entry *project);
/* Replaces either on a private copy. False: no memory. */
bool project_extra_set(struct entry *project, struct bytes pins, struct bytes mark);
