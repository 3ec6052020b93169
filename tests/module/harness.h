/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests in this folder share: they are applications. A module is loaded with dlopen (ours,
 * or the one that CMEK_TEST_MODULE names; "softhsm" is SoftHSM2, wherever it is), a token is made
 * in a folder of its own, and everything else goes through the function list. Helpers end the
 * running test on failure.
 */
#pragma once

#include "include/cmek.h"
#include "include/pkcs11.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* The function list of the module under test; its token's slot. */
extern CK_FUNCTION_LIST *p11;
/* As the module gave it; `p11` is another in a run with FIPS (tests/support/judged_fips.h). */
extern CK_FUNCTION_LIST *module_list;
/* The functions of 3.0, as the module gave them; NULL: it has none (SoftHSM2). */
extern CK_FUNCTION_LIST_3_0 *p30;
extern CK_SLOT_ID slot;

#define USER_PIN "1234"
#define SO_PIN	 "87654321"

/* Loads the module under test, without C_Initialize. */
void module_load(void);
bool module_is_softhsm(void);
/* SoftHSM2 is not installed: has told so, as a skipped test program. */
bool module_is_missing(void);
/* A symbol that the module exports, NULL: none. */
void *module_symbol(const char *name);
const char *module_path(void);

/* For cmocka groups: an initialised module with one fresh token; and its end. The folder goes. */
int token_setup(void **state);
int token_teardown(void **state);
/* The same for each test of a group whose token may stay: a session in `state`, closed afterwards.
 */
int session_setup(void **state);
int session_teardown(void **state);

/* C_Initialize as an ordinary application calls it: no arguments but the locking of the system. */
CK_RV initialize(void);
/* The folder that holds the token and its configuration. */
const char *token_folder(void);
/* Writes the configuration of our module: `more` follows the store, the embedded KMS and the
 * default root key. */
void token_configure(const char *more);
/* The slot of the token with this label; fails if there is none. */
CK_SLOT_ID token_slot(const char *label);
/* Makes a token in the free slot and returns its slot; initialises the module again. */
CK_SLOT_ID token_new(const char *label);

/* A read-write session, logged in where the module asks for it. */
CK_SESSION_HANDLE session_new(void);

/* Fails with the names of both return values unless `call` returned the expected one. */
#define check(call)		check_rv((call), CKR_OK, #call, __FILE__, __LINE__)
#define answers(expected, call) check_rv((call), (expected), #call, __FILE__, __LINE__)
void check_rv(CK_RV rv, CK_RV expected, const char *call, const char *file, int line);
const char *rv_name(CK_RV rv);

/* A template under construction; values are copied. Functions return their template, so that one
 * can be written in an expression: with_bool(with_label(template_new(), "a"), CKA_WRAP, false). */
struct template
{
	CK_ULONG count;
	CK_ATTRIBUTE rows[32];
	size_t used;
	CK_BYTE values[2048];
};
struct template *template_new(void); /* one of a ring of 16: no need to free */
struct template *with(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len);
struct template *with_bool(struct template *t, CK_ATTRIBUTE_TYPE type, bool value);
struct template *with_number(struct template *t, CK_ATTRIBUTE_TYPE type, CK_ULONG value);
struct template *with_text(struct template *t, CK_ATTRIBUTE_TYPE type, const char *value);
/* Class and type of an AES key, in a session, extractable and readable, with every usage. */
struct template *aes_template(void);

/* Keys */
CK_OBJECT_HANDLE key_import(CK_SESSION_HANDLE session, CK_KEY_TYPE type, const void *value,
			    CK_ULONG len);
CK_OBJECT_HANDLE key_generate(CK_SESSION_HANDLE session, struct template *t);
/* A key that stays in the token and wraps: on our token a zone. */
CK_OBJECT_HANDLE zone_generate(CK_SESSION_HANDLE session, const char *label);
CK_ULONG attribute_number(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			  CK_ATTRIBUTE_TYPE type);
bool attribute_bool(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
/* Copies up to `size` bytes and returns the length. */
CK_ULONG attribute_bytes(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
			 void *value, CK_ULONG size);
/* The number of objects that match. */
CK_ULONG objects_count(CK_SESSION_HANDLE session, struct template *t);
/* The only object that matches; fails if there is none or another. */
CK_OBJECT_HANDLE object_find(CK_SESSION_HANDLE session, struct template *t);

/* Mechanisms. Parameters are kept in a ring as well. */
CK_MECHANISM *mechanism(CK_MECHANISM_TYPE type);
CK_MECHANISM *mechanism_with(CK_MECHANISM_TYPE type, const void *parameter, CK_ULONG len);
CK_MECHANISM *mechanism_ctr(const CK_BYTE counter[static 16], CK_ULONG bits);
/* Borrows iv and aad. */
CK_MECHANISM *mechanism_gcm(const void *iv, CK_ULONG iv_len, const void *aad, CK_ULONG aad_len,
			    CK_ULONG tag_bits);
CK_MECHANISM *mechanism_ccm(CK_ULONG data_len, const void *nonce, CK_ULONG nonce_len,
			    const void *aad, CK_ULONG aad_len, CK_ULONG tag_len);
bool mechanism_offered(CK_MECHANISM_TYPE type, CK_FLAGS flags);

/* Leaves the running test and says why; tools/check.py counts the reason. */
void skip_because(const char *reason);

/* Runs a group of tests whose number the array knows. */
#define run_group(name, tests, setup, teardown)                                                    \
	_cmocka_run_group_tests(name, tests, sizeof(tests) / sizeof(*(tests)), setup, teardown)
/* A test with a session of its own. */
#define in_session(function)                                                                       \
	cmocka_unit_test_setup_teardown(function, session_setup, session_teardown)
