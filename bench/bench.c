/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures and prints a table. All peers take turns within each round, so that a machine that slows
 * down slows all of them; the ratio is taken in each round, then the median of all rounds.
 *
 *     bench [ROUNDS [FILE.json]]
 *
 * The file has what the table has, for bench/plot.py and whoever compares runs.
 */
#include "bench/bench.h"

#include "base/macros.h"

#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 501, ROUNDS_DEFAULT = 75, ROUNDS_SLOW = 11 };

/* Short, so that most batches are not interrupted by another process. */
static const double batch_ns = 1e6;

struct result {
	double ns[ROUNDS_MAX]; /* for one run, by round */
	size_t rounds;	       /* it takes part in */
	size_t batch;	       /* runs in a round; 0: can't */
	char failure[sizeof(failure)];
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Nanoseconds a run; negative: it failed. */
static double time_batch(const struct work *work, struct peer *peer, size_t batch)
{
	double start = now_ns();

	for (size_t i = 0; i < batch; i++)
		if (!work->run(peer, work->size))
			return -1;
	return (now_ns() - start) / (double)batch;
}

/* The fastest of three, since one alone may meet what comes once in a second, as a look into the
 * store: a batch that is taken for slow is short, and measures what a cold cache costs. */
static double time_undisturbed(const struct work *work, struct peer *peer, size_t batch)
{
	double fastest = time_batch(work, peer, batch);

	for (int again = 0; fastest >= 0 && again < 2; again++) {
		double ns = time_batch(work, peer, batch);

		if (ns < fastest)
			fastest = ns;
	}
	return fastest;
}

/* As many runs as take about batch_ns. */
static size_t calibrate(const struct work *work, struct peer *peer)
{
	for (size_t batch = 1;; batch *= 4) {
		double ns = time_undisturbed(work, peer, batch);

		if (ns < 0)
			return 0;
		if (ns * (double)batch >= batch_ns / 4)
			return ns >= batch_ns ? 1 : (size_t)(batch_ns / ns);
	}
}

static bool takes_part(const struct work *work, const struct peer *peer)
{
	return peer->missing[0] == '\0' && (peer->p11 != NULL || work->beside_libcrypto);
}

static void prepare(const struct work *work, struct peer *peer, struct result *result,
		    size_t rounds)
{
	*result = (struct result){0};
	failure[0] = '\0';
	if (!takes_part(work, peer))
		return;
	if (work->prepare(peer, work->size))
		result->batch = calibrate(work, peer);
	/* One run fills a batch: fewer rounds are enough. */
	result->rounds = result->batch > 1 || rounds < ROUNDS_SLOW ? rounds : ROUNDS_SLOW;
	memcpy(result->failure, failure, sizeof(failure));
}

static void measure(const struct work *work, struct peer *peers, struct result *results,
		    size_t rounds)
{
	for (size_t i = 0; i < PEER_COUNT; i++)
		prepare(work, &peers[i], &results[i], rounds);
	for (size_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < PEER_COUNT; i++) {
			if (results[i].batch == 0 || round >= results[i].rounds)
				continue;
			work->prepare(&peers[i], work->size);
			results[i].ns[round] = time_batch(work, &peers[i], results[i].batch);
		}
	}
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

static double median_ratio(const struct result *base, const struct result *result)
{
	size_t rounds = base->rounds < result->rounds ? base->rounds : result->rounds;
	double ratios[ROUNDS_MAX];

	for (size_t i = 0; i < rounds; i++)
		ratios[i] = base->ns[i] / result->ns[i];
	return median(ratios, rounds);
}

static void print_cell(const struct result *base, const struct result *result)
{
	double ns = result->batch == 0 ? 0 : median(result->ns, result->rounds);

	if (result->batch == 0)
		printf(" – |");
	else if (base->batch == 0 || base == result)
		printf(" %.2f µs |", ns / 1e3);
	else
		printf(" %.2f µs (%.2f) |", ns / 1e3, median_ratio(base, result));
}

static void print_row(const struct work *work, const struct result *results)
{
	printf("| %s |", work->title);
	for (size_t i = 0; i < PEER_COUNT; i++)
		print_cell(&results[PEER_LIBCRYPTO], &results[i]);
	printf("\n");
	fflush(stdout);
}

enum { PROCESSOR_SIZE = 128 };

static void read_processor(char name[static PROCESSOR_SIZE])
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");

	snprintf(name, PROCESSOR_SIZE, "unknown processor");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || value == NULL)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(name, PROCESSOR_SIZE, "%s", value + 2);
		break;
	}
	if (file != NULL)
		fclose(file);
}

static void print_processor(void)
{
	char name[PROCESSOR_SIZE];

	read_processor(name);
	printf("Machine: %s, %ld cores", name, sysconf(_SC_NPROCESSORS_ONLN));
}

static void print_head(const struct peer *peers, size_t rounds)
{
	struct utsname system;
	double load = 0;

	uname(&system);
	getloadavg(&load, 1);
	print_processor();
	printf(", %s %s %s, load %.1f\n", system.sysname, system.release, system.machine, load);
	for (size_t i = 0; i < PEER_COUNT; i++)
		printf("%s%s", i == 0 ? "Measured: " : ", ",
		       peers[i].missing[0] == '\0' ? peers[i].version : peers[i].name);
	printf("\nMedians of up to %zu interleaved rounds; in brackets the speed beside libcrypto "
	       "(1.00 = as fast).\n\n|  |",
	       rounds);
	for (size_t i = 0; i < PEER_COUNT; i++)
		printf(" %s |", peers[i].name);
	printf("\n| :- | -: | -: | -: | -: |\n");
}

static void print_missing(const struct peer *peers)
{
	for (size_t i = 0; i < PEER_COUNT; i++)
		if (peers[i].missing[0] != '\0')
			printf("\nNot measured: %s (%s)\n", peers[i].name, peers[i].missing);
}

/* ns: medians; speed: beside libcrypto; times: how much longer than ours. null: not measured. */
static json_t *row_json(const struct work *work, const struct result *results)
{
	const struct result *base = &results[PEER_LIBCRYPTO], *ours = &results[PEER_OURS];
	json_t *ns = json_array(), *speed = json_array(), *times = json_array();

	for (size_t i = 0; i < PEER_COUNT; i++) {
		const struct result *result = &results[i];
		bool both = base->batch != 0 && result->batch != 0;
		bool beside_us = ours->batch != 0 && result->batch != 0;

		json_array_append_new(ns, result->batch == 0
						  ? json_null()
						  : json_real(median(result->ns, result->rounds)));
		json_array_append_new(speed,
				      both ? json_real(median_ratio(base, result)) : json_null());
		json_array_append_new(times, beside_us ? json_real(median_ratio(result, ours))
						       : json_null());
	}
	return json_pack("{s:s, s:o, s:o, s:o}", "work", work->title, "ns", ns, "speed", speed,
			 "times", times);
}

static json_t *peers_json(const struct peer *peers)
{
	json_t *list = json_array();

	for (size_t i = 0; i < PEER_COUNT; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s}", "name", peers[i].name, "version",
						peers[i].version, "missing", peers[i].missing));
	return list;
}

static bool write_json(const char *path, const struct peer *peers, size_t rounds, json_t *rows)
{
	char name[PROCESSOR_SIZE];
	json_t *all;
	bool written;

	read_processor(name);
	all = json_pack("{s:s, s:i, s:I, s:I, s:o, s:o}", "machine", name, "cores",
			(int)sysconf(_SC_NPROCESSORS_ONLN), "time", (json_int_t)time(NULL),
			"rounds", (json_int_t)rounds, "peers", peers_json(peers), "rows", rows);
	written = json_dump_file(all, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) == 0;
	if (!written)
		fprintf(stderr, "%s: can't be written\n", path);
	json_decref(all);
	return written;
}

static int remove_one(const char *path, const struct stat *found, int type, struct FTW *at)
{
	(void)found;
	(void)type;
	(void)at;
	return remove(path);
}

/* A failure, unless something is just missing, is printed and makes the exit code 1. */
static bool report_failures(const struct work *work, const struct peer *peers,
			    const struct result *results)
{
	bool failed = false;

	for (size_t i = 0; i < PEER_COUNT; i++) {
		if (results[i].batch != 0 || !takes_part(work, &peers[i]))
			continue;
		fprintf(stderr, "%s: %s: %s\n", peers[i].name, work->title, results[i].failure);
		failed = failed || i == PEER_OURS;
	}
	return failed;
}

static int measure_all(const char *folder, size_t rounds, const char *json)
{
	static struct result results[PEER_COUNT];
	static struct peer peers[PEER_COUNT];
	json_t *rows = json_array();
	bool failed = false;

	for (size_t i = 0; i < PEER_COUNT; i++)
		peer_open(&peers[i], i, folder);
	print_head(peers, rounds);
	for (size_t i = 0; i < work_count; i++) {
		measure(&works[i], peers, results, rounds);
		print_row(&works[i], results);
		json_array_append_new(rows, row_json(&works[i], results));
		failed = report_failures(&works[i], peers, results) || failed;
	}
	print_missing(peers);
	if (json != NULL)
		failed = !write_json(json, peers, rounds, json_incref(rows)) || failed;
	json_decref(rows);
	return failed ? 1 : 0;
}

static volatile sig_atomic_t measuring; /* the child's pid */

static void pass_on(int number)
{
	kill(measuring, number);
}

/* A child measures, so that its folder is removed however it ends: normally, by a crash, or by a
 * signal. */
static int measure_aside(const char *folder, size_t rounds, const char *json)
{
	const int ends[] = {SIGINT, SIGTERM, SIGHUP};
	const struct sigaction passes_on = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
	sigset_t blocked, before;
	int status = 0;

	sigemptyset(&blocked);
	for (size_t i = 0; i < COUNT_OF(ends); i++)
		sigaddset(&blocked, ends[i]);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	measuring = fork();
	if (measuring == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		exit(measure_all(folder, rounds, json));
	}
	if (measuring > 0) {
		for (size_t i = 0; i < COUNT_OF(ends); i++)
			sigaction(ends[i], &passes_on, NULL);
		sigprocmask(SIG_SETMASK, &before, NULL);
		while (waitpid(measuring, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (measuring < 0)
		return 1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	const char *place = getenv("TMPDIR");
	char folder[PATH_MAX];
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS_DEFAULT;

	snprintf(folder, sizeof(folder), "%s/cmek-bench-XXXXXX", place != NULL ? place : "/tmp");
	if (rounds < 1 || rounds > ROUNDS_MAX || mkdtemp(folder) == NULL) {
		fprintf(stderr, "usage: %s [ROUNDS [FILE.json]], at most %d rounds\n", argv[0],
			ROUNDS_MAX);
		return 2;
	}
	return measure_aside(folder, rounds, argc > 2 ? argv[2] : NULL);
}
