/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table, independent of the module's, of what is not offered with FIPS (docs/fips.md), and a
 * judge of tests: in a run with $CMEK_TEST_FIPS, a test that needs such a use must see it refused,
 * and then ends, counted as judged (tests/cmocka_tap.py).
 */
#pragma once

#include "include/cmek.h"
#include "include/pkcs11.h"

#include <stdbool.h>

/* The same functions, or in such a run those that judge. */
CK_FUNCTION_LIST *judged(CK_FUNCTION_LIST *list);
/* Is this use of a mechanism, by one of the CKF_ flags, offered in this run? */
bool fips_offers(CK_MECHANISM_TYPE type, CK_FLAGS use);
/* Is a secret of so many bytes taken for HMAC and derivations in this run? */
bool fips_takes_key(CK_ULONG len);
