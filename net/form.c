/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Forms and parts of URLs. */
#include "net/form.h"

void percent_put(struct buffer *out, struct bytes text)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c != 0 && strchr(unreserved, c) != NULL)
			buffer_put_u8(out, c);
		else
			buffer_format(out, "%%%02X", c);
	}
}

void form_put_bytes(struct buffer *form, const char *name, struct bytes value)
{
	if (form->len > 0)
		buffer_put_u8(form, '&');
	percent_put(form, bytes_of(name));
	buffer_put_u8(form, '=');
	percent_put(form, value);
}

void form_put(struct buffer *form, const char *name, const char *value)
{
	form_put_bytes(form, name, bytes_of(value));
}
