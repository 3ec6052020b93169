/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever defines functions of the public header includes this: they are visible outside of the
 * library, all else is hidden. The linker exports them by exports.map. */
#pragma once

#pragma GCC visibility push(default)
#include "include/cmek/cmek.h"
#pragma GCC visibility pop
