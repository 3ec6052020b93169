/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much more two threads do than one, each with a session and a data key of its own: 2.0 is all
 * that two cores can give. One thread and two, and all peers, take turns, and the median of the
 * rounds counts.
 *
 *     threads [ROUNDS [FILE.json]]
 */
#include "base/macros.h"
#include "bench/bench.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS_MAX = 201, ROUNDS_DEFAULT = 31, THREADS = 2 };

static const double slice_ns = 2e7;

static const char *const titles[] = {
	"AES-256-GCM, 64 B",
	"wrap a 32-byte key (AES_KEY_WRAP)",
	"unwrap it into a key, destroy it",
	"file of 4 KiB: unwrap its key, decrypt",
	"generate a key, destroy it",
	"open a session, close it",
	"random, 32 B",
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* --- Threads that wait until all are ready */

struct lane {
	pthread_t thread;
	struct peer peer; /* with a session of its own */
	const struct work *work;
	size_t count;
	pthread_barrier_t *start;
	double began, ended;
	bool well;
};

static void lane_close(struct lane *lane)
{
	if (lane->peer.p11 != NULL)
		lane->peer.p11->C_CloseSession(lane->peer.session);
}

static void *lane_run(void *state)
{
	struct lane *lane = state;
	const struct work *work = lane->work;

	lane->well = work->prepare(&lane->peer, work->size);
	pthread_barrier_wait(lane->start);
	lane->began = now_ns();
	for (size_t i = 0; lane->well && i < lane->count; i++)
		lane->well = work->run(&lane->peer, work->size);
	lane->ended = now_ns();
	return NULL;
}

/* Runs in a nanosecond, of all threads together; 0: it failed. Each thread by its own time, since
 * two cores of a machine in a cloud are seldom equally fast. */
static double speed_of(struct lane *lanes, const struct work *work, size_t threads, size_t count)
{
	pthread_barrier_t start;
	double speed = 0;
	bool well = true;

	pthread_barrier_init(&start, NULL, (unsigned)threads);
	for (size_t i = 0; i < threads; i++) {
		lanes[i].work = work;
		lanes[i].count = count;
		lanes[i].start = &start;
		if (pthread_create(&lanes[i].thread, NULL, lane_run, &lanes[i]) != 0)
			abort();
	}
	for (size_t i = 0; i < threads; i++)
		pthread_join(lanes[i].thread, NULL);
	pthread_barrier_destroy(&start);
	for (size_t i = 0; i < threads; i++) {
		well = well && lanes[i].well;
		speed += (double)count / (lanes[i].ended - lanes[i].began);
	}
	return well ? speed : 0;
}

static int compare(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static double median(const double *values, size_t count)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), compare);
	return sorted[count / 2];
}

/* A peer at one work. */
struct result {
	struct lane lanes[THREADS];
	size_t count;		   /* of runs in a slice; 0: it takes no part, or failed */
	double two[ROUNDS_MAX];	   /* runs in a nanosecond */
	double ratios[ROUNDS_MAX]; /* to that of one thread */
};

static void result_open(struct result *result, const struct peer *peer, const struct work *work)
{
	double speed = 0;

	*result = (struct result){0};
	if (peer->missing[0] != '\0' || (peer->p11 == NULL && !work->beside_libcrypto))
		return;
	if (peer_beside(peer, &result->lanes[0].peer) && peer_beside(peer, &result->lanes[1].peer))
		speed = speed_of(result->lanes, work, 1, 200);
	if (speed > 0)
		result->count = (size_t)(slice_ns * speed) + 1;
	else
		fprintf(stderr, "%s: %s: %s\n", peer->name, work->title, failure);
}

static void result_close(struct result *result)
{
	for (size_t i = 0; i < THREADS; i++)
		lane_close(&result->lanes[i]);
}

static void measure(struct result *results, const struct work *work, size_t rounds)
{
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < PEER_COUNT; i++) {
			struct result *result = &results[i];
			double one;

			if (result->count == 0)
				continue;
			one = speed_of(result->lanes, work, 1, result->count);
			result->two[round] = speed_of(result->lanes, work, THREADS, result->count);
			if (one == 0 || result->two[round] == 0)
				result->count = 0;
			else
				result->ratios[round] = result->two[round] / one;
		}
}

static void print_row(const struct result *results, const struct work *work, size_t rounds)
{
	printf("| %s |", work->title);
	for (size_t i = 0; i < PEER_COUNT; i++)
		if (results[i].count > 0)
			printf(" %.2f |", median(results[i].ratios, rounds));
		else
			printf(" – |");
	printf("\n");
	fflush(stdout);
}

/* ns: of each run, by both threads together; more: than one thread. null: not measured. */
static json_t *row_json(const struct result *results, const struct work *work, size_t rounds)
{
	json_t *ns = json_array(), *more = json_array();

	for (size_t i = 0; i < PEER_COUNT; i++) {
		bool measured = results[i].count > 0;

		json_array_append_new(ns, measured ? json_real(1 / median(results[i].two, rounds))
						   : json_null());
		json_array_append_new(more, measured ? json_real(median(results[i].ratios, rounds))
						     : json_null());
	}
	return json_pack("{s:s, s:o, s:o}", "work", work->title, "ns", ns, "more", more);
}

static json_t *measure_work(const struct peer *peers, const struct work *work, size_t rounds)
{
	static struct result results[PEER_COUNT];

	for (size_t i = 0; i < PEER_COUNT; i++)
		result_open(&results[i], &peers[i], work);
	measure(results, work, rounds);
	for (size_t i = 0; i < PEER_COUNT; i++)
		result_close(&results[i]);
	print_row(results, work, rounds);
	return row_json(results, work, rounds);
}

static json_t *measure_all(const char *folder, size_t rounds)
{
	static struct peer peers[PEER_COUNT];
	json_t *rows = json_array();

	for (size_t i = 0; i < PEER_COUNT; i++)
		peer_open(&peers[i], i, folder);
	printf("What two threads do, beside one\n\n|  |");
	for (size_t i = 0; i < PEER_COUNT; i++)
		printf(" %s |", peers[i].name);
	printf("\n| :- | -: | -: | -: | -: |\n");
	for (size_t i = 0; i < COUNT_OF(titles); i++)
		json_array_append_new(rows, measure_work(peers, work_named(titles[i]), rounds));
	return rows;
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS_DEFAULT;
	const char *place = getenv("TMPDIR");
	char folder[256], command[300];
	json_t *rows;
	int result;

	snprintf(folder, sizeof(folder), "%s/cmek-threads-XXXXXX", place != NULL ? place : "/tmp");
	if (argc > 3 || rounds < 1 || rounds > ROUNDS_MAX || mkdtemp(folder) == NULL) {
		fprintf(stderr, "usage: %s [ROUNDS [FILE.json]], at most %d rounds\n", argv[0],
			ROUNDS_MAX);
		return 2;
	}
	rows = measure_all(folder, rounds);
	result = argc > 2 ? json_dump_file(rows, argv[2], JSON_INDENT(1) | JSON_REAL_PRECISION(6))
			  : 0;
	json_decref(rows);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command) != 0 || result != 0;
}
