/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that end: with C_Finalize, without, after dlclose, inside the clean-up of OpenSSL.
 * Called without an argument this is the test; with one, the program that ends that way. It must
 * end with status 0, in time, and leave nothing on its standard output.
 */
#include "harness.h"

#include <dlfcn.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- The program */

static void *library;
static CK_FUNCTION_LIST *list;
static CK_SESSION_HANDLE open_session;
static CK_OBJECT_HANDLE session_key;
static bool finalize_in_destructor;

static void give_up(const char *what, CK_RV rv)
{
	fprintf(stderr, "# %s: %s\n", what, rv_name(rv));
	_exit(3);
}

static void load(void)
{
	CK_C_GetFunctionList get_list;
	void *symbol;

	library = dlopen(module_path(), RTLD_NOW | RTLD_LOCAL);
	symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");
	if (symbol == NULL)
		give_up(dlerror(), 0);
	memcpy(&get_list, &symbol, sizeof(symbol));
	get_list(&list);
}

#define do_call(call)                                                                              \
	do {                                                                                       \
		CK_RV rv_ = list->call;                                                            \
		if (rv_ != CKR_OK)                                                                 \
			give_up(#call, rv_);                                                       \
	} while (0)

/* Leaves a zone, session keys and operations in the middle. */
static void work(void)
{
	CK_SLOT_ID slots[8];
	CK_ULONG count = 8, len = 32;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG key_len = 32;
	CK_ATTRIBUTE of_zone[] = {{CKA_VALUE_LEN, &key_len, sizeof(key_len)},
				  {CKA_TOKEN, &yes, sizeof(yes)},
				  {CKA_EXTRACTABLE, &no, sizeof(no)}};
	CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0}, ecb = {CKM_AES_ECB, NULL, 0},
		     kw = {CKM_AES_KEY_WRAP, NULL, 0};
	CK_CMEK_MESSAGE_PARAMS message = {0};
	CK_MECHANISM open = {CKM_CMEK_MESSAGE, &message, sizeof(message)};
	CK_ATTRIBUTE of_messages[] = {{CKA_VALUE_LEN, &key_len, sizeof(key_len)},
				      {CKA_DECRYPT, &yes, sizeof(yes)},
				      {CKA_DERIVE, &yes, sizeof(yes)}};
	CK_OBJECT_HANDLE zone, dek;
	CK_BYTE data[32] = {0}, wrapped[64];
	CK_ULONG wrapped_len = sizeof(wrapped);

	do_call(C_Initialize(NULL));
	do_call(C_GetSlotList(CK_TRUE, slots, &count));
	do_call(C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
			      &open_session));
	do_call(C_GenerateKey(open_session, &generate, of_zone, 3, &zone));
	do_call(C_GenerateKey(open_session, &generate, of_zone, 1, &session_key));
	do_call(C_WrapKey(open_session, &kw, zone, session_key, wrapped, &wrapped_len));
	do_call(C_EncryptInit(open_session, &ecb, session_key));
	do_call(C_EncryptUpdate(open_session, data, 32, data, &len));
	do_call(C_GenerateKey(open_session, &generate, of_messages, 3, &dek));
	do_call(C_DecryptInit(open_session, &open, dek));
}

/* What pkcs11-provider does when OpenSSL tears it down. */
static void tear_down(void)
{
	do_call(C_DestroyObject(open_session, session_key));
	do_call(C_CloseSession(open_session));
	do_call(C_Finalize(NULL));
}

static void finalize(void)
{
	do_call(C_Finalize(NULL));
}

__attribute__((destructor)) static void destroy(void)
{
	if (finalize_in_destructor)
		finalize();
}

static void *hammer(void *argument)
{
	CK_SESSION_HANDLE own;
	CK_SLOT_ID slots[8];
	CK_ULONG count = 8;
	CK_BYTE block[16] = {0};
	CK_MECHANISM digest = {CKM_SHA256, NULL, 0};

	(void)argument;
	if (list->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK ||
	    list->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &own) != CKR_OK)
		return NULL;
	while (list->C_DigestInit(own, &digest) == CKR_OK &&
	       list->C_DigestUpdate(own, block, sizeof(block)) == CKR_OK &&
	       list->C_DigestFinal(own, (CK_BYTE[64]){0}, &(CK_ULONG){64}) == CKR_OK)
		;
	return NULL;
}

static void with_finalize(void)
{
	load();
	work();
	finalize();
}

static void without_finalize(void)
{
	load();
	work();
}

static void after_dlclose(void)
{
	with_finalize();
	dlclose(library);
}

static void after_dlclose_without_finalize(void)
{
	without_finalize();
	dlclose(library);
}

static void unused(void)
{
	load();
	dlclose(library);
}

static void used_twice(void)
{
	with_finalize();
	work();
	finalize();
	dlclose(library);
	with_finalize();
}

static void in_an_early_exit_handler(void)
{
	atexit(tear_down); /* before the library is there: called after all its handlers */
	load();
	work();
}

static void in_a_late_exit_handler(void)
{
	load();
	work();
	atexit(tear_down);
}

static void in_a_destructor(void)
{
	load();
	work();
	finalize_in_destructor = true;
}

static void in_openssls_clean_up(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
	OPENSSL_atexit(tear_down);
	load();
	work();
}

static void after_openssls_clean_up(void)
{
	load();
	work();
	OPENSSL_cleanup();
	tear_down();
}

static void with_finalize_while_threads_work(void)
{
	pthread_t threads[2];

	load();
	work();
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, hammer, NULL);
	usleep(20000);
	finalize();
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static const struct way {
	const char *name;
	void (*go)(void);
} ways[] = {
	{"with_finalize", with_finalize},
	{"without_finalize", without_finalize},
	{"after_dlclose", after_dlclose},
	{"after_dlclose_without_finalize", after_dlclose_without_finalize},
	{"unused", unused},
	{"used_twice", used_twice},
	{"in_an_early_exit_handler", in_an_early_exit_handler},
	{"in_a_late_exit_handler", in_a_late_exit_handler},
	{"in_a_destructor", in_a_destructor},
	{"in_openssls_clean_up", in_openssls_clean_up},
	{"after_openssls_clean_up", after_openssls_clean_up},
	{"with_finalize_while_threads_work", with_finalize_while_threads_work},
};
#define WAY_COUNT (sizeof(ways) / sizeof(*ways))

static int be_the_program(const char *name)
{
	alarm(300);
	for (size_t i = 0; i < WAY_COUNT; i++) {
		if (strcmp(ways[i].name, name) != 0)
			continue;
		ways[i].go();
		return 0;
	}
	return 2;
}

/* --- The test */

static void run_program(const char *name, int output)
{
	char path[PATH_MAX] = "", *argv[] = {path, strdup(name), NULL};

	/* Under valgrind the link is the program, the name is valgrind. */
	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		_exit(5);
	dup2(output, STDOUT_FILENO);
	execv(path, argv);
	_exit(4);
}

static void the_process_ends_well(void **state)
{
	const struct way *way = *state;
	char printed[256] = "";
	int status = -1, ends[2];
	ssize_t len;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0)
		run_program(way->name, ends[1]);
	close(ends[1]);
	len = read(ends[0], printed, sizeof(printed) - 1);
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(len, 0);
}

static int prepare(void **state)
{
	if (token_setup(state) != 0)
		return -1;
	return p11->C_Finalize(NULL) == CKR_OK ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[WAY_COUNT];

	if (argc > 1)
		return be_the_program(argv[1]);
	for (size_t i = 0; i < WAY_COUNT; i++) {
		void *way;

		memcpy(&way, &(const struct way *){&ways[i]}, sizeof(way));
		tests[i] = (struct CMUnitTest){
			.name = ways[i].name,
			.test_func = the_process_ends_well,
			.initial_state = way,
		};
	}
	return run_group("exits", tests, prepare, token_teardown);
}
