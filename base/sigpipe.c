/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps SIGPIPE from the host while we write. */
#include "base/sigpipe.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

static bool is_pending(void)
{
	sigset_t pending;

	sigemptyset(&pending);
	sigpending(&pending);
	return sigismember(&pending, SIGPIPE) == 1;
}

static sigset_t only_sigpipe(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	return set;
}

void sigpipe_begin(struct sigpipe *sigpipe)
{
	sigset_t set = only_sigpipe();

	sigpipe->pending = is_pending();
	pthread_sigmask(SIG_BLOCK, &set, &sigpipe->before);
}

void sigpipe_end(const struct sigpipe *sigpipe)
{
	const struct timespec at_once = {0};
	sigset_t set = only_sigpipe();
	int saved = errno;

	if (!sigpipe->pending && is_pending())
		while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &sigpipe->before, NULL);
	errno = saved;
}
