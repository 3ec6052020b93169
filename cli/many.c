/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/many.h"

#include "base/clock.h"
#include "base/macros.h"
#include "cli/meter.h"
#include "cli/print.h"
#include "cli/said.h"
#include "cli/source.h"
#include "library/threads.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROGRESS_EVERY_MS = 100 };

/* --- Interruptions --------------------------------------------------------------------------- */

static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};
static atomic_int interrupted;

static void interrupt(int number)
{
	interrupted = number;
}

static void watch(struct sigaction before[static COUNT_OF(numbers)])
{
	struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESETHAND | SA_RESTART};

	interrupted = 0;
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		if (sigaction(numbers[i], NULL, &before[i]) == 0 && before[i].sa_handler == SIG_DFL)
			sigaction(numbers[i], &action, NULL);
}

static void unwatch(const struct sigaction before[static COUNT_OF(numbers)])
{
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		sigaction(numbers[i], &before[i], NULL);
}

/* --- Progress -------------------------------------------------------------------------------- */

static atomic_bool drawn;

/* Before any line on standard error. */
static void clear_line(void)
{
	if (atomic_exchange(&drawn, false))
		fputs("\r\033[K", stderr);
}

static void draw(const struct many *many, uint64_t files)
{
	char text[METER_SIZE];
	const struct meter meter = {
		.files = files,
		.total_files = many->total_files,
		.bytes = (uint64_t)atomic_load(&many->progress),
		.total_bytes = many->total_bytes,
		.elapsed_ms = clock_system.monotonic_ms(NULL) - many->started_ms,
	};

	meter_text(&meter, text);
	fprintf(stderr, "\r%s\033[K", text);
	atomic_store(&drawn, true);
}

static void show_progress(struct many *many)
{
	static atomic_llong shown_ms;
	int64_t now = clock_system.monotonic_ms(NULL);
	uint64_t files = many->failed;

	if (many->quiet || !isatty(STDERR_FILENO) ||
	    now - atomic_load(&shown_ms) < PROGRESS_EVERY_MS)
		return;
	atomic_store(&shown_ms, now);
	for (size_t i = 0; many->kinds[i] != NULL; i++)
		files += many->counts[i];
	draw(many, files);
}

void many_cancelled(void)
{
	fail_here.silent = true;
}

bool many_progress(struct many *many, size_t len)
{
	atomic_fetch_add(&many->progress, (long long)len);
	if (interrupted != 0) {
		many_cancelled();
		errno = ECANCELED;
		return false;
	}
	pthread_mutex_lock(&many->lock);
	show_progress(many);
	pthread_mutex_unlock(&many->lock);
	return true;
}

/* --- Results --------------------------------------------------------------------------------- */

static void list_failure(struct many *many, const char *path, int code)
{
	json_t *row = said_json(code, fail_here.text, fail_here.which_len);

	if (many->files == NULL)
		many->files = json_array();
	json_object_set(row, "file", json_object_get(row, "which"));
	if (path != NULL)
		json_object_set_new(row, "file", print_json_text(path));
	json_object_set_new(row, "result", json_string("failed"));
	json_array_append_new(many->files, row);
}

void many_note_failure(struct many *many, const char *path, int code)
{
	if (many->arguments->json)
		list_failure(many, path, code);
	many->failed++;
	if (many->code == CMEK_EXIT_OK)
		many->code = code;
	else if (many->code != code)
		many->code = CMEK_EXIT_FAILED;
}

static void list_file(struct many *many, const struct many_file *file,
		      const struct many_outcome *outcome)
{
	json_t *row = json_pack("{s:o, s:s}", "file", print_json_text(file->path), "result",
				many->kinds[outcome->kind]);

	if (outcome->from != 0)
		json_object_set_new(row, "from", json_integer(outcome->from));
	if (outcome->to != 0)
		json_object_set_new(row, "to", json_integer(outcome->to));
	if (outcome->target != NULL)
		json_object_set_new(row, "output", print_json_text(outcome->target));
	json_array_append_new(many->files, row);
}

static void note(struct many *many, const struct many_file *file, int code,
		 const struct many_outcome *outcome)
{
	bool listed = code == CMEK_EXIT_OK && !outcome->quiet;

	pthread_mutex_lock(&many->lock);
	if (code != CMEK_EXIT_OK)
		many_note_failure(many, file->path, code);
	else
		many->counts[outcome->kind]++;
	many->bytes += code == CMEK_EXIT_OK ? outcome->bytes : 0;
	many->stop |= outcome->stop;
	if (listed && many->arguments->json && !many->silent)
		list_file(many, file, outcome);
	else if (listed && many->dry_run)
		puts(file->path);
	show_progress(many);
	pthread_mutex_unlock(&many->lock);
}

/* "up to date" is up_to_date. */
static void set_count(json_t *summary, const char *kind, uint64_t count)
{
	char name[32];

	snprintf(name, sizeof(name), "%s", kind);
	for (char *at = name; *at != '\0'; at++)
		if (*at == ' ')
			*at = '_';
	json_object_set_new(summary, name, json_integer((json_int_t)count));
}

json_t *many_summary(const struct many *many)
{
	json_t *summary = json_object();

	for (size_t i = 0; many->kinds[i] != NULL; i++)
		set_count(summary, many->kinds[i], many->counts[i]);
	set_count(summary, "failed", many->failed);
	set_count(summary, "other", many->others);
	return summary;
}

static void print_json(const struct many *many)
{
	json_t *summary = many_summary(many);

	json_object_set_new(summary, "bytes", json_integer((json_int_t)many->bytes));
	json_object_set(summary, "files", many->files);
	json_dumpf(summary, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(summary);
}

static void print_text_summary(const struct many *many)
{
	const char *comma = "";

	for (size_t i = 0; many->kinds[i] != NULL; i++)
		if (many->counts[i] > 0) {
			printf("%s%" PRIu64 " %s", comma, many->counts[i], many->kinds[i]);
			comma = ", ";
		}
	if (many->failed > 0)
		printf("%s%" PRIu64 " failed", comma, many->failed);
	else if (*comma == '\0')
		printf("no files");
	if (many->others > 0)
		printf("; left alone: %" PRIu64 " links and special files", many->others);
	putchar('\n');
}

static int finish(struct many *many)
{
	const char *again = many->again == NULL ? "run the command again to go on" : many->again;

	clear_line();
	if (!many->silent && many->arguments->json)
		print_json(many);
	else if (!many->silent && !many->quiet)
		print_text_summary(many);
	fail_here.silent = false;
	if (interrupted != 0)
		return fail(CMEK_EXIT_FAILED, "interrupted; %s", again);
	return many->stop && many->code != CMEK_EXIT_OK
		       ? fail(many->code, "ended here, since other files would fail alike; %s",
			      again)
		       : many->code;
}

/* --- Threads --------------------------------------------------------------------------------- */

static bool next(struct many *many, struct found *ret_found)
{
	return many->next != NULL ? many->next(many, ret_found)
				  : source_next(many->source, ret_found);
}

static bool take(struct many *many, struct found *ret_found)
{
	bool found = false;

	pthread_mutex_lock(&many->lock);
	while (!found && !many->stop && interrupted == 0 && next(many, ret_found)) {
		many->others += ret_found->other;
		if (ret_found->code != CMEK_EXIT_OK)
			many_note_failure(many, ret_found->path, ret_found->code);
		found = !ret_found->other && ret_found->code == CMEK_EXIT_OK;
		if (!found)
			free(TAKE(ret_found->path));
	}
	pthread_mutex_unlock(&many->lock);
	return found;
}

static void *run_thread(void *state)
{
	AUTO(sessions_clear) struct sessions sessions = {0};
	struct many *many = state;
	struct found found = {0};

	if (sessions_init(&sessions, &many->slots) != CMEK_EXIT_OK) {
		pthread_mutex_lock(&many->lock);
		many_note_failure(many, NULL, CMEK_EXIT_FAILED);
		many->stop = true;
		pthread_mutex_unlock(&many->lock);
		return NULL;
	}
	while (take(many, &found)) {
		struct many_file file = {found.path, found.walked, found.index};
		struct many_outcome outcome = {0};
		int code;

		fail_here = (struct fail_here){0};
		code = many->work(many, &sessions, &file, &outcome);
		if (code == CMEK_EXIT_OK || !fail_here.silent)
			note(many, &file, code, &outcome);
		free(TAKE(found.path));
	}
	return NULL;
}

/* The first thread is ours; those that can't be started are done without. */
static void run_threads(struct many *many)
{
	pthread_t threads[LIBRARY_THREADS_MAX];
	unsigned started = 0, wanted = many->threads - 1;

	while (started < wanted && pthread_create(&threads[started], NULL, run_thread, many) == 0)
		started++;
	run_thread(many);
	while (started > 0)
		pthread_join(threads[--started], NULL);
}

int many_run(struct many *many)
{
	struct sigaction before[COUNT_OF(numbers)];
	struct source source = {0};
	int code = CMEK_EXIT_OK;

	if (many->functions != NULL)
		code = slots_read(many->functions, many->project,
				  arguments_value(many->arguments, "project"), &many->slots);
	if (code == CMEK_EXIT_OK && many->functions != NULL)
		code = slots_login(&many->slots);
	if (code != CMEK_EXIT_OK) {
		slots_clear(&many->slots);
		return code;
	}
	if (many->threads == 0)
		many->threads = library_threads(CMEK_ALL_PROCESSORS);
	many->source = &source;
	source_begin(&source, many->arguments, many->recursive);
	pthread_mutex_init(&many->lock, NULL);
	if (many->files == NULL && many->arguments->json)
		many->files = json_array();
	many->started_ms = clock_system.monotonic_ms(NULL);
	watch(before);
	fail_prepare = clear_line;
	run_threads(many);
	code = finish(many);
	fail_prepare = NULL;
	unwatch(before);
	if (!many->silent)
		json_decref(many->files);
	pthread_mutex_destroy(&many->lock);
	source_end(&source);
	slots_clear(&many->slots);
	return code;
}
