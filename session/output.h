/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in the application's memory: some hand over pointers into packed structures, so these
 * are read and written as bytes. */
#pragma once

#include "include/pkcs11.h"

#include <string.h>

static inline CK_ULONG get_ulong(const CK_ULONG *from)
{
	CK_ULONG value;

	memcpy(&value, (const void *)from, sizeof(value));
	return value;
}

static inline void put_ulong(CK_ULONG *ret, CK_ULONG value)
{
	memcpy((void *)ret, &value, sizeof(value));
}
