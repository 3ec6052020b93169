/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Module, token and sessions of the tests; keys and templates are in harness_keys.c. */
#include "harness.h"
#include "tests/support/judged_fips.h"

#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

CK_FUNCTION_LIST *p11, *module_list;
CK_FUNCTION_LIST_3_0 *p30;
CK_SLOT_ID slot;

static void *library;
static char folder[PATH_MAX];

#define LABEL "first"

/* --- The module */

/* Where distributions put it; the name alone if none has it. */
static const char *softhsm_path(void)
{
	static const char *const paths[] = {
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	return "softhsm";
}

const char *module_path(void)
{
	const char *path = getenv("CMEK_TEST_MODULE");

	if (path == NULL)
		return CMEK_MODULE;
	return strcmp(path, "softhsm") == 0 ? softhsm_path() : path;
}

bool module_is_softhsm(void)
{
	return strstr(module_path(), "softhsm") != NULL;
}

bool module_is_missing(void)
{
	if (!module_is_softhsm() || access(module_path(), R_OK) == 0)
		return false;
	printf("1..0 # SKIP SoftHSM2 is not installed (Debian: softhsm2)\n");
	return true;
}

void *module_symbol(const char *name)
{
	return dlsym(library, name);
}

/* The run is one with fips = true. */
static bool is_fips(void)
{
	return getenv("CMEK_TEST_FIPS") != NULL && !module_is_softhsm();
}

static void load_3_0(void)
{
	void *symbol = module_symbol("C_GetInterface");
	CK_VERSION version = {3, 0};
	CK_UTF8CHAR name[] = "PKCS 11";
	CK_INTERFACE *interface = NULL;
	CK_C_GetInterface get_interface;

	p30 = NULL;
	if (symbol == NULL)
		return;
	memcpy(&get_interface, &symbol, sizeof(get_interface));
	if (get_interface(name, &version, &interface, 0) == CKR_OK)
		p30 = interface->pFunctionList;
}

void module_load(void)
{
	CK_C_GetFunctionList get_list;
	void *symbol;

	if (library == NULL)
		library = dlopen(module_path(), RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		fail_msg("%s", dlerror());
	symbol = module_symbol("C_GetFunctionList");
	assert_non_null(symbol);
	memcpy(&get_list, &symbol, sizeof(get_list));
	check(get_list(&module_list));
	p11 = is_fips() ? judged(module_list) : module_list;
	load_3_0();
}

CK_RV initialize(void)
{
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};

	return p11->C_Initialize(&args);
}

/* --- The token */

const char *token_folder(void)
{
	return folder;
}

static void write_configuration(const char *variable, const char *text)
{
	char path[PATH_MAX + 16];
	FILE *file;

	snprintf(path, sizeof(path), "%s/module.conf", folder);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	setenv(variable, path, 1);
}

void token_configure(const char *more)
{
	char text[3 * PATH_MAX];

	snprintf(text, sizeof(text),
		 "[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n"
		 "[kms]\ndefault_root_key = local:test\n%s%s",
		 folder, folder, more, is_fips() ? "\n[crypto]\nfips = true\n" : "");
	write_configuration("CMEK_PKCS11_CONF", text);
}

static void configure_softhsm(void)
{
	char text[2 * PATH_MAX];

	snprintf(text, sizeof(text),
		 "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
		 folder);
	write_configuration("SOFTHSM2_CONF", text);
}

static CK_RV initialize_with_free_slot(void)
{
	char reserved[] = "free-slot=true";
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = reserved};

	return module_is_softhsm() ? initialize() : p11->C_Initialize(&args);
}

static CK_ULONG list_slots(CK_SLOT_ID *slots, CK_ULONG size)
{
	CK_ULONG count = size;

	check(p11->C_GetSlotList(CK_TRUE, slots, &count));
	return count;
}

/* The slot whose token has this label; NULL: the one whose token is not initialised yet. */
static bool slot_find(const char *label, CK_SLOT_ID *ret_slot)
{
	CK_SLOT_ID slots[64];
	CK_ULONG count = list_slots(slots, 64);

	for (CK_ULONG i = 0; i < count; i++) {
		CK_TOKEN_INFO info;
		bool is_free;

		check(p11->C_GetTokenInfo(slots[i], &info));
		is_free = (info.flags & CKF_TOKEN_INITIALIZED) == 0;
		if (label == NULL ? !is_free
				  : is_free || memcmp(info.label, label, strlen(label)) != 0)
			continue;
		*ret_slot = slots[i];
		return true;
	}
	return false;
}

/* Our free slot has no token at all (CKR_TOKEN_NOT_RECOGNIZED), SoftHSM's has an empty one. */
static CK_SLOT_ID free_slot(void)
{
	CK_SLOT_ID slots[64];
	CK_ULONG count = 64;
	CK_TOKEN_INFO info;

	check(p11->C_GetSlotList(CK_FALSE, slots, &count));
	for (CK_ULONG i = 0; i < count; i++) {
		CK_RV rv = p11->C_GetTokenInfo(slots[i], &info);

		if (rv == CKR_TOKEN_NOT_RECOGNIZED || rv == CKR_TOKEN_NOT_PRESENT ||
		    (rv == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) == 0))
			return slots[i];
	}
	fail_msg("no free slot among %lu", count);
	return 0;
}

CK_SLOT_ID token_slot(const char *label)
{
	CK_SLOT_ID found = 0;

	if (!slot_find(label, &found))
		fail_msg("no token is called %s", label);
	return found;
}

static void set_user_pin(CK_SLOT_ID of)
{
	CK_SESSION_HANDLE session;

	check(p11->C_OpenSession(of, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
	check(p11->C_Login(session, CKU_SO, (CK_BYTE *)SO_PIN, strlen(SO_PIN)));
	check(p11->C_InitPIN(session, (CK_BYTE *)USER_PIN, strlen(USER_PIN)));
	check(p11->C_Logout(session));
	check(p11->C_CloseSession(session));
}

CK_SLOT_ID token_new(const char *label)
{
	CK_UTF8CHAR padded[32];
	const char *pin = module_is_softhsm() ? SO_PIN : "";

	p11->C_Finalize(NULL);
	check(initialize_with_free_slot());
	memset(padded, ' ', sizeof(padded));
	memcpy(padded, label, strlen(label));
	check(p11->C_InitToken(free_slot(), (CK_BYTE *)pin, strlen(pin), padded));
	if (module_is_softhsm())
		set_user_pin(token_slot(label));
	check(p11->C_Finalize(NULL));
	check(initialize());
	return token_slot(label);
}

int token_setup(void **state)
{
	const char *parent = getenv("TMPDIR");

	(void)state;
	module_load();
	snprintf(folder, sizeof(folder), "%s/cmek-module-XXXXXX", parent != NULL ? parent : "/tmp");
	assert_non_null(mkdtemp(folder));
	if (module_is_softhsm())
		configure_softhsm();
	else
		token_configure("");
	slot = token_new(LABEL);
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status, (void)type, (void)walk;
	return remove(path);
}

int token_teardown(void **state)
{
	(void)state;
	p11->C_Finalize(NULL);
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- Sessions */

static CK_SESSION_HANDLE session_open(void)
{
	CK_SESSION_HANDLE session;

	check(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
	return session;
}

CK_SESSION_HANDLE session_new(void)
{
	CK_SESSION_HANDLE session = session_open();
	CK_TOKEN_INFO info;
	CK_RV rv;

	check(p11->C_GetTokenInfo(slot, &info));
	if ((info.flags & CKF_LOGIN_REQUIRED) != 0) {
		rv = p11->C_Login(session, CKU_USER, (CK_BYTE *)USER_PIN, strlen(USER_PIN));
		if (rv != CKR_USER_ALREADY_LOGGED_IN)
			check(rv);
	}
	return session;
}

int session_setup(void **state)
{
	*state = (void *)session_new();
	return 0;
}

int session_teardown(void **state)
{
	/* The test may have closed it. */
	p11->C_CloseSession((CK_SESSION_HANDLE)*state);
	return 0;
}

/* --- Results */

void check_rv(CK_RV rv, CK_RV expected, const char *call, const char *file, int line)
{
	char text[512];
	int len;

	if (rv == expected)
		return;
	len = snprintf(text, sizeof(text), "%s answered %s", call, rv_name(rv));
	if (len > 0 && (size_t)len < sizeof(text))
		snprintf(text + len, sizeof(text) - (size_t)len, " and not %s", rv_name(expected));
	/* cmocka puts this text, unlike that of fail_msg, beside the test's result. */
	_assert_true(0, text, file, line);
}

void skip_because(const char *reason)
{
	print_message("# reason: %s\n", reason);
	skip();
}
