/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever comes in from AWS, from who gives credentials, and from AWS's files: the first byte
 * chooses who reads the rest. Nothing may crash; what is read has to keep its promises.
 */
#include "aws/credentials/json.h"
#include "aws/endpoint.h"
#include "aws/service.h"
#include "base/ini.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "base/process.h"
#include "kms/aws/body.h"
#include "net/xml.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

/* A copy that ends in a NUL, which text readers get to see. */
static void put_copy(struct buffer *out, struct bytes input)
{
	buffer_append(out, input);
	if (buffer_text(out) == NULL)
		abort();
}

static void read_error(struct bytes input)
{
	AUTO(http_answer_clear) struct http_answer answer = {.status = 400};
	struct kms_report report = {0};
	struct status_rule rule;

	put_copy(&answer.body, input);
	put_copy(&answer.head, input);
	rule = status_judge(HTTP_ANSWERED, &answer, &report);
	if (rule.status == KMS_OK || report.message[0] == 0)
		abort();
	service_retry_hint(&answer);
	service_clock_difference(&clock_system, &answer);
}

static void read_xml(struct bytes input)
{
	AUTO(buffer_clear) struct buffer text = {0};

	if (xml_find(input, "SecretAccessKey", &text) && text.len > input.len)
		abort();
}

static bool take(void *state, struct bytes value)
{
	return json_unescape(value, state);
}

static void read_secret(struct bytes input)
{
	AUTO(buffer_clear) struct buffer text = {0}, secret = {0};
	size_t len = input.len;

	put_copy(&text, input);
	json_lift(&text, "Plaintext", take, &secret);
	if (text.len != len || secret.len > len)
		abort();
}

static void read_credentials(struct bytes input, bool since_1970)
{
	const struct credentials_form form = {.object = since_1970 ? "r" : NULL,
					      .id = "i",
					      .secret = "s",
					      .token = "t",
					      .expiration = "e",
					      .since_1970 = since_1970};
	AUTO(credentials_clear) struct credentials credentials = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(json_freep) json_t *rest = NULL;

	put_copy(&text, input);
	if (credentials_parse(&text, &form, &credentials, &rest) == NULL)
		credentials_check(&credentials, NULL);
}

static void read_key(struct bytes input)
{
	AUTO(json_freep) json_t *root = json_loadb((const char *)input.data, input.len, 0, NULL);
	AUTO(buffer_clear) struct buffer blob = {0};
	struct kms_key key;

	answer_read_key(root, &key);
	answer_names_key(root, "KeyId", "alias/x");
	if (answer_read_blob(root, &blob) && (blob.len < 1 || blob.len > KMS_BLOB_MAX))
		abort();
}

static void read_texts(const char *text)
{
	AUTO(endpoint_clear) struct endpoint endpoint = {0};
	AUTO(buffer_clear) struct buffer words = {0};
	char *split[PROCESS_WORDS_MAX + 1];
	int64_t ms;

	if (clock_read_extended(text, &ms) && ms < -INT64_C(86400000))
		abort();
	if (clock_read_http(text, &ms) && ms < 0)
		abort();
	endpoint_take(text, &endpoint);
	if (process_split(text, &words, split) && split[0] == NULL)
		abort();
}

static bool visit(void *state, const char *section, const char *key, const char *value,
		  unsigned line)
{
	(void)state;
	return section != NULL && (key == NULL || value != NULL) && line > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buffer_clear) struct buffer text = {0};
	struct bytes input;
	unsigned line = 0;

	if (size == 0)
		return 0;
	input = bytes(data + 1, size - 1);
	put_copy(&text, input);
	switch (data[0] % 8) {
	case 0:
		read_error(input);
		break;
	case 1:
		read_xml(input);
		break;
	case 2:
		read_secret(input);
		break;
	case 3:
	case 4:
		read_credentials(input, data[0] % 8 == 4);
		break;
	case 5:
		read_key(input);
		break;
	case 6:
		read_texts((const char *)text.data);
		break;
	default:
		ini_parse(input, visit, NULL, &line);
	}
	return 0;
}
