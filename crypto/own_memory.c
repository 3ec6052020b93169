/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of an OpenSSL that is the module's own (-Dhidden_openssl): key schedules, and what TLS
 * receives, lie in locked slabs that are not dumped, and are wiped when freed. A fork's child keeps
 * them, since OpenSSL's own state goes on there.
 */
#include "base/free.h"
#include "base/short_lock.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/slabs.h"
#include "crypto/internal.h"

#include <openssl/crypto.h>
#include <string.h>

static struct slabs slabs = {
	.lock = SHORT_LOCK_INITIALIZER, .stays_at_fork = true, .half_the_limit = true};

static void *take(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return len == 0 ? NULL : slabs_new(&slabs, len);
}

static void give(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	slabs_free(&slabs, memory);
}

static void *resize(void *memory, size_t len, const char *file, int line)
{
	size_t room = memory == NULL ? 0 : slabs_room(memory);
	void *larger;

	if (memory != NULL && len > 0 && len <= room && len > room / 4)
		return memory;
	larger = take(len, file, line);
	if (memory == NULL || (larger == NULL && len > 0))
		return larger;
	if (larger != NULL)
		memcpy(larger, memory, room < len ? room : len);
	give(memory, file, line);
	return larger;
}

/* No thread that the child lacks is in the middle of a change. */
static void before_fork(void)
{
	pthread_mutex_lock(&slabs.lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&slabs.lock);
}

bool crypto_own_memory(void)
{
	CRYPTO_malloc_fn now;

	CRYPTO_get_mem_functions(&now, NULL, NULL);
	if (now == take)
		return true;
	if (CRYPTO_set_mem_functions(take, resize, give) == 1 &&
	    pthread_atfork(before_fork, after_fork, after_fork) == 0)
		return true;
	log_error("OpenSSL does not take memory from this module, whose own copy it is: it was in "
		  "use before C_Initialize; restart the process");
	return false;
}
