/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/keys.h"

#include "base/macros.h"

#include <stdio.h>

/* Every function here is a short list of PKCS #11 calls; templates are tables. The derivations are
 * in docs/format.md, 5.1. */

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
static CK_KEY_TYPE aes = CKK_AES, generic_secret = CKK_GENERIC_SECRET;
static CK_ULONG thirty_two = 32;

enum envelope_status envelope_failed(struct envelope_token *token, struct envelope_error *error,
				     const char *function, CK_RV rv)
{
	CK_SESSION_INFO info = {0};

	/* Read now, since the next call may change it. */
	token->functions->C_GetSessionInfo(token->session, &info);
	error->function = function;
	error->rv = rv;
	error->reason = info.ulDeviceError;
	return ENVELOPE_MODULE;
}

/* Calls a function of the list; if it fails, returns that from the caller. */
enum envelope_status envelope_answer(struct envelope_token *token, struct envelope_error *error,
				     const char *function, CK_RV rv)
{
	return rv == CKR_OK ? ENVELOPE_OK : envelope_failed(token, error, function, rv);
}

/* The values by which C_UnwrapKey reports bytes that are not what was wrapped; all others concern
 * the key or the KMS. */
static bool is_of_data(CK_RV rv)
{
	return rv == CKR_WRAPPED_KEY_INVALID || rv == CKR_WRAPPED_KEY_LEN_RANGE;
}

enum envelope_status envelope_name_binding(struct envelope_token *token,
					   const uint8_t salt[static ENVELOPE_SALT],
					   struct bytes name, uint8_t ret_binding[static 32],
					   struct envelope_error *error)
{
	struct bytes parts[] = {bytes_of("cmek/1/name"), bytes(salt, ENVELOPE_SALT), name};

	return envelope_digest(token, parts, COUNT_OF(parts), ret_binding, error);
}

enum envelope_status envelope_random(struct envelope_token *token, uint8_t *ret, size_t len,
				     struct envelope_error *error)
{
	return envelope_answer(token, error, "C_GenerateRandom",
			       token->functions->C_GenerateRandom(token->session, ret, len));
}

enum envelope_status envelope_digest(struct envelope_token *token, const struct bytes *parts,
				     size_t count, uint8_t ret_digest[static 32],
				     struct envelope_error *error)
{
	CK_MECHANISM sha256 = {CKM_SHA256, NULL, 0};
	CK_ULONG len = 32;

	TRY(envelope_answer(token, error, "C_DigestInit",
			    token->functions->C_DigestInit(token->session, &sha256)));
	for (size_t i = 0; i < count; i++)
		TRY(envelope_answer(token, error, "C_DigestUpdate",
				    token->functions->C_DigestUpdate(token->session,
								     (CK_BYTE *)parts[i].data,
								     parts[i].len)));
	return envelope_answer(token, error, "C_DigestFinal",
			       token->functions->C_DigestFinal(token->session, ret_digest, &len));
}

/* --- Records, opened -------------------------------------------------------------------------- */

static void remember(struct envelope_token *token, const struct envelope_record *record,
		     CK_OBJECT_HANDLE key)
{
	size_t place = token->opened_count % ENVELOPE_OPENED_MAX;

	if (token->opened_count >= ENVELOPE_OPENED_MAX)
		token->functions->C_DestroyObject(token->session, token->opened[place].key);
	memcpy(token->opened[place].bound, record->bound.data, record->bound.len);
	token->opened[place].bound_len = record->bound.len;
	token->opened[place].key = key;
	token->opened_count++;
}

void envelope_token_clear(struct envelope_token *token)
{
	for (size_t i = 0; i < token->opened_count && i < ENVELOPE_OPENED_MAX; i++)
		token->functions->C_DestroyObject(token->session, token->opened[i].key);
	token->opened_count = 0;
}

static CK_OBJECT_HANDLE recall(const struct envelope_token *token,
			       const struct envelope_record *record)
{
	for (size_t i = 0; i < token->opened_count && i < ENVELOPE_OPENED_MAX; i++)
		if (bytes_equal(bytes(token->opened[i].bound, token->opened[i].bound_len),
				record->bound))
			return token->opened[i].key;
	return CK_INVALID_HANDLE;
}

/* What a root key may answer that does not hold for the others, the weightiest last: a no may not
 * be told as an outage, nor an outage as damage. */
enum answer { ANSWER_BAD, ANSWER_OUTAGE, ANSWER_NO, ANSWER_FINAL };

static enum answer answer_of(CK_RV rv)
{
	if (is_of_data(rv))
		return ANSWER_BAD;
	if (rv == CKR_DEVICE_ERROR)
		return ANSWER_OUTAGE;
	return rv == CKR_FUNCTION_FAILED || rv == CKR_KEY_FUNCTION_NOT_PERMITTED ? ANSWER_NO
										 : ANSWER_FINAL;
}

static CK_RV open_by(struct envelope_token *token, CK_OBJECT_HANDLE root_key, struct bytes record,
		     CK_OBJECT_HANDLE *ret_ezk)
{
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_KEY_TYPE, &aes, sizeof(aes)},
		{CKA_TOKEN, &no, sizeof(no)},
	};
	CK_MECHANISM by_kms = {CKM_CMEK_KMS, NULL, 0};

	return token->functions->C_UnwrapKey(token->session, &by_kms, root_key,
					     (CK_BYTE *)record.data, record.len, template,
					     COUNT_OF(template), ret_ezk);
}

/* The root keys of a record that the token has. */
struct ways {
	CK_OBJECT_HANDLE keys[ENVELOPE_ROOT_KEYS_MAX];
	struct bytes arns[ENVELOPE_ROOT_KEYS_MAX];
	size_t count;
};

static bool has_way(const struct ways *ways, CK_OBJECT_HANDLE key)
{
	for (size_t i = 0; i < ways->count; i++)
		if (ways->keys[i] == key)
			return true;
	return false;
}

static enum envelope_status find_ways(struct envelope_token *token,
				      const struct envelope_record *record, struct ways *ret_ways,
				      struct envelope_error *error)
{
	ret_ways->count = 0;
	for (size_t i = 0; i < record->arn_count; i++) {
		CK_OBJECT_HANDLE key;

		TRY(envelope_root_key_find(token, record->arns[i], &key, error));
		if (key == CK_INVALID_HANDLE || has_way(ret_ways, key))
			continue;
		ret_ways->keys[ret_ways->count] = key;
		ret_ways->arns[ret_ways->count++] = record->arns[i];
	}
	if (ret_ways->count > 0)
		return ENVELOPE_OK;
	snprintf(error->text, sizeof(error->text), "%.*s", (int)record->arns[0].len,
		 (const char *)record->arns[0].data);
	return ENVELOPE_ROOT_KEY_UNKNOWN;
}

/* The module tells the reason of its last call only. So where a later one weighed less, the key
 * that gave the answer is asked once more; what it says then is the answer. */
static CK_RV open_by_any(struct envelope_token *token, const struct ways *ways, struct bytes record,
			 size_t *ret_by, CK_OBJECT_HANDLE *ret_ezk)
{
	enum answer answer = ANSWER_BAD;
	CK_RV rv = CKR_OK;

	*ret_by = 0;
	for (size_t i = 0; i < ways->count; i++) {
		rv = open_by(token, ways->keys[i], record, ret_ezk);
		if (rv == CKR_OK || answer_of(rv) >= answer)
			*ret_by = i;
		if (rv == CKR_OK || answer_of(rv) == ANSWER_FINAL)
			return rv;
		if (answer_of(rv) > answer)
			answer = answer_of(rv);
	}
	return *ret_by + 1 == ways->count ? rv
					  : open_by(token, ways->keys[*ret_by], record, ret_ezk);
}

enum envelope_status envelope_record_open(struct envelope_token *token, struct bytes bytes,
					  CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error)
{
	struct envelope_record record;
	struct ways ways;
	size_t by;
	CK_RV rv;

	if (!envelope_record_decode(bytes, &record)) {
		snprintf(error->text, sizeof(error->text), "header: the key record is malformed");
		return ENVELOPE_DAMAGED;
	}
	TRY(find_ways(token, &record, &ways, error));
	*ret_ezk = recall(token, &record);
	if (*ret_ezk != CK_INVALID_HANDLE)
		return ENVELOPE_OK;
	rv = open_by_any(token, &ways, bytes, &by, ret_ezk);
	if (is_of_data(rv)) {
		snprintf(error->text, sizeof(error->text),
			 "header: root key %.*s does not open the key record",
			 (int)ways.arns[by].len, (const char *)ways.arns[by].data);
		return ENVELOPE_DAMAGED;
	}
	TRY(envelope_answer(token, error, "C_UnwrapKey", rv));
	remember(token, &record, *ret_ezk);
	return ENVELOPE_OK;
}

/* --- DEK, commitment, payload key --------------------------------------------------------------
 */

static enum envelope_status derive(struct envelope_token *token, CK_OBJECT_HANDLE dek,
				   const char *label, struct bytes salt, CK_ATTRIBUTE *template,
				   CK_ULONG count, CK_OBJECT_HANDLE *ret_key,
				   struct envelope_error *error)
{
	uint8_t info[64];
	size_t label_len = strlen(label);
	CK_HKDF_PARAMS parameters = {
		.bExtract = CK_FALSE,
		.bExpand = CK_TRUE,
		.prfHashMechanism = CKM_SHA256,
		.ulSaltType = CKF_HKDF_SALT_NULL,
		.pInfo = info,
		.ulInfoLen = label_len + salt.len,
	};
	CK_MECHANISM hkdf = {CKM_HKDF_DERIVE, &parameters, sizeof(parameters)};

	memcpy(info, label, label_len);
	if (salt.len > 0)
		memcpy(info + label_len, salt.data, salt.len);
	return envelope_answer(token, error, "C_DeriveKey",
			       token->functions->C_DeriveKey(token->session, &hkdf, dek, template,
							     count, ret_key));
}

/* What is public is derived as a key whose value can be read. */
enum envelope_status envelope_derive_public(struct envelope_token *token, CK_OBJECT_HANDLE dek,
					    const char *label, struct bytes salt,
					    uint8_t ret_value[static 32],
					    struct envelope_error *error)
{
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_KEY_TYPE, &generic_secret, sizeof(generic_secret)},
		{CKA_TOKEN, &no, sizeof(no)},
		{CKA_SENSITIVE, &no, sizeof(no)},
		{CKA_EXTRACTABLE, &yes, sizeof(yes)},
		{CKA_VALUE_LEN, &thirty_two, sizeof(thirty_two)},
	};
	CK_ATTRIBUTE value = {CKA_VALUE, ret_value, 32};
	CK_OBJECT_HANDLE key;
	CK_RV rv;

	TRY(derive(token, dek, label, salt, template, COUNT_OF(template), &key, error));
	rv = token->functions->C_GetAttributeValue(token->session, key, &value, 1);
	token->functions->C_DestroyObject(token->session, key);
	return envelope_answer(token, error, "C_GetAttributeValue", rv);
}

static enum envelope_status derive_commitment(struct envelope_token *token, CK_OBJECT_HANDLE dek,
					      const uint8_t salt[static ENVELOPE_SALT],
					      uint8_t ret_commitment[static ENVELOPE_COMMITMENT],
					      struct envelope_error *error)
{
	return envelope_derive_public(token, dek, "cmek/1/commit", bytes(salt, ENVELOPE_SALT),
				      ret_commitment, error);
}

enum envelope_status envelope_derive_payload(struct envelope_token *token, CK_OBJECT_HANDLE dek,
					     const char *label, struct bytes salt,
					     CK_OBJECT_HANDLE *ret_key,
					     struct envelope_error *error)
{
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_KEY_TYPE, &aes, sizeof(aes)},
		{CKA_TOKEN, &no, sizeof(no)},
		{CKA_SENSITIVE, &yes, sizeof(yes)},
		{CKA_EXTRACTABLE, &no, sizeof(no)},
		{CKA_ENCRYPT, &yes, sizeof(yes)},
		{CKA_DECRYPT, &yes, sizeof(yes)},
		{CKA_VALUE_LEN, &thirty_two, sizeof(thirty_two)},
	};

	return derive(token, dek, label, salt, template, COUNT_OF(template), ret_key, error);
}

enum envelope_status envelope_keys_payload(struct envelope_token *token, struct envelope_keys *keys,
					   const uint8_t salt[static ENVELOPE_SALT],
					   struct envelope_error *error)
{
	return envelope_derive_payload(token, keys->dek, "cmek/1/payload",
				       bytes(salt, ENVELOPE_SALT), &keys->payload, error);
}

enum { DEK_ATTRIBUTES = 6 + 1 + ENVELOPE_DEK_MORE };

/* What every DEK is like, and then what this one is besides. */
static CK_ULONG put_dek(const CK_ATTRIBUTE *more, CK_ULONG more_count,
			CK_ATTRIBUTE ret_template[static DEK_ATTRIBUTES])
{
	const CK_ATTRIBUTE all[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_KEY_TYPE, &aes, sizeof(aes)},
		{CKA_TOKEN, &no, sizeof(no)},
		{CKA_SENSITIVE, &yes, sizeof(yes)},
		{CKA_EXTRACTABLE, &yes, sizeof(yes)},
		{CKA_DERIVE, &yes, sizeof(yes)},
	};

	memcpy(ret_template, all, sizeof(all));
	if (more_count > 0)
		memcpy(ret_template + COUNT_OF(all), more, more_count * sizeof(*more));
	return COUNT_OF(all) + more_count;
}

enum envelope_status envelope_dek_make(struct envelope_token *token, const CK_ATTRIBUTE *more,
				       CK_ULONG more_count, CK_OBJECT_HANDLE *ret_dek,
				       struct envelope_error *error)
{
	CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ATTRIBUTE template[DEK_ATTRIBUTES];
	CK_ULONG count = put_dek(more, more_count, template);

	template[count++] = (CK_ATTRIBUTE){CKA_VALUE_LEN, &thirty_two, sizeof(thirty_two)};
	return envelope_answer(token, error, "C_GenerateKey",
			       token->functions->C_GenerateKey(token->session, &generate, template,
							       count, ret_dek));
}

enum envelope_status envelope_keys_make(struct envelope_token *token,
					const uint8_t salt[static ENVELOPE_SALT],
					struct envelope_keys *ret_keys,
					struct envelope_error *error)
{
	struct envelope_keys keys = {0};
	enum envelope_status status;

	TRY(envelope_dek_make(token, NULL, 0, &keys.dek, error));
	status = derive_commitment(token, keys.dek, salt, keys.commitment, error);
	if (status != ENVELOPE_OK)
		envelope_keys_clear(token, &keys);
	else
		*ret_keys = keys;
	return status;
}

enum envelope_status envelope_zone_record(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					  struct buffer *out, struct envelope_error *error)
{
	CK_ATTRIBUTE attribute = {CKA_CMEK_ENCRYPTED_KEY, NULL, 0};

	TRY(envelope_answer(
		token, error, "C_GetAttributeValue",
		token->functions->C_GetAttributeValue(token->session, ezk, &attribute, 1)));
	buffer_truncate(out, 0);
	attribute.pValue = buffer_extend(out, attribute.ulValueLen);
	if (attribute.pValue == NULL)
		return ENVELOPE_NO_MEMORY;
	return envelope_answer(
		token, error, "C_GetAttributeValue",
		token->functions->C_GetAttributeValue(token->session, ezk, &attribute, 1));
}

static enum envelope_status wrap(struct envelope_token *token, CK_OBJECT_HANDLE dek,
				 CK_OBJECT_HANDLE ezk, struct bytes aad, struct buffer *out,
				 struct envelope_error *error)
{
	CK_MECHANISM dek_wrap = {CKM_CMEK_DEK_WRAP, (void *)aad.data, aad.len};
	CK_ULONG len = 1024;

	buffer_truncate(out, 0);
	if (buffer_extend(out, len) == NULL)
		return ENVELOPE_NO_MEMORY;
	TRY(envelope_answer(
		token, error, "C_WrapKey",
		token->functions->C_WrapKey(token->session, &dek_wrap, ezk, dek, out->data, &len)));
	buffer_truncate(out, len);
	return ENVELOPE_OK;
}

/* A rotation between wrapping and reading the record would embed the wrong record: both are then
 * repeated. */
enum envelope_status envelope_dek_wrap(struct envelope_token *token, CK_OBJECT_HANDLE dek,
				       CK_OBJECT_HANDLE ezk, struct bytes aad,
				       struct buffer *ret_wrapped, struct buffer *ret_record,
				       struct envelope_error *error)
{
	for (int attempt = 0; attempt < 3; attempt++) {
		struct envelope_record record;
		uint64_t zone;
		uint32_t version;

		TRY(wrap(token, dek, ezk, aad, ret_wrapped, error));
		if (ret_record == NULL)
			return ENVELOPE_OK;
		TRY(envelope_zone_record(token, ezk, ret_record, error));
		if (envelope_wrapped_version(buffer_bytes(ret_wrapped), &zone, &version) &&
		    envelope_record_decode(buffer_bytes(ret_record), &record) &&
		    record.zone == zone && record.version == version)
			return ENVELOPE_OK;
	}
	snprintf(error->text, sizeof(error->text),
		 "the zone's key was rotated again and again meanwhile");
	return envelope_failed(token, error, "C_WrapKey", CKR_FUNCTION_FAILED);
}

enum envelope_status envelope_keys_wrap(struct envelope_token *token,
					const struct envelope_keys *keys, CK_OBJECT_HANDLE ezk,
					struct bytes aad, struct buffer *ret_wrapped,
					struct buffer *ret_record, struct envelope_error *error)
{
	return envelope_dek_wrap(token, keys->dek, ezk, aad, ret_wrapped, ret_record, error);
}

enum envelope_status envelope_dek_unwrap(struct envelope_token *token, struct bytes wrapped,
					 CK_OBJECT_HANDLE ezk, struct bytes aad,
					 const CK_ATTRIBUTE *more, CK_ULONG more_count,
					 CK_OBJECT_HANDLE *ret_dek, struct envelope_error *error)
{
	CK_MECHANISM dek_wrap = {CKM_CMEK_DEK_WRAP, (void *)aad.data, aad.len};
	CK_ATTRIBUTE template[DEK_ATTRIBUTES];
	CK_ULONG count = put_dek(more, more_count, template);
	CK_RV rv = token->functions->C_UnwrapKey(token->session, &dek_wrap, ezk,
						 (CK_BYTE *)wrapped.data, wrapped.len, template,
						 count, ret_dek);

	if (is_of_data(rv)) {
		snprintf(error->text, sizeof(error->text),
			 "header: the wrapped data key does not open");
		return ENVELOPE_DAMAGED;
	}
	return envelope_answer(token, error, "C_UnwrapKey", rv);
}

enum envelope_status envelope_keys_open(struct envelope_token *token, struct bytes wrapped,
					CK_OBJECT_HANDLE ezk, struct bytes aad,
					const uint8_t salt[static ENVELOPE_SALT],
					struct envelope_keys *ret_keys,
					struct envelope_error *error)
{
	struct envelope_keys keys = {0};
	enum envelope_status status;

	TRY(envelope_dek_unwrap(token, wrapped, ezk, aad, NULL, 0, &keys.dek, error));
	status = derive_commitment(token, keys.dek, salt, keys.commitment, error);
	if (status == ENVELOPE_OK)
		status = envelope_keys_payload(token, &keys, salt, error);
	if (status != ENVELOPE_OK)
		envelope_keys_clear(token, &keys);
	else
		*ret_keys = keys;
	return status;
}

void envelope_keys_clear(struct envelope_token *token, struct envelope_keys *keys)
{
	if (keys->payload != CK_INVALID_HANDLE)
		token->functions->C_DestroyObject(token->session, keys->payload);
	if (keys->dek != CK_INVALID_HANDLE)
		token->functions->C_DestroyObject(token->session, keys->dek);
	keys->payload = keys->dek = CK_INVALID_HANDLE;
}
