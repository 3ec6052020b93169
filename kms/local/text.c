/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The text of `local.keys`: JSON, written by hand and read without leaving copies of the secrets in
 * a parser's memory. */
#include "base/arn.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "base/secret.h"
#include "kms/local/keys.h"
#include "kms/local/names.h"

#include <inttypes.h>
#include <stdlib.h>

static const char format_name[] = "cmek-local-keys";

enum { FORMAT_VERSION = 1 };

static void write_material(const struct local_material *material, bool last, struct buffer *out)
{
	buffer_format(
		out, "        { \"version\": %" PRIu32 ", \"created\": %" PRId64 ", \"secret\": \"",
		material->version, material->created_ms);
	base64_append(out, bytes(material->secret, LOCAL_SECRET));
	buffer_put_text(out, last ? "\" }\n" : "\" },\n");
}

/* Names and ids need no escapes: their characters are restricted. */
static void write_key(const struct local_key *key, bool last, struct buffer *out)
{
	buffer_format(out, "    {\n      \"id\": \"%s\",\n      \"name\": \"%s\",\n", key->id,
		      key->name);
	buffer_format(out, "      \"state\": \"%s\",\n      \"created\": %" PRId64 ",\n",
		      kms_key_state_text(key->state), key->created_ms);
	buffer_format(out, "      \"deletion\": %" PRId64 ",\n      \"materials\": [\n",
		      key->deletion_ms);
	for (size_t i = 0; i < key->material_count; i++)
		write_material(&key->materials[i], i + 1 == key->material_count, out);
	buffer_put_text(out, last ? "      ]\n    }\n" : "      ]\n    },\n");
}

bool local_keys_write(const struct local_keys *keys, struct buffer *out)
{
	buffer_format(out, "{\n  \"format\": \"%s\",\n  \"version\": %d,\n  \"keys\": [\n",
		      format_name, FORMAT_VERSION);
	for (size_t i = 0; i < keys->count; i++)
		write_key(&keys->keys[i], i + 1 == keys->count, out);
	buffer_put_text(out, "  ]\n}\n");
	return !out->failed;
}

/* Secrets in the order of the file, LOCAL_SECRET bytes each. */
static bool take_secret(void *state, struct bytes value)
{
	struct buffer *secrets = state;
	size_t before = secrets->len;

	return base64_decode(value, secrets) && secrets->len == before + LOCAL_SECRET;
}

static bool read_text(const json_t *object, const char *name, char *ret_text, size_t size)
{
	const char *text = json_string_value(json_object_get(object, name));
	size_t len = text == NULL ? size : strlen(text);

	if (len >= size)
		return false;
	memcpy(ret_text, text, len + 1);
	return true;
}

static bool read_number(const json_t *object, const char *name, int64_t *ret_number)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret_number = json_integer_value(value);
	return true;
}

static bool read_state(const json_t *object, enum kms_key_state *ret_state)
{
	char text[32];

	if (!read_text(object, "state", text, sizeof(text)))
		return false;
	for (int state = KMS_KEY_ENABLED; state <= KMS_KEY_PENDING_DELETION; state++)
		if (strcmp(text, kms_key_state_text(state)) == 0) {
			*ret_state = state;
			return true;
		}
	return false;
}

/* From here on: KMS_MISCONFIGURED if it is not what was written, KMS_NO_MEMORY. */
static enum kms_status read_material(const json_t *object, struct bytes secrets, uint32_t above,
				     struct local_material *material)
{
	int64_t version;
	size_t number;

	if (!read_number(object, "version", &version) || version <= above || version > UINT32_MAX ||
	    !read_number(object, "created", &material->created_ms) ||
	    !json_lifted(json_object_get(object, "secret"), &number) ||
	    number >= secrets.len / LOCAL_SECRET)
		return KMS_MISCONFIGURED;
	material->version = (uint32_t)version;
	material->secret = secret_new(LOCAL_SECRET);
	if (material->secret == NULL)
		return KMS_NO_MEMORY;
	secret_copy(material->secret, secrets.data + number * LOCAL_SECRET, LOCAL_SECRET);
	return KMS_OK;
}

static enum kms_status read_materials(const json_t *array, struct bytes secrets,
				      struct local_key *key)
{
	size_t count = json_array_size(array);
	uint32_t above = 0;

	if (count == 0)
		return KMS_MISCONFIGURED;
	key->materials = calloc(count, sizeof(*key->materials));
	if (key->materials == NULL)
		return KMS_NO_MEMORY;
	for (; key->material_count < count; key->material_count++) {
		struct local_material *next = &key->materials[key->material_count];

		TRY(read_material(json_array_get(array, key->material_count), secrets, above,
				  next));
		above = next->version;
	}
	return KMS_OK;
}

static bool read_members(const json_t *object, struct local_key *key)
{
	return read_text(object, "id", key->id, sizeof(key->id)) && uuid_valid(bytes_of(key->id)) &&
	       read_text(object, "name", key->name, sizeof(key->name)) &&
	       local_name_valid(bytes_of(key->name)) && read_state(object, &key->state) &&
	       read_number(object, "created", &key->created_ms) &&
	       read_number(object, "deletion", &key->deletion_ms);
}

static bool is_duplicate(const struct local_keys *keys, const struct local_key *key)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strcasecmp(keys->keys[i].id, key->id) == 0 ||
		    strcmp(keys->keys[i].name, key->name) == 0)
			return true;
	return false;
}

static enum kms_status read_key(const json_t *object, struct bytes secrets,
				const struct local_keys *before, struct local_key *key)
{
	if (!read_members(object, key) || is_duplicate(before, key))
		return KMS_MISCONFIGURED;
	return read_materials(json_object_get(object, "materials"), secrets, key);
}

static enum kms_status read_keys(const json_t *array, struct bytes secrets, struct local_keys *keys)
{
	size_t count = json_array_size(array);
	enum kms_status status = KMS_OK;

	keys->keys = calloc(count + 1, sizeof(*keys->keys));
	if (keys->keys == NULL)
		return KMS_NO_MEMORY;
	for (size_t i = 0; i < count && status == KMS_OK; i++) {
		status = read_key(json_array_get(array, i), secrets, keys, &keys->keys[i]);
		keys->count++; /* a half-read one too, so that clearing finds it */
	}
	return status;
}

static enum kms_status read_root(const json_t *root, struct bytes secrets, struct local_keys *keys,
				 const char **ret_why)
{
	const char *format = json_string_value(json_object_get(root, "format"));
	const json_t *array = json_object_get(root, "keys");

	*ret_why = "it is not a file of local keys";
	if (format == NULL || strcmp(format, format_name) != 0)
		return KMS_MISCONFIGURED;
	*ret_why = "its version is not known to this release";
	if (json_integer_value(json_object_get(root, "version")) != FORMAT_VERSION)
		return KMS_MISCONFIGURED;
	*ret_why = "a key in it is incomplete, damaged or there twice";
	return json_is_array(array) ? read_keys(array, secrets, keys) : KMS_MISCONFIGURED;
}

enum kms_status local_keys_read(struct buffer *text, struct local_keys *ret_keys,
				const char **ret_why)
{
	AUTO(buffer_clear) struct buffer secrets = {0};
	AUTO(json_freep) json_t *root = NULL;
	struct local_keys keys = {0};
	enum kms_status status;
	bool no_memory;

	*ret_why = "a secret in it is not 32 bytes of base64";
	if (!json_lift(text, "secret", take_secret, &secrets))
		return secrets.failed ? KMS_NO_MEMORY : KMS_MISCONFIGURED;
	*ret_why = "it is not JSON";
	root = json_read(buffer_bytes(text), JSON_REJECT_DUPLICATES, &no_memory);
	if (root == NULL)
		return no_memory ? KMS_NO_MEMORY : KMS_MISCONFIGURED;
	status = read_root(root, buffer_bytes(&secrets), &keys, ret_why);
	if (status == KMS_OK)
		*ret_keys = keys;
	else
		local_keys_clear(&keys);
	return status;
}
