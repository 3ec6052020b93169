/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "objects/zone_versions.h"

#include "base/log.h"
#include "base/macros.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "zones/domain/rotate.h"

static const struct mark_attribute {
	size_t present, value; /* in a template */
	enum zone_mark mark;
	const char *name;
} mark_attributes[] = {
	{offsetof(struct template, present_raw_version), offsetof(struct template, raw_version),
	 ZONE_RAW, "CKA_CMEK_RAW_VERSION"},
	{offsetof(struct template, present_min_version), offsetof(struct template, min_version),
	 ZONE_MINIMUM, "CKA_CMEK_MIN_VERSION"},
	{offsetof(struct template, present_rotate_days), offsetof(struct template, rotate_days),
	 ZONE_ROTATE_DAYS, "CKA_CMEK_ROTATE_DAYS"},
};

static bool is_named(const struct template *template, const struct mark_attribute *row)
{
	return *(const bool *)((const uint8_t *)template + row->present);
}

bool zone_versions_named(const struct template *template)
{
	bool named = template->present_version;

	for (size_t i = 0; i < COUNT_OF(mark_attributes); i++)
		named |= is_named(template, &mark_attributes[i]);
	return named;
}

static CK_RV refuse_number(const char *name, CK_ULONG number)
{
	log_warning("%s can't be %lu", name, number);
	error_note(CMEK_ERROR_INVALID);
	return CKR_ATTRIBUTE_VALUE_INVALID;
}

static CK_RV rotate(const struct editor *editor, const struct object *zone, CK_ULONG version)
{
	AUTO(entry_releasep) struct entry *rotated = NULL;

	if (version > UINT32_MAX)
		return refuse_number("CKA_CMEK_VERSION", version);
	return error_of_zone(
		zones_zone_rotate(editor->objects->zones, zone->entry, (uint32_t)version, &rotated),
		ERROR_OBJECT);
}

static CK_RV mark(const struct editor *editor, const struct object *zone,
		  const struct mark_attribute *row, CK_ULONG value)
{
	AUTO(entry_releasep) struct entry *marked = NULL;

	if (value > UINT32_MAX)
		return refuse_number(row->name, value);
	return error_of_zone(zones_zone_mark(editor->objects->zones, zone->entry, row->mark,
					     (uint32_t)value, &marked),
			     ERROR_OBJECT);
}

CK_RV zone_versions_change(const struct editor *editor, const struct object *zone,
			   const struct template *template)
{
	CK_ULONG value;

	if (zone->owner != 0) {
		log_warning("zone '%.*s' lives in a session: its versions are changed in the store "
			    "that it comes from",
			    (int)zone->label.len, (const char *)zone->label.data);
		return CKR_ATTRIBUTE_READ_ONLY;
	}
	if (template->present_version)
		return rotate(editor, zone, template->version);
	for (size_t i = 0; i < COUNT_OF(mark_attributes); i++) {
		if (!is_named(template, &mark_attributes[i]))
			continue;
		memcpy(&value, (const uint8_t *)template + mark_attributes[i].value, sizeof(value));
		return mark(editor, zone, &mark_attributes[i], value);
	}
	return CKR_OK;
}
