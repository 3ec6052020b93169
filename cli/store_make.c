/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek store create, store check: the store before there is a project in it, through the module's
 * own interface (include/cmek.h). */
#include "cli/cli.h"
#include "cli/token.h"
#include "base/macros.h"

#include <jansson.h>
#include <stdio.h>

enum { REPORT_ROOM = 64 * 1024 };

static void print_report(const struct arguments *arguments, CK_RV rv, const char *report)
{
	json_t *json;

	if (!arguments->json) {
		fputs(report, stdout);
		return;
	}
	json = json_pack("{s:b, s:s}", "ok", rv == CKR_OK, "report", report);
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

static int run(const struct arguments *arguments, bool create, const char *what)
{
	static char report[REPORT_ROOM];
	const CK_FUNCTION_LIST *functions;
	CK_RV rv;

	TRY(module_load(&functions));
	rv = module_store(create, report, sizeof(report));
	if (rv == CKR_FUNCTION_NOT_SUPPORTED)
		return fail(CMEK_EXIT_FAILED,
			    "the module is of an older release; install this one");
	print_report(arguments, rv, report);
	return rv == CKR_OK ? CMEK_EXIT_OK : module_failed(rv, "%s", what);
}

int store_make(const struct arguments *arguments)
{
	return run(arguments, true, "making the store");
}

int store_check(const struct arguments *arguments)
{
	return run(arguments, false, "checking the store");
}
