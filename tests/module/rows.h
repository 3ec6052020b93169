/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tables of PKCS #11 3.1 say of the attributes of the classes that are here: facts, in our
 * own words, to hold the module to. What 3.2 adds is marked. Where the module differs on purpose
 * stands with the tests, and its reason in docs/objects.md, "Attributes".
 */
#pragma once

#include "include/pkcs11.h"

#include <stdbool.h>
#include <stddef.h>

/* The classes, as bits. */
enum {
	ROW_DATA = 1 << 0,
	ROW_CERTIFICATE = 1 << 1, /* X.509 */
	ROW_KEY = 1 << 2,	  /* a secret key: AES, HKDF, HMAC, generic */
	ROW_PROFILE = 1 << 3,
	ROW_STORED = ROW_DATA | ROW_CERTIFICATE | ROW_KEY, /* storage objects */
	ROW_ALL = ROW_STORED | ROW_PROFILE,
};

enum row_form {
	ROW_BOOL,
	ROW_NUMBER,
	ROW_DATE,
	ROW_TEXT,
	ROW_BYTES,
	ROW_NUMBERS,  /* CK_ULONG[] */
	ROW_TEMPLATE, /* CK_ATTRIBUTE[] */
};

/* The footnotes of the tables of attributes (section 4.2), as bits. */
enum {
	CREATE_MUST = 1 << 1, /* be in the template: footnotes 1, 3 and 5 */
	CREATE_NOT = 1 << 2,  /* must not: 2, 4 and 6 */
	GENERATE_MUST = 1 << 3,
	GENERATE_NOT = 1 << 4,
	UNWRAP_MUST = 1 << 5,
	UNWRAP_NOT = 1 << 6,
	GUARDED = 1 << 7,    /* not told of a key that is sensitive or not extractable: 7 */
	CHANGES = 1 << 8,    /* may be modified, also in a copy: 8 */
	OFFICER = 1 << 10,   /* only the security officer sets it: 10 */
	ONLY_TRUE = 1 << 11, /* not modified once it is CK_TRUE: 11 */
	ONLY_FALSE = 1 << 12,
	IN_COPY = 1 << 13, /* may be modified in a copy alone: section 4.4 */
	NEVER_GIVEN = CREATE_NOT | GENERATE_NOT | UNWRAP_NOT,
};

enum row_default {
	ROW_OWN,   /* the token's to say, or computed, or it must be given */
	ROW_USUAL, /* `number`, of a CK_BBOOL or CK_ULONG */
	ROW_EMPTY,
};

struct row {
	CK_ATTRIBUTE_TYPE type;
	const char *name;
	unsigned classes;
	enum row_form form;
	unsigned notes;
	enum row_default usual;
	CK_ULONG number; /* the default, or a value that fits a template */
};

extern const struct row rows[];
extern const size_t row_count;
/* Of the standard too, but of other classes. */
extern const CK_ATTRIBUTE_TYPE foreign_rows[];
extern const size_t foreign_row_count;
