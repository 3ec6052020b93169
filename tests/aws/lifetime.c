/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by a test: how long a program ran, and how much of that was not its own time, into the
 * file that CMEK_TEST_LIFETIME names: "MS LATE". */
#include "tests/aws/heartbeat.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t began_ms;

__attribute__((constructor)) static void begin(void)
{
	began_ms = heartbeat_now_ms();
	heartbeat_start();
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("CMEK_TEST_LIFETIME");
	FILE *file = path == NULL ? NULL : fopen(path, "w");

	if (file == NULL)
		return;
	fprintf(file, "%lld %lld\n", (long long)(heartbeat_now_ms() - began_ms),
		(long long)heartbeat_late_ms());
	fclose(file);
}
