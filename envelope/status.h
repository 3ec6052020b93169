/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the functions of envelope/ answer. A failure leaves one line of text that says what happened
 * and what to do. */
#pragma once

#include "include/pkcs11.h"

enum envelope_status {
	ENVELOPE_OK = 0,
	ENVELOPE_NO_MEMORY,
	ENVELOPE_EMPTY,		  /* no bytes at all */
	ENVELOPE_NOT_AN_ENVELOPE, /* no magic: perhaps plain data */
	ENVELOPE_NEWER,		  /* a format of a later release */
	ENVELOPE_DAMAGED,	  /* header, tag, order or length is not as it was written */
	ENVELOPE_NAME_NEEDED,	  /* bound to a name, but none was given */
	ENVELOPE_WRONG_NAME,
	ENVELOPE_NOT_BOUND,	   /* a name was given, but the envelope is bound to none */
	ENVELOPE_OTHER_ZONE,	   /* not the zone that was asked for */
	ENVELOPE_ZONE_UNKNOWN,	   /* in no project here, and its record only there */
	ENVELOPE_ROOT_KEY_UNKNOWN, /* the embedded record's root key is in no project here: not
				      trusted */
	ENVELOPE_TOO_LARGE,	   /* more than 2^32 chunks */
	ENVELOPE_NO_ROOM,	   /* the new wrap does not fit the header's slots */
	ENVELOPE_INPUT,		   /* reading failed: errno */
	ENVELOPE_OUTPUT,	   /* writing failed: errno */
	ENVELOPE_MESSAGE,	   /* of a message (envelope/message.h), not of a file */
	ENVELOPE_MODULE,	   /* a PKCS #11 function failed: see struct envelope_error */
	ENVELOPE_STATUS_COUNT
};

/* The details of a failure; zeroed by the caller. */
struct envelope_error {
	const char *function; /* "C_UnwrapKey" (static), for ENVELOPE_MODULE */
	CK_RV rv;
	CK_ULONG reason;  /* the session's ulDeviceError (CMEK_ERROR_…) */
	int system_error; /* errno, for INPUT and OUTPUT */
	char text[256];	  /* what exactly is damaged, which ARN is unknown; may be empty */
};

const char *envelope_status_text(enum envelope_status status);
/* Of the file that was read and the one that was written, which of them a failure is about. */
const char *envelope_failed_file(enum envelope_status status, const char *in, const char *out);
