/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials as JSON: the forms in which metadata services, processes and SSO give them. */
#pragma once

#include "aws/credentials.h"

#include <jansson.h>

struct credentials_form {
	const char *object; /* the member that holds them; NULL: the top */
	const char *id, *secret, *token, *expiration;
	bool expires;	 /* has to say when */
	bool since_1970; /* says so in milliseconds, not as RFC 3339 */
};

/*
 * Spoils the text. NULL: success; else what the text has instead, static text for "it gave …": no
 * credentials at all, or an expiration that is missing or can't be read; or, if
 * credentials_lack_memory(), unknown. The rest of the JSON, if it is an object at all, is given in
 * every case: json_decref() it.
 */
const char *credentials_parse(struct buffer *text, const struct credentials_form *form,
			      struct credentials *ret_credentials, json_t **ret_rest);
