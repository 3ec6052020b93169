/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads, each with a session and a data key of its own, do one work by turns, and each
 * instruction of a turn is written down, so that another program can tell which memory both touch
 * (tests/sweeps/shared_lines.py):
 *
 *     turns FOLDER WORK COUNT      FOLDER, which is there, is for the module's files
 *
 * A turn is COUNT works. FOLDER/steps has, for each turn, the thread's number and how many steps
 * follow; a step is what the registers hold before an instruction, in the order of gregset_t. What
 * lies in memory where goes to standard output. x86-64 alone: the processor itself stops after each
 * instruction while the trap flag is set (Intel SDM, volume 3, "Single-Stepping").
 *
 * The module's clock stands still meanwhile: so no turn, however slow, has what comes once in a
 * second (the look into the store).
 */
#include "base/macros.h"
#include "bench/bench.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* The first ones of a thread are not written down: until then the module may find out that there
 * are two (zones/ezk/lanes.h). */
enum { THREADS = 2, FIRST = 10, TURNS = 5, STEPS_MAX = 1 << 17, REGISTERS = 17 };

typedef uint64_t step[REGISTERS];
static step *steps;
static uint64_t step_count;
static bool clock_stands;

/* The program's symbol goes before the C library's, in what is loaded later, too (base/clock.c asks
 * the coarse clocks). Before it stands still, the module reads the time as ever. */
int clock_gettime(clockid_t id, struct timespec *ret_now)
{
	static struct timespec stood[2];
	const bool coarse = id == CLOCK_MONOTONIC_COARSE || id == CLOCK_REALTIME_COARSE;
	struct timespec *last = &stood[id == CLOCK_REALTIME_COARSE];

	if (!coarse)
		return (int)syscall(SYS_clock_gettime, id, ret_now);
	if (!clock_stands && syscall(SYS_clock_gettime, id, last) != 0)
		return -1;
	*ret_now = *last;
	return 0;
}

#ifdef __x86_64__

enum { TRAP_FLAG = 0x100 };

/* The rest of a turn that is too long goes by without a stop. */
static void note_step(int signal, siginfo_t *info, void *state)
{
	ucontext_t *at = state;

	(void)signal;
	(void)info;
	memcpy(steps[step_count++], at->uc_mcontext.gregs, sizeof(*steps));
	if (step_count == STEPS_MAX)
		at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static bool can_step(void)
{
	const struct sigaction action = {.sa_sigaction = note_step,
					 .sa_flags = SA_SIGINFO | SA_RESTART};

	return sigaction(SIGTRAP, &action, NULL) == 0;
}

/* Past the red zone, where the compiler may keep variables. */
#define SET_FLAGS(change)                                                                          \
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"                                              \
			 "pushfq\n\t" change " (%%rsp)\n\t"                                        \
			 "popfq\n\t"                                                               \
			 "lea 128(%%rsp), %%rsp" ::                                                \
				 : "memory", "cc")

static void steps_begin(void)
{
	SET_FLAGS("orq $0x100,");
}

static void steps_end(void)
{
	SET_FLAGS("andq $-0x101,");
}

#else

static bool can_step(void)
{
	return false;
}

static void steps_begin(void)
{
}

static void steps_end(void)
{
}

#endif

struct lane {
	pthread_t thread;
	struct peer peer;
	const struct work *work;
	unsigned long count;
	sem_t turn, *next;
	FILE *out;
	size_t index;
	bool well;
} __attribute__((aligned(64)));

static bool lane_run(struct lane *lane)
{
	for (unsigned long i = 0; i < lane->count; i++)
		if (!lane->work->run(&lane->peer, lane->work->size))
			return false;
	return true;
}

static bool write_turn(const struct lane *lane)
{
	const uint64_t head[] = {lane->index, step_count};

	if (step_count == STEPS_MAX)
		snprintf(failure, sizeof(failure), "a turn has more than %d steps", STEPS_MAX);
	return step_count < STEPS_MAX && fwrite(head, sizeof(head), 1, lane->out) == 1 &&
	       fwrite(steps, sizeof(*steps), step_count, lane->out) == step_count;
}

static bool lane_turn(struct lane *lane)
{
	bool well;

	step_count = 0;
	steps_begin();
	well = lane_run(lane);
	steps_end();
	return well && write_turn(lane);
}

static void *lane_turns(void *state)
{
	struct lane *lane = state;

	sem_wait(&lane->turn);
	lane->well = lane->well && lane->work->prepare(&lane->peer, lane->work->size);
	for (int i = 0; i < FIRST + TURNS; i++) {
		lane->well = lane->well && (i < FIRST ? lane_run(lane) : lane_turn(lane));
		sem_post(lane->next);
		sem_wait(&lane->turn);
	}
	sem_post(lane->next);
	return NULL;
}

/* By one thread first, whose heap is fresh, as where a program hands its sessions round: what is
 * allocated for the one lies right beside what is for the other. */
static void *lanes_warm(void *state)
{
	struct lane *lanes = state;

	for (size_t i = 0; i < THREADS; i++)
		lanes[i].well = lanes[i].work->prepare(&lanes[i].peer, lanes[i].work->size) &&
				lane_run(&lanes[i]);
	return NULL;
}

static bool lanes_run(struct lane lanes[static THREADS], const struct peer *peer,
		      const struct work *work, unsigned long count, FILE *out)
{
	for (size_t i = 0; i < THREADS; i++) {
		lanes[i].out = out;
		lanes[i].work = work;
		lanes[i].count = count;
		lanes[i].index = i;
		lanes[i].next = &lanes[(i + 1) % THREADS].turn;
		sem_init(&lanes[i].turn, 0, 0);
		if (!peer_beside(peer, &lanes[i].peer))
			return false;
	}
	if (pthread_create(&lanes[0].thread, NULL, lanes_warm, lanes) != 0)
		abort();
	pthread_join(lanes[0].thread, NULL);
	clock_stands = true;
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&lanes[i].thread, NULL, lane_turns, &lanes[i]) != 0)
			abort();
	sem_post(&lanes[0].turn);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(lanes[i].thread, NULL);
	return lanes[0].well && lanes[1].well;
}

static void print_memory(void)
{
	char line[1024];
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		fputs(line, stdout);
	if (maps != NULL)
		fclose(maps);
}

static bool turns_run(const char *folder, const struct work *work, unsigned long count)
{
	static struct lane lanes[THREADS];
	char path[512];
	struct peer peer;
	FILE *out;
	bool well;

	peer_open(&peer, PEER_OURS, folder);
	snprintf(path, sizeof(path), "%s/steps", folder);
	out = fopen(path, "we");
	steps = calloc(STEPS_MAX, sizeof(*steps));
	well = out != NULL && steps != NULL && can_step() && peer.missing[0] == '\0' &&
	       lanes_run(lanes, &peer, work, count, out);
	if (!well)
		fprintf(stderr, "%s: %s%s\n", work->title, peer.missing, failure);
	if (out != NULL && fclose(out) != 0)
		well = false;
	free(steps);
	return well;
}

int main(int argc, char **argv)
{
	const struct work *work = argc == 4 ? work_named(argv[2]) : NULL;
	bool well;

	if (work == NULL) {
		fprintf(stderr, "usage: %s FOLDER WORK COUNT, a work of bench/works.c\n", argv[0]);
		return 2;
	}
	well = turns_run(argv[1], work, strtoul(argv[3], NULL, 10));
	print_memory();
	return well ? 0 : 1;
}
