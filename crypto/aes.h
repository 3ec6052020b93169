/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES in the modes of PKCS #11: a keyed context that is used again and again with new IVs (keying
 * costs more than a short message). Not thread-safe: each session has its own. Data-path functions
 * allocate nothing.
 */
#pragma once

#include "base/buffer.h"

enum aes_mode { AES_ECB, AES_CBC, AES_CBC_PAD, AES_CTR, AES_GCM, AES_CCM, AES_MODE_COUNT };
enum { AES_BLOCK = 16, AES_GCM_IV = 12, AES_GCM_TAG = 16, AES_GCM_IV_MAX = 128 };
enum {
	AES_CCM_NONCE_MIN = 7,
	AES_CCM_NONCE_MAX = 13,
	AES_CCM_TAG_MIN = 4,
	AES_CCM_TAG_MAX = 16,
	/* Of a message, and of what is authenticated beside it: each goes to OpenSSL in one piece.
	 */
	AES_CCM_LEN_MAX = 1 << 30
};
enum { AES_WRAP_MAX = 4096 }; /* bytes of a key to wrap */

struct aes;
/* `key` is 16, 24 or 32 bytes. NULL: no memory, or the library context is not started. */
struct aes *aes_new(enum aes_mode mode, bool encrypt, struct bytes key);
/* The same context with another key, as long as the one before, whose schedule is written over.
 * False: another length, or CCM. A message under way is given up. */
bool aes_rekey(struct aes *aes, struct bytes key);
/* Wipes the key schedule. Safe while the process exits, also after OpenSSL cleaned up. */
void aes_free(struct aes *aes);
void aes_freep(struct aes **aes);

/* A new message. iv: 16 bytes (CBC; CTR: the whole initial counter block, all 128 bits of which
 * count), 1..128 bytes (GCM; OpenSSL takes no more), none (ECB). `aad` and tag_len (4..16) are for
 * GCM. False: a length out of these bounds. The context can be reused whatever became of the
 * message before. */
struct aes_message {
	struct bytes iv;
	struct bytes aad;
	size_t tag_len;
};
bool aes_start(struct aes *aes, const struct aes_message *message);
/* By GCM, before any text: further associated data. */
bool aes_authenticate(struct aes *aes, struct bytes aad);
/* Writes *ret_len bytes: in.len, more or less by held-back parts of blocks (at most in.len + 15).
 * in and out may be the same memory (not overlap otherwise), also when something is held back.
 * Never holds back a full block in the modes without padding. False: no message under way, or GCM's
 * limit of 2^36 - 32 bytes. */
bool aes_update(struct aes *aes, struct bytes in, uint8_t *out, size_t *ret_len);
/* The rest, up to 16 bytes: the last padded block (CBC_PAD), the tag when encrypting by GCM
 * (tag_len bytes); nothing in the other modes. Decrypting by GCM needs the tag set before. False:
 * wrong padding or tag, or ECB/CBC not a multiple of 16. */
bool aes_set_tag(struct aes *aes, struct bytes tag); /* tag_len bytes, any time before finish */
bool aes_finish(struct aes *aes, uint8_t *out, size_t *ret_len);

/* To encrypt by GCM: the rest of the text and the tag after it, in.len + tag_len bytes, in one
 * step.
 */
bool aes_seal(struct aes *aes, struct bytes in, uint8_t *out, size_t *ret_len);

/* A whole message by CCM, which has no other way: sealed, the tag follows; to open, it is at the
 * end of `in`, which has at least tag_len bytes. iv: 7 to 13 bytes, the longer, the shorter the
 * message (aes_ccm_max); tag_len: 4, 6, … 16. in and out may be the same memory (not overlap
 * otherwise). False: out of these bounds, or the tag is wrong, and `out` has nothing readable. */
bool aes_ccm(struct aes *aes, const struct aes_message *message, struct bytes in, uint8_t *out);
/* The same with the tag apart, message->tag_len bytes: `in` and `out` are the text alone. */
bool aes_ccm_apart(struct aes *aes, const struct aes_message *message, struct bytes in,
		   uint8_t *out, uint8_t *tag);
uint64_t aes_ccm_max(size_t nonce_len);

/* One-shot GCM with a 12-byte IV and a 16-byte tag appended (envelopes, wrapped DEKs, local KMS).
 * `ret` has room for in.len + 16 (seal) or in.len - 16 (open). When aes_gcm_open fails, it wipes
 * what it has written; *ret_wrong: the tag or the length is wrong; else there was no memory or no
 * library context, the only reasons for which sealing fails. */
bool aes_gcm_seal(struct bytes key, struct bytes iv, struct bytes aad, struct bytes in,
		  uint8_t *ret);
bool aes_gcm_open(struct bytes key, struct bytes iv, struct bytes aad, struct bytes in,
		  uint8_t *ret, bool *ret_wrong);

/*
 * Key wrap. KW: RFC 3394 / SP 800-38F 6.2 with the default or the given 8-byte IV; in is a multiple
 * of 8, 16..4096. KWP: RFC 5649 / SP 800-38F 6.3; in is 1..4096 bytes. Wrapping takes a keyed ECB
 * context to encrypt (aes_new(AES_ECB, true, kek)), unwrapping one to decrypt, so that a context
 * that is kept is keyed only once. Outputs are set only on success: in.len + 8, or in.len rounded
 * up + 8 bytes. in and ret may overlap.
 */
bool aes_kw_wrap(struct aes *ecb, struct bytes iv, struct bytes in, uint8_t *ret, size_t *ret_len);
bool aes_kw_unwrap(struct aes *ecb, struct bytes iv, struct bytes in, uint8_t *ret,
		   size_t *ret_len);
bool aes_kwp_wrap(struct aes *ecb, struct bytes in, uint8_t *ret, size_t *ret_len);
bool aes_kwp_unwrap(struct aes *ecb, struct bytes in, uint8_t *ret, size_t *ret_len);

/* One block through an ECB context. */
bool aes_block(struct aes *ecb, const uint8_t in[static AES_BLOCK], uint8_t out[static AES_BLOCK]);
