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
	struct bytes derive_template;		     /* the same */
	/* of data and certificates */
	struct bytes application, object_id;
	bool present_certificate_type, present_name_hash;
	CK_ULONG certificate_type, certificate_category, java_domain, name_hash;
	struct bytes subject, issuer, serial_number, url, subject_key_hash, issuer_key_hash,
		public_key_info;
	uint32_t usages_named; /* which usage attributes the template has */
	uint32_t usages;       /* and their values */
	uint32_t flags_named;  /* enum object_flag */
	uint32_t flags;
	/* ours */
	struct bytes kms_key; /* CKA_CMEK_KMS_KEY */
	struct bytes provider, region, cluster, root_key, root_keys;
	struct bytes databases; /* CKA_CMEK_DATABASES */
	uint64_t zone;		/* 0: absent */
	bool present_state, present_version, imported;
	bool create; /* CKA_CMEK_CREATE */
	bool present_max_lease, present_max_stale;
	bool present_embed_ezk, embed_ezk;
	bool offline;	      /* CKA_CMEK_OFFLINE */
	struct bytes restore; /* CKA_CMEK_RESTORE */
	bool present_raw_version, present_min_version, present_rotate_days;
	CK_ULONG state, version, raw_version, min_version, rotate_days, max_lease, max_stale;
};

/* No template has more attributes: a greater number is a mistake, and reading so far would crash.
 */
enum { TEMPLATE_COUNT_MAX = 1024 };

/* CKR_TEMPLATE_INCOMPLETE, _INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID, _VALUE_INVALID, _READ_ONLY,
 * CKR_ARGUMENTS_BAD. Logs what is wrong, and where; the result is of no use then. */
CK_RV template_read(enum template_use use, const CK_ATTRIBUTE *attributes, CK_ULONG count,
		    struct template *ret_template);
/* The same of a template that copies or changes an object (TEMPLATE_COPY, TEMPLATE_SET): it names
 * only what that has. */
CK_RV template_read_for(enum template_use use, const struct object *object,
			const CK_ATTRIBUTE *attributes, CK_ULONG count,
			struct template *ret_template);

/* A secret key object for the template, without value, handle and owner, and with our defaults and
 * the standard's (usages, sensitive, extractable, copyable …). Owned by the caller. `use` decides
 * CKA_LOCAL, ALWAYS_SENSITIVE, NEVER_EXTRACTABLE. */
CK_RV template_make_key(enum template_use use, const struct template *template, bool token,
			struct object **ret_object);
/* An object of the class that the template names, CKO_DATA or CKO_CERTIFICATE, with that value, and
 * without handle and owner: whoever calls adds it to a session, or stores it as it does a key
 * (objects_store_key). It belongs where `kin` belongs, from which it was made; NULL: it is new.
 * Owned by the caller. CKR_TEMPLATE_INCOMPLETE, CKR_ATTRIBUTE_VALUE_INVALID. */
CK_RV template_make_data(const struct template *template, bool token, struct bytes value,
			 const struct object *kin, struct object **ret_object);
/* CKR_ATTRIBUTE_VALUE_INVALID: it is longer than DATA_MAX. Logged. */
CK_RV data_check_len(size_t len);
/* Whether it names what only zones have: a greatest lease or stale time, whether the record is
 * embedded, or when it is rotated. */
bool template_is_of_zone(const struct template *template);
/* For objects other than zones: logs that, with `what` the object is; CKR_TEMPLATE_INCONSISTENT. */
CK_RV template_refuse_of_zone(const char *why);
/* Whether keys of that type are kept here. */
bool template_knows_type(CK_KEY_TYPE type);
/* The usages a key gets: those the template names, else encrypt, decrypt, wrap, unwrap. */
uint32_t template_usages(const struct template *template);
/* Sets the value: copies it into locked memory, and checks the length against key type and
 * CKA_VALUE_LEN. */
CK_RV object_set_value(struct object *object, struct bytes value);
/* The same with `len` bytes that are the caller's from secret_new(): the object takes them on
 * success, and leaves NULL. */
CK_RV object_take_value(struct object *object, uint8_t **secret, size_t len);

/* Whether the key matches all of a wrapping key's CKA_WRAP_TEMPLATE, as stored. An empty one
 * matches everything. */
bool template_matches(struct bytes stored, const struct object *object, bool *ret_no_memory);
/* Adds the attributes of an unwrapping key's CKA_UNWRAP_TEMPLATE, or a base key's
 * CKA_DERIVE_TEMPLATE, as stored, to a template that was read; CKR_TEMPLATE_INCONSISTENT where the
 * caller asked for something else. */
CK_RV template_force(enum template_use use, struct bytes stored, struct template *template);
/* Whether such a template says only what a caller of that use may: CKR_ATTRIBUTE_VALUE_INVALID. */
CK_RV template_check_forced(enum template_use use, struct bytes stored);

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
