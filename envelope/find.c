/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a zone and a root key on a token. */
#include "base/encode.h"
#include "base/macros.h"
#include "envelope/keys.h"

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

/* The store is of a later release: the module may not read its zones, but opens records. */
static enum envelope_status found_or_newer(enum envelope_status status, CK_OBJECT_HANDLE *ezk,
					   const struct envelope_error *error)
{
	if (status != ENVELOPE_MODULE || error->reason != CMEK_ERROR_STORE_NEWER)
		return status;
	*ezk = CK_INVALID_HANDLE;
	return ENVELOPE_OK;
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

	put_big_endian(id, sizeof(id), zone);
	status = find(token, template, COUNT_OF(template) - 1, CKA_CMEK_VERSION, ret_ezk, error);
	if (status == ENVELOPE_OK && *ret_ezk == CK_INVALID_HANDLE)
		status =
			find(token, template, COUNT_OF(template), CKA_CMEK_VERSION, ret_ezk, error);
	return found_or_newer(status, ret_ezk, error);
}

enum envelope_status envelope_zone_find_named(struct envelope_token *token, struct bytes label,
					      CK_OBJECT_HANDLE *ret_ezk,
					      struct envelope_error *error)
{
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_LABEL, (void *)label.data, label.len},
		{CKA_TOKEN, &yes, sizeof(yes)},
	};

	return found_or_newer(
		find(token, template, COUNT_OF(template), CKA_CMEK_VERSION, ret_ezk, error),
		ret_ezk, error);
}

enum envelope_status envelope_zone_id(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
				      uint64_t *ret_zone, struct envelope_error *error)
{
	uint8_t id[8] = {0};
	CK_ATTRIBUTE attribute = {CKA_CMEK_ZONE, id, sizeof(id)};

	TRY(envelope_answer(
		token, error, "C_GetAttributeValue",
		token->functions->C_GetAttributeValue(token->session, ezk, &attribute, 1)));
	*ret_zone = get_big_endian(id, sizeof(id));
	return ENVELOPE_OK;
}

enum envelope_status envelope_import_find(struct envelope_token *token, uint64_t zone,
					  CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error)
{
	uint8_t id[8];
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_CMEK_IMPORTS, id, sizeof(id)},
		{CKA_TOKEN, &yes, sizeof(yes)},
	};

	put_big_endian(id, sizeof(id), zone);
	return found_or_newer(
		find(token, template, COUNT_OF(template), CKA_CMEK_VERSION, ret_ezk, error),
		ret_ezk, error);
}

enum envelope_status envelope_opener_find(struct envelope_token *token, uint64_t zone,
					  CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error)
{
	TRY(envelope_zone_find(token, zone, ret_ezk, error));
	return *ret_ezk != CK_INVALID_HANDLE ? ENVELOPE_OK
					     : envelope_import_find(token, zone, ret_ezk, error);
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

/* Whether the zone is that one itself. */
static enum envelope_status check_itself(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					 uint64_t zone, bool *ret_itself,
					 struct envelope_error *error)
{
	uint64_t id;

	TRY(envelope_zone_id(token, ezk, &id, error));
	*ret_itself = id == zone;
	return ENVELOPE_OK;
}

/* A zone that has imported just that version; CK_INVALID_HANDLE: there is none. */
static enum envelope_status find_import(struct envelope_token *token, uint64_t zone,
					uint32_t version, CK_OBJECT_HANDLE *ret_ezk,
					struct envelope_error *error)
{
	uint8_t import[12];
	CK_ATTRIBUTE template[] = {
		{CKA_CMEK_IMPORTS, import, sizeof(import)},
		{CKA_TOKEN, &yes, sizeof(yes)},
	};

	put_big_endian(import, 8, zone);
	put_big_endian(import + 8, 4, version);
	return find(token, template, COUNT_OF(template), CKA_CMEK_VERSION, ret_ezk, error);
}

enum envelope_status envelope_zone_drop_older(struct envelope_token *token, uint64_t zone,
					      uint32_t version, CK_OBJECT_HANDLE *ezk,
					      struct envelope_error *error)
{
	uint32_t newest;
	bool itself;

	if (*ezk == CK_INVALID_HANDLE)
		return ENVELOPE_OK;
	TRY(check_itself(token, *ezk, zone, &itself, error));
	if (!itself)
		return find_import(token, zone, version, ezk, error);
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

/* --- Root keys */

enum envelope_status envelope_root_key_find(struct envelope_token *token, struct bytes arn,
					    CK_OBJECT_HANDLE *ret_key, struct envelope_error *error)
{
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_CMEK_ROOT_KEY, (void *)arn.data, arn.len},
		{CKA_TOKEN, &yes, sizeof(yes)},
	};

	return find(token, template, COUNT_OF(template), CKA_CMEK_KMS_KEY, ret_key, error);
}
