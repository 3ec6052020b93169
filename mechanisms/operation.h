/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operation, and what a mechanism does in its steps. A session has one of each kind, embedded,
 * so that none is allocated; how they begin, run and end is session/run.h.
 */
#pragma once

#include "base/buffer.h"
#include "base/macros.h"
#include "crypto/digest.h"
#include "mechanisms/parameters.h"
#include "mechanisms/ready_key.h"

enum step {
	STEP_ONCE, /* C_Encrypt */
	STEP_PART, /* C_EncryptUpdate */
	STEP_LAST, /* C_EncryptFinal */
	STEP_COUNT
};

struct operation;

/* What a mechanism does in an operation of one kind. */
struct cipher_class {
	/* Does the work of Init with parameters that live until it returns. */
	CK_RV (*start)(struct operation *op, struct parameter *parameter);
	/* The most a step can give for an input of this length; CKR_DATA_LEN_RANGE and kin for one
	 * it can't take. Asks nobody. */
	CK_RV (*bounds[STEP_COUNT])(const struct operation *op, size_t in_len, size_t *ret_bound);
	/* Does it; `out` has room for the bound. */
	CK_RV(*runs[STEP_COUNT])
	(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);
	void (*let_go)(void *own);
	bool inexact;	    /* the result may be shorter than the bound: a caller with less room is
			     * told the length after the work, which is not done twice */
	bool authenticates; /* an empty result says that what came is authentic: it is looked at
			     * without any room, too */
};

enum stage {
	STAGE_FRESH, /* Init was called */
	STAGE_PARTS, /* at least one part came */
	STAGE_ONCE,  /* the result of STEP_ONCE is kept for a caller whose buffer was too small */
	STAGE_LAST   /* the same of STEP_LAST */
};

struct operation {
	const struct cipher_class *class; /* NULL: none is active */
	const struct mechanism *mechanism;
	struct objects *objects;
	enum operation_kind kind;
	enum stage stage;
	struct ready_key *key;	 /* the session's; NULL: a digest */
	size_t tag_len;		 /* GCM, CCM: bytes */
	uint8_t tag[AES_BLOCK];	 /* of a message: what sealing gave, or opening compares with; of an
				  * empty text that was found authentic, all that came */
	size_t pending;		 /* bytes the cipher holds back */
	uint64_t room;		 /* CTR: bytes, until the counter would run into the nonce */
	bool pkcs5;		 /* key wrap: padded as Java does */
	void *own;		 /* what its class keeps of the parameter, and lets go of */
	struct buffer collected; /* the parts, where they are only collected, */
	size_t collected_max;	 /* and how many bytes at most */
	struct buffer result;	 /* what a caller lacked room for */
	/* Stays from one operation to the next. */
	struct digest *digest;
	enum digest_kind digest_kind;
};

/* Ends it: wipes what it holds. Accepts one that is not active. */
void operation_end(struct operation *op);
/* And frees what stays between operations. */
void operation_clear(struct operation *op);

/* Parts that are only collected, for mechanisms that work on a whole. Together they have at most as
 * many bytes as this says, set while nobody uses the module; then CKR_DEVICE_MEMORY. */
void collected_keep(uint64_t bytes_max);
CK_RV collected_part_bound(const struct operation *op, size_t in_len, size_t *ret_bound);
CK_RV collected_part(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);
CK_RV collected_last_bound(const struct operation *op, size_t in_len, size_t *ret_bound);
CK_RV collected_last(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);

/* The same, where the last step brings input, too. */
CK_RV collected_end_bound(const struct operation *op, size_t in_len, size_t *ret_bound);
CK_RV collected_end(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);

/* Does plaintext come out? */
static inline bool operation_opens(const struct operation *op)
{
	return op->kind == OPERATION_DECRYPT || op->kind == OPERATION_MESSAGE_DECRYPT;
}

/* An input of a length that is out of range, named for the direction. */
static inline CK_RV len_range(const struct operation *op)
{
	return operation_opens(op) ? CKR_ENCRYPTED_DATA_LEN_RANGE : CKR_DATA_LEN_RANGE;
}
