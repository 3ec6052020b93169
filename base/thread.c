/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A pthread key. Its destructor stays loaded: the module is linked with -z nodelete. */
#include "base/thread.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

static void make_key(void)
{
	has_key = pthread_key_create(&key, free) == 0;
}

static struct thread_notes *kept(void)
{
	pthread_once(&once, make_key);
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
