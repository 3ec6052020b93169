/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is not offered with FIPS, as a table of the tests' own (docs/fips.md), and tests judged by
 * it: in a run with $CMEK_TEST_FIPS, a test that comes to such a use has to see it refused, and is
 * over then, as one that was judged so (tests/cmocka_tap.py).
 */
#pragma once

#include <stdbool.h>

#include "include/pkcs11.h"
#include "include/cmek.h"

/* The same functions, or in such a run those that judge. */
CK_FUNCTION_LIST *judged(CK_FUNCTION_LIST *list);
/* Is this use of a mechanism, by one of the CKF_ flags, offered in this run? */
bool fips_offers(CK_MECHANISM_TYPE type, CK_FLAGS use);
