/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Calling a library that was not made for guests. */
#include "net/guest.h"

#include "base/macros.h"
#include "crypto/crypto.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

static const int left_open[] = {
	SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGTRAP, SIGABRT, SIGSYS, /* faults */
	SIGINT,	 SIGTERM, SIGQUIT, SIGHUP,			     /* people */
};

void guest_enter(struct guest *guest)
{
	sigset_t blocked;

	sigfillset(&blocked);
	for (size_t i = 0; i < COUNT_OF(left_open); i++)
		sigdelset(&blocked, left_open[i]);
	sigpipe_begin(&guest->sigpipe);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	guest_errors_save(&guest->errors);
	guest->context = crypto_context_enter();
}

void guest_leave(struct guest *guest)
{
	crypto_context_leave(guest->context);
	guest_errors_restore(&guest->errors);
	sigpipe_end(&guest->sigpipe);
}

int guest_socket_open(struct guest_sockets *sockets, int domain, int type, int protocol)
{
	int fd = socket(domain, type | SOCK_CLOEXEC, protocol);

	for (size_t i = 0; fd >= 0 && i < GUEST_SOCKETS; i++) {
		int empty = 0;

		if (atomic_compare_exchange_strong(&sockets->places[i], &empty, fd + 1))
			break;
	}
	return fd;
}

static void forget(struct guest_sockets *sockets, int fd)
{
	for (size_t i = 0; i < GUEST_SOCKETS; i++) {
		int mine = fd + 1;

		if (atomic_compare_exchange_strong(&sockets->places[i], &mine, 0))
			return;
	}
}

void guest_socket_close(struct guest_sockets *sockets, int fd)
{
	forget(sockets, fd); /* first: afterwards the number may belong to another file */
	close(fd);
}

void guest_sockets_abandon(struct guest_sockets *sockets)
{
	for (size_t i = 0; i < GUEST_SOCKETS; i++) {
		int fd = atomic_exchange(&sockets->places[i], 0) - 1;

		if (fd >= 0)
			close(fd);
	}
}
