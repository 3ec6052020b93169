/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Notices a fork by a page that the kernel zeroes in the child. */
#include "base/fork.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* Once made, the page stays: a child inherits it zeroed, and marks it anew. */
static _Atomic(atomic_int *) page;
/* Used when there is no such page; 0: not marked. */
static atomic_int owner_pid;

static atomic_int *page_new(void)
{
	size_t len = (size_t)sysconf(_SC_PAGESIZE);
	void *made = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (made == MAP_FAILED)
		return NULL;
	if (madvise(made, len, MADV_WIPEONFORK) != 0) {
		munmap(made, len);
		return NULL;
	}
	/* Marked before anybody can see it: an unmarked page means "child". */
	atomic_init((atomic_int *)made, 1);
	return made;
}

static atomic_int *page_get(void)
{
	atomic_int *mine = atomic_load(&page), *expected = NULL;

	if (mine != NULL)
		return mine;
	mine = page_new();
	if (mine == NULL || atomic_compare_exchange_strong(&page, &expected, mine))
		return mine;
	munmap(mine, (size_t)sysconf(_SC_PAGESIZE)); /* another thread was first */
	return expected;
}

void fork_mark(void)
{
	atomic_int *mark = page_get();

	if (mark != NULL)
		atomic_store(mark, 1);
	else
		atomic_store(&owner_pid, getpid());
}

bool fork_is_child(void)
{
	atomic_int *mark = atomic_load_explicit(&page, memory_order_acquire);
	int pid;

	/* Whoever sees the mark sees what another thread of the child has made anew before it:
	 * locks above all. On x86-64 this is a plain load, as a relaxed one is. */
	if (mark != NULL)
		return atomic_load_explicit(mark, memory_order_acquire) == 0;
	pid = atomic_load_explicit(&owner_pid, memory_order_acquire);
	return pid != 0 && pid != getpid();
}
