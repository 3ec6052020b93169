/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pthread_cancel() of a thread that is in a call of ours: it would go with our locks held and its
 * question unanswered, and all others would wait for ever. So whatever may wait or write holds it
 * off: start and stop, the KMS and who waits for its answer, the store, the logs, random numbers.
 * What else a call does is no cancellation point, so the common calls of a session, of which each
 * nanosecond counts, do without. A cancelled thread ends when it is back in its program.
 *
 *	AUTO(cancel_releasep) int cancel = cancel_hold();
 */
#pragma once

#include <pthread.h>

/* Answers what is to be put back; may be nested. */
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
