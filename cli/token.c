/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/token.h"

#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/defaults.h"
#include "cli/pin.h"
#include "library/module.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Loading --------------------------------------------------------------------------------- */

/* The folder of this program; NULL: not known. */
static const char *own_folder(char folder[static PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	if (len < 0)
		return NULL;
	folder[len] = '\0';
	slash = strrchr(folder, '/');
	if (slash == NULL)
		return NULL;
	*slash = '\0';
	return folder;
}

static const struct CMEK_FUNCTIONS *ours; /* NULL: an older module */

const char *module_last_error(CK_ULONG *ret_reason)
{
	return ours == NULL ? "" : ours->CMEK_LastError(ret_reason);
}

/* Of version 1.minor, or later. */
static bool has_minor(CK_BYTE minor)
{
	return ours != NULL && (ours->version.major > 1 || ours->version.minor >= minor);
}

const char *module_setting(const char *key)
{
	return has_minor(1) ? ours->CMEK_Setting(key) : "";
}

CK_RV module_doctor(const struct CMEK_DOCTOR *request, CMEK_DOCTOR_RUN run)
{
	if (has_minor(2))
		return ours->CMEK_DoctorAtOnce(request, run);
	return has_minor(1) ? ours->CMEK_Doctor(request) : CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV module_store(bool create, char *text, CK_ULONG room)
{
	if (!has_minor(1))
		return CKR_FUNCTION_NOT_SUPPORTED;
	return create ? ours->CMEK_StoreCreate(text, room) : ours->CMEK_StoreCheck(text, room);
}

void module_show_losses(void)
{
	static CK_ULONG shown;
	CK_ULONG more;

	for (const char *text; ours != NULL && (text = ours->CMEK_Loss(shown, &more)) != NULL;
	     shown++)
		if (more == 0)
			warn("%s", text);
		else
			warn("%s (and %lu more like this)", text, more);
}

/* The module may be initialized already: OpenSSL reads its configuration when the module first uses
 * it, and that may name pkcs11-provider and this very module. This process is ours, so the module
 * is initialized again, with our arguments. */
static CK_RV start(const CK_FUNCTION_LIST *functions, CK_C_INITIALIZE_ARGS *arguments)
{
	CK_RV rv = functions->C_Initialize(arguments);

	if (rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
		return rv;
	rv = functions->C_Finalize(NULL);
	return rv == CKR_OK ? functions->C_Initialize(arguments) : rv;
}

int module_load(const CK_FUNCTION_LIST **ret_functions)
{
	CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK,
					  .pReserved = (void *)"free-slot=true quiet=true"};
	struct library_found found;
	struct cmek_error error;
	char folder[PATH_MAX];
	CK_RV rv;

	if (library_module_find(NULL, own_folder(folder), &found, &error) != CMEK_OK)
		return fail(CMEK_EXIT_FAILED, "%s", error.text);
	ours = found.ours;
	rv = start(found.functions, &arguments);
	if (rv != CKR_OK && ours == NULL)
		return fail(CMEK_EXIT_FAILED,
			    "the module does not start: %s; is CMEK_PKCS11_MODULE the right file?",
			    rv_text(rv));
	if (rv != CKR_OK)
		return module_failed(rv, "the module does not start");
	*ret_functions = found.functions;
	return CMEK_EXIT_OK;
}

int module_slots(const CK_FUNCTION_LIST *functions, CK_SLOT_ID **ret_slots, CK_ULONG *ret_count)
{
	CK_ULONG count = 0;
	CK_SLOT_ID *slots;
	CK_RV rv = functions->C_GetSlotList(CK_FALSE, NULL, &count);

	if (rv != CKR_OK)
		return module_failed(rv, "listing the projects");
	slots = calloc(count + 16, sizeof(*slots));
	count += 16;
	if (slots == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	rv = functions->C_GetSlotList(CK_FALSE, slots, &count);
	if (rv != CKR_OK) {
		free(slots);
		return module_failed(rv, "listing the projects");
	}
	*ret_slots = slots;
	*ret_count = count;
	return CMEK_EXIT_OK;
}

bool slot_is_free(const CK_FUNCTION_LIST *functions, CK_SLOT_ID slot)
{
	CK_TOKEN_INFO info;
	CK_RV rv = functions->C_GetTokenInfo(slot, &info);

	return rv == CKR_TOKEN_NOT_RECOGNIZED ||
	       (rv == CKR_OK && !(info.flags & CKF_TOKEN_INITIALIZED));
}

bool slot_label(const CK_FUNCTION_LIST *functions, CK_SLOT_ID slot,
		char ret_label[static TOKEN_LABEL_SIZE], CK_TOKEN_INFO *ret_info)
{
	CK_TOKEN_INFO info;
	size_t len = sizeof(info.label);

	if (functions->C_GetTokenInfo(slot, &info) != CKR_OK ||
	    !(info.flags & CKF_TOKEN_INITIALIZED))
		return false;
	while (len > 0 && info.label[len - 1] == ' ')
		len--;
	memcpy(ret_label, info.label, len);
	ret_label[len] = '\0';
	if (ret_info != NULL)
		*ret_info = info;
	return true;
}

/* --- Sessions -------------------------------------------------------------------------------- */

static int open_session(const CK_FUNCTION_LIST *functions, CK_SLOT_ID slot, struct token *ret_token,
			CK_FLAGS *ret_flags)
{
	struct token token = {.functions = functions, .slot = slot};
	CK_TOKEN_INFO info;
	CK_RV rv;

	if (!slot_label(functions, slot, token.project, &info))
		return fail(CMEK_EXIT_NOT_FOUND, "slot %lu holds no project", slot);
	rv = functions->C_OpenSession(
		slot, CKF_SERIAL_SESSION | (info.flags & CKF_WRITE_PROTECTED ? 0 : CKF_RW_SESSION),
		NULL, NULL, &token.session);
	if (rv != CKR_OK)
		return module_failed(rv, "opening project %s", token.project);
	*ret_token = token;
	*ret_flags = info.flags;
	return CMEK_EXIT_OK;
}

int token_open_slot(const CK_FUNCTION_LIST *functions, CK_SLOT_ID slot, struct token *ret_token)
{
	struct token token;
	CK_FLAGS flags;
	int code;

	TRY(open_session(functions, slot, &token, &flags));
	code = pin_login(&token, flags);
	if (code != CMEK_EXIT_OK)
		token_close(&token);
	else
		*ret_token = token;
	return code;
}

int token_open(const char *project, struct token *ret_token)
{
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	const CK_FUNCTION_LIST *functions;
	CK_ULONG count;
	char label[TOKEN_LABEL_SIZE];

	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++)
		if (slot_label(functions, slots[i], label, NULL) && strcmp(label, project) == 0)
			return token_open_slot(functions, slots[i], ret_token);
	return fail(CMEK_EXIT_NOT_FOUND,
		    "no project %s%s; see cmek project list, or make it: cmek project create %s",
		    project, defaults_origin("project", project), project);
}

void token_close(struct token *token)
{
	if (token->functions != NULL && token->session != CK_INVALID_HANDLE)
		token->functions->C_CloseSession(token->session);
	token->session = CK_INVALID_HANDLE;
}

int token_open_any(const char *project, struct token *ret_token)
{
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	const CK_FUNCTION_LIST *functions;
	char label[TOKEN_LABEL_SIZE];
	CK_ULONG count;
	CK_FLAGS flags;

	if (project != NULL)
		return token_open(project, ret_token);
	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++)
		if (slot_label(functions, slots[i], label, NULL))
			return open_session(functions, slots[i], ret_token, &flags);
	return fail(CMEK_EXIT_NOT_FOUND,
		    "there is no store yet, or no project in it: 'cmek project create NAME' makes "
		    "both, where [store] path says (without that: FILES in man cmek)");
}
