/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: what callers of C_GenerateKey, C_CreateObject, C_CopyObject, C_UnwrapKey and
 * C_DeriveKey ask to make. One reader over the attribute table (objects/attribute.h) checks every
 * template and gives the CK_RV that the standard names.
 */
#pragma once

#include "objects/object.h"

enum template_use {
	TEMPLATE_GENERATE,
	TEMPLATE_CREATE,
	TEMPLATE_COPY,
	TEMPLATE_UNWRAP,
	TEMPLATE_DERIVE,
	TEMPLATE_SET,
	TEMPLATE_USE_COUNT
};

/* A template that was read: borrowed from the caller's. Absent text and bytes have data == NULL. */
struct template
{
	uint64_t named[2];     /* bits by attribute_index: which attributes it has */
	CK_OBJECT_CLASS class; /* CK_UNAVAILABLE_INFORMATION: absent */
	bool present_token, token;
	CK_KEY_TYPE key_type; /* the same */
	CK_ULONG value_len;   /* 0: absent */
	struct bytes value;   /* CKA_VALUE */
	bool present_label, present_id;
	struct bytes label;
	struct bytes id;
	struct bytes start_date, end_date;
	struct bytes allowed_mechanisms;
	struct bytes wrap_template, unwrap_template; /* CK_ATTRIBUTE[], perhaps misaligned */
	uint32_t usages_named;			     /* which usage attributes the template has */
	uint32_t usages;			     /* and their values */
	uint32_t flags_named;			     /* enum object_flag */
	uint32_t flags;
	/* ours */
	struct bytes kms_key; /* CKA_CMEK_KMS_KEY */
	struct bytes provider, region, cluster, root_key, root_keys;
	uint64_t zone; /* 0: absent */
	bool present_state, present_version, imported;
	bool create; /* CKA_CMEK_CREATE */
	bool present_max_lease, present_max_stale;
	bool present_embed_ezk, embed_ezk;
	bool offline;	      /* CKA_CMEK_OFFLINE */
	struct bytes restore; /* CKA_CMEK_RESTORE */
	bool present_raw_version, present_min_version, present_rotate_days;
	CK_ULONG state, version, raw_version, min_version, rotate_days, max_lease, max_stale;
};

/* CKR_TEMPLATE_INCOMPLETE, _INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID, _VALUE_INVALID, _READ_ONLY,
 * CKR_ARGUMENTS_BAD. Logs what is wrong, and where. */
CK_RV template_read(enum template_use use, const CK_ATTRIBUTE *attributes, CK_ULONG count,
		    struct template *ret_template);

/* A secret key object for the template, without value, handle and owner, and with our defaults and
 * the standard's (usages, sensitive, extractable, copyable …). Owned by the caller. `use` decides
 * CKA_LOCAL, ALWAYS_SENSITIVE, NEVER_EXTRACTABLE. */
CK_RV template_make_key(enum template_use use, const struct template *template, bool token,
			struct object **ret_object);
/* Whether it names what only zones have: a greatest lease or stale time, whether the record is
 * embedded, or when it is rotated. */
bool template_is_of_zone(const struct template *template);
/* For objects other than zones: logs that, with `what` the object is; CKR_TEMPLATE_INCONSISTENT. */
CK_RV template_refuse_of_zone(const char *why);
/* The usages a key gets: those the template names, else encrypt, decrypt, wrap, unwrap. */
uint32_t template_usages(const struct template *template);
/* Sets the value: copies it into locked memory, and checks the length against key type and
 * CKA_VALUE_LEN. */
CK_RV object_set_value(struct object *object, struct bytes value);

/* Whether the key matches all of a wrapping key's CKA_WRAP_TEMPLATE, as stored. An empty one
 * matches everything. */
bool template_matches(struct bytes stored, const struct object *object, bool *ret_no_memory);
/* Adds the attributes of an unwrapping key's CKA_UNWRAP_TEMPLATE, as stored, to a template that was
 * read; CKR_TEMPLATE_INCONSISTENT where the caller asked for something else. */
CK_RV template_force(struct bytes stored, struct template *template);

/* The stored form of such a template (big-endian: type in 8 bytes, length in 2, value; numbers in 8
 * bytes) from a CK_ATTRIBUTE[]. Nested templates and lists of mechanisms are refused:
 * CKR_ATTRIBUTE_VALUE_INVALID. */
CK_RV template_pack(struct bytes array, struct buffer *ret_stored);
/* And back, into the CK_ATTRIBUTE[] of a caller who reads the attribute. */
CK_RV template_unpack(struct bytes stored, CK_ATTRIBUTE *attribute);
/* Adds one attribute to a template; CKR_TEMPLATE_INCONSISTENT if it was there with another value.
 */
struct attribute;
CK_RV template_take(const struct attribute *row, const CK_ATTRIBUTE *attribute,
		    struct template *template);
