/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the return values that tests meet. */
#include "harness.h"
#include "objects/rv_names.h"

#include <stdio.h>

const char *rv_name(CK_RV rv)
{
	static char other[32];
	static const struct {
		CK_RV rv;
		const char *name;
	} names[] = {
#define ROW(rv) {rv, #rv},
		RV_NAMES(ROW)
#undef ROW
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (names[i].rv == rv)
			return names[i].name;
	}
	snprintf(other, sizeof(other), "%#lx", rv);
	return other;
}
