/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": which word somebody may have wanted to type. */
#pragma once

#include <stddef.h>

enum { SUGGEST_WORD_MAX = 32 };

/* The best word so far; zero state first. */
struct suggestion {
	const char *word; /* borrowed; NULL: none is near enough */
	size_t distance;
};

/* Looks at one more word that is known. It is near if a third of its letters at most, or one, were
 * left out, put in, exchanged or changed places with their neighbour, or if `typed` is its
 * beginning. Longer words than SUGGEST_WORD_MAX are near to nothing. */
void suggest(struct suggestion *best, const char *typed, const char *known);
