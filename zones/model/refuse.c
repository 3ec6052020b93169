/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The reason of a refusal is logged where the rule stands. */
#include "zones/model/refuse.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum zone_status refuse(enum zone_status status, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	log_error("%s", text == NULL ? zone_status_text(status) : text);
	free(text);
	return status;
}
