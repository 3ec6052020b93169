/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the modules: ours from the build, NSS softokn and SoftHSM2 from where they are installed,
 * each with a fresh token. */
#include "base/macros.h"
#include "bench/bench.h"
#include "include/cmek.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char failure[96];

bool good(CK_RV result, const char *function)
{
	if (result == CKR_OK)
		return true;
	snprintf(failure, sizeof(failure), "%s: 0x%lx", function, result);
	return false;
}

static bool fail(struct peer *peer, const char *why)
{
	snprintf(peer->missing, sizeof(peer->missing), "%s", why);
	return false;
}

/* The first path that loads. */
static bool load(struct peer *peer, const char *const *paths)
{
	CK_C_GetFunctionList get_list = NULL;
	void *library = NULL, *symbol;

	for (; library == NULL && *paths != NULL; paths++)
		library = dlopen(*paths, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return fail(peer, dlerror());
	symbol = dlsym(library, "C_GetFunctionList");
	if (symbol == NULL)
		return fail(peer, dlerror());
	memcpy(&get_list, &symbol, sizeof(get_list));
	return good(get_list(&peer->p11), "C_GetFunctionList") || fail(peer, failure);
}

static bool write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (file == NULL)
		return false;
	fputs(text, file);
	return fclose(file) == 0;
}

static bool first_slot(struct peer *peer, CK_SLOT_ID *ret_slot)
{
	CK_SLOT_ID slots[16];
	CK_ULONG count = COUNT_OF(slots);

	if (!good(peer->p11->C_GetSlotList(CK_FALSE, slots, &count), "C_GetSlotList") || count == 0)
		return false;
	*ret_slot = slots[0];
	return true;
}

static bool session_open(struct peer *peer, CK_SLOT_ID slot)
{
	return good(peer->p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
					     &peer->session),
		    "C_OpenSession");
}

static bool token_make(struct peer *peer, const char *pin, CK_SLOT_ID *ret_slot)
{
	CK_UTF8CHAR label[33] = "bench                           ";

	/* An initialized token may be in another slot than the free one. */
	return first_slot(peer, ret_slot) &&
	       good(peer->p11->C_InitToken(*ret_slot, (CK_UTF8CHAR *)pin, strlen(pin), label),
		    "C_InitToken") &&
	       first_slot(peer, ret_slot);
}

bool key_make(struct peer *peer, bool on_token, const char *label, bool extractable,
	      CK_OBJECT_HANDLE *ret_key)
{
	CK_BBOOL yes = CK_TRUE, token = on_token, may_leave = extractable;
	CK_ULONG len = 32;
	CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ATTRIBUTE template[] = {
		{CKA_TOKEN, &token, sizeof(token)},
		{CKA_LABEL, (void *)label, strlen(label)},
		{CKA_VALUE_LEN, &len, sizeof(len)},
		{CKA_EXTRACTABLE, &may_leave, sizeof(may_leave)},
		{CKA_ENCRYPT, &yes, sizeof(yes)},
		{CKA_DECRYPT, &yes, sizeof(yes)},
		{CKA_WRAP, &yes, sizeof(yes)},
		{CKA_UNWRAP, &yes, sizeof(yes)},
	};

	return good(peer->p11->C_GenerateKey(peer->session, &mechanism, template,
					     COUNT_OF(template), ret_key),
		    "C_GenerateKey");
}

static bool keys_make(struct peer *peer, bool wrap_key_on_token)
{
	return key_make(peer, false, "data", true, &peer->data_key) &&
	       key_make(peer, wrap_key_on_token, "wrap", false, &peer->wrap_key);
}

static bool ours_root_key(struct peer *peer)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_BBOOL yes = CK_TRUE;
	CK_OBJECT_HANDLE key;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},   {CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_LABEL, (void *)"root", 4},	      {CKA_CMEK_KMS_KEY, (void *)"local:bench", 11},
		{CKA_CMEK_CREATE, &yes, sizeof(yes)},
	};

	return good(peer->p11->C_CreateObject(peer->session, template, COUNT_OF(template), &key),
		    "C_CreateObject of a root key");
}

static bool ours_open(struct peer *peer, const char *folder)
{
	const char *const paths[] = {CMEK_MODULE, NULL};
	char path[512], text[2048], reserved[600];
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = reserved};
	CK_SLOT_ID slot;

	if (!load(peer, paths))
		return false;
	snprintf(path, sizeof(path), "%s/cmek.conf", folder);
	snprintf(text, sizeof(text),
		 "[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n"
		 "[slots]\nfree = true\n",
		 folder, folder);
	snprintf(reserved, sizeof(reserved), "config=%s", path);
	peer->has_token_keys = true;
	return (write_file(path, text) && good(peer->p11->C_Initialize(&args), "C_Initialize") &&
		token_make(peer, "", &slot) && session_open(peer, slot) && ours_root_key(peer) &&
		keys_make(peer, true)) ||
	       fail(peer, failure);
}

/* NSS takes a string of its own in the argument structure, between flags and pReserved. */
struct nss_initialize_args {
	CK_CREATEMUTEX create_mutex;
	CK_DESTROYMUTEX destroy_mutex;
	CK_LOCKMUTEX lock_mutex;
	CK_UNLOCKMUTEX unlock_mutex;
	CK_FLAGS flags;
	const char *parameters;
	void *reserved;
};

static bool nss_open(struct peer *peer, const char *folder)
{
	static const char *const paths[] = {
		"libsoftokn3.so",
		"/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
		"/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so",
		"/usr/lib/aarch64-linux-gnu/libsoftokn3.so",
		NULL,
	};
	struct nss_initialize_args args = {
		.flags = CKF_OS_LOCKING_OK,
		.parameters = "configdir='' certPrefix='' keyPrefix='' secmod='' "
			      "flags=readOnly,noCertDB,noModDB,forceOpen,optimizeSpace",
	};
	CK_SLOT_ID slot;

	(void)folder;
	return (load(peer, paths) && good(peer->p11->C_Initialize(&args), "C_Initialize") &&
		first_slot(peer, &slot) && session_open(peer, slot) && keys_make(peer, false)) ||
	       (peer->missing[0] == '\0' && fail(peer, failure));
}

static bool softhsm_login(struct peer *peer, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
	CK_FUNCTION_LIST *p11 = peer->p11;

	return good(p11->C_Login(peer->session, CKU_SO, pin, pin_len), "C_Login") &&
	       good(p11->C_InitPIN(peer->session, pin, pin_len), "C_InitPIN") &&
	       good(p11->C_Logout(peer->session), "C_Logout") &&
	       good(p11->C_Login(peer->session, CKU_USER, pin, pin_len), "C_Login");
}

static bool softhsm_open(struct peer *peer, const char *folder)
{
	static const char *const paths[] = {
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
		"libsofthsm2.so",
		NULL,
	};
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
	CK_UTF8CHAR pin[] = "1234";
	char path[512], text[1024];
	CK_SLOT_ID slot;

	snprintf(path, sizeof(path), "%s/softhsm2.conf", folder);
	snprintf(text, sizeof(text),
		 "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
		 folder);
	setenv("SOFTHSM2_CONF", path, 1);
	peer->has_token_keys = true;
	return (write_file(path, text) && load(peer, paths) &&
		good(peer->p11->C_Initialize(&args), "C_Initialize") &&
		token_make(peer, "1234", &slot) && session_open(peer, slot) &&
		softhsm_login(peer, pin, 4) && keys_make(peer, true)) ||
	       (peer->missing[0] == '\0' && fail(peer, failure));
}

static void version_read(struct peer *peer)
{
	CK_INFO info;

	if (peer->p11->C_GetInfo(&info) != CKR_OK)
		return;
	snprintf(peer->version, sizeof(peer->version), "%s %d.%d", peer->name,
		 info.libraryVersion.major, info.libraryVersion.minor);
}

static const struct {
	const char *name;
	bool (*open)(struct peer *peer, const char *folder);
} known[PEER_COUNT] = {
	{"libcrypto", NULL},
	{"cmek-pkcs11", ours_open},
	{"NSS softokn", nss_open},
	{"SoftHSM2", softhsm_open},
};

void peer_open(struct peer *ret_peer, size_t number, const char *folder)
{
	*ret_peer = (struct peer){.name = known[number].name};
	if (known[number].open == NULL)
		snprintf(ret_peer->version, sizeof(ret_peer->version), "%s",
			 OpenSSL_version(OPENSSL_VERSION));
	else if (known[number].open(ret_peer, folder))
		version_read(ret_peer);
}

bool peer_beside(const struct peer *peer, struct peer *ret_beside)
{
	CK_SESSION_INFO info;

	*ret_beside = *peer;
	if (peer->p11 == NULL)
		return true;
	return good(peer->p11->C_GetSessionInfo(peer->session, &info), "C_GetSessionInfo") &&
	       session_open(ret_beside, info.slotID) &&
	       key_make(ret_beside, false, "beside", true, &ret_beside->data_key);
}
