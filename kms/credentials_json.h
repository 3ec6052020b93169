/* Credentials as JSON: the forms in which metadata services, processes and SSO give them. */
#pragma once

#include <jansson.h>

#include "kms/credentials.h"

struct credentials_form {
	const char *object; /* the member that holds them; NULL: the top */
	const char *id, *secret, *token, *expiration;
	bool expires;	 /* has to say when */
	bool since_1970; /* says so in milliseconds, not as RFC 3339 */
};

/* Spoils the text. False: not of that form. The rest of the JSON, if it is an object at all, is
 * given in both cases: json_decref() it. */
bool credentials_parse(struct buffer *text, const struct credentials_form *form,
		       struct credentials *ret_credentials, json_t **ret_rest);
