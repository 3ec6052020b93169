/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "library/refusal.h"

#include "base/free.h"
#include "base/macros.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

static bool make_shared_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t kind;
	bool made;

	if (pthread_mutexattr_init(&kind) != 0)
		return false;
	made = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0 &&
	       pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0 &&
	       pthread_mutex_init(lock, &kind) == 0;
	pthread_mutexattr_destroy(&kind);
	return made;
}

struct library_refusal *library_refusal_new(void)
{
	struct library_refusal *refusal = mmap(NULL, sizeof(*refusal), PROT_READ | PROT_WRITE,
					       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (refusal == MAP_FAILED)
		return NULL;
	if (make_shared_lock(&refusal->lock))
		return refusal;
	library_refusal_free(refusal);
	return NULL;
}

/* The lock is the children's too, and not destroyed. */
void library_refusal_free(struct library_refusal *refusal)
{
	if (refusal != NULL)
		munmap(refusal, sizeof(*refusal));
}

unsigned library_refusal_look(const struct library_refusal *refusal)
{
	return atomic_load(&refusal->accepted);
}

static pthread_mutex_t *locked_though_one_died(pthread_mutex_t *lock)
{
	if (pthread_mutex_lock(lock) == EOWNERDEAD)
		pthread_mutex_consistent(lock);
	return lock;
}

/* While the caller waited, the PIN was the right one. */
static bool may_go(struct library_refusal *refusal, unsigned accepted_before)
{
	if (library_refusal_look(refusal) == accepted_before)
		return false;
	if (atomic_fetch_add(&refusal->at_once, 1) < LIBRARY_LOGINS_AT_ONCE)
		return true;
	atomic_fetch_sub(&refusal->at_once, 1);
	return false;
}

CK_RV library_refusal_try(struct library_refusal *refusal, unsigned accepted_before,
			  library_refusal_login *login, void *state, bool *ret_tried)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked_though_one_died(&refusal->lock);
	bool goes;
	CK_RV rv;

	*ret_tried = !atomic_load(&refusal->refused);
	if (!*ret_tried)
		return CKR_PIN_INCORRECT;
	goes = may_go(refusal, accepted_before);
	if (goes)
		pthread_mutex_unlock(TAKE(lock));
	rv = login(state);
	if (rv == CKR_PIN_INCORRECT)
		atomic_store(&refusal->refused, true);
	if (rv == CKR_OK)
		atomic_fetch_add(&refusal->accepted, 1);
	if (goes) /* when whoever takes this place knows */
		atomic_fetch_sub(&refusal->at_once, 1);
	return rv;
}
