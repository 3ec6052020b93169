/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The levels of a store, whichever engine has it: what each asks of whoever reads or writes it
 * (docs/format.md, 6). A row is never changed once a release has had it.
 */
#include "base/macros.h"
#include "zones/store/store.h"

/* clang-format off */
static const struct store_level levels[] = {
	{ 1, 1, 1, "0.1.0", "the first level" },
#ifdef CMEK_NEXT_LEVELS
	/* Made up, for tests: one that only writers must know, then one for readers as well. */
	{ 2, 1, 2, "0.2.0", "made up for tests: notes on databases" },
	{ 3, 3, 3, "0.3.0", "made up for tests: frozen databases" },
#endif
};
/* clang-format on */

unsigned store_level_understood(void)
{
	return levels[COUNT_OF(levels) - 1].level;
}

const struct store_level *store_level_row(unsigned level)
{
	return level >= 1 && level <= COUNT_OF(levels) ? &levels[level - 1] : NULL;
}
