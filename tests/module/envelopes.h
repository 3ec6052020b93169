/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of envelopes over the real module share. */
#pragma once

#include "envelope/envelope.h"
#include "harness.h"

/* Envelopes that the group's setup made, of two zones. */
extern struct buffer envelope_small, envelope_big, envelope_big_too, envelope_other_zone;
extern const char envelope_text[]; /* what is in the small one, which is bound to this name: */
extern const char envelope_name[];

struct buffer *envelope_copy(const struct buffer *envelope);
/* Opens with a token that remembers nothing; `ret_plain` may be NULL. */
enum envelope_status envelope_opens(CK_SESSION_HANDLE session, const struct buffer *envelope,
				    const char *name, struct buffer *ret_plain);
/* The same, from memory: what it says about it. */
extern struct envelope_error envelope_last_error;

/* Puts a right checksum into a slot. */
void slot_fix(struct buffer *envelope, unsigned index);
uint32_t slot_len_of(const struct buffer *envelope);
uint8_t *slot_of(const struct buffer *envelope, unsigned index);
/* Replaces what a slot holds, with a right checksum. */
void slot_put(struct buffer *envelope, unsigned index, uint64_t sequence, struct bytes wrapped,
	      struct bytes record);

/* `create`: the KMS makes it first. */
CK_OBJECT_HANDLE root_key_of(CK_SESSION_HANDLE session, const char *kms_key, bool create);

int envelopes_two_keys(void);
int envelopes_flipped(void);
int envelopes_messages(void);
int envelopes_messages_lost(void); /* the store is gone; clears them */
