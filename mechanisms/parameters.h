/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mechanism parameters: what CK_MECHANISM.pParameter points to, checked and brought into one form
 * by the reader in the mechanism's file. Everything here works on any bytes an application may
 * bring: misaligned structures, pointers of length 0, garbage where the standard's users put
 * garbage.
 */
#pragma once

#include "kms/kms.h"
#include "mechanisms/mechanism.h"

enum { CONTEXT_PAIRS_MAX = 32, CONTEXT_JSON_MAX = 8192 };

/* Pairs for the KMS's encryption context; owned. The zero state is "none". */
struct context {
	void *json; /* what the pairs point into */
	struct kms_context pairs;
	struct kms_pair list[CONTEXT_PAIRS_MAX];
};
void context_free(struct context *context);

/* What most mechanisms need; borrowed from the caller, except the context. */
struct parameter {
	struct bytes iv; /* of CTR: `counter` */
	struct bytes aad;
	size_t tag_len;	 /* GCM, CCM: bytes */
	size_t data_len; /* CCM: of the plaintext */
	uint8_t counter[16];
	uint32_t number;      /* CKM_CMEK_CHUNK, CKM_CMEK_MESSAGE; their `iv` is `counter`, too */
	bool is_last;	      /* of a chunk */
	uint8_t counter_bits; /* CTR */
	struct context *context; /* owned; NULL: none given */
};

static inline void parameter_clear(struct parameter *parameter)
{
	if (parameter->context != NULL)
		context_free(parameter->context);
}

/* CKR_MECHANISM_PARAM_INVALID for anything the mechanism can't take. `ret_parameter` is zeroed by
 * the caller. */
CK_RV parameter_read(const struct mechanism *mechanism, const CK_MECHANISM *given,
		     struct parameter *ret_parameter);

/* For the readers: there is no parameter. A pointer with length 0 counts as none. */
CK_RV parameter_read_none(const CK_MECHANISM *given, struct parameter *parameter);
/* For C_WrapKey and C_UnwrapKey: no tag of less than 96 bits. A key is worth more than a message,
 * and whoever unwraps for others is asked as often as they like. `name`: the mechanism's. */
CK_RV parameter_tag_may_wrap(const struct parameter *parameter, const char *name);
