/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of zones: how they get into EZK records, and how objects are kept within them. */
#include "objects/zone_limits.h"

#include "base/log.h"
#include "base/macros.h"
#include "base/reader.h"
#include "objects/error.h"
#include "zones/model/limits.h"

#include <stdlib.h>

/* The lease bounds and LIMIT_KEPT come after the limits of this file. */
enum { ROOM = LIMITS_MAX - LEASE_LIMITS_SIZE - KEPT_LIMIT_SIZE };

/* --- Writing */

static int compare(const void *a, const void *b)
{
	CK_MECHANISM_TYPE x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static CK_MECHANISM_TYPE type_at(struct bytes types, size_t at)
{
	CK_MECHANISM_TYPE type;

	memcpy(&type, types.data + at, sizeof(type));
	return type;
}

/* Ascending, each once. */
static void put_mechanisms(struct bytes types, struct buffer *out)
{
	AUTO(buffer_clear) struct buffer sorted = {0}, list = {0};

	buffer_append(&sorted, types);
	if (sorted.len > 0)
		qsort(sorted.data, sorted.len / sizeof(CK_MECHANISM_TYPE),
		      sizeof(CK_MECHANISM_TYPE), compare);
	types = buffer_bytes(&sorted);
	for (size_t at = 0; at < types.len; at += sizeof(CK_MECHANISM_TYPE))
		if (at == 0 || type_at(types, at) != type_at(types, at - sizeof(CK_MECHANISM_TYPE)))
			buffer_put_u64(&list, type_at(types, at));
	if (list.len > 0)
		limits_put(out, LIMIT_MECHANISMS, buffer_bytes(&list));
	out->failed |= sorted.failed || list.failed;
}

static CK_RV refuse_length(const struct object *zone, size_t len)
{
	log_warning(
		"zone '%.*s': CKA_ALLOWED_MECHANISMS, CKA_UNWRAP_TEMPLATE and CKA_WRAP_TEMPLATE "
		"take %zu bytes in its EZK record, which has room for %d; name fewer of them",
		(int)zone->label.len, (const char *)zone->label.data, len, ROOM);
	error_note(CMEK_ERROR_INVALID);
	return CKR_ATTRIBUTE_VALUE_INVALID;
}

CK_RV zone_limits_write(const struct object *zone, struct buffer *ret_limits)
{
	put_mechanisms(zone->allowed_mechanisms, ret_limits);
	if (zone->unwrap_template.len > 0)
		limits_put(ret_limits, LIMIT_UNWRAP_TEMPLATE, zone->unwrap_template);
	if (zone->wrap_template.len > 0)
		limits_put(ret_limits, LIMIT_WRAP_TEMPLATE, zone->wrap_template);
	if (ret_limits->failed)
		return CKR_HOST_MEMORY;
	return ret_limits->len <= ROOM ? CKR_OK : refuse_length(zone, ret_limits->len);
}

/* --- Applying */

void zone_limits_clear(struct zone_limits *limits)
{
	struct buffer *const buffers[] = {&limits->mechanisms, &limits->wrap_template,
					  &limits->unwrap_template};

	for (size_t i = 0; i < COUNT_OF(buffers); i++)
		if (buffers[i]->data != NULL)
			buffer_clear(buffers[i]);
}

void zone_limits_begin(const struct object *object, struct zone_limits *ret_limits)
{
	ret_limits->usages = object->usages;
	ret_limits->some = object->allowed_mechanisms.len > 0;
	buffer_append(&ret_limits->mechanisms, object->allowed_mechanisms);
	buffer_append(&ret_limits->wrap_template, object->wrap_template);
	buffer_append(&ret_limits->unwrap_template, object->unwrap_template);
}

static bool has_type(struct bytes types, CK_MECHANISM_TYPE type)
{
	for (size_t at = 0; at < types.len; at += sizeof(type))
		if (type_at(types, at) == type)
			return true;
	return false;
}

static void narrow_mechanisms(struct zone_limits *limits, struct bytes types)
{
	struct buffer *own = &limits->mechanisms;
	size_t kept = 0;

	if (!limits->some)
		buffer_append(own, types);
	limits->some = true;
	for (size_t at = 0; at < own->len; at += sizeof(CK_MECHANISM_TYPE))
		if (has_type(types, type_at(buffer_bytes(own), at))) {
			memmove(own->data + kept, own->data + at, sizeof(CK_MECHANISM_TYPE));
			kept += sizeof(CK_MECHANISM_TYPE);
		}
	/* An empty list would stand for any mechanism. */
	if (kept == 0) {
		limits->usages = 0;
		return;
	}
	buffer_truncate(own, kept);
}

/* One attribute of a stored template; false: that was the last, or what is stored is malformed. */
static bool next(struct reader *reader, uint64_t *ret_type, struct bytes *ret_item)
{
	const uint8_t *start = reader->left.data;

	*ret_type = reader_u64(reader);
	*ret_item = bytes(start, 10 + reader_sized(reader).len);
	return !reader->failed;
}

static bool has_attribute(struct bytes template, uint64_t type)
{
	struct reader reader = reader_of(template);
	struct bytes item;
	uint64_t found;

	while (next(&reader, &found, &item))
		if (found == type)
			return true;
	return false;
}

/* Malformed limits are taken over as they are, and then allow nothing to anybody. */
static void join_templates(struct buffer *own, struct bytes by)
{
	struct buffer joined = {0};
	struct reader reader = reader_of(buffer_bytes(own));

	if (by.len == 0)
		return;
	buffer_append(&joined, by);
	while (reader.left.len > 0) {
		struct bytes item, left = reader.left;
		uint64_t type;

		if (!next(&reader, &type, &item)) {
			buffer_append(&joined, left);
			break;
		}
		if (!has_attribute(by, type))
			buffer_append(&joined, item);
	}
	joined.failed |= own->failed;
	buffer_clear(own);
	*own = joined;
}

void zone_limits_narrow(struct zone_limits *limits, const struct object *by)
{
	limits->usages &= by->usages;
	if (by->allowed_mechanisms.len > 0)
		narrow_mechanisms(limits, by->allowed_mechanisms);
	join_templates(&limits->wrap_template, by->wrap_template);
	join_templates(&limits->unwrap_template, by->unwrap_template);
}

/* False: the limit is there, but is not a list of mechanisms. */
static bool read_mechanisms(struct bytes limits, struct buffer *types, struct bytes *ret_types)
{
	struct bytes stored = {0};
	struct reader reader;

	if (!limits_get(limits, LIMIT_MECHANISMS, &stored))
		return true;
	if (stored.len == 0 || stored.len % 8 != 0)
		return false;
	for (reader = reader_of(stored); reader.left.len > 0;) {
		CK_MECHANISM_TYPE type = reader_u64(&reader);

		buffer_append(types, bytes(&type, sizeof(type)));
	}
	*ret_types = buffer_bytes(types);
	return !types->failed;
}

void zone_limits_keep_to(struct zone_limits *limits, const struct ezk_version *version)
{
	AUTO(buffer_clear) struct buffer types = {0};
	struct object record = {0};

	/* The EZK won't be opened either, unless a later release or a hand has changed it. */
	if (version == NULL || limits_check(version->limits) != ZONE_OK ||
	    !read_mechanisms(version->limits, &types, &record.allowed_mechanisms)) {
		limits->usages = 0;
		limits->mechanisms.failed |= types.failed;
		return;
	}
	record.usages = version->greatest_usages;
	limits_get(version->limits, LIMIT_WRAP_TEMPLATE, &record.wrap_template);
	limits_get(version->limits, LIMIT_UNWRAP_TEMPLATE, &record.unwrap_template);
	zone_limits_narrow(limits, &record);
}

void zone_limits_keep_to_zone(struct zone_limits *limits, const struct entry *zone)
{
	zone_limits_keep_to(limits, entry_version(zone, zone->of_zone.primary));
	if (zone->of_zone.raw != zone->of_zone.primary)
		zone_limits_keep_to(limits, entry_version(zone, zone->of_zone.raw));
}

static bool lacks_memory(const struct zone_limits *limits)
{
	return limits->mechanisms.failed || limits->wrap_template.failed ||
	       limits->unwrap_template.failed;
}

bool zone_limits_put(const struct zone_limits *limits, struct object *model)
{
	if (lacks_memory(limits))
		return false;
	model->usages = limits->usages;
	model->allowed_mechanisms = buffer_bytes(&limits->mechanisms);
	model->wrap_template = buffer_bytes(&limits->wrap_template);
	model->unwrap_template = buffer_bytes(&limits->unwrap_template);
	return true;
}

bool zone_greatest_usages(const struct object *zone, uint32_t *ret_usages)
{
	AUTO(entry_releasep)
	struct entry *entry = zone->entry != NULL ? entry_hold(zone->entry) : ezk_entry(zone->ezk);
	AUTO(zone_limits_clear) struct zone_limits limits = {.usages = UINT32_MAX};

	zone_limits_keep_to_zone(&limits, entry);
	*ret_usages = limits.usages;
	return !lacks_memory(&limits);
}
