/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attributes, one row each: which objects have it, which templates may name it, how its value
 * is computed from an object and where it goes in a template. Values are not stored, so they don't
 * go stale. C_GetAttributeValue, C_FindObjects and the checks of templates are loops over these
 * rows.
 */
#pragma once

#include "base/buffer.h"
#include "objects/template.h"

enum attribute_form {
	ATTRIBUTE_USAGE, /* CK_BBOOL, a bit of the usages */
	ATTRIBUTE_FLAG,	 /* CK_BBOOL, a bit of the flags */
	ATTRIBUTE_BOOL,
	ATTRIBUTE_ULONG,
	ATTRIBUTE_TEXT, /* UTF-8 */
	ATTRIBUTE_BYTES,
	ATTRIBUTE_DATE,	      /* empty, or CK_DATE */
	ATTRIBUTE_ZONE_ID,    /* empty, or 8 bytes */
	ATTRIBUTE_MECHANISMS, /* CK_MECHANISM_TYPE[] */
	ATTRIBUTE_ARRAY,      /* CK_ATTRIBUTE[] */
};

struct attribute;

/* What a getter may read. `objects` may be NULL where only the object itself is known. */
struct attribute_source {
	struct objects *objects;
	const struct object *object;
};

/* Appends the value; the buffer remembers a failure. */
typedef void attribute_get(const struct attribute *row, const struct attribute_source *source,
			   struct buffer *out);

struct attribute {
	CK_ATTRIBUTE_TYPE type;
	const char *name; /* as the standard or include/cmek.h writes it */
	enum attribute_form form;
	unsigned kinds; /* bits 1 << enum object_kind: which objects have it */
	unsigned uses;	/* bits 1 << enum template_use: which templates may name it */
	size_t max;	/* greatest length, where that varies */
	attribute_get *get;
	size_t detail;	/* what the getter needs: a bit, or an offset in struct object */
	size_t field;	/* offset in struct template */
	size_t present; /* offset of the bool that says the template named it; 0: none */
};

/* NULL: unknown. */
const struct attribute *attribute_find(CK_ATTRIBUTE_TYPE type);
/* The rows in order; fewer than 128. */
size_t attribute_count(void);
const struct attribute *attribute_at(size_t index);
size_t attribute_index(const struct attribute *row);
static inline bool attribute_of_kind(const struct attribute *row, enum object_kind kind)
{
	return (row->kinds & 1U << kind) != 0;
}

/* The value as it counts: without the NUL that some programs count as a label's last byte. */
struct bytes attribute_value(const CK_ATTRIBUTE *attribute);
/* CKR_ATTRIBUTE_VALUE_INVALID unless the value has the form the row asks for. */
CK_RV attribute_check(const struct attribute *row, const CK_ATTRIBUTE *attribute);

/* Whether the object has this attribute with this value. A value that can't be read matches
 * nothing. `scratch` is used for the comparison. */
bool attribute_matches(const struct attribute_source *source, const CK_ATTRIBUTE *attribute,
		       struct buffer *scratch);

/* Sets what the caller gets: the value, its length, or CKR_BUFFER_TOO_SMALL. */
CK_RV attribute_put(CK_ATTRIBUTE *attribute, struct bytes value);
/* C_GetAttributeValue: goes on after an attribute that can't be given. It asks no KMS except for
 * five values (not for their lengths, and never in a search): the diagnostic object's; a root key's
 * state in the KMS, and when the KMS saw it used last; the value of data of the token, or of a
 * token key that is neither sensitive nor unextractable, and the check value of a certificate or an
 * AES key of the token, since reading is a use of the zone. */
CK_RV attributes_get(struct objects *objects, struct object *object, CK_ATTRIBUTE *attributes,
		     CK_ULONG count);
/* C_GetObjectSize: the bytes of all its attributes that can be read. */
CK_ULONG attributes_size(struct objects *objects, const struct object *object);
