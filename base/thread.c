/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Pthread keys. The destructor stays loaded: the module is linked with -z nodelete. */
#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

atomic_uint thread_news;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key, number_key;
static bool has_key;
static atomic_bool has_number_key;

static void make_keys(void)
{
	has_key = pthread_key_create(&key, free) == 0;
	atomic_store(&has_number_key, pthread_key_create(&number_key, NULL) == 0);
}

static struct thread_notes *kept(void)
{
	pthread_once(&once, make_keys);
	return has_key ? pthread_getspecific(key) : NULL;
}

struct thread_notes *thread_notes(void)
{
	struct thread_notes *notes = kept();

	if (notes != NULL || !has_key)
		return notes;
	notes = calloc(1, sizeof(*notes));
	if (notes == NULL || pthread_setspecific(key, notes) == 0)
		return notes;
	free(notes);
	return NULL;
}

const struct thread_notes *thread_notes_kept(void)
{
	static const struct thread_notes none;
	const struct thread_notes *notes = kept();

	return notes == NULL ? &none : notes;
}

/* The number itself is what the key has: nothing is allocated. Without memory it is another one the
 * next time. */
static size_t new_number(void)
{
	static atomic_size_t threads;
	size_t number = atomic_fetch_add(&threads, 1) + 1;

	pthread_once(&once, make_keys);
	if (atomic_load(&has_number_key))
		pthread_setspecific(number_key, (void *)(uintptr_t)number);
	return number;
}

size_t thread_part(unsigned bits)
{
	size_t number = 0;

	if (atomic_load_explicit(&has_number_key, memory_order_acquire))
		number = (size_t)(uintptr_t)pthread_getspecific(number_key);
	if (number == 0)
		number = new_number();
	return number & (((size_t)1 << bits) - 1);
}
