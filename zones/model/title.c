/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Names of zones in messages. */
#include "zones/model/title.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_known(const char *text)
{
	return text != NULL && *text != '\0';
}

struct zone_title zone_title_as(const char *label, const char *project, uint64_t zone)
{
	struct zone_title title;

	if (!is_known(label))
		snprintf(title.text, sizeof(title.text), "zone %" PRIu64, zone);
	else if (!is_known(project))
		snprintf(title.text, sizeof(title.text), "zone '%s'", label);
	else
		snprintf(title.text, sizeof(title.text), "zone '%s' of project '%s'", label,
			 project);
	return title;
}
