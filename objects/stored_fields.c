/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The encoding of entry.extra. */
#include "objects/stored_fields.h"

#include "base/reader.h"

enum { FORMAT = 1 };

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
	if (!known || reader.failed || scratch->failed)
		return false;
	*model = read;
	return true;
}
