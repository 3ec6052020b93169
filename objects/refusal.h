/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each call that is refused has a line in the log, "C_WrapKey: CKR_KEY_UNEXTRACTABLE", whatever
 * else has been logged about it. At level info: the caller knows the value, and may be wrong a
 * thousand times a second.
 */
#pragma once

#include "include/pkcs11.h"

void refusal_log(const char *function, CK_RV rv);

/* Answers rv. */
static inline CK_RV refusal_told(const char *function, CK_RV rv)
{
	if (rv != CKR_OK)
		refusal_log(function, rv);
	return rv;
}

/* Each value that a C_ function answers goes through this, if it may be a refusal. */
#define told(rv) refusal_told(__func__, rv)
