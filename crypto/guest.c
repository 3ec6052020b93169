/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Being a guest in a host that uses OpenSSL itself. */
#include "crypto/guest.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from == NULL ? "" : from);
}

void guest_errors_save(struct guest_errors *ret_errors)
{
	const char *file, *function, *data;
	unsigned long code;
	int line, flags;

	ret_errors->count = 0;
	while ((code = ERR_get_error_all(&file, &line, &function, &data, &flags)) != 0) {
		struct guest_error *error = &ret_errors->errors[ret_errors->count];

		if (ret_errors->count == GUEST_ERRORS)
			return;
		ret_errors->count++;
		error->code = code;
		error->line = line;
		copy(error->file, sizeof(error->file), file);
		copy(error->function, sizeof(error->function), function);
		copy(error->data, sizeof(error->data), (flags & ERR_TXT_STRING) != 0 ? data : NULL);
	}
}

void guest_errors_restore(const struct guest_errors *errors)
{
	ERR_clear_error();
	for (size_t i = 0; i < errors->count; i++) {
		const struct guest_error *error = &errors->errors[i];

		ERR_new();
		ERR_set_debug(error->file, error->line, error->function);
		if (error->data[0] == 0)
			ERR_set_error(ERR_GET_LIB(error->code), ERR_GET_REASON(error->code), NULL);
		else
			ERR_set_error(ERR_GET_LIB(error->code), ERR_GET_REASON(error->code), "%s",
				      error->data);
	}
}

void guest_tls_forgets(void *ssl_context)
{
	SSL_CTX_set_options(ssl_context, SSL_OP_CLEANSE_PLAINTEXT);
}

bool guest_openssl_ended(void)
{
	return OPENSSL_init_crypto(0, NULL) == 0; /* it asks for nothing, so it is only refused then
						   */
}
