/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads, each with a session and a data key of its own, do one work by turns, and each
 * instruction of a turn is written down, so that another program can tell which memory both touch
 * (tests/sweeps/shared_lines.py):
 *
 *     turns FOLDER WORK COUNT      FOLDER, which is there, is for the module's files
 *
 * A turn is COUNT works. FOLDER/steps has, for each turn, the thread's number, how many steps
 * follow, and whether it is cut short; a step is what the registers hold before an instruction, in
 * the order of gregset_t. What lies in memory where goes to standard output. x86-64 alone: the
 * processor itself stops after each instruction while the trap flag is set (Intel SDM, volume 3,
 * "Single-Stepping").
 */
#include "base/macros.h"
#include "bench/bench.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

/* Several, since what comes once in a second falls into some of them. */
enum { THREADS = 2, TURNS = 15, STEPS_MAX = 1 << 15, REGISTERS = 17 };

typedef uint64_t step[REGISTERS];
static step *steps;
static uint64_t step_count;

#ifdef __x86_64__

enum { TRAP_FLAG = 0x100 };

/* The rest of a turn that is cut short goes by without a stop. */
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

/* A turn in which the module looked into its store, as once in a second, is cut short. */
static bool write_turn(const struct lane *lane)
{
	const uint64_t head[] = {lane->index, step_count, step_count == STEPS_MAX};

	return fwrite(head, sizeof(head), 1, lane->out) == 1 &&
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
	lane->well =
		lane->well && lane->work->prepare(&lane->peer, lane->work->size) && lane_run(lane);
	sem_post(lane->next);
	for (int i = 0; i < TURNS; i++) {
		sem_wait(&lane->turn);
		lane->well = lane->well && lane_turn(lane);
		sem_post(lane->next);
	}
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
