/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A module without its C_Initialize, for tests of sessions: a KMS in the process, a clock that
 * stands still, a store in a folder that goes away, one project with a root key, a zone and an open
 * session. The C_* functions work on it. */
#pragma once

#include "include/pkcs11.h"
#include "objects/token.h"
#include "session/session.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kms_client.h"
#include "tests/support/unit.h"

#define TEST_ROOT_ARN FAKE_ARN("11111111-1111-1111-1111-111111111111")

struct store;

struct bed {
	struct fake_clock clock;
	struct fake_kms kms;
	char folder[64];
	struct zones *zones;
	struct objects *objects;
	struct tokens *tokens;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session; /* read-write */
	CK_OBJECT_HANDLE root;
	CK_OBJECT_HANDLE zone;
};

/* The one bed of a test program. */
extern struct bed bed;

int bed_start(void **state); /* cmocka's setup */
int bed_stop(void **state);
/* With other settings than those of bed_start (a lease of 300 s, login not required). */
void bed_start_with(unsigned lease_seconds, bool login_required);
/* In that store, which it takes. */
void bed_start_in(struct store *store);

CK_SESSION_HANDLE bed_open(CK_FLAGS flags);
/* A zone of the project; the label is "default/NAME". */
CK_OBJECT_HANDLE bed_zone(const char *name);
/* A data key of the session: AES, extractable, with every usage; `value` NULL: drawn. */
CK_OBJECT_HANDLE bed_key(const uint8_t *value, size_t len);
/* All requests that the KMS has had. */
unsigned bed_requests(void);

/* A template of an AES key of the session in `ret_template` (room for 8): its length. */
CK_ULONG bed_template(CK_ATTRIBUTE *ret_template, bool token, bool extractable);

#define check(call) assert_int_equal(call, CKR_OK)

/* In a run with FIPS tests are judged by it (tests/support/judged_fips.h). */
CK_FUNCTION_LIST *bed_functions(void);
#define C_EncryptInit(...) bed_functions()->C_EncryptInit(__VA_ARGS__)
#define C_WrapKey(...)	   bed_functions()->C_WrapKey(__VA_ARGS__)
#define C_UnwrapKey(...)   bed_functions()->C_UnwrapKey(__VA_ARGS__)
