/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials as JSON. */
#include "aws/credentials/json.h"

#include "base/json_secret.h"
#include "base/macros.h"

static const char none[] = "no credentials";

static const char *read_end(const json_t *object, const struct credentials_form *form,
			    int64_t *ret_ms)
{
	const json_t *end = json_object_get(object, form->expiration);

	if (end == NULL || json_is_null(end))
		return form->expires ? "credentials that do not say when they expire" : NULL;
	if (form->since_1970) {
		*ret_ms = json_integer_value(end);
		return json_is_integer(end) && *ret_ms > 0
			       ? NULL
			       : "credentials whose expiration is no time in milliseconds";
	}
	return json_is_string(end) && clock_read_extended(json_string_value(end), ret_ms)
		       ? NULL
		       : credentials_bad_end;
}

static bool read_members(const json_t *object, const struct credentials_form *form,
			 struct credentials *ret)
{
	const char *id = json_string_value(json_object_get(object, form->id));

	if (id == NULL || !json_secret_at(object, form->secret) ||
	    (ret->session_token.len > 0 && !json_secret_at(object, form->token)))
		return false;
	buffer_put_text(&ret->access_key_id, id);
	return !ret->access_key_id.failed;
}

const char *credentials_parse(struct buffer *text, const struct credentials_form *form,
			      struct credentials *ret_credentials, json_t **ret_rest)
{
	const struct json_secret secrets[] = {
		{form->secret, &ret_credentials->secret_access_key},
		{form->token, &ret_credentials->session_token},
	};
	bool no_memory;
	json_t *root = json_read_apart(text, secrets, COUNT_OF(secrets), &no_memory);
	const json_t *object = form->object == NULL ? root : json_object_get(root, form->object);

	ret_credentials->access_key_id.failed |= no_memory;
	if (!json_is_object(root)) {
		json_decref(root);
		return none;
	}
	*ret_rest = root;
	if (!json_is_object(object) || !read_members(object, form, ret_credentials))
		return none;
	return read_end(object, form, &ret_credentials->expires_ms);
}
