/*
 * Mechanism parameters: what CK_MECHANISM.pParameter points to, checked and brought into one form
 * by the mechanism's `parameters` column. Everything here works on any bytes an application may
 * bring: misaligned structures, pointers of length 0, garbage where the standard's users put
 * garbage.
 */
#pragma once

#include "kms/kms.h"
#include "objects/mechanism.h"

enum { CONTEXT_PAIRS_MAX = 32, CONTEXT_JSON_MAX = 8192 };

/* Pairs for the KMS's encryption context; owned. The zero state is "none". */
struct context {
	void *json; /* what the pairs point into */
	struct kms_context pairs;
	struct kms_pair list[CONTEXT_PAIRS_MAX];
};
void context_free(struct context *context);

struct parameter {
	struct bytes iv;  /* IV, GCM: the caller's; CTR: `counter` */
	struct bytes aad; /* GCM, AAD: the caller's */
	size_t tag_len;	  /* GCM: bytes */
	uint8_t counter[16];
	struct context *context; /* CONTEXT: owned, NULL: none given */
	CK_HKDF_PARAMS hkdf;	 /* HKDF: its pointers are the caller's */
};
void parameter_clear(struct parameter *parameter);

/* CKR_MECHANISM_PARAM_INVALID for anything the mechanism can't take. Borrows from the caller. */
CK_RV parameter_read(const struct mechanism *mechanism, const CK_MECHANISM *given,
		     struct parameter *ret_parameter);
