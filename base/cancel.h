/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pthread_cancel() of a thread that is inside a call of ours: the thread would end with our locks
 * held and its question unanswered, and all others would wait for ever. So whatever may wait or
 * write holds cancellation off: start and stop, a call to the KMS and the threads that wait for its
 * answer, the store, the logs, random numbers. The rest of a call contains no cancellation point,
 * so the common calls of a session, where each nanosecond counts, do without. A cancelled thread
 * ends when it is back in its program.
 *
 *	AUTO(cancel_releasep) int cancel = cancel_hold();
 */
#pragma once

#include <pthread.h>

/* Answers the state to put back; may be nested. */
static inline int cancel_hold(void)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

static inline void cancel_releasep(int *before)
{
	pthread_setcancelstate(*before, before);
}
