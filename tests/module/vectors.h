/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Published vectors: what the sources of this program share. */
#pragma once

#include "harness.h"

#define FIELDS_MAX 6

struct vector {
	int line;
	CK_BYTE *bytes[FIELDS_MAX];
	CK_ULONG len[FIELDS_MAX];
};

typedef void test_vector(CK_SESSION_HANDLE session, const struct vector *v);

/* Runs the test for each line of tests/vectors/NAME, in the test's session. */
void from_file(void **state, const char *name, int fields, test_vector *test);
/* The output is what the vector says; if not, its line is named. */
void is_output(const struct vector *v, const CK_BYTE *out, CK_ULONG len, const CK_BYTE *expected,
	       CK_ULONG expected_len);
/* Skips the test if SoftHSM2 does not have the mechanism; ours must. */
void need(CK_MECHANISM_TYPE type, CK_FLAGS flags);
struct template *generic_secret(void);

/* The groups: each returns the number of failures. */
int vectors_ciphers(void);
int vectors_wraps(void);
int vectors_digests(void);
int vectors_macs(void);
int vectors_kdfs(void);
