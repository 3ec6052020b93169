/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that threads share in each call and mostly hold for a few dozen instructions. Where the C
 * library can, a waiter looks again for a moment before it sleeps: a sleep and a wake-up cost a
 * hundred times what the lock guards, so that two threads were slower than one. All other locks are
 * plain ones.
 */
#pragma once

#include <pthread.h>

#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
#define SHORT_LOCK_INITIALIZER PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
#else
#define SHORT_LOCK_INITIALIZER PTHREAD_MUTEX_INITIALIZER
#endif

static inline void short_lock_init(pthread_mutex_t *lock)
{
	*lock = (pthread_mutex_t)SHORT_LOCK_INITIALIZER;
}
