/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that runs short of memory, for tests/e2e/memory_shortage.sh; runs under
 * shortage_allocator.c. The calls are in shortage_scenes.c.
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

#include "shortage.h"
#include "shortage_rounds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUND_SECONDS = 60 };

struct told *told;

static const struct scene *scene;

static void check_stored(bool done)
{
	CK_OBJECT_HANDLE first;
	CK_ULONG count = 0, expected = objects + (CK_ULONG)(done ? scene->more : 0);

	must(find_objects(NULL, 0, &count, &first), "a search afterwards");
	if (count != expected)
		note_wrong("%lu objects are stored, not %lu", count, expected);
	if (scene->label != NULL)
		must(find_label(scene->label, &count, &first), "a search afterwards");
	if (scene->label != NULL && (count > 0) != done)
		note_wrong("'%s' is %s", scene->label, done ? "not stored" : "stored");
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
	if (!done || !scene->takes_kept) {
		kept = find_one("kept");
		read_file("of-kept", data, &len);
		check_opens(kept, gcm(&parameters), data, len, "what a key encrypted before");
	}
	if (done && scene->done != NULL)
		scene->done();
}

/* The process that runs short; stops itself between the call and the same with memory. */
static void live(long at, bool on)
{
	alarm(ROUND_SECONDS);
	if (!scene->starts) {
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
			note_wrong("with memory the call answers 0x%lx, having answered 0x%lx", rv,
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
		note_wrong("%s ended with status 0x%x", what, status);
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
	must(generate_key("default/z0", CK_TRUE, CK_FALSE, &zone), "C_GenerateKey of a zone");
	must(generate_key("kept", CK_TRUE, CK_TRUE, &kept), "C_GenerateKey of a token key");
	find_all();
	must(p11->C_WrapKey(session, &dek_wrap, zone, key, out, &len), "C_WrapKey");
	write_file("wrapped", out, len);
	len = OUT_MAX;
	must(p11->C_WrapKey(session, &kwp, zone, key, out, &len), "C_WrapKey");
	write_file("wrapped-kwp", out, len);
	must(encrypt_text(root, by_kms(), out, &len), "C_Encrypt");
	write_file("of-root", out, len);
	must(encrypt_text(kept, gcm(&parameters), out, &len), "C_Encrypt");
	write_file("of-kept", out, len);
	must(encrypt_text(zone, gcm(&parameters), out, &len), "C_Encrypt");
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
		must(find_objects(NULL, 0, &told->out_len, &first), "a search");
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
	for (size_t i = 0; scenes[i].name != NULL; i++) {
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
