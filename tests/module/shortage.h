/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator that fails (shortage_allocator.c), for programs that run under it. */
#pragma once

#include <stdbool.h>

/* The `at`-th allocation from now on fails, and with `on` all after it. */
void shortage_begin(long at, bool on);
/* No more do. How many have failed. */
long shortage_end(void);
