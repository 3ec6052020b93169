/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { EVERY_MS = 200 };

void progress_begin(struct progress *progress, const char *what, size_t total)
{
	*progress = (struct progress){
		.what = what,
		.total = total,
		.next_ms = total > 1 && isatty(STDERR_FILENO) ? 0 : INT64_MAX,
	};
}

void progress_step(struct progress *progress, size_t done)
{
	int64_t now = progress->next_ms == INT64_MAX ? 0 : clock_now(&clock_system).monotonic_ms;

	if (now < progress->next_ms)
		return;
	progress->next_ms = now + EVERY_MS;
	progress->shown = true;
	fprintf(stderr, "\r%s: %zu of %zu", progress->what, done, progress->total);
	fflush(stderr);
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
