/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/token.h"

#include "base/free.h"
#include "base/macros.h"
#include "base/path.h"
#include "cli/cli.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Loading --------------------------------------------------------------------------------- */

static bool beside_program(char *ret_path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", ret_path, size - 1);
	char *slash;

	if (len < 0)
		return false;
	ret_path[len] = '\0';
	slash = strrchr(ret_path, '/');
	if (slash == NULL || (size_t)(slash - ret_path) + sizeof("/cmek-pkcs11.so") > size)
		return false;
	strcpy(slash, "/cmek-pkcs11.so");
	return access(ret_path, F_OK) == 0;
}

static int open_path(const char *path, void **ret_library)
{
	*ret_library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	return *ret_library != NULL
		       ? CMEK_EXIT_OK
		       : fail(CMEK_EXIT_FAILED,
			      "the module does not load: %s; set CMEK_PKCS11_MODULE to its path",
			      dlerror());
}

static int open_named(const char *named, void **ret_library)
{
	const char *fault = path_fault(named);
	AUTO(freep) char *path = NULL;

	if (fault != NULL)
		return fail(CMEK_EXIT_FAILED, "CMEK_PKCS11_MODULE=%s: should be %s", named, fault);
	path = path_expand(named);
	return path != NULL ? open_path(path, ret_library)
			    : fail(CMEK_EXIT_FAILED, "out of memory");
}

static int open_library(void **ret_library)
{
	const char *named = getenv("CMEK_PKCS11_MODULE");
	char path[PATH_MAX];

	if (named != NULL && *named != '\0')
		return open_named(named, ret_library);
	return open_path(beside_program(path, sizeof(path)) ? path : CMEK_MODULE_PATH, ret_library);
}

static const struct CMEK_FUNCTIONS *ours; /* NULL: an older module */

static void find_ours(void *library)
{
	CK_UTF8CHAR name[] = CMEK_INTERFACE;
	void *symbol = dlsym(library, "C_GetInterface");
	CK_C_GetInterface get_interface;
	CK_INTERFACE *interface;

	memcpy(&get_interface, &symbol, sizeof(get_interface));
	if (symbol != NULL && get_interface(name, NULL, &interface, 0) == CKR_OK)
		ours = interface->pFunctionList;
}

const char *module_last_error(CK_ULONG *ret_reason)
{
	return ours == NULL ? "" : ours->CMEK_LastError(ret_reason);
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
	CK_C_GetFunctionList get_list;
	CK_FUNCTION_LIST *list;
	void *library, *symbol;
	CK_RV rv;

	TRY(open_library(&library));
	symbol = dlsym(library, "C_GetFunctionList");
	memcpy(&get_list, &symbol, sizeof(get_list));
	if (symbol == NULL || get_list(&list) != CKR_OK)
		return fail(CMEK_EXIT_FAILED, "the module has no C_GetFunctionList; is "
					      "CMEK_PKCS11_MODULE the right file?");
	find_ours(library);
	rv = start(list, &arguments);
	if (rv != CKR_OK && ours == NULL)
		return fail(CMEK_EXIT_FAILED,
			    "the module does not start: %s; is CMEK_PKCS11_MODULE the right file?",
			    rv_text(rv));
	if (rv != CKR_OK)
		return module_failed(rv, "the module does not start");
	*ret_functions = list;
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

int token_open_slot(const CK_FUNCTION_LIST *functions, CK_SLOT_ID slot, struct token *ret_token)
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
	if (info.flags & CKF_LOGIN_REQUIRED)
		functions->C_Login(token.session, CKU_USER, (CK_UTF8CHAR *)"", 0);
	*ret_token = token;
	return CMEK_EXIT_OK;
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
		    "no project %s; see cmek project list, or make it: cmek project create %s",
		    project, project);
}

void token_close(struct token *token)
{
	if (token->functions != NULL && token->session != CK_INVALID_HANDLE)
		token->functions->C_CloseSession(token->session);
	token->session = CK_INVALID_HANDLE;
}

int token_open_any(struct token *ret_token)
{
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	const CK_FUNCTION_LIST *functions;
	char label[TOKEN_LABEL_SIZE];
	CK_ULONG count;

	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++)
		if (slot_label(functions, slots[i], label, NULL))
			return token_open_slot(functions, slots[i], ret_token);
	return fail(CMEK_EXIT_NOT_FOUND,
		    "there is no store yet, or no project in it: 'cmek project create NAME' makes "
		    "both, where [store] path says (without that: FILES in man cmek)");
}
