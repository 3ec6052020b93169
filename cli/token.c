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

const char *module_setting(const char *key)
{
	return library_has_minor(ours, 1) ? ours->CMEK_Setting(key) : "";
}

CK_RV module_doctor(const struct CMEK_DOCTOR *request, CMEK_DOCTOR_RUN run)
{
	if (library_has_minor(ours, 2))
		return ours->CMEK_DoctorAtOnce(request, run);
	return library_has_minor(ours, 1) ? ours->CMEK_Doctor(request) : CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV module_store(bool create, char *text, CK_ULONG room)
{
	if (!library_has_minor(ours, 1))
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
	CK_RV rv = library_slots(functions, ret_slots, ret_count);

	if (rv != CKR_OK)
		return module_failed(rv, "listing the projects");
	return *ret_slots == NULL ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
}

/* --- Sessions -------------------------------------------------------------------------------- */

/* *ret_slot is what was found there. */
static int open_session(const CK_FUNCTION_LIST *functions, CK_SLOT_ID id, struct token *ret_token,
			struct library_slot *ret_slot)
{
	struct token token = {.functions = functions, .slot = id};
	CK_RV rv;

	if (!library_slot_read(functions, id, ret_slot))
		return fail(CMEK_EXIT_NOT_FOUND, "slot %lu holds no project", id);
	memcpy(token.project, ret_slot->project, sizeof(token.project));
	rv = library_slot_open(functions, id, ret_slot->read_only, &token.session);
	if (rv != CKR_OK)
		return module_failed(rv, "opening project %s", token.project);
	*ret_token = token;
	return CMEK_EXIT_OK;
}

int token_open_slot(const CK_FUNCTION_LIST *functions, CK_SLOT_ID id, struct token *ret_token)
{
	struct library_slot slot;
	struct token token;
	int code;

	TRY(open_session(functions, id, &token, &slot));
	code = slot.wants_login ? pin_login(&token) : CMEK_EXIT_OK;
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
	struct library_slot slot;
	CK_ULONG count;

	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++)
		if (library_slot_read(functions, slots[i], &slot) &&
		    strcmp(slot.project, project) == 0)
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
	struct library_slot slot;
	CK_ULONG count;

	if (project != NULL)
		return token_open(project, ret_token);
	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++)
		if (library_slot_read(functions, slots[i], &slot))
			return open_session(functions, slots[i], ret_token, &slot);
	return fail(CMEK_EXIT_NOT_FOUND,
		    "there is no store yet, or no project in it: 'cmek project create NAME' makes "
		    "both, where [store] path says (without that: FILES in man cmek)");
}
