/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What SQLite was asked by this process: pages of its cache, and instructions of its machine. */
#pragma once

#include <stdint.h>

struct sqlite_asked {
	uint64_t pages, steps;
};

extern struct sqlite_asked sqlite_asked;

/* From now on, of every connection. */
void sqlite_watch(void);
