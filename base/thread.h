/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread remembers from one call to the next. Not _Thread_local: for a library that is
 * loaded late, glibc allocates such memory at its first use and, where there is none then, ends the
 * process, which is our host's.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { THREAD_MESSAGE_MAX = 2048, THREAD_REQUEST_MAX = 64, THREAD_CALLER_MAX = 648 };

struct thread_notes {
	char message[THREAD_MESSAGE_MAX];    /* base/log.c: the last error or warning */
	char request_id[THREAD_REQUEST_MAX]; /* … and the request that it was the answer to */
	unsigned messages;
	unsigned long reason, last_reason;	       /* objects/error.c */
	unsigned noted, noted_before, messages_before; /* up to the end of the last call */
	bool calls_back;      /* pkcs11/doctor.c: the program, within its call */
	const char *function; /* zones/kms/audit.c: the call under way … */
	bool has_caller;
	char caller[THREAD_CALLER_MAX]; /* … and as which identity it last asked a KMS */
};

/* Grows with each message and reason that any thread notes: while it stays the same there is
 * nothing to look for. A shared library reaches a thread's own memory only slowly. */
extern atomic_uint thread_news;

/* This thread's, zeroed at first, freed when the thread ends. NULL: no memory; then nothing is
 * remembered, and the next call tries again. */
struct thread_notes *thread_notes(void);
/* The same for reading: all zeros where this thread has none. */
const struct thread_notes *thread_notes_kept(void);

/* Which of the 2^bits parts of something this thread uses that is in parts so that threads seldom
 * meet: threads that begin one after the other have different ones. Nothing may depend on which. */
size_t thread_part(unsigned bits);
