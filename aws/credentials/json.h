/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials as JSON: the forms in which metadata services, processes and SSO give them. */
#pragma once

#include <jansson.h>

#include "aws/credentials.h"

struct credentials_form {
	const char *object; /* the member that holds them; NULL: the top */
	const char *id, *secret, *token, *expiration;
	bool expires;	 /* has to say when */
	bool since_1970; /* says so in milliseconds, not as RFC 3339 */
};

/*
 * Spoils the text. NULL: there they are; else what was given in their place, static text for "it
 * gave …": no credentials at all, or such as say in no way that can be read until when they are
 * good; or, if credentials_lack_memory(), nobody knows. The rest of the JSON, if it is an object at
 * all, is given in every case: json_decref() it.
 */
const char *credentials_parse(struct buffer *text, const struct credentials_form *form,
			      struct credentials *ret_credentials, json_t **ret_rest);
