/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphertexts of the embedded KMS. */
#include "kms/local/blob.h"

#include "base/macros.h"
#include "base/reader.h"
#include "base/secret.h"
#include "crypto/aes.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "kms/context.h"
#include "net/answer.h"

enum {
	MAGIC = 0x434c4b42, /* "CLKB" */
	FORMAT = 1,
	SALT = 16,
	HEADER = 4 + 1 + LOCAL_ID + 4 + SALT + AES_GCM_IV
};

static const char kdf_label[] = "cmek:local:blob";

struct header {
	struct bytes id, salt, nonce;
	uint32_t version;
};

static bool put_header(const struct local_key *key, uint32_t version, struct buffer *out)
{
	uint8_t id[LOCAL_ID], random[SALT + AES_GCM_IV];

	if (!crypto_random(random, sizeof(random)))
		return false;
	local_key_id(key, id);
	buffer_put_u32(out, MAGIC);
	buffer_put_u8(out, FORMAT);
	buffer_append(out, bytes(id, sizeof(id)));
	buffer_put_u32(out, version);
	buffer_append(out, bytes(random, sizeof(random)));
	return !out->failed;
}

static bool read_header(struct bytes blob, struct header *ret_header)
{
	struct reader reader = reader_of(blob);

	if (blob.len <= HEADER + AES_GCM_TAG || reader_u32(&reader) != MAGIC ||
	    reader_u8(&reader) != FORMAT)
		return false;
	ret_header->id = reader_take(&reader, LOCAL_ID);
	ret_header->version = reader_u32(&reader);
	ret_header->salt = reader_take(&reader, SALT);
	ret_header->nonce = reader_take(&reader, AES_GCM_IV);
	return true;
}

/* Header and context: what the tag covers besides the plaintext. */
static enum kms_status put_aad(struct bytes header, const struct kms_context *context,
			       struct kms_report *report, struct buffer *out)
{
	buffer_append(out, header);
	return context_append(context, report, out);
}

/* The key of one blob; NULL: no memory. */
static uint8_t *derive(const struct local_material *material, const struct header *header)
{
	uint8_t *key AUTO(secret_freep) = secret_new(LOCAL_SECRET);

	if (key == NULL ||
	    !kdf_counter(bytes(material->secret, LOCAL_SECRET), kdf_label, header->salt, key))
		return NULL;
	return TAKE(key);
}

enum kms_status local_seal(const struct local_key *key, struct bytes plaintext,
			   const struct kms_context *context, struct kms_report *report,
			   struct buffer *ret_blob)
{
	const struct local_material *newest = &key->materials[key->material_count - 1];
	AUTO(buffer_clear) struct buffer blob = {0}, aad = {0};
	uint8_t *key_of_blob AUTO(secret_freep) = NULL;
	struct header header;
	uint8_t *out;

	if (!put_header(key, newest->version, &blob))
		return KMS_NO_MEMORY;
	TRY(put_aad(buffer_bytes(&blob), context, report, &aad));
	out = buffer_extend(&blob, plaintext.len + AES_GCM_TAG);
	if (out == NULL || !read_header(buffer_bytes(&blob), &header))
		return KMS_NO_MEMORY;
	key_of_blob = derive(newest, &header);
	if (key_of_blob == NULL || !aes_gcm_seal(bytes(key_of_blob, LOCAL_SECRET), header.nonce,
						 buffer_bytes(&aad), plaintext, out))
		return KMS_NO_MEMORY;
	buffer_append(ret_blob, buffer_bytes(&blob));
	return ret_blob->failed ? KMS_NO_MEMORY : KMS_OK;
}

static enum kms_status refuse(enum kms_status status, struct kms_report *report)
{
	return status == KMS_INCORRECT_KEY
		       ? kms_fail(status, report, "IncorrectKeyException",
				  "the ciphertext belongs to another local key")
		       : kms_fail(status, report, "InvalidCiphertextException",
				  "the ciphertext is damaged, or of another encryption context");
}

static enum kms_status find_material(const struct local_key *key, struct bytes blob,
				     struct header *ret_header,
				     const struct local_material **ret_material,
				     struct kms_report *report)
{
	uint8_t id[LOCAL_ID];

	if (!read_header(blob, ret_header))
		return refuse(KMS_INVALID_CIPHERTEXT, report);
	local_key_id(key, id);
	if (!bytes_equal(ret_header->id, bytes(id, sizeof(id))))
		return refuse(KMS_INCORRECT_KEY, report);
	*ret_material = local_key_material(key, ret_header->version);
	return *ret_material == NULL ? refuse(KMS_INVALID_CIPHERTEXT, report) : KMS_OK;
}

enum kms_status local_open(const struct local_key *key, struct bytes blob,
			   const struct kms_context *context, struct kms_report *report,
			   struct buffer *ret_plaintext)
{
	AUTO(buffer_clear) struct buffer aad = {0}, plaintext = {0};
	uint8_t *key_of_blob AUTO(secret_freep) = NULL;
	const struct local_material *material;
	struct header header;
	bool wrong = false;
	uint8_t *out;

	TRY(find_material(key, blob, &header, &material, report));
	TRY(put_aad(bytes(blob.data, HEADER), context, report, &aad));
	out = buffer_extend(&plaintext, blob.len - HEADER - AES_GCM_TAG);
	key_of_blob = derive(material, &header);
	if (out == NULL || key_of_blob == NULL)
		return KMS_NO_MEMORY;
	if (!aes_gcm_open(bytes(key_of_blob, LOCAL_SECRET), header.nonce, buffer_bytes(&aad),
			  bytes(blob.data + HEADER, blob.len - HEADER), out, &wrong))
		return wrong ? refuse(KMS_INVALID_CIPHERTEXT, report) : KMS_NO_MEMORY;
	buffer_append(ret_plaintext, buffer_bytes(&plaintext));
	return ret_plaintext->failed ? KMS_NO_MEMORY : KMS_OK;
}
