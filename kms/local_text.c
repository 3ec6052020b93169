/* The text of `local.keys`: JSON, written by hand and read without leaving copies of the secrets in
 * a parser's memory. */
#include "kms/local_keys.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/macros.h"
#include "base/secret.h"
#include "kms/json_secret.h"
#include "kms/name.h"

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

/* Names and ids need no escapes: their characters are few. */
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

static bool read_material(const json_t *object, struct bytes secrets, uint32_t above,
			  struct local_material *material)
{
	int64_t version;
	size_t number;

	if (!read_number(object, "version", &version) || version <= above || version > UINT32_MAX ||
	    !read_number(object, "created", &material->created_ms) ||
	    !json_lifted(json_object_get(object, "secret"), &number) ||
	    number >= secrets.len / LOCAL_SECRET)
		return false;
	material->version = (uint32_t)version;
	material->secret = secret_new(LOCAL_SECRET);
	if (material->secret == NULL)
		return false;
	secret_copy(material->secret, secrets.data + number * LOCAL_SECRET, LOCAL_SECRET);
	return true;
}

static bool read_materials(const json_t *array, struct bytes secrets, struct local_key *key)
{
	size_t count = json_array_size(array);
	uint32_t above = 0;

	key->materials = count == 0 ? NULL : calloc(count, sizeof(*key->materials));
	if (key->materials == NULL)
		return false;
	for (; key->material_count < count; key->material_count++) {
		struct local_material *next = &key->materials[key->material_count];

		if (!read_material(json_array_get(array, key->material_count), secrets, above,
				   next))
			return false;
		above = next->version;
	}
	return true;
}

static bool read_key(const json_t *object, struct bytes secrets, struct local_key *key)
{
	return read_text(object, "id", key->id, sizeof(key->id)) && uuid_valid(bytes_of(key->id)) &&
	       read_text(object, "name", key->name, sizeof(key->name)) &&
	       local_name_valid(bytes_of(key->name)) && read_state(object, &key->state) &&
	       read_number(object, "created", &key->created_ms) &&
	       read_number(object, "deletion", &key->deletion_ms) &&
	       read_materials(json_object_get(object, "materials"), secrets, key);
}

static bool is_duplicate(const struct local_keys *keys, const struct local_key *key)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strcasecmp(keys->keys[i].id, key->id) == 0 ||
		    strcmp(keys->keys[i].name, key->name) == 0)
			return true;
	return false;
}

static bool read_keys(const json_t *array, struct bytes secrets, struct local_keys *keys)
{
	size_t count = json_array_size(array);

	keys->keys = calloc(count + 1, sizeof(*keys->keys));
	if (keys->keys == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct local_key *key = &keys->keys[keys->count];
		bool good = read_key(json_array_get(array, i), secrets, key) &&
			    !is_duplicate(keys, key);

		keys->count++; /* a half-read one too, so that clearing finds it */
		if (!good)
			return false;
	}
	return true;
}

static const char *read_root(const json_t *root, struct bytes secrets, struct local_keys *keys)
{
	const char *format = json_string_value(json_object_get(root, "format"));
	const json_t *array = json_object_get(root, "keys");

	if (format == NULL || strcmp(format, format_name) != 0)
		return "it is not a file of local keys";
	if (json_integer_value(json_object_get(root, "version")) != FORMAT_VERSION)
		return "its version is not known to this release";
	if (!json_is_array(array) || !read_keys(array, secrets, keys))
		return "a key in it is incomplete, damaged or there twice";
	return NULL;
}

bool local_keys_read(struct buffer *text, struct local_keys *ret_keys, const char **ret_why)
{
	AUTO(buffer_clear) struct buffer secrets = {0};
	AUTO(json_freep) json_t *root = NULL;
	struct local_keys keys = {0};

	*ret_why = "a secret in it is not 32 bytes of base64";
	if (!json_lift(text, "secret", take_secret, &secrets))
		return false;
	*ret_why = "it is not JSON";
	root = json_loadb((const char *)text->data, text->len, JSON_REJECT_DUPLICATES, NULL);
	if (root == NULL)
		return false;
	*ret_why = read_root(root, buffer_bytes(&secrets), &keys);
	if (*ret_why != NULL) {
		local_keys_clear(&keys);
		return false;
	}
	*ret_keys = keys;
	return true;
}
