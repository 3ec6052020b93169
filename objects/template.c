/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Reads templates. The defaults of a new key are in template_key.c. */
#include "objects/template.h"

#include "base/encode.h"
#include "base/log.h"
#include "base/macros.h"
#include "objects/attribute.h"
#include "objects/key_dates.h"

#include <limits.h>

static const char *const uses[TEMPLATE_USE_COUNT] = {
	[TEMPLATE_GENERATE] = "generate", [TEMPLATE_CREATE] = "create", [TEMPLATE_COPY] = "copy",
	[TEMPLATE_UNWRAP] = "unwrap",	  [TEMPLATE_DERIVE] = "derive", [TEMPLATE_SET] = "change",
};

/* What a value of each form must be; a row's greatest length is added. */
static const char *const forms[] = {
	[ATTRIBUTE_USAGE] = "one byte, CK_TRUE or CK_FALSE",
	[ATTRIBUTE_FLAG] = "one byte, CK_TRUE or CK_FALSE",
	[ATTRIBUTE_BOOL] = "one byte, CK_TRUE or CK_FALSE",
	[ATTRIBUTE_ULONG] = "a CK_ULONG",
	[ATTRIBUTE_TEXT] = "UTF-8 without a NUL",
	[ATTRIBUTE_BYTES] = "a byte string",
	[ATTRIBUTE_DATE] = "empty or a CK_DATE",
	[ATTRIBUTE_ZONE_ID] = "empty or the 8 bytes of a zone's id",
	[ATTRIBUTE_MECHANISMS] = "an array of CK_MECHANISM_TYPE, not empty,",
	[ATTRIBUTE_ARRAY] = "an array of CK_ATTRIBUTE",
};

static CK_RV refuse(enum template_use use, CK_ATTRIBUTE_TYPE type, const char *why, CK_RV rv)
{
	const struct attribute *row = attribute_find(type);

	if (row == NULL)
		log_warning("template to %s an object: attribute 0x%lx %s", uses[use], type, why);
	else
		log_warning("template to %s an object: %s %s", uses[use], row->name, why);
	return rv;
}

static CK_RV refuse_form(enum template_use use, const struct attribute *row)
{
	AUTO(buffer_clear) struct buffer why = {0};

	buffer_format(&why, "must be %s", forms[row->form]);
	if (row->max > 0)
		buffer_format(&why, " of at most %zu bytes", row->max);
	return refuse(use, row->type, why.failed ? "has a wrong value" : buffer_text(&why),
		      CKR_ATTRIBUTE_VALUE_INVALID);
}

static bool is_date(struct bytes date)
{
	unsigned number;

	return date.len == 0 || key_date_read(date, &number);
}

static uint64_t zone_id(struct bytes value)
{
	uint64_t zone = 0;

	for (size_t i = 0; i < value.len; i++)
		zone = zone << 8 | value.data[i];
	return zone;
}

static bool form_valid(const struct attribute *row, struct bytes value)
{
	switch (row->form) {
	case ATTRIBUTE_USAGE:
	case ATTRIBUTE_FLAG:
	case ATTRIBUTE_BOOL:
		return value.len == sizeof(CK_BBOOL) && value.data[0] <= CK_TRUE;
	case ATTRIBUTE_ULONG:
		return value.len == sizeof(CK_ULONG);
	case ATTRIBUTE_TEXT:
		return value.len <= row->max && utf8_valid(value);
	case ATTRIBUTE_BYTES:
		return value.len <= row->max;
	case ATTRIBUTE_DATE:
		return is_date(value);
	case ATTRIBUTE_ZONE_ID:
		return value.len == 0 || (value.len == sizeof(uint64_t) && zone_id(value) != 0);
	case ATTRIBUTE_MECHANISMS:
		/* An empty list would allow nothing or, to readers that take it for no list,
		 * everything. */
		return value.len > 0 && value.len <= row->max &&
		       value.len % sizeof(CK_MECHANISM_TYPE) == 0;
	case ATTRIBUTE_ARRAY:
		return value.len <= row->max && value.len % sizeof(CK_ATTRIBUTE) == 0;
	}
	return false;
}

struct bytes attribute_value(const CK_ATTRIBUTE *attribute)
{
	struct bytes value = bytes(attribute->pValue, attribute->ulValueLen);

	if (attribute->type == CKA_LABEL && value.data != NULL && value.len > 0 &&
	    value.len <= LABEL_MAX + 1 && value.data[value.len - 1] == 0)
		value.len--;
	return value;
}

CK_RV attribute_check(const struct attribute *row, const CK_ATTRIBUTE *attribute)
{
	struct bytes value = attribute_value(attribute);

	return bytes_valid(value) && form_valid(row, value) ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
}

static void *field_of(struct template *template, size_t offset)
{
	return (uint8_t *)template + offset;
}

static void assign_bit(bool value, uint32_t bit, uint32_t *named, uint32_t *values)
{
	*named |= bit;
	*values = value ? *values | bit : *values & ~bit;
}

static void assign(const struct attribute *row, struct bytes value, struct template *template)
{
	void *field = field_of(template, row->field);

	/* Empty is not absent. */
	if (value.data == NULL)
		value.data = (const uint8_t *)"";
	if (row->form == ATTRIBUTE_USAGE)
		assign_bit(value.data[0], (uint32_t)row->detail, &template->usages_named,
			   &template->usages);
	else if (row->form == ATTRIBUTE_FLAG)
		assign_bit(value.data[0], (uint32_t)row->detail, &template->flags_named,
			   &template->flags);
	else if (row->form == ATTRIBUTE_BOOL)
		*(bool *)field = value.data[0] == CK_TRUE;
	else if (row->form == ATTRIBUTE_ULONG)
		memcpy(field, value.data, sizeof(CK_ULONG));
	else if (row->form == ATTRIBUTE_ZONE_ID)
		*(uint64_t *)field = zone_id(value);
	else
		*(struct bytes *)field = value;
	if (row->present != 0)
		*(bool *)field_of(template, row->present) = true;
}

/* Whether the second value of an attribute equals the first. */
static bool agrees(const struct attribute *row, struct bytes value, struct template *template)
{
	struct template other = *template;
	const void *was = field_of(template, row->field), *is = field_of(&other, row->field);

	assign(row, value, &other);
	switch (row->form) {
	case ATTRIBUTE_USAGE:
	case ATTRIBUTE_FLAG:
		return template->usages == other.usages && template->flags == other.flags;
	case ATTRIBUTE_BOOL:
		return *(const bool *)was == *(const bool *)is;
	case ATTRIBUTE_ULONG:
		return memcmp(was, is, sizeof(CK_ULONG)) == 0;
	case ATTRIBUTE_ZONE_ID:
		return template->zone == other.zone;
	default:
		return bytes_equal(*(const struct bytes *)was, *(const struct bytes *)is);
	}
}

CK_RV template_take(const struct attribute *row, const CK_ATTRIBUTE *attribute,
		    struct template *template)
{
	struct bytes value = attribute_value(attribute);
	size_t index = attribute_index(row);
	uint64_t bit = UINT64_C(1) << index % 64, *named = &template->named[index / 64];

	if (*named & bit)
		return agrees(row, value, template) ? CKR_OK : CKR_TEMPLATE_INCONSISTENT;
	assign(row, value, template);
	*named |= bit;
	return CKR_OK;
}

/* Of what is derived, data too. */
static bool says_how_much(enum template_use use, CK_ATTRIBUTE_TYPE type)
{
	return use == TEMPLATE_DERIVE && type == CKA_VALUE_LEN;
}

static CK_RV refuse_kind(enum template_use use, CK_ATTRIBUTE_TYPE type)
{
	return refuse(use, type, "does not belong to its class", CKR_ATTRIBUTE_TYPE_INVALID);
}

/* What no object of the kind has is told of as that, even if nobody may give it. */
static CK_RV read_one(enum template_use use, unsigned kinds, const CK_ATTRIBUTE *attribute,
		      struct template *template)
{
	const struct attribute *row = attribute_find(attribute->type);

	if (row == NULL)
		return refuse(use, attribute->type, "is not known", CKR_ATTRIBUTE_TYPE_INVALID);
	if (!(row->kinds & kinds) && !says_how_much(use, row->type))
		return refuse_kind(use, row->type);
	if (!(row->uses & 1U << use))
		return refuse(use, row->type, "can't be given", CKR_ATTRIBUTE_READ_ONLY);
	if (attribute_check(row, attribute) != CKR_OK)
		return refuse_form(use, row);
	if (template_take(row, attribute, template) != CKR_OK)
		return refuse(use, row->type, "is named twice, with different values",
			      CKR_TEMPLATE_INCONSISTENT);
	if ((template->flags & OBJECT_TRUSTED) && use != TEMPLATE_SET &&
	    template->class != CKO_CERTIFICATE)
		return refuse(use, row->type, "can't be given: no new key is trusted",
			      CKR_ATTRIBUTE_READ_ONLY);
	return CKR_OK;
}

static bool names_root_key(const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	bool named = false;

	for (CK_ULONG i = 0; i < count; i++)
		named |= attributes[i].type == CKA_CMEK_KMS_KEY;
	return named;
}

/* The kinds that a template makes, as bits of enum object_kind; 0: none that we know. Of objects
 * that are there it says nothing, nor does one that lacks the class which it must have. */
static unsigned kinds_made(enum template_use use, const struct template *template,
			   const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	if (use == TEMPLATE_SET || use == TEMPLATE_COPY ||
	    (use == TEMPLATE_CREATE && template->class == CK_UNAVAILABLE_INFORMATION))
		return UINT_MAX;
	if (template->class == CKO_CMEK_CLUSTER)
		return 1U << OBJECT_CLUSTER;
	if (template->class == CKO_DATA && (use == TEMPLATE_CREATE || use == TEMPLATE_DERIVE))
		return 1U << OBJECT_DATA;
	if (template->class == CKO_CERTIFICATE && use == TEMPLATE_CREATE)
		return 1U << OBJECT_CERTIFICATE;
	if (template->class == CKO_CMEK_BACKUP)
		return 1U << OBJECT_BACKUP;
	if (template->class != CKO_SECRET_KEY && template->class != CK_UNAVAILABLE_INFORMATION)
		return 0;
	if (names_root_key(attributes, count))
		return 1U << OBJECT_ROOT_KEY;
	if (use == TEMPLATE_GENERATE || use == TEMPLATE_UNWRAP)
		return 1U << OBJECT_ZONE | 1U << OBJECT_KEY;
	return 1U << OBJECT_KEY;
}

static bool says_what(CK_ATTRIBUTE_TYPE type)
{
	return type == CKA_CLASS || type == CKA_KEY_TYPE;
}

/* What it is comes before what it has: that this is no kind of object here says more than that its
 * modulus is not known. */
static CK_RV read_what(enum template_use use, const CK_ATTRIBUTE *attributes, CK_ULONG count,
		       struct template *template, unsigned *ret_kinds)
{
	unsigned kinds;

	for (CK_ULONG i = 0; i < count; i++)
		if (says_what(attributes[i].type))
			TRY(read_one(use, UINT_MAX, &attributes[i], template));
	kinds = kinds_made(use, template, attributes, count);
	if (kinds == 0)
		return refuse(use, CKA_CLASS, "is not a class of object made here",
			      use == TEMPLATE_CREATE ? CKR_ATTRIBUTE_VALUE_INVALID
						     : CKR_TEMPLATE_INCONSISTENT);
	/* Of what is generated the mechanism says the type. */
	if (use != TEMPLATE_GENERATE && template->key_type != CK_UNAVAILABLE_INFORMATION &&
	    !template_knows_type(template->key_type))
		return refuse(use, CKA_KEY_TYPE, "is not a type of key kept here",
			      CKR_ATTRIBUTE_VALUE_INVALID);
	*ret_kinds = kinds;
	return CKR_OK;
}

/* What says what it is has been read; whether its kind has it is known only now. */
static CK_RV read_rest(enum template_use use, unsigned kinds, const CK_ATTRIBUTE *attributes,
		       CK_ULONG count, struct template *template)
{
	for (CK_ULONG i = 0; i < count; i++)
		if (!says_what(attributes[i].type))
			TRY(read_one(use, kinds, &attributes[i], template));
		else if (!(attribute_find(attributes[i].type)->kinds & kinds))
			return refuse_kind(use, attributes[i].type);
	return CKR_OK;
}

CK_RV template_read_for(enum template_use use, const struct object *object,
			const CK_ATTRIBUTE *attributes, CK_ULONG count,
			struct template *ret_template)
{
	unsigned kinds = 0;

	if ((attributes == NULL && count > 0) || count > TEMPLATE_COUNT_MAX)
		return CKR_ARGUMENTS_BAD;
	*ret_template = (struct template){.class = CK_UNAVAILABLE_INFORMATION,
					  .key_type = CK_UNAVAILABLE_INFORMATION};
	if (object == NULL) {
		TRY(read_what(use, attributes, count, ret_template, &kinds));
		return read_rest(use, kinds, attributes, count, ret_template);
	}
	for (CK_ULONG i = 0; i < count; i++)
		TRY(read_one(use, 1U << object->kind, &attributes[i], ret_template));
	return CKR_OK;
}

CK_RV template_read(enum template_use use, const CK_ATTRIBUTE *attributes, CK_ULONG count,
		    struct template *ret_template)
{
	return template_read_for(use, NULL, attributes, count, ret_template);
}
