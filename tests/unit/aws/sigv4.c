/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The published signing cases, stage by stage, and the cache of signing keys. */
#include "aws/sigv4.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_HEADERS = 16, CASES = 38 };

static json_t *vectors;

static int load_vectors(void **state)
{
	(void)state;
	vectors = json_load_file(source_file("tests/vectors/sigv4.json"), 0, NULL);
	return crypto_start(false) && vectors != NULL ? 0 : -1;
}

static int drop_vectors(void **state)
{
	(void)state;
	json_decref(vectors);
	return 0;
}

static const char *text(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	assert_non_null(value);
	return value;
}

static struct sigv4_request read_case(const json_t *entry, struct http_header *headers)
{
	const json_t *list = json_object_get(entry, "headers");
	size_t count = json_array_size(list);

	assert_in_range(count, 1, MAX_HEADERS);
	for (size_t i = 0; i < count; i++) {
		const json_t *pair = json_array_get(list, i);

		headers[i].name = json_string_value(json_array_get(pair, 0));
		headers[i].value = json_string_value(json_array_get(pair, 1));
	}
	return (struct sigv4_request){text(entry, "method"),
				      text(entry, "path"),
				      text(entry, "query"),
				      headers,
				      count,
				      bytes_of(text(entry, "body"))};
}

static struct sigv4_scope scope(void)
{
	return (struct sigv4_scope){text(vectors, "time"), text(vectors, "region"),
				    text(vectors, "service")};
}

static struct sigv4_identity identity(uint64_t number)
{
	return (struct sigv4_identity){text(vectors, "access_key_id"),
				       bytes_of(text(vectors, "secret_access_key")), number};
}

static void check_case(const json_t *entry)
{
	AUTO(buffer_clear) struct buffer canonical = {0}, names = {0}, string = {0}, hex = {0};
	struct http_header headers[MAX_HEADERS];
	struct sigv4_request request = read_case(entry, headers);
	struct sigv4_scope where = scope();

	assert_true(sigv4_canonical(&request, &canonical, &names));
	assert_string_equal(buffer_text(&canonical), text(entry, "canonical"));
	assert_true(sigv4_string_to_sign(buffer_bytes(&canonical), &where, &string));
	assert_string_equal(buffer_text(&string), text(entry, "string_to_sign"));
	assert_true(sigv4_signature(identity(1).secret, buffer_bytes(&string), &where, &hex));
	assert_string_equal(buffer_text(&hex), text(entry, "signature"));
}

static void all_published_cases_agree_in_every_stage(void **state)
{
	const json_t *cases = json_object_get(vectors, "cases");

	(void)state;
	assert_int_equal(json_array_size(cases), CASES);
	for (size_t i = 0; i < CASES; i++)
		check_case(json_array_get(cases, i));
}

/* The Authorization header of the first case, through the whole. */
static void the_header_names_credential_headers_and_signature(void **state)
{
	const json_t *entry = json_array_get(json_object_get(vectors, "cases"), 0);
	struct sigv4_cache cache = {.lock = PTHREAD_MUTEX_INITIALIZER};
	AUTO(buffer_clear) struct buffer header = {0}, expected = {0};
	struct http_header headers[MAX_HEADERS];
	struct sigv4_request request = read_case(entry, headers);
	struct sigv4_identity who = identity(1);
	struct sigv4_scope where = scope();

	(void)state;
	assert_true(sigv4_sign(&who, &where, &request, &cache, &header));
	buffer_format(&expected,
		      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
		      "aws4_request, SignedHeaders=host;my-header1;x-amz-date, Signature=%s",
		      text(entry, "signature"));
	assert_string_equal(buffer_text(&header), buffer_text(&expected));
	sigv4_cache_clear(&cache);
}

static void sign(struct sigv4_cache *cache, const struct sigv4_identity *who, const char *time,
		 struct buffer *header)
{
	const struct http_header headers[] = {{"Host", "h"}, {"X-Amz-Date", time}};
	const struct sigv4_request request = {"POST", "/", "", headers, 2, bytes_of("{}")};
	const struct sigv4_scope where = {time, "us-west-2", "kms"};

	buffer_truncate(header, 0);
	assert_true(sigv4_sign(who, &where, &request, cache, header));
	assert_non_null(buffer_text(header));
}

/* What a cache answers must be what one without memory answers. */
static void check_against_fresh(struct sigv4_cache *cache, const struct sigv4_identity *who,
				const char *time)
{
	struct sigv4_cache fresh = {.lock = PTHREAD_MUTEX_INITIALIZER};
	AUTO(buffer_clear) struct buffer a = {0}, b = {0};

	sign(cache, who, time, &a);
	sign(&fresh, who, time, &b);
	assert_string_equal(buffer_text(&a), buffer_text(&b));
}

static void the_kept_key_changes_with_the_day_and_with_the_secret(void **state)
{
	struct sigv4_cache cache = {.lock = PTHREAD_MUTEX_INITIALIZER};
	const struct sigv4_identity one = {"A", bytes_of("first"), 1};
	const struct sigv4_identity two = {"A", bytes_of("second"), 2};

	(void)state;
	check_against_fresh(&cache, &one, "20261124T235959Z");
	check_against_fresh(&cache, &one, "20261125T000000Z");
	check_against_fresh(&cache, &two, "20261125T000001Z");
	check_against_fresh(&cache, &one, "20261125T000002Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_published_cases_agree_in_every_stage),
		cmocka_unit_test(the_header_names_credential_headers_and_signature),
		cmocka_unit_test(the_kept_key_changes_with_the_day_and_with_the_secret),
	};

	return cmocka_run_group_tests(tests, load_vectors, drop_vectors);
}
