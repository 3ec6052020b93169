/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/store/remote/remote.h"

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"

#include <stdio.h>
#include <stdlib.h>

enum zone_status remote_says(struct remote_said *said, const char *name, enum zone_status status,
			     const char *format, va_list arguments)
{
	AUTO(freep) char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	if (said->status == status)
		log_reason("store %s: %s", name, text == NULL ? zone_status_text(status) : text);
	else
		log_error("store %s: %s", name, text == NULL ? zone_status_text(status) : text);
	snprintf(said->text, sizeof(said->text), "%s", text == NULL ? "" : text);
	said->status = status;
	said->away |= zone_status_is_store_outage(status);
	return status;
}

void remote_answers(struct remote_said *said, const char *name)
{
	if (said->away)
		log_notice("store %s: it is back", name);
	if (said->away || zone_status_is_store_outage(said->status))
		said->status = ZONE_OK;
	said->away = false;
}

void remote_was_read(struct remote_said *said, bool limited)
{
	if (said->status != ZONE_STORE_NEWER || !limited)
		said->status = ZONE_OK;
}
