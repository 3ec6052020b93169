/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application whose threads wait for the KMS while something happens to them; for
 * tests/e2e/interrupted.py, which holds the answers of the KMS back.
 *
 * 	interrupted cancel PROJECT    the asking thread, and one of those that wait, are cancelled
 * 	interrupted signal PROJECT    signals come to all of them all the time
 * 	interrupted finalize PROJECT  a child of the process ends its module, then two threads
 * 	                              end ours
 *
 * A line for each thing that answered: what, CKR_…, the seconds it took. After "asking" it waits
 * for a line on standard input, which says that the KMS has been asked. A thread that does not
 * answer in time ends the program.
 */
#include "application.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, LIMIT_SECONDS = 60, SETTLE_US = 300000, SIGNAL_PAUSE_US = 1000 };

struct thread {
	pthread_t thread;
	const char *what;
	CK_RV (*work)(struct thread *thread);
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE zone, key;
	atomic_bool done;
	CK_RV rv;
	double seconds;
};

static void *run(void *state)
{
	struct thread *thread = state;
	double began = now();

	thread->rv = thread->work(thread);
	thread->seconds = now() - began;
	atomic_store(&thread->done, true);
	pthread_testcancel();
	return NULL;
}

static void start(struct thread *thread)
{
	if (pthread_create(&thread->thread, NULL, run, thread) != 0)
		must(CKR_HOST_MEMORY, "pthread_create");
}

static void join(struct thread *thread)
{
	struct timespec limit;
	void *result;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += LIMIT_SECONDS;
	if (pthread_timedjoin_np(thread->thread, &result, &limit) != 0) {
		printf("%s hangs\n", thread->what);
		fflush(stdout);
		_exit(1);
	}
	printf("%s%s %lu %.3f\n", thread->what, result == PTHREAD_CANCELED ? "-cancelled" : "",
	       thread->rv, thread->seconds);
}

/* A call that waits for the KMS when the zone has no lease. */
static CK_RV wrap(struct thread *thread)
{
	CK_BYTE wrapped[WRAPPED_MAX];
	CK_ULONG len;

	return wrap_key(thread->session, thread->zone, thread->key, wrapped, &len);
}

static CK_RV wrap_to_the_end(struct thread *thread)
{
	CK_RV rv;

	do
		rv = wrap(thread);
	while (rv != CKR_CRYPTOKI_NOT_INITIALIZED && rv != CKR_SESSION_HANDLE_INVALID);
	return rv;
}

static CK_RV finalize(struct thread *thread)
{
	(void)thread;
	return p11->C_Finalize(NULL);
}

static struct thread thread_of(const char *what, CK_RV (*work)(struct thread *thread))
{
	struct thread thread = {
		.what = what,
		.work = work,
		.session = open_session(),
		.rv = CKR_GENERAL_ERROR, /* it has not come back */
	};

	thread.zone = find_zone(thread.session, 0);
	must(make_key(thread.session, &thread.key), "C_GenerateKey");
	return thread;
}

static void tell(const char *what)
{
	char line[16];

	printf("%s\n", what);
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		exit(1);
}

/* One thread asks, and when the KMS has the request, the others come. */
static void start_all(struct thread *threads)
{
	start(&threads[0]);
	tell("asking");
	for (int i = 1; i < THREADS; i++)
		start(&threads[i]);
	usleep(SETTLE_US);
}

static void end(void)
{
	struct thread ending = {.what = "finalize", .work = finalize};

	start(&ending);
	join(&ending);
}

static void cancel(void)
{
	struct thread threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_of(i == 0 ? "asks" : i == 1 ? "waits" : "other", wrap);
	start_all(threads);
	pthread_cancel(threads[0].thread);
	pthread_cancel(threads[1].thread);
	for (int i = 0; i < THREADS; i++)
		join(&threads[i]);
	end();
}

/* --- Signals */

static atomic_ulong handled;

static void handle(int number)
{
	(void)number;
	atomic_fetch_add(&handled, 1);
}

static bool all_done(struct thread *threads)
{
	for (int i = 0; i < THREADS; i++)
		if (!atomic_load(&threads[i].done))
			return false;
	return true;
}

/* SIGHUP is one of those that come through while libcurl works, too. */
static void signal_all(struct thread *threads)
{
	for (int i = 0; i < THREADS; i++) {
		if (atomic_load(&threads[i].done))
			continue;
		pthread_kill(threads[i].thread, SIGUSR1);
		pthread_kill(threads[i].thread, SIGHUP);
	}
	usleep(SIGNAL_PAUSE_US);
}

static void send_signals(void)
{
	struct sigaction action = {.sa_handler = handle}; /* without SA_RESTART */
	struct thread threads[THREADS];
	double limit;

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_of("other", wrap);
	start_all(threads);
	limit = now() + LIMIT_SECONDS;
	while (!all_done(threads) && now() < limit)
		signal_all(threads);
	for (int i = 0; i < THREADS; i++)
		join(&threads[i]);
	printf("handled %lu 0\n", atomic_load(&handled));
	end();
}

/* --- The end of the module */

static void finalize_in_a_child(void)
{
	double began = now();
	CK_ULONG count = 0;
	CK_RV ended;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(LIMIT_SECONDS);
		ended = p11->C_Finalize(NULL);
		printf("child %lu %.3f\n", ended, now() - began);
		must(initialize(), "C_Initialize in the child");
		must(p11->C_GetSlotList(CK_TRUE, NULL, &count), "C_GetSlotList in the child");
		printf("child-again %lu %.3f\n", p11->C_Finalize(NULL), now() - began);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void finalize_twice(void)
{
	struct thread threads[THREADS], ending[2] = {
						{.what = "finalize", .work = finalize},
						{.what = "finalize", .work = finalize},
					};
	struct thread again;

	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_of("other", wrap_to_the_end);
	start_all(threads);
	finalize_in_a_child();
	for (int i = 0; i < 2; i++)
		start(&ending[i]);
	for (int i = 0; i < 2; i++)
		join(&ending[i]);
	for (int i = 0; i < THREADS; i++)
		join(&threads[i]);
	tell("ended");
	must(initialize(), "C_Initialize");
	again = thread_of("again", wrap);
	start(&again);
	join(&again);
	end();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*happens)(void);
	} modes[] = {{"cancel", cancel}, {"signal", send_signals}, {"finalize", finalize_twice}};

	for (size_t i = 0; argc == 3 && i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(argv[1], modes[i].name) != 0)
			continue;
		application_start(argv[2]);
		modes[i].happens();
		return 0;
	}
	fprintf(stderr, "usage: interrupted cancel|signal|finalize PROJECT\n");
	return 2;
}
