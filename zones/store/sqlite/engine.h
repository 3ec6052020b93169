/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite 3, rollback journal, in the file `path`. No file is touched before the first read or
 * write; the first write makes the folders (0700) and the file (0600). The calls on one store are
 * the caller's to serialise; several stores need not know of each other.
 *
 * One connection at a time in a process, opened for each call and closed after it, under a mutex
 * that forks wait for; inside flock() on PATH.lock, so that the file is never opened beside another
 * of our processes' transaction.
 */
#pragma once

#include "zones/store/store.h"

extern const struct store_engine store_sqlite;
