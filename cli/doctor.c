/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek doctor: the module's rows (CMEK_Doctor of include/cmek.h), the gravest first, each fault
 * once, and a verdict. The exit code is 0 if all works, else that of the gravest fault. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cli/said.h"
#include "cli/token.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
	char *what, *which, *details, *project, *why, *to_do; /* owned */
	CK_ULONG verdict, reason;
	int code; /* of a fault, or of what is not set up: an exit code */
	size_t number;
};

struct report {
	struct row *rows; /* owned */
	size_t count, room;
	bool failed; /* for lack of memory */
	bool many_projects;
};

static void row_clear(struct row *row)
{
	char *const texts[] = {row->what,    row->which, row->details,
			       row->project, row->why,	 row->to_do};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		free(texts[i]);
}

static void report_clear(struct report *report)
{
	for (size_t i = 0; i < report->count; i++)
		row_clear(&report->rows[i]);
	free(report->rows);
}

/* --- Taking rows ----------------------------------------------------------------------------- */

/* Faults that waiting does not cure come first. */
static const int order[] = {CMEK_EXIT_DAMAGED, CMEK_EXIT_DENIED, CMEK_EXIT_UNAVAILABLE};

static size_t gravity(int code)
{
	size_t i = 0;

	while (i < COUNT_OF(order) && order[i] != code)
		i++;
	return i;
}

/* "See cmek doctor" is no advice here. */
static void split(const char *said, struct row *row)
{
	const char *advice = said_advice(said);

	row->why = advice == NULL ? strdup(said)
				  : strndup(said, (size_t)(advice - said) - strlen("; "));
	row->to_do = strdup(advice == NULL || strstr(advice, "cmek doctor") != NULL ? "" : advice);
}

static bool copy(const struct CMEK_DOCTOR_ROW *from, struct row *row)
{
	row->what = strdup(from->what);
	row->which = strdup(from->which);
	row->details = strdup(from->details);
	row->project = strdup(from->project);
	split(from->said, row);
	row->verdict = from->verdict;
	row->reason = from->reason;
	row->code = from->verdict == CMEK_VERDICT_FAULT
			    ? exit_code_for(CKR_FUNCTION_FAILED, from->reason)
		    : from->verdict == CMEK_VERDICT_UNSET ? CMEK_EXIT_NOT_FOUND
							  : CMEK_EXIT_OK;
	return row->what != NULL && row->which != NULL && row->details != NULL &&
	       row->project != NULL && row->why != NULL && row->to_do != NULL;
}

static bool same(const struct row *a, const struct row *b)
{
	return strcmp(a->what, b->what) == 0 && strcmp(a->which, b->which) == 0 &&
	       strcmp(a->details, b->details) == 0 && strcmp(a->project, b->project) == 0 &&
	       strcmp(a->why, b->why) == 0;
}

/* Each thing once. */
static bool is_told(const struct report *report, const struct row *row)
{
	for (size_t i = 0; i < report->count; i++)
		if (same(&report->rows[i], row))
			return true;
	return false;
}

static bool make_room(struct report *report)
{
	size_t room = report->room * 2 + 32;
	struct row *rows;

	if (report->count < report->room)
		return true;
	rows = realloc(report->rows, room * sizeof(*rows));
	if (rows == NULL)
		return false;
	report->rows = rows;
	report->room = room;
	return true;
}

static void take(void *state, const struct CMEK_DOCTOR_ROW *from)
{
	struct report *report = state;
	struct row row = {.number = report->count};

	if (!make_room(report) || !copy(from, &row)) {
		report->failed = true;
		row_clear(&row);
	} else if (is_told(report, &row)) {
		row_clear(&row);
	} else {
		for (size_t i = 0; i < report->count; i++)
			report->many_projects |= *row.project != '\0' &&
						 *report->rows[i].project != '\0' &&
						 strcmp(report->rows[i].project, row.project) != 0;
		report->rows[report->count++] = row;
	}
}

static int by_gravity(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	if (a->verdict != b->verdict)
		return a->verdict > b->verdict ? -1 : 1;
	if (gravity(a->code) != gravity(b->code))
		return gravity(a->code) < gravity(b->code) ? -1 : 1;
	return a->number < b->number ? -1 : 1;
}

/* --- Showing them ---------------------------------------------------------------------------- */

static const char *status_word(CK_ULONG verdict)
{
	static const char *const words[] = {
		[CMEK_VERDICT_FINE] = "ok",
		[CMEK_VERDICT_NOTE] = "note",
		[CMEK_VERDICT_UNSET] = "not set up",
		[CMEK_VERDICT_FAULT] = "failed",
	};

	return verdict < COUNT_OF(words) ? words[verdict] : "unknown";
}

static void print_details(const struct report *report, const struct row *row)
{
	bool project = report->many_projects && *row->project != '\0';

	if (!project && *row->details == '\0')
		return;
	printf(" (%s%s%s%s)", project ? "project " : "", project ? row->project : "",
	       project && *row->details != '\0' ? "; " : "", row->details);
}

static void print_line(const struct report *report, const struct row *row)
{
	static const char *const marks[] = {
		[CMEK_VERDICT_FINE] = "",
		[CMEK_VERDICT_NOTE] = "",
		[CMEK_VERDICT_UNSET] = "not set up: ",
		[CMEK_VERDICT_FAULT] = "FAILED: ",
	};

	printf("%s%s", row->verdict == CMEK_VERDICT_NOTE ? "warning: " : "", row->what);
	if (*row->which != '\0')
		printf(" %s", row->which);
	print_details(report, row);
	printf("%s%s%s%s%s\n", *row->what == '\0' ? "" : ": ",
	       row->verdict < COUNT_OF(marks) ? marks[row->verdict] : "", row->why,
	       *row->to_do == '\0' ? "" : "; ", row->to_do);
}

static size_t count_of(const struct report *report, CK_ULONG verdict)
{
	size_t count = 0;

	for (size_t i = 0; i < report->count; i++)
		count += report->rows[i].verdict == verdict;
	return count;
}

/* All that is wrong is that this is not the store any more. */
static bool has_moved(const struct report *report)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->rows[i].verdict == CMEK_VERDICT_FAULT &&
		    report->rows[i].reason != CMEK_ERROR_STORE_MOVED)
			return false;
	return true;
}

/* One line, free() it; NULL: no memory. */
static char *verdict_of(const struct report *report)
{
	size_t faults = count_of(report, CMEK_VERDICT_FAULT),
	       unset = count_of(report, CMEK_VERDICT_UNSET),
	       notes = count_of(report, CMEK_VERDICT_NOTE);
	char *text = NULL;
	int done;

	if (faults > 0 && has_moved(report))
		done = asprintf(&text, "moved to another store; begin with the first line");
	else if (faults > 0)
		done = asprintf(&text, "%zu of %zu things do not work; begin with the first",
				faults, report->count);
	else if (unset > 0)
		done = asprintf(&text, "what is set up works; begin with the first line");
	else if (notes > 0)
		done = asprintf(&text, "all works; worth a look: %zu", notes);
	else
		done = asprintf(&text, "all works");
	return done < 0 ? NULL : text;
}

static json_t *row_json(const struct row *row)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "what", print_json_text(row->what),
			 "which", print_json_text(row->which), "details",
			 print_json_text(row->details), "project", print_json_text(row->project),
			 "status", status_word(row->verdict), "why", print_json_text(row->why),
			 "to_do", print_json_text(row->to_do));
}

static void print_json(const struct report *report, int code, const char *verdict)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < report->count; i++)
		json_array_append_new(rows, row_json(&report->rows[i]));
	json_t *root = json_pack("{s:b, s:s, s:i, s:o}", "ok", code == CMEK_EXIT_OK, "verdict",
				 verdict, "exit_code", code, "rows", rows);

	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

static int show(struct report *report, bool json)
{
	AUTO(freep) char *verdict = NULL;
	int code = CMEK_EXIT_OK;

	if (report->count > 0)
		qsort(report->rows, report->count, sizeof(*report->rows), by_gravity);
	verdict = verdict_of(report);
	if (report->failed || verdict == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	if (report->count > 0)
		code = report->rows[0].code;
	if (json) {
		print_json(report, code, verdict);
		return code;
	}
	for (size_t i = 0; i < report->count; i++)
		print_line(report, &report->rows[i]);
	printf("verdict: %s\n", verdict);
	return code;
}

/* --- Asking at once -------------------------------------------------------------------------- */

/* So many root keys and zones are asked about at once: few enough that no KMS throttles them. */
enum { THREADS = 8 };

struct asking {
	CMEK_DOCTOR_ASK ask;
	void *asked;
	CK_ULONG count;
	atomic_ulong next;
};

static void *ask_some(void *state)
{
	struct asking *asking = state;
	CK_ULONG number;

	while ((number = atomic_fetch_add(&asking->next, 1)) < asking->count)
		asking->ask(asking->asked, number);
	return NULL;
}

/* The first thread is ours; those that can't be started are done without. */
static void ask_at_once(void *state, CK_ULONG count, CMEK_DOCTOR_ASK ask, void *asked)
{
	struct asking asking = {.ask = ask, .asked = asked, .count = count};
	pthread_t threads[THREADS - 1];
	size_t started = 0;

	(void)state;
	while (started < COUNT_OF(threads) && started + 1 < count &&
	       pthread_create(&threads[started], NULL, ask_some, &asking) == 0)
		started++;
	ask_some(&asking);
	while (started > 0)
		pthread_join(threads[--started], NULL);
}

int doctor_run(const struct arguments *arguments)
{
	AUTO(report_clear) struct report report = {0};
	const CK_FUNCTION_LIST *functions;
	struct CMEK_DOCTOR request = {
		.project = arguments_value(arguments, "project"),
		.kms_key = arguments_value(arguments, "kms"),
		.all_zones = arguments_value(arguments, "all") != NULL,
		.put = take,
		.state = &report,
	};
	CK_RV rv;

	TRY(module_load(&functions));
	rv = module_doctor(&request, ask_at_once);
	if (rv == CKR_TOKEN_NOT_PRESENT && request.project != NULL)
		return fail(CMEK_EXIT_NOT_FOUND, "no project %s; see cmek project list",
			    request.project);
	if (rv == CKR_FUNCTION_NOT_SUPPORTED)
		return fail(CMEK_EXIT_FAILED, "the module is older than this program; set "
					      "CMEK_PKCS11_MODULE to the one of this release");
	if (rv != CKR_OK)
		return module_failed(rv, "looking at everything");
	return show(&report, arguments->json);
}

/* --- The command ----------------------------------------------------------------------------- */

/* clang-format off */

static const struct option_row doctor_options[] = {
	ANY_PROJECT,
	{ "kms", "KEY", "also try this key of a KMS, registered or not", false },
	{ "all", NULL, "open every zone", false },
	END,
};

static const struct command command_rows[] = {
	{ "doctor", NULL, "", "check configuration, store, credentials, root keys and zones",
	  "Looks at the module, its configuration, the store, each provider of keys (its region, endpoint,\n"
	  "credentials and identity), asks about each root key, and opens some zones below each; with --all\n"
	  "every zone. A line for each thing: what, which, and what is wrong and what to do; the gravest\n"
	  "first, and each fault once. The last line is the verdict.\n\n"
	  "Exit code 0 means all works; else it is that of the gravest fault: 7 something is damaged, 5 the\n"
	  "KMS said no, 6 something is out of reach, 4 the configuration refuses a root key or a name; 3 it\n"
	  "is not set up yet. Only 6 is worth trying again as it is.\n\n"
	  "  cmek doctor --kms alias/payments-root      (before it is added)\n",
	  doctor_options, doctor_run },
};

/* clang-format on */

const struct command_group doctor_commands = {command_rows, COUNT_OF(command_rows)};
