/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being a guest in a host that uses OpenSSL itself: its thread's error queue, and its end. For code
 * that calls another library which uses OpenSSL in the host's way (curl).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { GUEST_ERRORS = 16 }; /* as many as OpenSSL keeps */

/* The thread's error queue, put aside. Marks (ERR_set_mark) in it can't be seen and are lost. */
struct guest_errors {
	size_t count;
	struct guest_error {
		unsigned long code;
		int line;
		char file[64], function[64], data[256]; /* cut if longer */
	} errors[GUEST_ERRORS];
};

/* Takes the errors out of the queue, which is then empty; and puts them back in place of whatever
 * is there. */
void guest_errors_save(struct guest_errors *ret_errors);
void guest_errors_restore(const struct guest_errors *errors);

/* For the context of a TLS client (SSL_CTX): received data does not stay in its connections'
 * buffers once it has been handed on. */
void guest_tls_forgets(void *ssl_context);

/* OpenSSL is being or has been cleaned up, as when the process exits: neither OpenSSL nor anything
 * that uses it may be called any more. */
bool guest_openssl_ended(void);
