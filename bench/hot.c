/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does one work with this module again and again, so that another program can count its
 * instructions (tests/sweeps/instructions.py):
 *
 *     hot FOLDER WORK COUNT        FOLDER, which is there, is for the module's files; a WORK of
 *                                  bench/works.c, or one of its searches among any number of keys
 */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counted one by one, since what comes once in a second falls into some of them. */
enum { SLICES = 9 };

/* "find by label among N session keys", of more than the benchmark makes with every peer. */
static bool search_among(const char *title, struct work *ret_work)
{
	const struct work *like = work_named("find by label among 1000 session keys");
	size_t count = 0;
	char again[64];

	if (like == NULL || sscanf(title, "find by label among %zu session keys", &count) != 1 ||
	    count == 0)
		return false;
	snprintf(again, sizeof(again), "find by label among %zu session keys", count);
	if (strcmp(title, again) != 0)
		return false;
	*ret_work = *like;
	ret_work->size = count;
	return true;
}

/* What is counted: callgrind knows it by its name. */
bool hot_run(struct peer *peer, const struct work *work, unsigned long count);
__attribute__((noinline)) bool hot_run(struct peer *peer, const struct work *work,
				       unsigned long count)
{
	while (count-- > 0)
		if (!work->run(peer, work->size))
			return false;
	return true;
}

int main(int argc, char **argv)
{
	const struct work *work = argc == 4 ? work_named(argv[2]) : NULL;
	struct work found;
	unsigned long count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	struct peer peer;
	bool well = false;

	if (argc == 4 && work == NULL && search_among(argv[2], &found))
		work = &found;
	if (work == NULL) {
		fprintf(stderr, "usage: %s FOLDER WORK COUNT, a work of bench/works.c\n", argv[0]);
		return 2;
	}
	peer_open(&peer, PEER_OURS, argv[1]);
	if (peer.missing[0] == '\0')
		well = work->prepare(&peer, work->size);
	for (unsigned long i = 0; well && i < count; i++) /* what is done once only */
		well = work->run(&peer, work->size);
	for (int slice = 0; well && slice < SLICES; slice++)
		well = hot_run(&peer, work, count);
	if (!well)
		fprintf(stderr, "%s: %s%s\n", work->title, peer.missing, failure);
	return well ? 0 : 1;
}
