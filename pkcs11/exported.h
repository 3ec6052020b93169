/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever defines functions of PKCS #11 includes this: they are visible outside of the module, all
 * else is hidden. The linker exports them by exports.map. */
#pragma once

#include "include/pkcs11.h"

#define EXPORTED(name) extern __attribute__((visibility("default"))) __typeof__(name) name;
CK_FUNCTIONS_2_40(EXPORTED)
CK_FUNCTIONS_3_0(EXPORTED)
CK_FUNCTIONS_3_2(EXPORTED)
#undef EXPORTED
