/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Release functions for AUTO: each takes the variable's address and accepts NULL in it. */
#pragma once

#include <pthread.h>
#include <stdlib.h>

static inline void freep(void *variable)
{
	void *memory;

	__builtin_memcpy(&memory, variable, sizeof(memory));
	free(memory);
}

/* AUTO(unlockp) pthread_mutex_t *lock = locked(&mutex); */
static inline pthread_mutex_t *locked(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
	return mutex;
}

static inline void unlockp(pthread_mutex_t **mutex)
{
	if (*mutex != NULL)
		pthread_mutex_unlock(*mutex);
}
