/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For LD_PRELOAD: memory is short. The n-th allocation fails, or it and all later ones do, whoever
 * asks: the module, OpenSSL, SQLite, jansson, curl. A program says when by shortage_begin() and
 * shortage_end(). Of any other it is allocation $SHORTAGE_AT ("n", or "n-" for all from there on)
 * after its first flock(), when the module has started and turns to its store; the file
 * $SHORTAGE_TOLD comes to be when one has failed. With $SHORTAGE_TRACE each failure says where it
 * is (addr2line). Pages that are mapped for memory count too: base/secret.c.
 */
#include "shortage.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc's own, under the names that nobody replaces. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_bool armed;
static atomic_long counted, failures;
static long fail_at;
static bool fails_on;
static bool traces;
static atomic_bool waits; /* for the first flock() */
static const char *told;

static void trace(void)
{
	void *frames[64];
	int count = backtrace(frames, 64);

	backtrace_symbols_fd(frames, count, STDERR_FILENO);
	(void)!write(STDERR_FILENO, "--\n", 3);
}

static void tell(void)
{
	atomic_fetch_add(&failures, 1);
	if (told != NULL)
		close((int)syscall(SYS_openat, AT_FDCWD, told, O_CREAT | O_WRONLY | O_CLOEXEC,
				   0600));
	if (!traces)
		return;
	atomic_store(&armed, false);
	trace();
	atomic_store(&armed, true);
}

static bool fails(void)
{
	long at;

	if (!atomic_load_explicit(&armed, memory_order_relaxed))
		return false;
	at = atomic_fetch_add(&counted, 1) + 1;
	if (at < fail_at || (at > fail_at && !fails_on))
		return false;
	tell();
	errno = ENOMEM;
	return true;
}

void shortage_begin(long at, bool on)
{
	fail_at = at;
	fails_on = on;
	atomic_store(&counted, 0);
	atomic_store(&failures, 0);
	atomic_store(&armed, true);
}

long shortage_end(void)
{
	atomic_store(&armed, false);
	return atomic_load(&failures);
}

/* What libraries do on the way out is theirs: glibc aborts where gnutls has no memory then. */
static void stop(void)
{
	shortage_end();
}

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("SHORTAGE_AT");
	char *end;

	traces = getenv("SHORTAGE_TRACE") != NULL;
	told = getenv("SHORTAGE_TOLD");
	if (traces) { /* whose first call allocates */
		void *frame;

		backtrace(&frame, 1);
	}
	if (at == NULL)
		return;
	atexit(stop);
	fail_at = strtol(at, &end, 10);
	fails_on = *end == '-';
	waits = true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	return fails() ? NULL : __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
	void *memory = memalign(alignment, size);

	if (memory == NULL)
		return ENOMEM;
	*ret_memory = memory;
	return 0;
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t at)
{
	if ((flags & MAP_ANONYMOUS) != 0 && fails())
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, at);
}

int flock(int fd, int operation)
{
	if (atomic_exchange(&waits, false))
		shortage_begin(fail_at, fails_on);
	return (int)syscall(SYS_flock, fd, operation);
}
