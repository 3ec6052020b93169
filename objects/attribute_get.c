/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How C_GetAttributeValue, C_GetObjectSize and C_FindObjects use the attribute table. */
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/aes.h"
#include "crypto/digest.h"
#include "objects/attribute.h"
#include "objects/error.h"
#include "objects/report.h"
#include "objects/value.h"
#include "zones/domain/root_key.h"

enum { IMPORT_SIZE = 12 }; /* a zone's id and a version */

/* A key's value may be read only if nothing forbids it; an EZK record only if it may leave its
 * store. */
static bool is_readable(const struct attribute *row, const struct object *object)
{
	if (row->type == CKA_CMEK_ENCRYPTED_KEY)
		return !object_record_is_kept(object);
	if (row->type != CKA_VALUE || object->kind == OBJECT_DIAGNOSTIC ||
	    object->kind == OBJECT_BACKUP)
		return true;
	return object_is_data(object) ||
	       (object->kind == OBJECT_KEY && object_has(object, OBJECT_EXTRACTABLE) &&
		!object_has(object, OBJECT_SENSITIVE));
}

CK_RV attribute_put(CK_ATTRIBUTE *attribute, struct bytes value)
{
	if (attribute->pValue != NULL && attribute->ulValueLen < value.len) {
		attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_BUFFER_TOO_SMALL;
	}
	if (attribute->pValue != NULL && value.len > 0)
		memcpy(attribute->pValue, value.data, value.len);
	attribute->ulValueLen = value.len;
	return CKR_OK;
}

/* Reading a value is a use of the key, or of the zone that keeps the data; reading its length is
 * not. */
static CK_RV put_key(struct objects *objects, struct object *key, CK_ATTRIBUTE *attribute)
{
	AUTO(secret_freep) uint8_t *secret = NULL;

	if (attribute->pValue == NULL)
		return attribute_put(attribute, bytes(NULL, key->value_len));
	TRY(error_of_zone(object_read(objects, key, &secret), ERROR_USE));
	return attribute_put(attribute, bytes(secret, key->value_len));
}

enum { CHECK_VALUE_SIZE = 3 };

/* PKCS #11 3.1, "Certificate objects": a digest of the value. "Secret key objects": a block of
 * zeros that the key encrypts. */
static bool check_block(const struct object *object, struct bytes value,
			uint8_t ret_block[static DIGEST_MAX_SIZE])
{
	AUTO(aes_freep) struct aes *aes = NULL;

	if (object->kind == OBJECT_CERTIFICATE)
		return digest_once(DIGEST_SHA1, value, ret_block);
	memset(ret_block, 0, AES_BLOCK);
	aes = aes_new(AES_ECB, true, value);
	return aes != NULL && aes_block(aes, ret_block, ret_block);
}

/* The first bytes of that. Of other secrets it would be a digest, by which a weak one could be
 * guessed. Reading it is a use of the key, or of the zone that keeps the certificate. */
static CK_RV put_check_value(struct objects *objects, struct object *object,
			     CK_ATTRIBUTE *attribute)
{
	AUTO(secret_freep) uint8_t *value = NULL;
	uint8_t block[DIGEST_MAX_SIZE];

	if (object->kind == OBJECT_KEY && object->key_type != CKK_AES)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	if (attribute->pValue == NULL || attribute->ulValueLen < CHECK_VALUE_SIZE)
		return attribute_put(attribute, bytes(NULL, CHECK_VALUE_SIZE));
	TRY(error_of_zone(object_read(objects, object, &value), ERROR_USE));
	if (!check_block(object, bytes(value, object->value_len), block))
		return CKR_HOST_MEMORY;
	TRY(attribute_put(attribute, bytes(block, CHECK_VALUE_SIZE)));
	wipe(block, sizeof(block));
	return CKR_OK;
}

/* CKA_VALUE. A report is made when its length is asked for, and read afterwards. */
static CK_RV put_value(const struct attribute *row, const struct attribute_source *source,
		       struct object *object, CK_ATTRIBUTE *attribute)
{
	AUTO(buffer_clear) struct buffer value = {0};

	if (object_has_value(object))
		return put_key(source->objects, object, attribute);
	if (object->kind == OBJECT_BACKUP)
		return attribute_put(attribute, object->more.file);
	if (attribute->pValue == NULL)
		TRY(report_make(source->objects, object->entry));
	row->get(row, source, &value);
	return value.failed ? CKR_HOST_MEMORY : attribute_put(attribute, buffer_bytes(&value));
}

/* The KMS is asked by a caller who wants the state, not its length. */
static CK_RV put_kms_state(const struct attribute *row, const struct attribute_source *source,
			   CK_ATTRIBUTE *attribute)
{
	const CK_ULONG unasked = CMEK_STATE_UNKNOWN;
	AUTO(buffer_clear) struct buffer value = {0};

	if (attribute->pValue == NULL || attribute->ulValueLen < sizeof(unasked))
		return attribute_put(attribute, bytes(&unasked, sizeof(unasked)));
	row->get(row, source, &value);
	return value.failed ? CKR_HOST_MEMORY : attribute_put(attribute, buffer_bytes(&value));
}

/* The same of when the key was used last. */
static CK_RV put_last_used(const struct attribute_source *source, CK_ATTRIBUTE *attribute)
{
	struct zones *zones = objects_zones(source->objects);
	struct kms_last_usage usage;
	char moment[25];

	if (attribute->pValue == NULL || attribute->ulValueLen < sizeof(moment) - 1)
		return attribute_put(attribute, bytes(NULL, sizeof(moment) - 1));
	TRY(error_of_zone(zones_root_key_last_used(zones, source->object->entry, &usage),
			  ERROR_USE));
	if (usage.used_ms == 0)
		return attribute_put(attribute, bytes(NULL, 0));
	clock_extended_utc(usage.used_ms, moment);
	return attribute_put(attribute, bytes_of(moment));
}

static CK_RV put_other(const struct attribute *row, const struct attribute_source *source,
		       CK_ATTRIBUTE *attribute, struct buffer *scratch)
{
	buffer_truncate(scratch, 0);
	row->get(row, source, scratch);
	if (scratch->failed)
		return CKR_HOST_MEMORY;
	if (row->form == ATTRIBUTE_ARRAY)
		return template_unpack(buffer_bytes(scratch), attribute);
	return attribute_put(attribute, buffer_bytes(scratch));
}

static CK_RV get_one(const struct attribute_source *source, struct object *object,
		     CK_ATTRIBUTE *attribute, struct buffer *scratch)
{
	const struct attribute *row = attribute_find(attribute->type);
	CK_RV rv;

	if (row == NULL || !attribute_of_kind(row, object->kind))
		rv = CKR_ATTRIBUTE_TYPE_INVALID;
	else if (!is_readable(row, object))
		rv = CKR_ATTRIBUTE_SENSITIVE;
	else if (row->type == CKA_VALUE)
		rv = put_value(row, source, object, attribute);
	else if (row->type == CKA_CHECK_VALUE)
		rv = put_check_value(source->objects, object, attribute);
	else if (row->type == CKA_CMEK_KMS_STATE)
		rv = put_kms_state(row, source, attribute);
	else if (row->type == CKA_CMEK_LAST_USED)
		rv = put_last_used(source, attribute);
	else
		rv = put_other(row, source, attribute, scratch);
	if (rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL)
		attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
	return rv;
}

CK_RV attributes_get(struct objects *objects, struct object *object, CK_ATTRIBUTE *attributes,
		     CK_ULONG count)
{
	const struct attribute_source source = {objects, object};
	AUTO(buffer_clear) struct buffer scratch = {0};
	CK_RV result = CKR_OK;

	if ((attributes == NULL && count > 0) || count > TEMPLATE_COUNT_MAX)
		return CKR_ARGUMENTS_BAD;
	for (CK_ULONG i = 0; i < count; i++) {
		CK_RV rv = get_one(&source, object, &attributes[i], &scratch);

		if (result == CKR_OK)
			result = rv;
		scratch.failed = false;
	}
	return result;
}

/* A report has no length before it is made, and no KMS is asked just for an object's size. */
static bool must_be_had_first(const struct attribute *row)
{
	return row->type == CKA_VALUE || row->type == CKA_CHECK_VALUE ||
	       row->type == CKA_CMEK_KMS_STATE || row->type == CKA_CMEK_FAULTS ||
	       row->type == CKA_CMEK_STORE || row->type == CKA_CMEK_STORE_LEVEL ||
	       row->type == CKA_CMEK_USAGE || row->type == CKA_CMEK_LAST_USED ||
	       row->type == CKA_CMEK_MAINTAIN;
}

CK_ULONG attributes_size(struct objects *objects, const struct object *object)
{
	const struct attribute_source source = {objects, object};
	AUTO(buffer_clear) struct buffer all = {0};

	for (size_t i = 0; i < attribute_count(); i++) {
		const struct attribute *row = attribute_at(i);

		if (attribute_of_kind(row, object->kind) && !must_be_had_first(row))
			row->get(row, &source, &all);
	}
	return all.failed ? CK_UNAVAILABLE_INFORMATION : all.len + object->value_len;
}

/* CKA_CMEK_IMPORTS: one of them begins so. */
static bool has_import(struct bytes imports, struct bytes wanted)
{
	for (size_t at = 0; at + IMPORT_SIZE <= imports.len; at += IMPORT_SIZE)
		if (bytes_equal(bytes(imports.data + at, wanted.len), wanted))
			return true;
	return false;
}

static bool is_wanted(const struct attribute *row, struct bytes value, struct bytes wanted)
{
	if (row->type == CKA_CMEK_IMPORTS && wanted.len > 0 && wanted.len <= IMPORT_SIZE)
		return has_import(value, wanted);
	return bytes_equal(value, wanted);
}

bool attribute_matches(const struct attribute_source *source, const CK_ATTRIBUTE *attribute,
		       struct buffer *scratch)
{
	const struct attribute *row = attribute_find(attribute->type);

	if (row == NULL || !attribute_of_kind(row, source->object->kind) ||
	    !is_readable(row, source->object))
		return false;
	/* A search never asks the KMS, nor does it open a key that is not open here. */
	if (row->type != CKA_VALUE && must_be_had_first(row))
		return false;
	if (row->type == CKA_VALUE && object_has_value(source->object) &&
	    !value_is_set(source->object))
		return false;
	buffer_truncate(scratch, 0);
	row->get(row, source, scratch);
	return !scratch->failed &&
	       is_wanted(row, buffer_bytes(scratch), attribute_value(attribute));
}
