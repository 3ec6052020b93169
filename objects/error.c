/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* zone_status to CK_RV. Each value is in the standard's list for its column's function (2.40 to
 * 3.2, "Functions"), or is one that any function may return. */
#include "objects/error.h"

#include "base/thread.h"

/* How the columns are called below. */
enum {
	FAILED = CKR_FUNCTION_FAILED,
	DEVICE = CKR_DEVICE_ERROR,
	MEMORY = CKR_HOST_MEMORY,
	GENERAL = CKR_GENERAL_ERROR,
	FULL = CKR_DEVICE_MEMORY,
	DENIED = CKR_KEY_FUNCTION_NOT_PERMITTED,
	PARAM = CKR_MECHANISM_PARAM_INVALID,
	DATA = CKR_ENCRYPTED_DATA_INVALID,
	NOWRAP = CKR_KEY_NOT_WRAPPABLE,
	STAYS = CKR_KEY_UNEXTRACTABLE,
	BLOB = CKR_WRAPPED_KEY_INVALID,
	CLASH = CKR_TEMPLATE_INCONSISTENT,
	VALUE = CKR_ATTRIBUTE_VALUE_INVALID,
	RDONLY = CKR_ATTRIBUTE_READ_ONLY,
	PROHIB = CKR_ACTION_PROHIBITED,
	HANDLE = CKR_OBJECT_HANDLE_INVALID,
	PROTECT = CKR_TOKEN_WRITE_PROTECTED,
	ARGS = CKR_ARGUMENTS_BAD,
	SLOT = CKR_SLOT_ID_INVALID,
};

/* clang-format off */
static const struct {
	CK_ULONG reason;
	CK_RV at[ERROR_PLACE_COUNT];
} table[ZONE_STATUS_COUNT] = {
	/*                               INIT     USE      KMS      WRAP     UNWRAP   IMPORT   OBJECT   DESTROY  TOKEN */
	[ZONE_OK]               = { CMEK_ERROR_NONE,
				     { 0 } },
	[ZONE_NO_MEMORY]        = { CMEK_ERROR_NONE,
				     { MEMORY,  MEMORY,  MEMORY,  MEMORY,  MEMORY,  MEMORY,  MEMORY,  MEMORY,  MEMORY } },
	[ZONE_NOT_STARTED]      = { CMEK_ERROR_NONE,
				     { GENERAL, GENERAL, GENERAL, GENERAL, GENERAL, GENERAL, GENERAL, GENERAL, GENERAL } },
	/* The rules. */
	[ZONE_NOT_FOUND]        = { CMEK_ERROR_NOT_FOUND,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  VALUE,   HANDLE,  SLOT } },
	[ZONE_EXISTS]           = { CMEK_ERROR_EXISTS,
				     { FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   CLASH,   CLASH,   FAILED,  FAILED } },
	[ZONE_TOO_MANY_ROOT_KEYS] = { CMEK_ERROR_TOO_MANY_ROOT_KEYS,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   FAILED,  FAILED } },
	[ZONE_WRONG_REGION]     = { CMEK_ERROR_WRONG_REGION,
				     { FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   CLASH,   CLASH,   FAILED,  FAILED } },
	[ZONE_WRONG_PROVIDER]   = { CMEK_ERROR_WRONG_PROVIDER,
				     { FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   CLASH,   CLASH,   FAILED,  FAILED } },
	[ZONE_OTHER_ZONE]       = { CMEK_ERROR_OTHER_ZONE,
				     { DENIED,  FAILED,  FAILED,  NOWRAP,  BLOB,    BLOB,    CLASH,   FAILED,  FAILED } },
	[ZONE_NO_ROOT_KEY]      = { CMEK_ERROR_NO_ROOT_KEY,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_IN_USE]           = { CMEK_ERROR_IN_USE,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   PROHIB,  FAILED } },
	[ZONE_MOVING]           = { CMEK_ERROR_MOVING,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   FAILED,  FAILED } },
	[ZONE_PENDING_DELETION] = { CMEK_ERROR_PENDING_DELETION,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   FAILED,  FAILED } },
	[ZONE_DELETED]          = { CMEK_ERROR_DELETED,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   FAILED,  FAILED } },
	[ZONE_INVALID]          = { CMEK_ERROR_INVALID,
				     { PARAM,   FAILED,  FAILED,  PARAM,   BLOB,    BLOB,    VALUE,   FAILED,  ARGS } },
	[ZONE_INVALID_NAME]     = { CMEK_ERROR_INVALID_NAME,
				     { FAILED,  FAILED,  FAILED,  FAILED,  VALUE,   VALUE,   VALUE,   FAILED,  ARGS } },
	[ZONE_FENCED]           = { CMEK_ERROR_FENCED,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_IMPORTED]         = { CMEK_ERROR_IMPORTED,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_ROTATED]          = { CMEK_ERROR_ROTATED,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_RECORD_CORRUPT]   = { CMEK_ERROR_RECORD_CORRUPT,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  BLOB,    DEVICE,  DEVICE,  DEVICE } },
	[ZONE_RECORD_NEWER]     = { CMEK_ERROR_RECORD_NEWER,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  FAILED,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_RECORD_KEPT]      = { CMEK_ERROR_RECORD_KEPT,
				     { FAILED,  FAILED,  FAILED,  STAYS,   BLOB,    BLOB,    CLASH,   FAILED,  FAILED } },
	[ZONE_WRAPPED_KEY_INVALID] = { CMEK_ERROR_WRAPPED_KEY_INVALID,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  BLOB,    BLOB,    DEVICE,  DEVICE,  DEVICE } },
	/* Backups. */
	[ZONE_BACKUP_CORRUPT]   = { CMEK_ERROR_BACKUP_CORRUPT,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  VALUE,   FAILED,  FAILED } },
	[ZONE_BACKUP_NEWER]     = { CMEK_ERROR_BACKUP_NEWER,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  VALUE,   FAILED,  FAILED } },
	[ZONE_RESTORE_CONFLICT] = { CMEK_ERROR_RESTORE_CONFLICT,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   FAILED,  FAILED } },
	/* The settings. */
	[ZONE_OTHER_PIN]        = { CMEK_ERROR_OTHER_PIN,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   FAILED,  FAILED } },
	[ZONE_ROOT_KEY_REFUSED] = { CMEK_ERROR_ROOT_KEY_REFUSED,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  CLASH,   FAILED,  FAILED } },
	/* The store. */
	[ZONE_STORE_UNAVAILABLE] = { CMEK_ERROR_STORE_UNAVAILABLE,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_STORE_THROTTLED] = { CMEK_ERROR_STORE_UNAVAILABLE,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_STORE_DENIED] = { CMEK_ERROR_STORE_UNAVAILABLE,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_STORE_NO_CREDENTIALS] = { CMEK_ERROR_STORE_UNAVAILABLE,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_STORE_READ_ONLY]  = { CMEK_ERROR_STORE_READ_ONLY,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  PROTECT, PROTECT, PROTECT, PROTECT, PROTECT } },
	[ZONE_STORE_MOVED]      = { CMEK_ERROR_STORE_MOVED,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  PROTECT, PROTECT, PROTECT, PROTECT, PROTECT } },
	[ZONE_STORE_CORRUPT]    = { CMEK_ERROR_STORE_CORRUPT,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_STORE_NEWER]      = { CMEK_ERROR_STORE_NEWER,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_STORE_NEWER_WRITER] = { CMEK_ERROR_STORE_NEWER_WRITER,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  PROTECT, PROTECT, PROTECT, PROTECT, PROTECT } },
	[ZONE_STORE_FULL]       = { CMEK_ERROR_STORE_FULL,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  FULL,    FULL,    FULL,    FULL,    DEVICE } },
	[ZONE_CONFLICT]         = { CMEK_ERROR_STORE_CONFLICT,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_AUDIT_UNAVAILABLE] = { CMEK_ERROR_AUDIT_UNAVAILABLE,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	/* The KMS said no. */
	[ZONE_KMS_DENIED]       = { CMEK_ERROR_KMS_DENIED,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_KMS_DISABLED]     = { CMEK_ERROR_KMS_DISABLED,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_KMS_PENDING_DELETION] = { CMEK_ERROR_KMS_PENDING_DELETION,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_KMS_PENDING_IMPORT] = { CMEK_ERROR_KMS_PENDING_IMPORT,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_KMS_KEY_STORE_UNAVAILABLE] = { CMEK_ERROR_KMS_KEY_STORE_UNAVAILABLE,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_KMS_INVALID_STATE] = { CMEK_ERROR_KMS_INVALID_STATE,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	[ZONE_KMS_NOT_FOUND]    = { CMEK_ERROR_KMS_NOT_FOUND,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	/* The KMS refused what was sent: the store's blob, or the caller's. */
	[ZONE_KMS_INVALID_CIPHERTEXT] = { CMEK_ERROR_KMS_INVALID_CIPHERTEXT,
				     { DEVICE,  DEVICE,  DATA,    DEVICE,  DEVICE,  BLOB,    DEVICE,  DEVICE,  DEVICE } },
	[ZONE_KMS_INCORRECT_KEY] = { CMEK_ERROR_KMS_INCORRECT_KEY,
				     { DEVICE,  DEVICE,  DATA,    DEVICE,  DEVICE,  BLOB,    DEVICE,  DEVICE,  DEVICE } },
	[ZONE_KMS_INVALID_KEY_USAGE] = { CMEK_ERROR_KMS_INVALID_KEY_USAGE,
				     { DENIED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  VALUE,   FAILED,  FAILED } },
	[ZONE_KMS_INVALID_REQUEST] = { CMEK_ERROR_KMS_INVALID_REQUEST,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  BLOB,    VALUE,   FAILED,  FAILED } },
	[ZONE_KMS_UNSUPPORTED]  = { CMEK_ERROR_KMS_UNSUPPORTED,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  RDONLY,  FAILED,  FAILED } },
	[ZONE_KMS_LIMIT_EXCEEDED] = { CMEK_ERROR_KMS_LIMIT_EXCEEDED,
				     { FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  FAILED } },
	/* No answer: an outage. */
	[ZONE_KMS_THROTTLED]    = { CMEK_ERROR_KMS_THROTTLED,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_KMS_KEY_OUT_OF_REACH] = { CMEK_ERROR_KMS_KEY_OUT_OF_REACH,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_KMS_UNAVAILABLE]  = { CMEK_ERROR_KMS_UNAVAILABLE,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_KMS_NO_CREDENTIALS] = { CMEK_ERROR_KMS_NO_CREDENTIALS,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_KMS_CREDENTIALS_REFUSED] = { CMEK_ERROR_KMS_CREDENTIALS_REFUSED,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_KMS_BAD_ANSWER]   = { CMEK_ERROR_KMS_BAD_ANSWER,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
	[ZONE_KMS_MISCONFIGURED] = { CMEK_ERROR_KMS_MISCONFIGURED,
				     { DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE,  DEVICE } },
};
/* clang-format on */

CK_ULONG error_reason_of(enum zone_status status)
{
	return table[status].reason;
}

CK_RV error_of_zone(enum zone_status status, enum error_place place)
{
	if (status != ZONE_OK)
		error_note(error_reason_of(status));
	return table[status].at[place];
}

void error_note(CK_ULONG reason)
{
	struct thread_notes *notes = thread_notes();

	atomic_fetch_add_explicit(&thread_news, 1, memory_order_relaxed);
	if (notes == NULL)
		return;
	notes->reason = notes->last_reason = reason;
	notes->noted++;
}

/* What a program gets that reads, tries or ends something as usual. */
static bool is_usual(CK_RV rv)
{
	return rv == CKR_BUFFER_TOO_SMALL || rv == CKR_ATTRIBUTE_TYPE_INVALID ||
	       rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_OPERATION_NOT_INITIALIZED ||
	       rv == CKR_USER_ALREADY_LOGGED_IN || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED ||
	       rv == CKR_CRYPTOKI_NOT_INITIALIZED;
}

void error_refused(CK_RV rv)
{
	const struct thread_notes *kept = thread_notes_kept();
	struct thread_notes *notes;

	if (is_usual(rv) || (kept->noted == 0 && kept->messages == 0))
		return;
	notes = thread_notes();
	if (notes->noted == notes->noted_before)
		notes->last_reason = CMEK_ERROR_NONE;
	if (notes->messages == notes->messages_before)
		notes->message[0] = notes->request_id[0] = '\0';
	notes->noted_before = notes->noted;
	notes->messages_before = notes->messages;
}

void error_call_ends(void)
{
	const struct thread_notes *kept = thread_notes_kept();
	struct thread_notes *notes;

	/* A call that the program makes within another of ours has not ended that. */
	if (kept->calls_back ||
	    (kept->noted == kept->noted_before && kept->messages == kept->messages_before))
		return;
	notes = thread_notes();
	notes->noted_before = notes->noted;
	notes->messages_before = notes->messages;
}

CK_ULONG error_last_reason(void)
{
	return thread_notes_kept()->last_reason;
}

CK_ULONG error_take_reason(void)
{
	struct thread_notes *notes;
	CK_ULONG reason = thread_notes_kept()->reason;

	if (reason == CMEK_ERROR_NONE)
		return reason;
	notes = thread_notes();
	notes->reason = CMEK_ERROR_NONE;
	return reason;
}
