/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What many zones cost, on the embedded KMS: making one, and how long a process needs from loading
 * the module to its first find of one.
 *
 *     stores ROUNDS FILE.json ZONES...        a store for each number, which ascend
 *     stores first FOLDER ZONES               what it starts itself: prints milliseconds
 */
#include "base/macros.h"
#include "bench/bench.h"

#include <dlfcn.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { STORES_MAX = 8, ROUNDS_MAX = 101 };

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static void label_of(size_t number, char ret_label[static 32])
{
	snprintf(ret_label, 32, "zone-%zu", number);
}

/* --- A process that only starts and finds ---------------------------------------------------- */

static bool find(CK_FUNCTION_LIST *p11, CK_SESSION_HANDLE session, char *label)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)},
				   {CKA_LABEL, label, strlen(label)}};
	CK_OBJECT_HANDLE found[2];
	CK_ULONG count = 0;

	return good(p11->C_FindObjectsInit(session, template, COUNT_OF(template)),
		    "C_FindObjectsInit") &&
	       good(p11->C_FindObjects(session, found, COUNT_OF(found), &count), "C_FindObjects") &&
	       good(p11->C_FindObjectsFinal(session), "C_FindObjectsFinal") && count == 1;
}

static CK_FUNCTION_LIST *load(void)
{
	CK_C_GetFunctionList get_list = NULL;
	CK_FUNCTION_LIST *p11 = NULL;
	void *library = dlopen(CMEK_MODULE, RTLD_NOW | RTLD_LOCAL);
	void *symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");

	if (symbol == NULL)
		return NULL;
	memcpy(&get_list, &symbol, sizeof(get_list));
	return get_list(&p11) == CKR_OK ? p11 : NULL;
}

static int find_first(const char *folder, size_t zones)
{
	double began = now_ms();
	CK_FUNCTION_LIST *p11 = load();
	char reserved[600], label[32];
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = reserved};
	CK_SESSION_HANDLE session;
	CK_SLOT_ID slots[16];
	CK_ULONG count = COUNT_OF(slots);

	label_of(zones / 2, label);
	snprintf(reserved, sizeof(reserved), "config=%s/cmek.conf", folder);
	if (p11 == NULL || !good(p11->C_Initialize(&args), "C_Initialize") ||
	    !good(p11->C_GetSlotList(CK_FALSE, slots, &count), "C_GetSlotList") ||
	    !good(p11->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &session),
		  "C_OpenSession") ||
	    !find(p11, session, label)) {
		fprintf(stderr, "%s: not found; %s\n", label, failure);
		return 1;
	}
	printf("%.3f\n", now_ms() - began);
	return 0;
}

/* --- The stores ------------------------------------------------------------------------------ */

struct store {
	char folder[256];
	size_t zones;
	double make_ms; /* the median of the last tenth */
	double first_ms[ROUNDS_MAX];
};

static bool make_zones(struct store *store)
{
	double *took = calloc(store->zones, sizeof(*took));
	size_t tenth = store->zones / 10 + 1;
	struct peer peer;
	bool well = took != NULL;

	peer_open(&peer, PEER_OURS, store->folder);
	well = well && peer.missing[0] == '\0';
	for (size_t i = 0; well && i < store->zones; i++) {
		CK_OBJECT_HANDLE zone;
		double began = now_ms();
		char label[32];

		label_of(i, label);
		well = key_make(&peer, true, label, false, &zone);
		took[i] = now_ms() - began;
	}
	if (well)
		store->make_ms = median(took + store->zones - tenth, tenth);
	else
		fprintf(stderr, "%s%s\n", peer.missing, failure);
	if (peer.p11 != NULL)
		peer.p11->C_Finalize(NULL);
	free(took);
	return well;
}

static bool start_once(const char *self, const struct store *store, double *ret_ms)
{
	char *command = NULL;
	FILE *pipe;
	bool well;

	if (asprintf(&command, "'%s' first '%s' %zu", self, store->folder, store->zones) < 0)
		return false;
	pipe = popen(command, "re");
	free(command);
	well = pipe != NULL && fscanf(pipe, "%lf", ret_ms) == 1;
	return pipe != NULL && pclose(pipe) == 0 && well;
}

static bool measure(const char *self, struct store *stores, size_t count, size_t rounds)
{
	for (size_t i = 0; i < count; i++)
		if (!make_zones(&stores[i]))
			return false;
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < count; i++)
			if (!start_once(self, &stores[i], &stores[i].first_ms[round]))
				return false;
	return true;
}

static int report(struct store *stores, size_t count, size_t rounds, const char *json)
{
	json_t *rows = json_array();
	int result;

	printf("| zones | make one | start to first find |\n| -: | -: | -: |\n");
	for (size_t i = 0; i < count; i++) {
		double first = median(stores[i].first_ms, rounds);

		printf("| %zu | %.2f ms | %.1f ms |\n", stores[i].zones, stores[i].make_ms, first);
		json_array_append_new(rows, json_pack("{s:I, s:f, s:f}", "zones",
						      (json_int_t)stores[i].zones, "make_ms",
						      stores[i].make_ms, "first_find_ms", first));
	}
	result = json_dump_file(rows, json, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	json_decref(rows);
	return result != 0;
}

static int measure_all(const char *self, const char *folder, size_t rounds, const char *json,
		       char **numbers, size_t count)
{
	static struct store stores[STORES_MAX];

	for (size_t i = 0; i < count; i++) {
		stores[i].zones = strtoul(numbers[i], NULL, 10);
		snprintf(stores[i].folder, sizeof(stores[i].folder), "%s/%zu", folder, i);
		if (mkdir(stores[i].folder, 0700) != 0)
			return 1;
	}
	return measure(self, stores, count, rounds) ? report(stores, count, rounds, json) : 1;
}

int main(int argc, char **argv)
{
	const char *place = getenv("TMPDIR");
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	char folder[200], command[300];
	int result;

	if (argc == 4 && strcmp(argv[1], "first") == 0)
		return find_first(argv[2], strtoul(argv[3], NULL, 10));
	snprintf(folder, sizeof(folder), "%s/cmek-stores-XXXXXX", place != NULL ? place : "/tmp");
	if (argc < 4 || argc - 3 > STORES_MAX || rounds < 1 || rounds > ROUNDS_MAX ||
	    mkdtemp(folder) == NULL) {
		fprintf(stderr, "usage: %s ROUNDS FILE.json ZONES...\n", argv[0]);
		return 2;
	}
	result = measure_all(argv[0], folder, rounds, argv[2], argv + 3, (size_t)argc - 3);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command) != 0 || result != 0;
}
