/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Signature Version 4: canonical request, string to sign, signature. */
#include "aws/sigv4.h"

#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/digest.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

static bool put_digest(struct buffer *out, struct bytes in)
{
	uint8_t digest[SHA256_SIZE];

	if (!digest_once(DIGEST_SHA256, in, digest))
		return false;
	hex_append(out, bytes(digest, sizeof(digest)));
	return !out->failed;
}

static void put_lower(struct buffer *out, const char *name)
{
	for (; *name != 0; name++)
		buffer_put_u8(out, (uint8_t)tolower((unsigned char)*name));
}

/* Drops white space at the ends; runs of it inside become one space. */
static void put_collapsed(struct buffer *out, const char *value)
{
	static const char space[] = " \t\r\n";

	value += strspn(value, space);
	while (*value != 0) {
		size_t word = strcspn(value, space);

		buffer_append(out, bytes(value, word));
		value += word;
		value += strspn(value, space);
		if (*value != 0)
			buffer_put_u8(out, ' ');
	}
}

/* By name; equal names stay in the order in which they are sent, which their addresses show. */
static int by_name(const void *a, const void *b)
{
	const struct http_header *x = *(const struct http_header *const *)a;
	const struct http_header *y = *(const struct http_header *const *)b;
	int order = strcasecmp(x->name, y->name);

	return order != 0 ? order : (x > y) - (x < y);
}

static bool same_name(const struct http_header *a, const struct http_header *b)
{
	return strcasecmp(a->name, b->name) == 0;
}

static void put_headers(const struct http_header **sorted, size_t count, struct buffer *out,
			struct buffer *names)
{
	for (size_t i = 0; i < count; i++) {
		bool again = i > 0 && same_name(sorted[i - 1], sorted[i]);
		bool more = i + 1 < count && same_name(sorted[i], sorted[i + 1]);

		if (!again) {
			buffer_put_text(names, i == 0 ? "" : ";");
			put_lower(names, sorted[i]->name);
			put_lower(out, sorted[i]->name);
		}
		buffer_put_u8(out, again ? ',' : ':');
		put_collapsed(out, sorted[i]->value);
		if (!more)
			buffer_put_u8(out, '\n');
	}
}

bool sigv4_canonical(const struct sigv4_request *request, struct buffer *ret_canonical,
		     struct buffer *ret_signed_headers)
{
	const struct http_header **sorted AUTO(freep) =
		calloc(request->header_count + 1, sizeof(const struct http_header *));

	if (sorted == NULL)
		return false;
	for (size_t i = 0; i < request->header_count; i++)
		sorted[i] = &request->headers[i];
	qsort(sorted, request->header_count, sizeof(const struct http_header *), by_name);
	buffer_format(ret_canonical, "%s\n%s\n%s\n", request->method, request->path,
		      request->query);
	put_headers(sorted, request->header_count, ret_canonical, ret_signed_headers);
	buffer_put_u8(ret_canonical, '\n');
	buffer_append(ret_canonical, buffer_bytes(ret_signed_headers));
	buffer_put_u8(ret_canonical, '\n');
	return put_digest(ret_canonical, request->body) && !ret_signed_headers->failed;
}

static void put_scope(struct buffer *out, const struct sigv4_scope *scope)
{
	buffer_format(out, "%.*s/%s/%s/aws4_request", SIGV4_DATE, scope->time, scope->region,
		      scope->service);
}

bool sigv4_string_to_sign(struct bytes canonical, const struct sigv4_scope *scope,
			  struct buffer *ret_string)
{
	buffer_format(ret_string, "AWS4-HMAC-SHA256\n%s\n", scope->time);
	put_scope(ret_string, scope);
	buffer_put_u8(ret_string, '\n');
	return put_digest(ret_string, canonical);
}

static bool hmac_text(struct bytes key, struct bytes text, uint8_t ret_mac[static SIGV4_KEY])
{
	return hmac_once(DIGEST_SHA256, key, &text, 1, ret_mac);
}

static bool derive_key(struct bytes secret, const struct sigv4_scope *scope,
		       uint8_t ret_key[static SIGV4_KEY])
{
	AUTO(buffer_clear) struct buffer first = {0};
	const struct bytes steps[] = {
		bytes(scope->time, SIGV4_DATE),
		bytes_of(scope->region),
		bytes_of(scope->service),
		bytes_of("aws4_request"),
	};
	uint8_t key[SIGV4_KEY];
	bool good;

	buffer_put_text(&first, "AWS4");
	buffer_append(&first, secret);
	good = !first.failed && hmac_text(buffer_bytes(&first), steps[0], key);
	for (size_t i = 1; good && i < COUNT_OF(steps); i++)
		good = hmac_text(bytes(key, sizeof(key)), steps[i], key);
	if (good)
		secret_copy(ret_key, key, sizeof(key));
	wipe(key, sizeof(key));
	return good;
}

static bool put_signature(const uint8_t key[static SIGV4_KEY], struct bytes string_to_sign,
			  struct buffer *out)
{
	uint8_t mac[SIGV4_KEY];

	if (!hmac_text(bytes(key, SIGV4_KEY), string_to_sign, mac))
		return false;
	hex_append(out, bytes(mac, sizeof(mac)));
	return !out->failed;
}

bool sigv4_signature(struct bytes secret, struct bytes string_to_sign,
		     const struct sigv4_scope *scope, struct buffer *ret_hex)
{
	uint8_t key[SIGV4_KEY];
	bool good = derive_key(secret, scope, key) && put_signature(key, string_to_sign, ret_hex);

	wipe(key, sizeof(key));
	return good;
}

void sigv4_cache_clear(struct sigv4_cache *cache)
{
	cache->number = 0;
	wipe(cache->key, sizeof(cache->key));
}

/* The key for this identity and day, cached or new. */
static bool cached_key(struct sigv4_cache *cache, const struct sigv4_identity *identity,
		       const struct sigv4_scope *scope, uint8_t ret_key[static SIGV4_KEY])
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&cache->lock);

	if (cache->number != identity->number ||
	    memcmp(cache->date, scope->time, SIGV4_DATE) != 0) {
		cache->number = 0;
		if (!derive_key(identity->secret, scope, cache->key))
			return false;
		memcpy(cache->date, scope->time, SIGV4_DATE);
		cache->number = identity->number;
	}
	secret_copy(ret_key, cache->key, SIGV4_KEY);
	return true;
}

static bool put_cached_signature(const struct sigv4_identity *identity,
				 const struct sigv4_scope *scope, struct sigv4_cache *cache,
				 struct bytes string_to_sign, struct buffer *out)
{
	uint8_t key[SIGV4_KEY];
	bool good =
		cached_key(cache, identity, scope, key) && put_signature(key, string_to_sign, out);

	wipe(key, sizeof(key));
	return good;
}

bool sigv4_sign(const struct sigv4_identity *identity, const struct sigv4_scope *scope,
		const struct sigv4_request *request, struct sigv4_cache *cache,
		struct buffer *ret_authorization)
{
	AUTO(buffer_clear) struct buffer canonical = {0};
	AUTO(buffer_clear) struct buffer names = {0};
	AUTO(buffer_clear) struct buffer string = {0};

	if (!sigv4_canonical(request, &canonical, &names) ||
	    !sigv4_string_to_sign(buffer_bytes(&canonical), scope, &string))
		return false;
	buffer_format(ret_authorization, "AWS4-HMAC-SHA256 Credential=%s/",
		      identity->access_key_id);
	put_scope(ret_authorization, scope);
	buffer_format(ret_authorization, ", SignedHeaders=%s, Signature=", buffer_text(&names));
	return put_cached_signature(identity, scope, cache, buffer_bytes(&string),
				    ret_authorization);
}
