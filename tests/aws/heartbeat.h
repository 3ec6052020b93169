/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of a process's time was not its own: a thread that does nothing but sleep for some
 * milliseconds adds up by how much it overslept. What a loaded machine takes away from all threads
 * alike is told by it from what a call takes.
 */
#pragma once

#include <stdint.h>

void heartbeat_start(void);
/* Since the start. */
int64_t heartbeat_late_ms(void);
int64_t heartbeat_now_ms(void);
