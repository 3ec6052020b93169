/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the embedded KMS in memory. */
#include "kms/local/keys.h"

#include "base/arn.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static const char arn_prefix[] = "arn:local:kms:local::key/";

static void key_clear(struct local_key *key)
{
	for (size_t i = 0; i < key->material_count; i++)
		secret_free(key->materials[i].secret);
	free(key->materials);
	*key = (struct local_key){0};
}

void local_keys_clear(struct local_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		key_clear(&keys->keys[i]);
	free(keys->keys);
	*keys = (struct local_keys){0};
}

static struct local_key *find(const struct local_keys *keys, const char *text, bool by_id)
{
	for (size_t i = 0; i < keys->count; i++) {
		struct local_key *key = &keys->keys[i];

		if (by_id ? strcasecmp(key->id, text) == 0 : strcmp(key->name, text) == 0)
			return key;
	}
	return NULL;
}

struct local_key *local_keys_find(const struct local_keys *keys, const char *key)
{
	if (bytes_begin(bytes_of(key), arn_prefix))
		return find(keys, key + strlen(arn_prefix), true);
	if (!bytes_begin(bytes_of(key), "local:"))
		return NULL;
	key += strlen("local:");
	return find(keys, key, uuid_valid(bytes_of(key)));
}

enum { NEAR_MAX = 3, NEAR_STEPS = 2 };

/* How many characters have to be changed, added or taken out; upper and lower case count as equal.
 */
static size_t distance(const char *a, const char *b)
{
	size_t len = strlen(b), row[LOCAL_NAME_MAX + 1];

	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 1; *a != 0; a++, i++) {
		size_t before = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			size_t step = before + (tolower(*a) != tolower(b[j - 1]));

			before = row[j];
			if (row[j] + 1 < step)
				step = row[j] + 1;
			row[j] = row[j - 1] + 1 < step ? row[j - 1] + 1 : step;
		}
	}
	return row[len];
}

/* A name of a few characters is not close to another of a few. */
static bool is_near(const char *name, const char *wanted)
{
	size_t steps = distance(wanted, name);

	return steps <= NEAR_STEPS && steps < strlen(wanted) && steps < strlen(name);
}

bool local_keys_near(const struct local_keys *keys, const char *key, struct buffer *out)
{
	size_t found = 0;

	key += strlen("local:");
	for (size_t i = 0; i < keys->count && found < NEAR_MAX; i++)
		if (is_near(keys->keys[i].name, key))
			buffer_format(out, "%slocal:%s", found++ == 0 ? "" : " or ",
				      keys->keys[i].name);
	return found > 0 && buffer_text(out) != NULL;
}

/* RFC 9562, version 4. */
static bool random_id(char ret_id[static LOCAL_ID_TEXT + 1])
{
	uint8_t b[LOCAL_ID];

	if (!crypto_random(b, sizeof(b)))
		return false;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(ret_id, LOCAL_ID_TEXT + 1,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	return true;
}

static bool add_material(struct local_key *key, int64_t now_ms)
{
	key->materials = calloc(1, sizeof(*key->materials));
	if (key->materials == NULL)
		return false;
	key->material_count = 1;
	key->materials[0].version = 1;
	key->materials[0].created_ms = now_ms;
	key->materials[0].secret = secret_new(LOCAL_SECRET);
	return key->materials[0].secret != NULL &&
	       crypto_random(key->materials[0].secret, LOCAL_SECRET);
}

bool local_keys_add(struct local_keys *keys, const char *name, int64_t now_ms)
{
	struct local_key key = {.state = KMS_KEY_ENABLED, .created_ms = now_ms};
	struct local_key *grown = realloc(keys->keys, (keys->count + 1) * sizeof(*keys->keys));

	if (grown == NULL)
		return false;
	keys->keys = grown;
	snprintf(key.name, sizeof(key.name), "%s", name);
	if (!random_id(key.id) || !add_material(&key, now_ms)) {
		key_clear(&key);
		return false;
	}
	keys->keys[keys->count++] = key;
	return true;
}

void local_keys_purge(struct local_keys *keys, int64_t now_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < keys->count; i++) {
		struct local_key *key = &keys->keys[i];

		if (key->state == KMS_KEY_PENDING_DELETION && key->deletion_ms <= now_ms)
			key_clear(key);
		else
			keys->keys[kept++] = *key;
	}
	keys->count = kept;
}

void local_key_arn(const struct local_key *key, char ret_arn[static KMS_ARN_MAX + 1])
{
	snprintf(ret_arn, KMS_ARN_MAX + 1, "%s%s", arn_prefix, key->id);
}

/* Of an id that was checked when it was read (uuid_valid). */
static unsigned digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

void local_key_id(const struct local_key *key, uint8_t ret_id[static LOCAL_ID])
{
	const char *c = key->id;

	/* Without allocating: a wrong id would be bound into every blob. */
	for (size_t i = 0; i < LOCAL_ID; i++) {
		c += *c == '-';
		ret_id[i] = (uint8_t)(digit(c[0]) << 4 | digit(c[1]));
		c += 2;
	}
}

const struct local_material *local_key_material(const struct local_key *key, uint32_t version)
{
	for (size_t i = 0; i < key->material_count; i++)
		if (key->materials[i].version == version)
			return &key->materials[i];
	return NULL;
}
