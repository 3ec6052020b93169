/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The encoding of entry.extra. */
#include "objects/stored_fields.h"

#include "base/macros.h"
#include "base/reader.h"

enum { FORMAT = 1 };

/* What data and certificates have beyond keys, in this order: first these numbers, then
 * object_texts. */
static const size_t numbers[] = {
	offsetof(struct object, more.certificate_type),
	offsetof(struct object, more.certificate_category),
	offsetof(struct object, more.java_domain),
	offsetof(struct object, more.name_hash),
};

static void *field_of(const struct object *object, size_t offset)
{
	return (uint8_t *)(uintptr_t)object + offset;
}

static void put_described(const struct object *object, struct buffer *out)
{
	buffer_put_u64(out, object_class(object));
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		buffer_put_u64(out, *(CK_ULONG *)field_of(object, numbers[i]));
	for (size_t i = 0; i < OBJECT_TEXTS; i++)
		buffer_put_sized(out, *(struct bytes *)field_of(object, object_texts[i]));
}

/* A class of a later release is none that this one could show: its object counts as data. */
static void read_described(struct reader *reader, struct object *object)
{
	object->kind = reader_u64(reader) == CKO_CERTIFICATE ? OBJECT_CERTIFICATE : OBJECT_DATA;
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		*(CK_ULONG *)field_of(object, numbers[i]) = reader_u64(reader);
	for (size_t i = 0; i < OBJECT_TEXTS; i++)
		*(struct bytes *)field_of(object, object_texts[i]) = reader_sized(reader);
}

static void put_mechanisms(struct bytes mechanisms, struct buffer *out)
{
	buffer_put_u16(out, (uint16_t)mechanisms.len);
	for (size_t at = 0; at < mechanisms.len; at += sizeof(CK_MECHANISM_TYPE)) {
		CK_MECHANISM_TYPE type;

		memcpy(&type, mechanisms.data + at, sizeof(type));
		buffer_put_u64(out, type);
	}
}

static struct bytes read_mechanisms(struct bytes stored, struct buffer *scratch)
{
	struct reader reader = reader_of(stored);

	buffer_truncate(scratch, 0);
	while (reader.left.len > 0 && !reader.failed) {
		CK_MECHANISM_TYPE type = reader_u64(&reader);

		buffer_append(scratch, bytes(&type, sizeof(type)));
	}
	return buffer_bytes(scratch);
}

void stored_fields_write(const struct object *object, struct buffer *out)
{
	buffer_put_u8(out, FORMAT);
	buffer_put_u32(out, object->flags);
	buffer_put_u64(out, object->generated_by);
	buffer_put_sized(out, object->start_date);
	buffer_put_sized(out, object->end_date);
	put_mechanisms(object->allowed_mechanisms, out);
	buffer_put_sized(out, object->wrap_template);
	buffer_put_sized(out, object->unwrap_template);
	buffer_put_sized(out, object->kms_key);
	if (object_is_data(object))
		put_described(object, out);
	else if (object->derive_template.len > 0)
		buffer_put_sized(out, object->derive_template);
}

void stored_fields_write_root_key(const char *kms_key, struct buffer *out)
{
	const struct object root_key = {.flags = OBJECT_MODIFIABLE | OBJECT_DESTROYABLE,
					.generated_by = CK_UNAVAILABLE_INFORMATION,
					.kms_key = bytes_of(kms_key)};

	stored_fields_write(&root_key, out);
}

bool stored_fields_read(struct bytes extra, struct object *model, struct buffer *scratch)
{
	struct reader reader = reader_of(extra);
	struct object read = *model;
	bool known = reader_u8(&reader) >= FORMAT;

	read.flags = reader_u32(&reader);
	read.generated_by = reader_u64(&reader);
	read.start_date = reader_sized(&reader);
	read.end_date = reader_sized(&reader);
	read.allowed_mechanisms = read_mechanisms(reader_sized(&reader), scratch);
	read.wrap_template = reader_sized(&reader);
	read.unwrap_template = reader_sized(&reader);
	read.kms_key = reader_sized(&reader);
	if (object_is_data(&read))
		read_described(&reader, &read);
	else if (read.kind == OBJECT_KEY && reader.left.len > 0)
		read.derive_template = reader_sized(&reader);
	if (!known || reader.failed || scratch->failed)
		return false;
	*model = read;
	return true;
}
