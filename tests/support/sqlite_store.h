/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a file, for tests that need no other. */
#pragma once

#include "zones/store/sqlite/engine.h"

/* NULL: no memory. */
static inline struct store *store_sqlite_new(const char *path)
{
	return store_sqlite.open(&(struct store_settings){.path = path});
}
