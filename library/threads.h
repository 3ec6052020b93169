/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads share a file's work. */
#pragma once

#include "library/exported.h"

#include <stddef.h>

enum { LIBRARY_THREADS_MAX = 64 };

/* What `threads` in the options means to envelope/parallel.h: the number as it is, but
 * LIBRARY_THREADS_MAX at most; of CMEK_ALL_PROCESSORS as many as the calling thread may run on, at
 * least 1. */
unsigned library_threads(size_t wanted);
