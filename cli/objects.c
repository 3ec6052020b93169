#include "cli/objects.h"

#include "base/free.h"
#include "base/macros.h"

int objects_list(const struct arguments *arguments, const struct object_kind_row *kind,
		 object_fields *fields)
{
	struct printer printer = {.json = arguments->json};
	AUTO(freep) CK_OBJECT_HANDLE *handles = NULL;
	AUTO(token_close) struct token token = {0};
	size_t count;

	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find(&token, kind, NULL, &handles, &count));
	for (size_t i = 0; i < count; i++) {
		print_row(&printer);
		fields(&printer, &token, handles[i]);
	}
	return print_end(&printer);
}

int objects_report(const struct arguments *arguments, const struct token *token,
		   CK_OBJECT_HANDLE object, object_fields *fields)
{
	struct printer printer = {.json = arguments->json, .single = true};

	print_row(&printer);
	fields(&printer, token, object);
	return print_end(&printer);
}

int objects_show(const struct arguments *arguments, const struct object_kind_row *kind,
		 object_fields *fields)
{
	AUTO(token_close) struct token token = {0};
	CK_OBJECT_HANDLE object;

	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find_one(&token, kind, arguments->positional[0], &object));
	return objects_report(arguments, &token, object, fields);
}

/* --- The state of a root key */

static const struct {
	CK_ULONG reason;
	const char *state;
} states[] = {
	{CMEK_ERROR_KMS_DISABLED, "disabled"},
	{CMEK_ERROR_KMS_INVALID_STATE, "not usable"},
	{CMEK_ERROR_KMS_DENIED, "access denied"},
	{CMEK_ERROR_KMS_NOT_FOUND, "gone"},
	{CMEK_ERROR_KMS_NO_CREDENTIALS, "no credentials"},
	{CMEK_ERROR_KMS_CREDENTIALS_REFUSED, "credentials refused"},
};

const char *root_key_state(const struct token *token, CK_OBJECT_HANDLE key)
{
	const CK_FUNCTION_LIST *f = token->functions;
	CK_MECHANISM by_kms = {CKM_CMEK_KMS, NULL, 0};
	CK_BYTE trial[] = {0}, blob[8192];
	CK_ULONG len = sizeof(blob), reason = CMEK_ERROR_NONE;

	if (f->C_EncryptInit(token->session, &by_kms, key) == CKR_OK &&
	    f->C_Encrypt(token->session, trial, sizeof(trial), blob, &len) == CKR_OK)
		return "active";
	module_last_error(&reason);
	for (size_t i = 0; i < COUNT_OF(states); i++)
		if (states[i].reason == reason)
			return states[i].state;
	return "unreachable";
}
