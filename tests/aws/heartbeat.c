/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a process's time was not its own. */
#include "tests/aws/heartbeat.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

enum { BEAT_MS = 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t last_ms, late_ms;

int64_t heartbeat_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The lock is held. */
static int64_t overdue(int64_t now_ms)
{
	int64_t late = now_ms - last_ms - BEAT_MS;

	return late > 0 ? late : 0;
}

static void *beat(void *state)
{
	const struct timespec pause = {0, BEAT_MS * 1000000};

	(void)state;
	for (;;) {
		int64_t now;

		nanosleep(&pause, NULL);
		now = heartbeat_now_ms();
		pthread_mutex_lock(&lock);
		late_ms += overdue(now);
		last_ms = now;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

void heartbeat_start(void)
{
	pthread_t thread;

	last_ms = heartbeat_now_ms();
	if (pthread_create(&thread, NULL, beat, NULL) == 0)
		pthread_detach(thread);
}

int64_t heartbeat_late_ms(void)
{
	int64_t late;

	pthread_mutex_lock(&lock);
	late = late_ms + overdue(heartbeat_now_ms());
	pthread_mutex_unlock(&lock);
	return late;
}
