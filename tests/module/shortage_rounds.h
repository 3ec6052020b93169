/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the program `shortage` share: the rounds (shortage.c), the calls that run short
 * (shortage_scenes.c), what these are made of (shortage_calls.c), what may be told of it
 * (shortage_words.c), and files (shortage_files.c).
 */
#pragma once

#include "include/cmek.h"
#include "include/pkcs11.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { OUT_MAX = 4096, TEXT_MAX = 600 };

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ROW(type, variable)                                                                        \
	{                                                                                          \
		type, &(variable), sizeof(variable)                                                \
	}

/* What one process of a round leaves for the others, in memory that they share. */
struct told {
	CK_RV rv;
	long failures;
	CK_ULONG reason;
	char message[TEXT_MAX];
	CK_BYTE out[OUT_MAX];
	CK_ULONG out_len;
	char wrong[TEXT_MAX]; /* what must not be */
};
extern struct told *told;
/* The first counts. */
void __attribute__((format(printf, 1, 2))) note_wrong(const char *format, ...);

/* --- Scenes */

struct scene {
	const char *name, *sentence;
	CK_RV (*run)(void);
	void (*done)(void); /* what a fresh process finds where it answered CKR_OK */
	const char *input;  /* a file */
	const char *label;  /* of what it stores */
	int more;	    /* objects that are then there */
	bool starts;	    /* it is what starts the module, so that nothing is found before it */
	bool takes_kept;    /* the token key is not there afterwards under its name */
};
extern const struct scene scenes[]; /* the last has no name */
extern CK_BYTE input[OUT_MAX];	    /* what is in the scene's file */
extern CK_ULONG input_len;
extern CK_ULONG objects; /* that a search without template finds before */

/* --- The token, and what is on it */

extern CK_SESSION_HANDLE session;
extern CK_OBJECT_HANDLE zone, root, kept, key; /* `key` is the session's, and extractable */
extern CK_GCM_PARAMS parameters;

CK_RV open_token(void);
void find_all(void);

/* --- Calls */

/* All that match; *ret_first is one of them. */
CK_RV find_objects(CK_ATTRIBUTE *template, CK_ULONG rows, CK_ULONG *ret_count,
		   CK_OBJECT_HANDLE *ret_first);
CK_RV find_label(const char *label, CK_ULONG *ret_count, CK_OBJECT_HANDLE *ret_first);
CK_OBJECT_HANDLE find_one(const char *label);
CK_MECHANISM gcm(CK_GCM_PARAMS *ret_parameters);
CK_MECHANISM by_kms(void);
CK_RV encrypt_text(CK_OBJECT_HANDLE by, CK_MECHANISM mechanism, CK_BYTE *out, CK_ULONG *ret_len);
CK_RV decrypt_text(CK_OBJECT_HANDLE by, CK_MECHANISM mechanism, CK_BYTE *in, CK_ULONG len);
CK_RV unwrap_key(CK_MECHANISM_TYPE type, CK_BYTE *in, CK_ULONG len, CK_BBOOL token,
		 CK_OBJECT_HANDLE *ret_key);
/* A key that is not extractable is a zone here. It has limits, so that its record has something
 * to read. */
CK_RV generate_key(const char *label, CK_BBOOL token, CK_BBOOL extractable,
		   CK_OBJECT_HANDLE *ret_key);
CK_RV import_key(CK_OBJECT_HANDLE *ret_key);
void check_value(CK_OBJECT_HANDLE of);
void check_opens(CK_OBJECT_HANDLE by, CK_MECHANISM mechanism, CK_BYTE *data, CK_ULONG len,
		 const char *what);
void check_unwraps(CK_MECHANISM_TYPE type, CK_BYTE *data, CK_ULONG len);

/* --- Words */

/* Of the call that was just made: its reason and message. */
void take_reason(void);
/* Answer, reason, message and log: none may speak of damage. */
void check_answer(void);

/* --- Files */

void read_file(const char *name, CK_BYTE *ret, CK_ULONG *ret_len);
void write_file(const char *name, const CK_BYTE *data, CK_ULONG len);
/* The folder is as $SHORTAGE_START. */
void begin_anew(void);
