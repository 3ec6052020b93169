/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How the aws clients reach what they ask; tests replace it. A zero member means the real thing. */
#pragma once

#include <stdint.h>

struct http;

struct aws_transport {
	struct http *http; /* not owned */
	void (*sleep)(void *state, int64_t ms);
	void *sleep_state;
};
