/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/support/sqlite_asked.h"

#include <sqlite3.h>
#include <stddef.h>

struct sqlite_asked sqlite_asked;

static uint64_t status_of(sqlite3 *db, int what)
{
	int now = 0, most;

	sqlite3_db_status(db, what, &now, &most, 0);
	return (uint64_t)now;
}

static int note(unsigned event, void *state, void *what, void *more)
{
	(void)state, (void)more;
	if (event == SQLITE_TRACE_PROFILE)
		sqlite_asked.steps +=
			(uint64_t)sqlite3_stmt_status(what, SQLITE_STMTSTATUS_VM_STEP, 1);
	else
		sqlite_asked.pages += status_of(what, SQLITE_DBSTATUS_CACHE_HIT) +
				      status_of(what, SQLITE_DBSTATUS_CACHE_MISS);
	return 0;
}

static int watch(sqlite3 *db, char **ret_error, const void *routines)
{
	(void)ret_error, (void)routines;
	return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE | SQLITE_TRACE_CLOSE, note, NULL);
}

void sqlite_watch(void)
{
	sqlite3_auto_extension((void (*)(void))watch);
}
