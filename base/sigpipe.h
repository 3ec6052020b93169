/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to a pipe or socket whose reader has gone raises SIGPIPE, whose default ends the host.
 * Between begin and end the thread blocks it, and takes away one that its own writing raised.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

struct sigpipe {
	sigset_t before; /* the thread's mask */
	bool pending;	 /* another write raised it already: it stays */
};

void sigpipe_begin(struct sigpipe *sigpipe);
/* Keeps errno. */
void sigpipe_end(const struct sigpipe *sigpipe);
