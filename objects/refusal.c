/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The line of a refused call. */
#include "objects/refusal.h"

#include "base/log.h"
#include "base/macros.h"
#include "objects/error.h"
#include "objects/rv_names.h"

static const struct {
	CK_RV rv;
	const char *name;
} names[] = {
#define ROW(rv) {rv, #rv},
	RV_NAMES(ROW)
#undef ROW
};

static const char *name_of(CK_RV rv)
{
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (names[i].rv == rv)
			return names[i].name;
	return "another value";
}

void refusal_log(const char *function, CK_RV rv)
{
	error_refused(rv);
	log_info("%s: %s", function, name_of(rv));
}
