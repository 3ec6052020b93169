/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* CKA_WRAP_TEMPLATE and CKA_UNWRAP_TEMPLATE: templates that a key keeps. */
#include "base/log.h"
#include "base/macros.h"
#include "base/reader.h"
#include "objects/attribute.h"
#include "objects/template.h"

static bool is_number(const struct attribute *row)
{
	return row->form == ATTRIBUTE_ULONG;
}

static CK_RV pack_one(const CK_ATTRIBUTE *attribute, struct buffer *out)
{
	const struct attribute *row = attribute_find(attribute->type);
	CK_ULONG number;

	if (row == NULL)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	if (row->form == ATTRIBUTE_ARRAY || row->form == ATTRIBUTE_MECHANISMS)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	TRY(attribute_check(row, attribute));
	buffer_put_u64(out, attribute->type);
	if (!is_number(row)) {
		buffer_put_sized(out, bytes(attribute->pValue, attribute->ulValueLen));
		return CKR_OK;
	}
	memcpy(&number, attribute->pValue, sizeof(number));
	buffer_put_u16(out, sizeof(uint64_t));
	buffer_put_u64(out, number);
	return CKR_OK;
}

CK_RV template_pack(struct bytes array, struct buffer *ret_stored)
{
	CK_ATTRIBUTE attribute;

	for (size_t at = 0; at + sizeof(attribute) <= array.len; at += sizeof(attribute)) {
		memcpy(&attribute, array.data + at, sizeof(attribute));
		TRY(pack_one(&attribute, ret_stored));
	}
	return ret_stored->failed ? CKR_HOST_MEMORY : CKR_OK;
}

/* The next stored attribute in the form that the application gave; a number lies in *number. False
 * at the end, or where the stored bytes are not what template_pack writes. */
static bool next_stored(struct reader *reader, CK_ULONG *number, CK_ATTRIBUTE *ret_attribute)
{
	CK_ATTRIBUTE_TYPE type = reader_u64(reader);
	struct bytes value = reader_sized(reader);
	const struct attribute *row = attribute_find(type);
	struct reader inner = reader_of(value);

	if (reader->failed || row == NULL)
		return false;
	if (is_number(row)) {
		*number = reader_u64(&inner);
		value = bytes(number, sizeof(*number));
	}
	/* pValue is never written through: only readers of templates see this attribute. */
	*ret_attribute = (CK_ATTRIBUTE){type, (void *)(uintptr_t)value.data, value.len};
	return true;
}

bool template_matches(struct bytes stored, const struct object *object, bool *ret_no_memory)
{
	const struct attribute_source source = {NULL, object};
	AUTO(buffer_clear) struct buffer scratch = {0};
	struct reader reader = reader_of(stored);
	CK_ATTRIBUTE attribute;
	CK_ULONG number;
	bool matches = true;

	while (matches && reader.left.len > 0)
		matches = next_stored(&reader, &number, &attribute) &&
			  attribute_matches(&source, &attribute, &scratch);
	*ret_no_memory = scratch.failed;
	return matches;
}

/* A kept template says no more than a caller's may. What vouches for a key can't be given at all:
 * that it is trusted, or was made here. */
static bool may_be_forced(enum template_use use, CK_ATTRIBUTE_TYPE type)
{
	const struct attribute *row = attribute_find(type);

	return row != NULL && (row->uses & 1U << use) != 0 && type != CKA_TRUSTED;
}

CK_RV template_check_forced(enum template_use use, struct bytes stored)
{
	struct reader reader = reader_of(stored);
	CK_ATTRIBUTE attribute;
	CK_ULONG number;

	while (reader.left.len > 0 && next_stored(&reader, &number, &attribute)) {
		if (may_be_forced(use, attribute.type))
			continue;
		log_warning("CKA_%s_TEMPLATE can't give attribute 0x%lx to a new key",
			    use == TEMPLATE_UNWRAP ? "UNWRAP" : "DERIVE", attribute.type);
		return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	return CKR_OK;
}

CK_RV template_force(enum template_use use, struct bytes stored, struct template *template)
{
	struct reader reader = reader_of(stored);
	CK_ATTRIBUTE attribute;
	CK_ULONG number;

	if (stored.len == 0)
		return CKR_OK;
	if (template_check_forced(use, stored) != CKR_OK)
		return CKR_TEMPLATE_INCONSISTENT;
	while (reader.left.len > 0) {
		if (!next_stored(&reader, &number, &attribute))
			return CKR_DEVICE_ERROR;
		TRY(template_take(attribute_find(attribute.type), &attribute, template));
	}
	return CKR_OK;
}

static size_t count_stored(struct bytes stored)
{
	struct reader reader = reader_of(stored);
	CK_ATTRIBUTE attribute;
	CK_ULONG number;
	size_t count = 0;

	while (reader.left.len > 0 && next_stored(&reader, &number, &attribute))
		count++;
	return count;
}

CK_RV template_unpack(struct bytes stored, CK_ATTRIBUTE *attribute)
{
	size_t count = count_stored(stored), room = attribute->ulValueLen;
	uint8_t *at = attribute->pValue;
	struct reader reader = reader_of(stored);
	CK_RV result = CKR_OK;

	attribute->ulValueLen = count * sizeof(CK_ATTRIBUTE);
	if (at != NULL && room < attribute->ulValueLen) {
		attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_BUFFER_TOO_SMALL;
	}
	for (size_t i = 0; at != NULL && i < count; i++, at += sizeof(CK_ATTRIBUTE)) {
		CK_ATTRIBUTE inner, value = {0};
		CK_ULONG number;
		CK_RV rv;

		next_stored(&reader, &number, &value);
		memcpy(&inner, at, sizeof(inner));
		inner.type = value.type;
		rv = attribute_put(&inner, bytes(value.pValue, value.ulValueLen));
		memcpy(at, &inner, sizeof(inner));
		if (result == CKR_OK)
			result = rv;
	}
	return result;
}
