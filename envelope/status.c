/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/status.h"

/* Each status in words. The caller who reports it adds the remedy. */

const char *envelope_status_text(enum envelope_status status)
{
	static const char *const texts[ENVELOPE_STATUS_COUNT] = {
		[ENVELOPE_OK] = "no error",
		[ENVELOPE_NO_MEMORY] = "out of memory",
		[ENVELOPE_EMPTY] = "is empty: not an envelope of cmek",
		[ENVELOPE_NOT_AN_ENVELOPE] = "not an envelope of cmek",
		[ENVELOPE_NEWER] = "an envelope of a later release",
		[ENVELOPE_DAMAGED] = "damaged envelope",
		[ENVELOPE_NAME_NEEDED] =
			"the envelope is bound to an object's name, and none was given",
		[ENVELOPE_WRONG_NAME] = "the envelope is bound to another object's name",
		[ENVELOPE_NOT_BOUND] = "a name was given, but the envelope is bound to none",
		[ENVELOPE_OTHER_ZONE] = "the envelope belongs to another database",
		[ENVELOPE_ZONE_UNKNOWN] = ("the key of the envelope's database is in its own "
					   "store only, not in this one"),
		[ENVELOPE_ROOT_KEY_UNKNOWN] =
			"the root key of the envelope's key record is in no project here",
		[ENVELOPE_TOO_LARGE] = "too large",
		[ENVELOPE_NO_ROOM] = "its header has no room for the new wrap of its key",
		[ENVELOPE_INPUT] = "reading failed",
		[ENVELOPE_OUTPUT] = "writing failed",
		[ENVELOPE_MESSAGE] = "an envelope of a message, not of a file",
		[ENVELOPE_MODULE] = "the PKCS #11 module refused",
	};

	return (unsigned)status < ENVELOPE_STATUS_COUNT ? texts[status] : "unknown error";
}

const char *envelope_failed_file(enum envelope_status status, const char *in, const char *out)
{
	return status == ENVELOPE_OUTPUT ? out : in;
}
