/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The turn to look into the store or change it: one thread has it, and the others wait. It may be
 * kept while the store waits for the network, since whoever waits for it does so to a deadline of
 * its own, and whoever only reads the index never takes it, once it was filled. The thread that
 * takes it holds pthread_cancel off until it has given it back.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct turn {
	pthread_mutex_t lock; /* for moments */
	pthread_cond_t free;
	bool taken;
	size_t waiting; /* how many wait for it */
};

void turn_init(struct turn *turn);
void turn_clear(struct turn *turn);
/* False: another thread has it. */
bool turn_try(struct turn *turn);
/* False: another thread has had it for that long; 0: it is waited for without an end. */
bool turn_take(struct turn *turn, unsigned wait_ms);
void turn_give(struct turn *turn);
