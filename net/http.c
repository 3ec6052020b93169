/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is common to all ways of HTTP: the answer. */
#include "net/http.h"

#include <strings.h>

void http_answer_clear(struct http_answer *answer)
{
	buffer_clear(&answer->head);
	buffer_clear(&answer->body);
	*answer = (struct http_answer){0};
}

/* Takes a line with its end. */
static struct bytes take_line(struct bytes *left)
{
	const uint8_t *end = memchr(left->data, '\n', left->len);
	size_t len = end == NULL ? left->len : (size_t)(end - left->data) + 1;
	struct bytes line = bytes(left->data, len);

	*left = bytes(left->data + len, left->len - len);
	return line;
}

struct bytes http_answer_header(const struct http_answer *answer, const char *name)
{
	struct bytes left = buffer_bytes(&answer->head);
	size_t len = strlen(name);

	while (left.len > 0) {
		struct bytes line = take_line(&left);

		if (line.len > len && line.data[len] == ':' &&
		    strncasecmp((const char *)line.data, name, len) == 0)
			return bytes_trim(bytes(line.data + len + 1, line.len - len - 1));
	}
	return bytes(NULL, 0);
}
