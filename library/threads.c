/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/threads.h"

#include <sched.h>

static size_t processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) != 0 ? 1 : (size_t)CPU_COUNT(&set);
}

unsigned library_threads(size_t wanted)
{
	size_t count = wanted == CMEK_ALL_PROCESSORS ? processors() : wanted;

	return count < LIBRARY_THREADS_MAX ? (unsigned)count : LIBRARY_THREADS_MAX;
}
