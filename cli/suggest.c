/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/suggest.h"

#include <stdbool.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* One row of the table of distances, from the two above it: how many steps make the first `i`
 * letters of `a` the first `j` of `b`. */
static void fill_row(const char *a, size_t i, const char *b, const size_t *above_last,
		     const size_t *last, size_t *row)
{
	row[0] = i;
	for (size_t j = 1; b[j - 1] != '\0'; j++) {
		bool differs = a[i - 1] != b[j - 1];

		row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + differs);
		if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
			row[j] = least(row[j], above_last[j - 2] + 1);
	}
}

static size_t distance(const char *a, const char *b)
{
	size_t rows[3][SUGGEST_WORD_MAX + 1] = {0}, count = strlen(a);

	for (size_t j = 0; j <= strlen(b); j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= count; i++)
		fill_row(a, i, b, rows[(i + 1) % 3], rows[(i - 1) % 3], rows[i % 3]);
	return rows[count % 3][strlen(b)];
}

void suggest(struct suggestion *best, const char *typed, const char *known)
{
	size_t len = strlen(known), steps;

	if (*typed == '\0' || len > SUGGEST_WORD_MAX || strlen(typed) > SUGGEST_WORD_MAX)
		return;
	steps = strncmp(typed, known, strlen(typed)) == 0 ? 1 : distance(typed, known);
	if (steps > (len < 3 ? 1 : len / 3))
		return;
	if (best->word == NULL || steps < best->distance)
		*best = (struct suggestion){known, steps};
}
