/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calling a library that was not made for guests: what libcurl and its TLS do to the thread and the
 * process is undone around each call.
 */
#pragma once

#include "base/sigpipe.h"
#include "crypto/guest.h"

struct guest {
	struct sigpipe sigpipe; /* holds the caller's signal mask */
	void *context;		/* the thread's OpenSSL library context */
	struct guest_errors errors;
};

/*
 * Enters: our own OpenSSL library context; the error queue put aside; signals blocked, so that a
 * write to a closed connection raises no SIGPIPE in the host, and a thread that libcurl starts (its
 * resolver) runs no handler of the host's. Not blocked: faults, and the signals by which people end
 * programs, which a waiting call must not hold up (the kernel prefers the main thread for those).
 */
void guest_enter(struct guest *guest);
void guest_leave(struct guest *guest);

/*
 * Sockets that libcurl has open, so that a fork's child can close its copies without a call to
 * libcurl: a TLS goodbye from there would end the parent's session. Lock-free, since a fork may
 * happen at any moment. CLOEXEC.
 */
enum { GUEST_SOCKETS = 1024 };
struct guest_sockets {
	_Atomic int places[GUEST_SOCKETS]; /* descriptor + 1; 0 = free */
};
int guest_socket_open(struct guest_sockets *sockets, int domain, int type, int protocol);
void guest_socket_close(struct guest_sockets *sockets, int fd);
void guest_sockets_abandon(struct guest_sockets *sockets);
