/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a zone and a root key on a token. */
#include "base/encode.h"
#include "base/macros.h"
#include "envelope/keys.h"

#include <stdio.h>

static CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
static CK_BBOOL yes = CK_TRUE;

/* The next object of the search that has `proof`, an attribute of the wanted class alone;
 * CK_INVALID_HANDLE: none. */
static enum envelope_status find_next(struct envelope_token *token, CK_ATTRIBUTE_TYPE proof,
				      CK_OBJECT_HANDLE *ret_handle, struct envelope_error *error)
{
	const CK_FUNCTION_LIST *f = token->functions;
	CK_OBJECT_HANDLE handle;
	CK_ULONG count;

	for (;;) {
		CK_ATTRIBUTE attribute = {proof, NULL, 0};
		CK_RV rv;

		TRY(envelope_answer(token, error, "C_FindObjects",
				    f->C_FindObjects(token->session, &handle, 1, &count)));
		*ret_handle = count == 0 ? CK_INVALID_HANDLE : handle;
		if (count == 0)
			return ENVELOPE_OK;
		rv = f->C_GetAttributeValue(token->session, handle, &attribute, 1);
		/* Of another class, or gone meanwhile. */
		if (rv != CKR_ATTRIBUTE_TYPE_INVALID && rv != CKR_OBJECT_HANDLE_INVALID)
			return envelope_answer(token, error, "C_GetAttributeValue", rv);
	}
}

static enum envelope_status find(struct envelope_token *token, CK_ATTRIBUTE *template,
				 CK_ULONG count, CK_ATTRIBUTE_TYPE proof,
				 CK_OBJECT_HANDLE *ret_handle, struct envelope_error *error)
{
	const CK_FUNCTION_LIST *f = token->functions;
	enum envelope_status status;

	TRY(envelope_answer(token, error, "C_FindObjectsInit",
			    f->C_FindObjectsInit(token->session, template, count)));
	status = find_next(token, proof, ret_handle, error);
	if (status != ENVELOPE_OK) {
		f->C_FindObjectsFinal(token->session);
		return status;
	}
	return envelope_answer(token, error, "C_FindObjectsFinal",
			       f->C_FindObjectsFinal(token->session));
}

enum envelope_status envelope_zone_find(struct envelope_token *token, uint64_t zone,
					CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error)
{
	uint8_t id[8];
	CK_ULONG pending = CMEK_STATE_PENDING_DELETION;
	enum envelope_status status;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_CMEK_ZONE, id, sizeof(id)},
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_CMEK_STATE, &pending, sizeof(pending)},
	};

	for (int i = 0; i < 8; i++)
		id[i] = (uint8_t)(zone >> (56 - 8 * i));
	status = find(token, template, COUNT_OF(template) - 1, CKA_CMEK_VERSION, ret_ezk, error);
	if (status == ENVELOPE_OK && *ret_ezk == CK_INVALID_HANDLE)
		status =
			find(token, template, COUNT_OF(template), CKA_CMEK_VERSION, ret_ezk, error);
	/* The store is of a later release: the module may not read its zones, but opens records. */
	if (status != ENVELOPE_MODULE || error->reason != CMEK_ERROR_STORE_NEWER)
		return status;
	*ret_ezk = CK_INVALID_HANDLE;
	return ENVELOPE_OK;
}

enum envelope_status envelope_zone_is_kept(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					   bool *ret_kept, struct envelope_error *error)
{
	CK_BBOOL embed = CK_TRUE;
	CK_ATTRIBUTE attribute = {CKA_CMEK_EMBED_EZK, &embed, sizeof(embed)};

	TRY(envelope_answer(
		token, error, "C_GetAttributeValue",
		token->functions->C_GetAttributeValue(token->session, ezk, &attribute, 1)));
	*ret_kept = embed == CK_FALSE;
	return ENVELOPE_OK;
}

enum envelope_status envelope_zone_version(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					   uint32_t *ret_version, struct envelope_error *error)
{
	CK_ULONG version = 0;
	CK_ATTRIBUTE attribute = {CKA_CMEK_VERSION, &version, sizeof(version)};

	TRY(envelope_answer(
		token, error, "C_GetAttributeValue",
		token->functions->C_GetAttributeValue(token->session, ezk, &attribute, 1)));
	*ret_version = (uint32_t)version;
	return ENVELOPE_OK;
}

enum envelope_status envelope_zone_drop_older(struct envelope_token *token, uint32_t version,
					      CK_OBJECT_HANDLE *ezk, struct envelope_error *error)
{
	uint32_t newest;

	if (*ezk == CK_INVALID_HANDLE)
		return ENVELOPE_OK;
	TRY(envelope_zone_version(token, *ezk, &newest, error));
	if (version > newest)
		*ezk = CK_INVALID_HANDLE;
	return ENVELOPE_OK;
}

enum envelope_status envelope_project(struct envelope_token *token,
				      uint8_t ret_project[static ENVELOPE_PROJECT],
				      struct envelope_error *error)
{
	AUTO(buffer_clear) struct buffer id = {0};
	CK_SESSION_INFO session;
	CK_TOKEN_INFO info;

	TRY(envelope_answer(token, error, "C_GetSessionInfo",
			    token->functions->C_GetSessionInfo(token->session, &session)));
	TRY(envelope_answer(token, error, "C_GetTokenInfo",
			    token->functions->C_GetTokenInfo(session.slotID, &info)));
	if (!hex_decode(bytes(info.serialNumber, sizeof(info.serialNumber)), &id) ||
	    id.len != ENVELOPE_PROJECT)
		return id.failed
			       ? ENVELOPE_NO_MEMORY
			       : envelope_failed(token, error, "C_GetTokenInfo", CKR_GENERAL_ERROR);
	memcpy(ret_project, id.data, ENVELOPE_PROJECT);
	return ENVELOPE_OK;
}

/* --- Root keys: related multi-Region keys ("mrk-") are one key, and differ only in the region. */

/* The parts before and after the region ("Amazon Resource Names", arn:PARTITION:kms:REGION:…). */
static void around_region(struct bytes arn, struct bytes *ret_before, struct bytes *ret_after)
{
	size_t at = 0, end;

	for (int colons = 0; at < arn.len && colons < 3; at++)
		colons += arn.data[at] == ':';
	for (end = at; end < arn.len && arn.data[end] != ':'; end++)
		;
	*ret_before = bytes(arn.data, at);
	*ret_after = bytes(arn.data + end, arn.len - end);
}

static bool is_multi_region(struct bytes arn)
{
	return memmem(arn.data, arn.len, ":key/mrk-", strlen(":key/mrk-")) != NULL;
}

static bool are_related(struct bytes a, struct bytes b)
{
	struct bytes a_before, a_after, b_before, b_after;

	around_region(a, &a_before, &a_after);
	around_region(b, &b_before, &b_after);
	return is_multi_region(a) && bytes_equal(a_before, b_before) &&
	       bytes_equal(a_after, b_after);
}

static enum envelope_status check_related(struct envelope_token *token, CK_OBJECT_HANDLE key,
					  struct bytes arn, bool *ret_related,
					  struct envelope_error *error)
{
	uint8_t own[2048];
	CK_ATTRIBUTE attribute = {CKA_CMEK_ROOT_KEY, own, sizeof(own)};
	CK_RV rv = token->functions->C_GetAttributeValue(token->session, key, &attribute, 1);

	*ret_related = false;
	if (rv == CKR_OBJECT_HANDLE_INVALID) /* gone meanwhile */
		return ENVELOPE_OK;
	TRY(envelope_answer(token, error, "C_GetAttributeValue", rv));
	*ret_related = are_related(arn, bytes(own, attribute.ulValueLen));
	return ENVELOPE_OK;
}

/* The next related key of the search; CK_INVALID_HANDLE: none. */
static enum envelope_status next_related(struct envelope_token *token, struct bytes arn,
					 CK_OBJECT_HANDLE *ret_key, struct envelope_error *error)
{
	CK_OBJECT_HANDLE key;
	bool related = false;

	do {
		TRY(find_next(token, CKA_CMEK_KMS_KEY, &key, error));
		if (key != CK_INVALID_HANDLE)
			TRY(check_related(token, key, arn, &related, error));
	} while (key != CK_INVALID_HANDLE && !related);
	*ret_key = key;
	return ENVELOPE_OK;
}

static enum envelope_status find_related(struct envelope_token *token, struct bytes arn,
					 CK_OBJECT_HANDLE *ret_key, struct envelope_error *error)
{
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_TOKEN, &yes, sizeof(yes)},
	};
	enum envelope_status status;

	TRY(envelope_answer(
		token, error, "C_FindObjectsInit",
		token->functions->C_FindObjectsInit(token->session, template, COUNT_OF(template))));
	status = next_related(token, arn, ret_key, error);
	token->functions->C_FindObjectsFinal(token->session);
	return status;
}

static enum envelope_status find_by_arn(struct envelope_token *token, struct bytes arn,
					CK_OBJECT_HANDLE *ret_key, struct envelope_error *error)
{
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_CMEK_ROOT_KEY, (void *)arn.data, arn.len},
		{CKA_TOKEN, &yes, sizeof(yes)},
	};

	TRY(find(token, template, COUNT_OF(template), CKA_CMEK_KMS_KEY, ret_key, error));
	if (*ret_key == CK_INVALID_HANDLE && is_multi_region(arn))
		return find_related(token, arn, ret_key, error);
	return ENVELOPE_OK;
}

enum envelope_status envelope_root_key_find(struct envelope_token *token,
					    const struct envelope_record *record,
					    CK_OBJECT_HANDLE *ret_key, struct envelope_error *error)
{
	CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;

	for (size_t i = 0; i < record->arn_count && key == CK_INVALID_HANDLE; i++)
		TRY(find_by_arn(token, record->arns[i], &key, error));
	if (key == CK_INVALID_HANDLE) {
		snprintf(error->text, sizeof(error->text), "%.*s", (int)record->arns[0].len,
			 (const char *)record->arns[0].data);
		return ENVELOPE_ROOT_KEY_UNKNOWN;
	}
	*ret_key = key;
	return ENVELOPE_OK;
}
