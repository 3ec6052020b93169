/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A PKCS #11 token for tests of envelope/: the calls that folder makes, with toy ciphers that only
 * notice changes. Counts, and fails on demand. */
#pragma once

#include "envelope/envelope.h"

enum { FAKE_KEYS = 128 };

/* Zones of the store have handles 100 + index, root keys 200 + index; what a session makes has 1 …
 */
struct fake_token {
	unsigned calls;
	unsigned fail_at; /* the number of the call that answers CKR_DEVICE_ERROR; 0: none */
	unsigned live;	  /* session objects */
	unsigned opened_records;
	uint64_t zones[4];	/* in the store; 0: none */
	uint64_t imported_zone; /* by the first of them; 0: none */
	uint32_t imported_version;
	const char *root_keys[2];
	CK_RV root_key_answers[2]; /* to a record: CKR_OK opens it */
	char asked[256];	   /* the root keys that were given a record: "01" … */
	uint32_t version;	   /* the primary one */
	bool kept;		   /* the zones' records stay in the store */
	bool is_older;		   /* of a release without CKM_CMEK_MESSAGE */
	unsigned asked_for_mechanisms;
	CK_GCM_PARAMS last_gcm; /* with nonce and AAD copied below */
	uint8_t last_nonce[16], last_aad[1024];
};
extern struct fake_token fake;

/* Everything as new. */
void fake_token_reset(void);
struct envelope_token fake_token_session(void);
CK_OBJECT_HANDLE fake_token_zone(unsigned index);
/* The record of a zone, by the root key of that ARN; or by two (`second` may be NULL). */
void fake_token_record(uint64_t zone, uint32_t version, const char *arn, struct buffer *out);
void fake_token_record_by_two(uint64_t zone, uint32_t version, const char *first,
			      const char *second, struct buffer *out);
/* The same, for a zone whose record stays in its store. */
void fake_token_kept_record(uint64_t zone, uint32_t version, const char *arn, struct buffer *out);
