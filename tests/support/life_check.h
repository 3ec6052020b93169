/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked at after each step of a life by chance. */
#pragma once

#include "tests/support/life_world.h"

/* By the processes that there are, now and then by a new one, and a part of what was sealed;
 * `thoroughly`: by a new one in any case, and all of it. */
void life_check_all(struct life_world *w, bool thoroughly);
/* Opens a seal by a version of a zone. */
enum zone_status life_open(struct zones *zones, uint64_t zone, uint32_t version,
			   const struct life_seal *seal, uint8_t ret_dek[static LIFE_DEK]);
