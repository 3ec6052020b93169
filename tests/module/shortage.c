/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that runs short of memory, for tests/e2e/memory_shortage.sh; runs under
 * shortage_allocator.c.
 *
 *	shortage prepare              what the scenes need, into the store
 *	shortage SCENE STEP [FIRST]   a call of PKCS #11 in which an allocation fails, or it and all
 *	                              after it: every STEP-th, from the FIRST-th, in a round each
 *	shortage list                 the scenes
 *
 * A round begins with a copy of $SHORTAGE_START in the current folder. A process makes the call;
 * while it still lives, a fresh one reads the store; the first makes the call once more, now with
 * memory, and is killed; a fresh one reads again. What must hold:
 *
 *	- the call answers CKR_OK, and all that it gave is right; or CKR_HOST_MEMORY; or, where a
 *	  library hides what happened, CKR_FUNCTION_FAILED or CKR_DEVICE_ERROR;
 *	- it stored all or, unless it answered CKR_OK, nothing;
 *	- nothing in the log, and no reason, speaks of damage;
 *	- with memory the same call works.
 */
#include "application.h"
#include "shortage.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUT_MAX = 4096, ROUND_SECONDS = 60, TEXT_MAX = 600 };

/* What one process leaves for the others. */
static struct told {
	CK_RV rv;
	long failures;
	CK_ULONG reason;
	char message[TEXT_MAX];
	CK_BYTE out[OUT_MAX];
	CK_ULONG out_len;
	char wrong[TEXT_MAX]; /* what must not be */
} * told;

static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE zone, root, kept, key;

static const CK_BYTE text[] = "what was encrypted while there was memory";
static CK_BYTE value[32] = "a key of 32 bytes, not a secret";
static CK_BYTE iv[12] = "twelve bytes";

static void __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
	va_list list;

	if (told->wrong[0] != 0)
		return;
	va_start(list, format);
	vsnprintf(told->wrong, sizeof(told->wrong), format, list);
	va_end(list);
}

/* --- Files */

static void read_file(const char *name, CK_BYTE *ret, CK_ULONG *ret_len)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, ret, OUT_MAX);

	must(len < 0 ? CKR_GENERAL_ERROR : CKR_OK, name);
	close(fd);
	*ret_len = (CK_ULONG)len;
}

static void write_file(const char *name, const CK_BYTE *data, CK_ULONG len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd < 0 || write(fd, data, len) != (ssize_t)len ? CKR_GENERAL_ERROR : CKR_OK, name);
	close(fd);
}

static void copy_file(int folder, const char *name)
{
	int from = openat(folder, name, O_RDONLY | O_CLOEXEC);
	int to = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static char block[65536];
	ssize_t len;

	while ((len = read(from, block, sizeof(block))) > 0)
		must(write(to, block, (size_t)len) != len ? CKR_GENERAL_ERROR : CKR_OK, name);
	close(from);
	close(to);
}

/* Calls `each` with the names in a folder that are none of its own. */
static void for_files(const char *path, void (*each)(int folder, const char *name))
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	must(folder == NULL ? CKR_GENERAL_ERROR : CKR_OK, path);
	while ((entry = readdir(folder)) != NULL)
		if (entry->d_type == DT_REG)
			each(dirfd(folder), entry->d_name);
	closedir(folder);
}

static void remove_file(int folder, const char *name)
{
	unlinkat(folder, name, 0);
}

static void begin_anew(void)
{
	for_files(".", remove_file);
	for_files(getenv("SHORTAGE_START"), copy_file);
}

/* --- Calls */

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ROW(type, variable)                                                                        \
	{                                                                                          \
		type, &(variable), sizeof(variable)                                                \
	}

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_ULONG key_len = 32;
static CK_KEY_TYPE aes = CKK_AES;
static CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;

/* All that match; *ret_first is one of them. */
static CK_RV find(CK_ATTRIBUTE *template, CK_ULONG rows, CK_ULONG *ret_count,
		  CK_OBJECT_HANDLE *ret_first)
{
	CK_OBJECT_HANDLE found[64];
	CK_RV rv = p11->C_FindObjectsInit(session, template, rows), end;

	if (rv != CKR_OK)
		return rv;
	rv = p11->C_FindObjects(session, found, 64, ret_count);
	end = p11->C_FindObjectsFinal(session);
	if (rv == CKR_OK && *ret_count > 0)
		*ret_first = found[0];
	return rv != CKR_OK ? rv : end;
}

static CK_RV find_label(const char *label, CK_ULONG *ret_count, CK_OBJECT_HANDLE *ret_first)
{
	CK_ATTRIBUTE template[] = {{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};

	return find(template, 1, ret_count, ret_first);
}

static CK_OBJECT_HANDLE find_one(const char *label)
{
	CK_OBJECT_HANDLE found = 0;
	CK_ULONG count = 0;

	must(find_label(label, &count, &found), label);
	must(count == 1 ? CKR_OK : CKR_OBJECT_HANDLE_INVALID, label);
	return found;
}

static CK_MECHANISM gcm(CK_GCM_PARAMS *parameters)
{
	*parameters =
		(CK_GCM_PARAMS){.pIv = iv, .ulIvLen = sizeof(iv), .ulIvBits = 96, .ulTagBits = 128};
	return (CK_MECHANISM){CKM_AES_GCM, parameters, sizeof(*parameters)};
}

static CK_RV encrypt(CK_OBJECT_HANDLE by, CK_MECHANISM mechanism, CK_BYTE *out, CK_ULONG *ret_len)
{
	CK_RV rv = p11->C_EncryptInit(session, &mechanism, by);

	*ret_len = OUT_MAX;
	return rv != CKR_OK ? rv
			    : p11->C_Encrypt(session, (CK_BYTE *)(uintptr_t)text, sizeof(text), out,
					     ret_len);
}

static CK_RV decrypt(CK_OBJECT_HANDLE by, CK_MECHANISM mechanism, CK_BYTE *in, CK_ULONG len)
{
	CK_BYTE out[OUT_MAX];
	CK_ULONG out_len = sizeof(out);
	CK_RV rv = p11->C_DecryptInit(session, &mechanism, by);

	rv = rv != CKR_OK ? rv : p11->C_Decrypt(session, in, len, out, &out_len);
	if (rv == CKR_OK && (out_len != sizeof(text) || memcmp(out, text, out_len) != 0))
		wrong("what was decrypted is not what was encrypted");
	return rv;
}

static CK_RV unwrap(CK_MECHANISM_TYPE type, CK_BYTE *in, CK_ULONG len, CK_BBOOL token,
		    CK_OBJECT_HANDLE *ret_key)
{
	CK_MECHANISM mechanism = {type, NULL, 0};
	CK_ATTRIBUTE template[] = {
		ROW(CKA_CLASS, secret_key), ROW(CKA_KEY_TYPE, aes),
		ROW(CKA_TOKEN, token),	    ROW(CKA_SENSITIVE, no),
		ROW(CKA_EXTRACTABLE, yes),  {CKA_LABEL, (void *)"new", token ? 3 : 0},
	};

	return p11->C_UnwrapKey(session, &mechanism, zone, in, len, template, COUNT(template),
				ret_key);
}

static void check_value(CK_OBJECT_HANDLE of)
{
	CK_BYTE is[64];
	CK_ATTRIBUTE row = ROW(CKA_VALUE, is);
	CK_RV rv = p11->C_GetAttributeValue(session, of, &row, 1);

	if (rv != CKR_OK)
		wrong("the value of what was unwrapped can't be read: 0x%lx", rv);
	else if (row.ulValueLen != sizeof(value) || memcmp(is, value, sizeof(value)) != 0)
		wrong("what was unwrapped is not what was wrapped");
}

static CK_MECHANISM_TYPE mechanisms[] = {CKM_CMEK_DEK_WRAP, CKM_AES_KEY_WRAP_KWP, CKM_AES_GCM};

/* What is not extractable is a zone, and limited, so that its record has something to read. */
static CK_RV generate(const char *label, CK_BBOOL token, CK_BBOOL extractable,
		      CK_OBJECT_HANDLE *ret_key)
{
	CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ATTRIBUTE template[] = {
		ROW(CKA_TOKEN, token),
		ROW(CKA_EXTRACTABLE, extractable),
		ROW(CKA_VALUE_LEN, key_len),
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
		ROW(CKA_ALLOWED_MECHANISMS, mechanisms),
	};

	return p11->C_GenerateKey(session, &mechanism, template,
				  COUNT(template) - (extractable ? 1 : 0), ret_key);
}

static CK_RV import(CK_OBJECT_HANDLE *ret_key)
{
	CK_ATTRIBUTE template[] = {
		ROW(CKA_CLASS, secret_key), ROW(CKA_KEY_TYPE, aes), ROW(CKA_TOKEN, no),
		ROW(CKA_EXTRACTABLE, yes),  ROW(CKA_VALUE, value),
	};

	return p11->C_CreateObject(session, template, COUNT(template), ret_key);
}

/* --- Scenes */

#define PROJECT "demo"

static CK_RV open_token(void)
{
	CK_SLOT_ID slots[16];
	CK_ULONG count = COUNT(slots);
	CK_TOKEN_INFO info;
	CK_RV rv = initialize();

	rv = rv != CKR_OK ? rv : p11->C_GetSlotList(CK_TRUE, slots, &count);
	if (rv == CKR_OK && count != 1)
		wrong("the list has %lu slots", count);
	slot = slots[0];
	rv = rv != CKR_OK ? rv : p11->C_GetTokenInfo(slot, &info);
	if (rv == CKR_OK && strncmp((char *)info.label, PROJECT " ", 5) != 0)
		wrong("the token is called %.32s", info.label);
	return rv != CKR_OK ? rv
			    : p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
						 NULL, &session);
}

static CK_RV run_initialize(void)
{
	CK_RV rv = open_token();

	if (rv != CKR_OK)
		p11->C_Finalize(NULL);
	return rv;
}

static void find_all(void)
{
	zone = find_one("default/z0");
	root = find_one("root");
	kept = find_one("kept");
	must(import(&key), "C_CreateObject");
}

static CK_ULONG objects; /* that a search without template finds */

static CK_RV run_find(void)
{
	CK_ULONG count = 0;
	CK_BYTE unique[64], record[OUT_MAX];
	CK_ATTRIBUTE rows[] = {ROW(CKA_UNIQUE_ID, unique), ROW(CKA_CMEK_ENCRYPTED_KEY, record)};
	CK_OBJECT_HANDLE first;
	CK_RV rv = find(NULL, 0, &count, &first);

	if (rv == CKR_OK && count != objects + 1) /* with `key` */
		wrong("a search found %lu objects of %lu", count, objects + 1);
	rv = rv != CKR_OK ? rv : find_label("default/z0", &count, &first);
	if (rv == CKR_OK && (count != 1 || first != zone))
		wrong("a search found %lu zones", count);
	return rv != CKR_OK ? rv : p11->C_GetAttributeValue(session, zone, rows, COUNT(rows));
}

static CK_RV run_generate(void)
{
	CK_RV rv = generate("new", no, yes, &key);

	return rv != CKR_OK ? rv : p11->C_DestroyObject(session, key);
}

static CK_OBJECT_HANDLE made;

static CK_RV run_keep(void)
{
	return generate("new", yes, yes, &made);
}

static CK_RV run_new_zone(void)
{
	return generate("default/new", yes, no, &made);
}

static CK_RV run_wrap(void)
{
	CK_MECHANISM mechanism = {CKM_CMEK_DEK_WRAP, NULL, 0};

	told->out_len = OUT_MAX;
	return p11->C_WrapKey(session, &mechanism, zone, key, told->out, &told->out_len);
}

static CK_RV run_wrap_kwp(void)
{
	CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP_KWP, NULL, 0};

	told->out_len = OUT_MAX;
	return p11->C_WrapKey(session, &mechanism, zone, key, told->out, &told->out_len);
}

static CK_BYTE input[OUT_MAX];
static CK_ULONG input_len;

static CK_RV run_unwrap(void)
{
	CK_RV rv = unwrap(CKM_CMEK_DEK_WRAP, input, input_len, no, &made);

	if (rv == CKR_OK) {
		shortage_end();
		check_value(made);
	}
	return rv;
}

static CK_RV run_unwrap_kwp(void)
{
	CK_RV rv = unwrap(CKM_AES_KEY_WRAP_KWP, input, input_len, no, &made);

	if (rv == CKR_OK) {
		shortage_end();
		check_value(made);
	}
	return rv;
}

static CK_RV run_unwrap_kept(void)
{
	return unwrap(CKM_CMEK_DEK_WRAP, input, input_len, yes, &made);
}

static CK_MECHANISM by_kms(void)
{
	return (CK_MECHANISM){CKM_CMEK_KMS, NULL, 0};
}

static CK_RV run_encrypt_root(void)
{
	return encrypt(root, by_kms(), told->out, &told->out_len);
}

static CK_RV run_decrypt_root(void)
{
	return decrypt(root, by_kms(), input, input_len);
}

static CK_GCM_PARAMS parameters;

static CK_RV run_encrypt(void)
{
	return encrypt(kept, gcm(&parameters), told->out, &told->out_len);
}

static CK_RV run_decrypt(void)
{
	return decrypt(kept, gcm(&parameters), input, input_len);
}

static CK_RV run_encrypt_zone(void)
{
	return encrypt(zone, gcm(&parameters), told->out, &told->out_len);
}

static CK_RV run_decrypt_zone(void)
{
	return decrypt(zone, gcm(&parameters), input, input_len);
}

/* The same zone, by its record, in the session alone. */
static CK_RV run_record(void)
{
	CK_MECHANISM mechanism = by_kms();
	CK_ATTRIBUTE template[] = {ROW(CKA_CLASS, secret_key), ROW(CKA_KEY_TYPE, aes),
				   ROW(CKA_TOKEN, no), ROW(CKA_ENCRYPT, yes)};
	CK_RV rv = p11->C_UnwrapKey(session, &mechanism, root, input, input_len, template,
				    COUNT(template), &made);

	return rv != CKR_OK ? rv : encrypt(made, gcm(&parameters), told->out, &told->out_len);
}

static CK_RV run_root_key(void)
{
	CK_BBOOL create = CK_TRUE;
	CK_ATTRIBUTE template[] = {
		ROW(CKA_CLASS, secret_key),
		ROW(CKA_TOKEN, yes),
		{CKA_CMEK_KMS_KEY, (void *)"local:new", 9},
		ROW(CKA_CMEK_CREATE, create),
		{CKA_LABEL, (void *)"new", 3},
	};
	CK_RV rv = p11->C_CreateObject(session, template, COUNT(template), &made);

	/* An attempt without memory may have made the key, and not registered it. */
	create = CK_FALSE;
	return rv == CKR_TEMPLATE_INCONSISTENT
		       ? p11->C_CreateObject(session, template, COUNT(template), &made)
		       : rv;
}

static CK_RV run_rename(void)
{
	CK_ATTRIBUTE row = {CKA_LABEL, (void *)"new", 3};

	return p11->C_SetAttributeValue(session, kept, &row, 1);
}

static CK_RV run_destroy(void)
{
	return p11->C_DestroyObject(session, kept);
}

/* --- What a fresh process finds */

static void check_opens(CK_OBJECT_HANDLE by, CK_MECHANISM mechanism, CK_BYTE *data, CK_ULONG len,
			const char *what)
{
	CK_RV rv = decrypt(by, mechanism, data, len);

	if (rv != CKR_OK)
		wrong("%s does not decrypt afterwards: 0x%lx", what, rv);
}

static void check_unwraps(CK_MECHANISM_TYPE type, CK_BYTE *data, CK_ULONG len)
{
	CK_OBJECT_HANDLE opened;
	CK_RV rv = unwrap(type, data, len, no, &opened);

	if (rv != CKR_OK)
		wrong("what was wrapped does not open afterwards: 0x%lx", rv);
	else
		check_value(opened);
}

static void out_decrypts_root(void)
{
	check_opens(root, by_kms(), told->out, told->out_len, "what the call encrypted");
}

static void out_decrypts_kept(void)
{
	check_opens(kept, gcm(&parameters), told->out, told->out_len, "what the call encrypted");
}

static void out_decrypts_zone(void)
{
	check_opens(zone, gcm(&parameters), told->out, told->out_len, "what the call encrypted");
}

static void out_unwraps(void)
{
	check_unwraps(CKM_CMEK_DEK_WRAP, told->out, told->out_len);
}

static void out_unwraps_kwp(void)
{
	check_unwraps(CKM_AES_KEY_WRAP_KWP, told->out, told->out_len);
}

/* A key that was stored, of a zone or not, encrypts, and opens that again. */
static void check_works(const char *label)
{
	CK_BYTE out[OUT_MAX];
	CK_ULONG len = 0;
	CK_RV rv = encrypt(find_one(label), gcm(&parameters), out, &len);

	if (rv != CKR_OK)
		wrong("'%s' does not encrypt afterwards: 0x%lx", label, rv);
	else
		check_opens(find_one(label), gcm(&parameters), out, len, label);
}

static void new_works(void)
{
	check_works("new");
}

static void new_zone_works(void)
{
	check_works("default/new");
}

static void new_root_key_works(void)
{
	CK_RV rv = encrypt(find_one("new"), by_kms(), told->out, &told->out_len);

	if (rv != CKR_OK)
		wrong("the new root key does not encrypt afterwards: 0x%lx", rv);
	else
		check_opens(find_one("new"), by_kms(), told->out, told->out_len, "it");
}

static const struct scene {
	const char *name, *sentence;
	CK_RV (*run)(void);
	void (*done)(void); /* what a fresh process finds where it answered CKR_OK */
	const char *input;  /* a file */
	const char *label;  /* of what it stores */
	int more;	    /* objects that are then there */
} scenes[] = {
	/* clang-format off */
	{ "initialize",   "C_Initialize and the first session",
	  run_initialize,   NULL,               NULL,          NULL,          0 },
	{ "find",         "C_FindObjects and C_GetAttributeValue",
	  run_find,         NULL,               NULL,          NULL,          0 },
	{ "generate",     "C_GenerateKey of a session key",
	  run_generate,     NULL,               NULL,          NULL,          0 },
	{ "keep",         "C_GenerateKey of a token key",
	  run_keep,         new_works,          NULL,          "new",         1 },
	{ "new-zone",     "C_GenerateKey of a zone",
	  run_new_zone,     new_zone_works,     NULL,          "default/new", 1 },
	{ "wrap",         "C_WrapKey by CKM_CMEK_DEK_WRAP",
	  run_wrap,         out_unwraps,        NULL,          NULL,          0 },
	{ "wrap-kwp",     "C_WrapKey by CKM_AES_KEY_WRAP_KWP",
	  run_wrap_kwp,     out_unwraps_kwp,    NULL,          NULL,          0 },
	{ "unwrap",       "C_UnwrapKey by CKM_CMEK_DEK_WRAP",
	  run_unwrap,       NULL,               "wrapped",     NULL,          0 },
	{ "unwrap-kwp",   "C_UnwrapKey by CKM_AES_KEY_WRAP_KWP",
	  run_unwrap_kwp,   NULL,               "wrapped-kwp", NULL,          0 },
	{ "unwrap-kept",  "C_UnwrapKey of a token key",
	  run_unwrap_kept,  new_works,          "wrapped",     "new",         1 },
	{ "encrypt-root", "C_Encrypt by a root key",
	  run_encrypt_root, out_decrypts_root,  NULL,          NULL,          0 },
	{ "decrypt-root", "C_Decrypt by a root key",
	  run_decrypt_root, NULL,               "of-root",     NULL,          0 },
	{ "encrypt",      "C_Encrypt by a token key",
	  run_encrypt,      out_decrypts_kept,  NULL,          NULL,          0 },
	{ "decrypt",      "C_Decrypt by a token key",
	  run_decrypt,      NULL,               "of-kept",     NULL,          0 },
	{ "encrypt-zone", "C_Encrypt by a zone",
	  run_encrypt_zone, out_decrypts_zone,  NULL,          NULL,          0 },
	{ "decrypt-zone", "C_Decrypt by a zone",
	  run_decrypt_zone, NULL,               "of-zone",     NULL,          0 },
	{ "record",       "C_UnwrapKey of a zone's record into a session, and C_Encrypt by that",
	  run_record,       out_decrypts_zone,  "record",      NULL,          0 },
	{ "root-key",     "C_CreateObject of a root key",
	  run_root_key,     new_root_key_works, NULL,          "new",         1 },
	{ "rename",       "C_SetAttributeValue of a label",
	  run_rename,       new_works,          NULL,          "new",         0 },
	{ "destroy",      "C_DestroyObject of a token key",
	  run_destroy,      NULL,               NULL,          NULL,          -1 },
	/* clang-format on */
};

/* --- Rounds */

static const struct scene *scene;

static void check_stored(bool done)
{
	CK_OBJECT_HANDLE first;
	CK_ULONG count = 0, expected = objects + (CK_ULONG)(done ? scene->more : 0);

	must(find(NULL, 0, &count, &first), "a search afterwards");
	if (count != expected)
		wrong("%lu objects are stored, not %lu", count, expected);
	if (scene->label != NULL)
		must(find_label(scene->label, &count, &first), "a search afterwards");
	if (scene->label != NULL && (count > 0) != done)
		wrong("'%s' is %s", scene->label, done ? "not stored" : "stored");
}

/* In a process of its own: old things open, and the new ones are there or not. */
static void read_again(bool done)
{
	CK_BYTE data[OUT_MAX];
	CK_ULONG len;

	must(open_token(), "C_Initialize afterwards");
	zone = find_one("default/z0");
	root = find_one("root");
	check_stored(done);
	if (told->wrong[0] != 0)
		return;
	read_file("wrapped", data, &len);
	check_unwraps(CKM_CMEK_DEK_WRAP, data, len);
	read_file("of-root", data, &len);
	check_opens(root, by_kms(), data, len, "what a root key encrypted before");
	if (!done || (scene->run != run_destroy && scene->run != run_rename)) {
		kept = find_one("kept");
		read_file("of-kept", data, &len);
		check_opens(kept, gcm(&parameters), data, len, "what a key encrypted before");
	}
	if (done && scene->done != NULL)
		scene->done();
}

/* Words and reasons that send somebody to a backup, or to another key, where only memory lacked. */
static const char *const words[] = {
	"amage",
	"orrupt",
	"JSON",
	"backup",
	"restore",
	"malformed",
	"nvalid",
	"not what",
	"missing",
	"neither",
	"another key",
	"does not open",
	"another encryption context",
};
static const CK_ULONG reasons[] = {
	CMEK_ERROR_STORE_CORRUPT,
	CMEK_ERROR_STORE_NEWER,
	CMEK_ERROR_RECORD_CORRUPT,
	CMEK_ERROR_WRAPPED_KEY_INVALID,
	CMEK_ERROR_KMS_BAD_ANSWER,
	CMEK_ERROR_INVALID,
	CMEK_ERROR_KMS_INVALID_CIPHERTEXT,
	CMEK_ERROR_KMS_INCORRECT_KEY,
	CMEK_ERROR_KMS_NOT_FOUND,
	CMEK_ERROR_NOT_FOUND,
	CMEK_ERROR_KMS_DISABLED,
	CMEK_ERROR_KMS_DENIED,
	CMEK_ERROR_EXISTS,
	CMEK_ERROR_OTHER_ZONE,
	CMEK_ERROR_KMS_MISCONFIGURED,
};

static void check_words(const char *said)
{
	/* A message of OpenSSL about itself is not about stored data. */
	if (strstr(said, "OpenSSL") != NULL)
		return;
	for (size_t i = 0; i < COUNT(words); i++)
		if (strstr(said, words[i]) != NULL)
			wrong("speaks of damage: %s", said);
}

static void check_log(void)
{
	char line[OUT_MAX];
	FILE *log = fopen("log", "r");

	while (log != NULL && fgets(line, sizeof(line), log) != NULL)
		check_words(line);
	if (log != NULL)
		fclose(log);
}

static void check_answer(void)
{
	static const CK_RV allowed[] = {CKR_OK, CKR_HOST_MEMORY, CKR_FUNCTION_FAILED,
					CKR_DEVICE_ERROR};
	bool good = false;

	for (size_t i = 0; i < COUNT(allowed); i++)
		good |= told->rv == allowed[i];
	if (!good || (told->rv != CKR_OK && told->failures == 0))
		wrong("answered 0x%lx: %s", told->rv, told->message);
	for (size_t i = 0; told->rv != CKR_OK && i < COUNT(reasons); i++)
		if (told->reason == reasons[i])
			wrong("gives the reason %lu: %s", told->reason, told->message);
	check_words(told->message);
	check_log();
}

static void take_reason(void)
{
	CK_INTERFACE *interface = NULL;
	const struct CMEK_FUNCTIONS *functions;
	CK_C_GetInterface get;
	void *symbol = dlsym(dlopen(getenv("CMEK_PKCS11_MODULE"), RTLD_NOW), "C_GetInterface");

	memcpy(&get, &symbol, sizeof(get));
	must(get((CK_UTF8CHAR *)CMEK_INTERFACE, NULL, &interface, 0), "C_GetInterface");
	functions = interface->pFunctionList;
	snprintf(told->message, sizeof(told->message), "%s",
		 functions->CMEK_LastError(&told->reason));
}

/* The process that runs short; stops itself between the call and the same with memory. */
static void live(long at, bool on)
{
	alarm(ROUND_SECONDS);
	if (scene->run != run_initialize) {
		must(open_token(), "C_Initialize");
		find_all();
	}
	if (scene->input != NULL)
		read_file(scene->input, input, &input_len);
	shortage_begin(at, on);
	told->rv = scene->run();
	told->failures = shortage_end();
	take_reason();
	check_answer();
	raise(SIGSTOP);
	if (told->rv != CKR_OK) {
		CK_RV rv = scene->run();

		take_reason();
		/* OpenSSL starts once in a process, or not at all. */
		if (rv != CKR_OK && strstr(told->message, "restart ") == NULL)
			wrong("with memory the call answers 0x%lx, having answered 0x%lx", rv,
			      told->rv);
	}
	kill(getpid(), SIGKILL);
}

/* Whether it is still there, stopped. */
static bool end_of(pid_t child, int expected, const char *what)
{
	int status;

	if (waitpid(child, &status, WUNTRACED) != child)
		must(CKR_GENERAL_ERROR, "waitpid");
	if (expected == SIGSTOP ? !WIFSTOPPED(status)
	    : expected == 0	? status != 0
				: !WIFSIGNALED(status) || WTERMSIG(status) != expected)
		wrong("%s ended with status 0x%x", what, status);
	return WIFSTOPPED(status);
}

static pid_t start(void)
{
	pid_t child = fork();

	must(child < 0 ? CKR_GENERAL_ERROR : CKR_OK, "fork");
	return child;
}

static void read_in_child(bool done)
{
	pid_t child = start();

	if (child == 0) {
		alarm(ROUND_SECONDS);
		read_again(done);
		_exit(0);
	}
	end_of(child, 0, "the process that reads again");
}

/* Whether an allocation failed at all. */
static bool run_round(long at, bool on)
{
	pid_t child;

	begin_anew();
	memset(told, 0, sizeof(*told));
	child = start();
	if (child == 0)
		live(at, on);
	if (!end_of(child, SIGSTOP, "the call"))
		return true;
	if (told->wrong[0] == 0)
		read_in_child(told->rv == CKR_OK);
	kill(child, SIGCONT);
	end_of(child, SIGKILL, "the same call with memory");
	if (told->wrong[0] == 0 && told->rv != CKR_OK && scene->more + (scene->label != NULL) != 0)
		read_in_child(true);
	return told->failures > 0;
}

enum { KINDS = 16, FEW = 200 };

/* How often the call answered what. */
static struct {
	CK_RV rv;
	long count;
} answers[KINDS];

static long bad; /* rounds that were wrong */

static bool judged_round(long at, bool on)
{
	bool failed = run_round(at, on);
	size_t i = 0;

	while (i < KINDS - 1 && answers[i].count > 0 && answers[i].rv != told->rv)
		i++;
	answers[i].rv = told->rv;
	answers[i].count++;
	if (told->wrong[0] != 0)
		printf("allocation %ld%s: %s\n", at, on ? " and all after it" : "", told->wrong);
	bad += told->wrong[0] != 0;
	return failed;
}

/* Rounds until the call needs less. One fails a single allocation, one all from there on; where
 * they would be many and not each is tried, these take turns. */
static void sweep(long step, long first)
{
	bool more = true;
	long at;

	for (at = first; more; at += step) {
		bool turn = (at - first) / step % 2 != 0, both = step == 1 || at < FEW;

		more = judged_round(at, !both && turn);
		if (more && both)
			judged_round(at, true);
	}
	printf("less than %ld allocations; answers:", at - step);
	for (size_t i = 0; i < KINDS && answers[i].count > 0; i++)
		printf(" %ld times 0x%lx", answers[i].count, answers[i].rv);
	printf("; wrong: %ld\n", bad);
}

static void prepare(void)
{
	CK_MECHANISM dek_wrap = {CKM_CMEK_DEK_WRAP, NULL, 0}, kwp = {CKM_AES_KEY_WRAP_KWP, NULL, 0};
	CK_BYTE out[OUT_MAX];
	CK_ATTRIBUTE record = ROW(CKA_CMEK_ENCRYPTED_KEY, out);
	CK_ULONG len = OUT_MAX;

	must(open_token(), "C_Initialize");
	must(generate("default/z0", yes, no, &zone), "C_GenerateKey of a zone");
	must(generate("kept", yes, yes, &kept), "C_GenerateKey of a token key");
	find_all();
	must(p11->C_WrapKey(session, &dek_wrap, zone, key, out, &len), "C_WrapKey");
	write_file("wrapped", out, len);
	len = OUT_MAX;
	must(p11->C_WrapKey(session, &kwp, zone, key, out, &len), "C_WrapKey");
	write_file("wrapped-kwp", out, len);
	must(encrypt(root, by_kms(), out, &len), "C_Encrypt");
	write_file("of-root", out, len);
	must(encrypt(kept, gcm(&parameters), out, &len), "C_Encrypt");
	write_file("of-kept", out, len);
	must(encrypt(zone, gcm(&parameters), out, &len), "C_Encrypt");
	write_file("of-zone", out, len);
	must(p11->C_GetAttributeValue(session, zone, &record, 1), "C_GetAttributeValue");
	write_file("record", out, record.ulValueLen);
	must(p11->C_Finalize(NULL), "C_Finalize");
}

/* In a process of its own, since the module was not started in this one. */
static void count_objects(void)
{
	CK_OBJECT_HANDLE first;
	pid_t child;

	begin_anew();
	child = start();
	if (child == 0) {
		must(open_token(), "C_Initialize");
		must(find(NULL, 0, &told->out_len, &first), "a search");
		_exit(0);
	}
	end_of(child, 0, "a search");
	objects = told->out_len;
}

int main(int count, char **arguments)
{
	long step = count >= 3 ? strtol(arguments[2], NULL, 10) : 1;
	long first = count == 4 ? strtol(arguments[3], NULL, 10) : 1;

	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(told == MAP_FAILED ? CKR_HOST_MEMORY : CKR_OK, "mmap");
	application_load();
	if (count == 2 && strcmp(arguments[1], "prepare") == 0) {
		prepare();
		return 0;
	}
	for (size_t i = 0; i < COUNT(scenes); i++) {
		if (count == 2 && strcmp(arguments[1], "list") == 0)
			printf("%s %s\n", scenes[i].name, scenes[i].sentence);
		if (count >= 3 && strcmp(arguments[1], scenes[i].name) == 0)
			scene = &scenes[i];
	}
	if (scene == NULL || step < 1 || first < 1)
		return count == 2 ? 0 : 2;
	count_objects();
	sweep(step, first);
	return bad > 0;
}
