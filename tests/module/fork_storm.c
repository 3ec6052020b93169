/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that forks again and again while its threads talk to the KMS, and children that do the
 * same: no thread may get the answer to another's request. For tests/e2e/forks.py.
 *
 * 	fork_storm PROJECT CHILDREN THREADS ROUNDS
 *
 * Every thread of every process encrypts and decrypts, under the project's root key in the KMS,
 * ROUNDS texts that nobody else has; the parent's threads go on until the last child has ended,
 * with pauses, so that at each fork some connections are idle and some have a request in flight. A
 * line at the end: requests made, answers that were another's, calls that failed, children that
 * ended badly.
 */
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	THREADS_MAX = 32,
	CHILD_SECONDS = 300,
	BLOB_MAX = 6144,
	FORK_PAUSE_US = 20000,
	PAUSE_US = 4000
};

/* Of all the processes. */
static struct tally {
	atomic_ulong requests, crossed, failed;
	atomic_bool children_ended;
} * tally;

static CK_FUNCTION_LIST *p11;
static CK_SLOT_ID slot;
static unsigned thread_count, round_count;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fork_storm: %s\n", what);
	_exit(2);
}

static void load_module(void)
{
	const char *path = getenv("CMEK_PKCS11_MODULE");
	void *library = dlopen(path == NULL ? CMEK_MODULE : path, RTLD_NOW | RTLD_LOCAL);
	void *symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");
	CK_C_GetFunctionList get_list;

	must(symbol != NULL, "no module");
	memcpy(&get_list, &symbol, sizeof(get_list));
	must(get_list(&p11) == CKR_OK, "C_GetFunctionList");
}

static void initialize(void)
{
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};

	must(p11->C_Initialize(&args) == CKR_OK, "C_Initialize");
}

static void find_slot(const char *project)
{
	CK_SLOT_ID slots[64];
	CK_ULONG count = 64;
	CK_TOKEN_INFO info;

	must(p11->C_GetSlotList(CK_TRUE, slots, &count) == CKR_OK, "C_GetSlotList");
	for (CK_ULONG i = 0; i < count; i++) {
		slot = slots[i];
		if (p11->C_GetTokenInfo(slot, &info) == CKR_OK &&
		    strncmp((char *)info.label, project, strlen(project)) == 0)
			return;
	}
	must(false, "no such project");
}

static CK_OBJECT_HANDLE find_root_key(CK_SESSION_HANDLE session)
{
	char provider[] = "aws";
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)},
				   {CKA_CMEK_PROVIDER, provider, strlen(provider)}};
	CK_OBJECT_HANDLE key = 0;
	CK_ULONG count = 0;

	must(p11->C_FindObjectsInit(session, template, 2) == CKR_OK, "C_FindObjectsInit");
	must(p11->C_FindObjects(session, &key, 1, &count) == CKR_OK, "C_FindObjects");
	must(p11->C_FindObjectsFinal(session) == CKR_OK, "C_FindObjectsFinal");
	must(count == 1, "no root key");
	return key;
}

static CK_RV there(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, char *text, CK_BYTE *ret_blob,
		   CK_ULONG *ret_len)
{
	CK_MECHANISM kms = {CKM_CMEK_KMS, NULL, 0};
	CK_RV rv = p11->C_EncryptInit(session, &kms, key);

	*ret_len = BLOB_MAX;
	if (rv == CKR_OK)
		rv = p11->C_Encrypt(session, (CK_BYTE *)text, strlen(text), ret_blob, ret_len);
	return rv;
}

static CK_RV back(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_BYTE *blob, CK_ULONG len,
		  CK_BYTE *ret_text, CK_ULONG *ret_len)
{
	CK_MECHANISM kms = {CKM_CMEK_KMS, NULL, 0};
	CK_RV rv = p11->C_DecryptInit(session, &kms, key);

	*ret_len = BLOB_MAX;
	if (rv == CKR_OK)
		rv = p11->C_Decrypt(session, blob, len, ret_text, ret_len);
	return rv;
}

static void go_and_return(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, char *text)
{
	CK_BYTE blob[BLOB_MAX], answer[BLOB_MAX];
	CK_ULONG blob_len, answer_len;

	tally->requests += 2;
	if (there(session, key, text, blob, &blob_len) != CKR_OK ||
	    back(session, key, blob, blob_len, answer, &answer_len) != CKR_OK)
		tally->failed++;
	else if (answer_len != strlen(text) || memcmp(answer, text, answer_len) != 0)
		tally->crossed++;
}

struct worker {
	pthread_t thread;
	unsigned number;
	bool is_parent_s;
};

static void *work(void *state)
{
	const struct worker *worker = state;
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	char text[64];

	must(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK,
	     "C_OpenSession");
	key = find_root_key(session);
	for (unsigned i = 0; i < round_count || (worker->is_parent_s && !tally->children_ended);
	     i++) {
		snprintf(text, sizeof(text), "process %d thread %u round %u", (int)getpid(),
			 worker->number, i);
		go_and_return(session, key, text);
		if (worker->is_parent_s)
			usleep((i + worker->number) % 2 * PAUSE_US);
	}
	return NULL;
}

static void start_threads(struct worker *workers, bool is_parent_s)
{
	for (unsigned i = 0; i < thread_count; i++) {
		workers[i] = (struct worker){.number = i, .is_parent_s = is_parent_s};
		must(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0,
		     "pthread_create");
	}
}

static void join_threads(struct worker *workers)
{
	for (unsigned i = 0; i < thread_count; i++)
		pthread_join(workers[i].thread, NULL);
}

static void start_child(void)
{
	struct worker workers[THREADS_MAX];
	pid_t child = fork();

	must(child >= 0, "fork");
	if (child > 0)
		return;
	alarm(CHILD_SECONDS);
	initialize();
	start_threads(workers, false);
	join_threads(workers);
	_exit(p11->C_Finalize(NULL) == CKR_OK ? 0 : 3);
}

static unsigned wait_for_children(unsigned count)
{
	unsigned bad = 0;
	int status;

	for (; count > 0; count--)
		bad += wait(&status) < 0 || status != 0;
	return bad;
}

int main(int argc, char **argv)
{
	unsigned children = argc > 2 ? (unsigned)atoi(argv[2]) : 0, bad;
	struct worker workers[THREADS_MAX];

	thread_count = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
	round_count = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
	if (round_count == 0 || thread_count == 0 || thread_count > THREADS_MAX) {
		fprintf(stderr, "usage: fork_storm PROJECT CHILDREN THREADS ROUNDS\n");
		return 2;
	}
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	must(tally != MAP_FAILED, "mmap");
	load_module();
	initialize();
	find_slot(argv[1]);
	start_threads(workers, true);
	for (unsigned i = 0; i < children; i++) {
		usleep(FORK_PAUSE_US);
		start_child();
	}
	bad = wait_for_children(children);
	tally->children_ended = true;
	join_threads(workers);
	printf("%lu %lu %lu %u\n", tally->requests, tally->crossed, tally->failed, bad);
	return p11->C_Finalize(NULL) == CKR_OK ? 0 : 3;
}
