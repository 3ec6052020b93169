/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/domain/turn.h"

#include <errno.h>
#include <time.h>

void turn_init(struct turn *turn)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&turn->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&turn->free, &attributes);
	pthread_condattr_destroy(&attributes);
	turn->taken = false;
	turn->waiting = 0;
}

void turn_clear(struct turn *turn)
{
	pthread_cond_destroy(&turn->free);
	pthread_mutex_destroy(&turn->lock);
}

bool turn_try(struct turn *turn)
{
	bool free;

	pthread_mutex_lock(&turn->lock);
	free = !turn->taken;
	turn->taken = true;
	pthread_mutex_unlock(&turn->lock);
	return free;
}

static struct timespec moment_in(unsigned ms)
{
	struct timespec moment;

	clock_gettime(CLOCK_MONOTONIC, &moment);
	moment.tv_sec += ms / 1000;
	moment.tv_nsec += (long)(ms % 1000) * 1000000;
	if (moment.tv_nsec >= 1000000000) {
		moment.tv_sec++;
		moment.tv_nsec -= 1000000000;
	}
	return moment;
}

/* With the lock held. */
static bool wait_until_free(struct turn *turn, unsigned wait_ms)
{
	struct timespec end = {0};
	int error = 0;

	if (turn->taken && wait_ms > 0)
		end = moment_in(wait_ms);
	turn->waiting++;
	while (turn->taken && error != ETIMEDOUT)
		error = wait_ms == 0 ? pthread_cond_wait(&turn->free, &turn->lock)
				     : pthread_cond_timedwait(&turn->free, &turn->lock, &end);
	turn->waiting--;
	return !turn->taken;
}

bool turn_take(struct turn *turn, unsigned wait_ms)
{
	bool mine;

	pthread_mutex_lock(&turn->lock);
	mine = wait_until_free(turn, wait_ms);
	turn->taken = true;
	pthread_mutex_unlock(&turn->lock);
	return mine;
}

void turn_give(struct turn *turn)
{
	pthread_mutex_lock(&turn->lock);
	turn->taken = false;
	pthread_cond_signal(&turn->free);
	pthread_mutex_unlock(&turn->lock);
}
