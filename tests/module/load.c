/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application under load, for scripts that watch the KMS meanwhile: threads that use the zones
 * of a project again and again.
 *
 *	load make PROJECT ZONES                       makes databases z0, z1, …
 *	load run PROJECT ZONES THREADS MS [PAUSE_MS]  each thread uses each zone once, then goes on
 *	                                              for so long, with a pause between two
 *
 * A line for each use: when it began and ended (seconds since 1970), what failed (CKR_…, 0:
 * nothing) and why (CMEK_ERROR_…).
 */
#include "application.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ZONES_MAX = 200, THREADS_MAX = 64, PAUSE_MS = 10 };

static size_t zone_count;
static double end_of_run;
static useconds_t pause_us = PAUSE_MS * 1000;

static CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
static CK_KEY_TYPE aes = CKK_AES;
static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_ULONG key_len = 32;

struct use {
	double began, ended;
	CK_RV rv;
	CK_ULONG reason;
};

struct worker {
	pthread_t thread;
	unsigned number;
	CK_SESSION_HANDLE session;
	CK_ULONG reason; /* of the last failure */
	CK_OBJECT_HANDLE zones[ZONES_MAX];
	/* A key that was generated and then wrapped by its zone. */
	CK_OBJECT_HANDLE keys[ZONES_MAX];
	CK_BYTE wrapped[ZONES_MAX][WRAPPED_MAX];
	CK_ULONG wrapped_len[ZONES_MAX];
	struct use *uses;
	size_t use_count, use_size;
};

/* --- The zones */

static void make_zones(void)
{
	CK_SESSION_HANDLE session = open_session();
	CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
	CK_OBJECT_HANDLE zone;
	char label[16];

	for (size_t i = 0; i < zone_count; i++) {
		CK_ATTRIBUTE template[] = {
			{CKA_TOKEN, &yes, sizeof(yes)},
			{CKA_EXTRACTABLE, &no, sizeof(no)},
			{CKA_VALUE_LEN, &key_len, sizeof(key_len)},
			{CKA_LABEL, label, 0},
		};

		template[3].ulValueLen = (CK_ULONG)snprintf(label, sizeof(label), "z%zu", i);
		must(p11->C_GenerateKey(session, &generate, template, 4, &zone), "C_GenerateKey");
	}
}

/* --- Using zones */

#define TRY_CALL(call)                                                                             \
	do {                                                                                       \
		CK_RV rv_ = (call);                                                                \
		if (rv_ != CKR_OK)                                                                 \
			return failed(worker, rv_);                                                \
	} while (0)

/* Before another call of the session succeeds. */
static CK_RV failed(struct worker *worker, CK_RV rv)
{
	CK_SESSION_INFO info;

	if (p11->C_GetSessionInfo(worker->session, &info) == CKR_OK)
		worker->reason = info.ulDeviceError;
	return rv;
}

static CK_RV encrypt(struct worker *worker, CK_OBJECT_HANDLE key)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_BYTE block[16] = {0};
	CK_ULONG len = sizeof(block);

	TRY_CALL(p11->C_EncryptInit(worker->session, &ecb, key));
	TRY_CALL(p11->C_Encrypt(worker->session, block, sizeof(block), block, &len));
	return CKR_OK;
}

static CK_RV make_wrapped_key(struct worker *worker, size_t i)
{
	if (worker->keys[i] == 0)
		must(make_key(worker->session, &worker->keys[i]), "C_GenerateKey");
	TRY_CALL(wrap_key(worker->session, worker->zones[i], worker->keys[i], worker->wrapped[i],
			  &worker->wrapped_len[i]));
	return CKR_OK;
}

static CK_RV unwrap(struct worker *worker, size_t i)
{
	CK_MECHANISM wrap = {CKM_CMEK_DEK_WRAP, NULL, 0};
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &secret_key, sizeof(secret_key)},
		{CKA_KEY_TYPE, &aes, sizeof(aes)},
		{CKA_TOKEN, &no, sizeof(no)},
	};
	CK_OBJECT_HANDLE key;
	CK_RV rv;

	TRY_CALL(p11->C_UnwrapKey(worker->session, &wrap, worker->zones[i], worker->wrapped[i],
				  worker->wrapped_len[i], template, 3, &key));
	rv = encrypt(worker, key);
	p11->C_DestroyObject(worker->session, key);
	return rv;
}

/* The handle that lives on, and a key that comes and goes. */
static CK_RV use_zone(struct worker *worker, size_t i)
{
	CK_RV rv = CKR_OK;

	if (worker->wrapped_len[i] == 0 || worker->wrapped_len[i] == WRAPPED_MAX)
		rv = make_wrapped_key(worker, i);
	if (rv != CKR_OK)
		return rv;
	if (worker->use_count % 2 == 0)
		return encrypt(worker, worker->keys[i]);
	return unwrap(worker, i);
}

static void note_use(struct worker *worker, struct use use)
{
	if (worker->use_count == worker->use_size) {
		worker->use_size = worker->use_size * 2 + 64;
		worker->uses = realloc(worker->uses, worker->use_size * sizeof(use));
	}
	if (worker->uses == NULL)
		must(CKR_HOST_MEMORY, "uses");
	worker->uses[worker->use_count++] = use;
}

static void use_and_note(struct worker *worker, size_t i)
{
	struct use use = {.began = now()};

	use.rv = use_zone(worker, i);
	use.ended = now();
	use.reason = use.rv == CKR_OK ? CMEK_ERROR_NONE : worker->reason;
	note_use(worker, use);
}

/* Zones in an order of the thread's own. */
static void *work(void *state)
{
	struct worker *worker = state;

	for (size_t i = 0; i < zone_count || now() < end_of_run; i++) {
		use_and_note(worker, (worker->number * 7 + i) % zone_count);
		if (i >= zone_count)
			usleep(pause_us);
	}
	return NULL;
}

static void print(const struct worker *worker)
{
	for (size_t i = 0; i < worker->use_count; i++) {
		const struct use *use = &worker->uses[i];

		printf("%.6f %.6f %lu %lu\n", use->began, use->ended, use->rv, use->reason);
	}
}

static void work_all(unsigned count)
{
	static struct worker workers[THREADS_MAX];

	for (unsigned i = 0; i < count; i++) {
		workers[i].number = i;
		workers[i].session = open_session();
		for (size_t zone = 0; zone < zone_count; zone++)
			workers[i].zones[zone] = find_zone(workers[i].session, zone);
	}
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			must(CKR_HOST_MEMORY, "pthread_create");
	for (unsigned i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		print(&workers[i]);
		free(workers[i].uses);
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: load make PROJECT ZONES | load run PROJECT ZONES THREADS MS "
			"[PAUSE_MS]\n");
	return 2;
}

int main(int argc, char **argv)
{
	bool makes = argc == 4 && strcmp(argv[1], "make") == 0;
	bool runs = (argc == 6 || argc == 7) && strcmp(argv[1], "run") == 0;
	unsigned threads = runs ? (unsigned)atoi(argv[4]) : 0;

	zone_count = makes || runs ? (size_t)atoi(argv[3]) : 0;
	if (zone_count == 0 || zone_count > ZONES_MAX || threads > THREADS_MAX)
		return usage();
	application_start(argv[2]);
	if (makes)
		make_zones();
	if (runs)
		end_of_run = now() + atof(argv[5]) / 1000;
	if (argc == 7)
		pause_us = (useconds_t)atoi(argv[6]) * 1000;
	work_all(threads);
	must(p11->C_Finalize(NULL), "C_Finalize");
	return 0;
}
