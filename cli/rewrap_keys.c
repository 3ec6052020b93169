/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek database rewrap: databases go to another root key, one transaction each, so that it can be
 * stopped at any moment and be gone on with by the same command. */
#include "base/clock.h"
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/objects.h"
#include "cli/said.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RATE_MAX = 10000, TRIES = 8, PAUSE_MS = 500, PAUSE_MAX_MS = 13000 };

/* --- One run */

struct job {
	const struct arguments *arguments;
	struct token token;
	char *arn;	     /* of the root key that they go to */
	const char *cluster; /* only its databases; NULL: all */
	size_t cluster_len;
	const char *database; /* only this one; NULL: all */
	uint64_t rate;	      /* a second; 0: as fast as it goes */
	bool dry_run, again, prove, shows;
	size_t total, at;
	size_t moved, there, unproven, failed;
	int64_t next_ms;  /* when the next may go */
	json_t *failures; /* [{"database": …, "error": …}] */
	int code;	  /* the first failure's */
};

static void job_clear(struct job *job)
{
	token_close(&job->token);
	free(job->arn);
	json_decref(job->failures);
}

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

/* The database under way is moved whole; the next is not begun. */
static void stop_when_asked(void)
{
	struct sigaction action = {.sa_handler = stop};

	stopped = 0;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void sleep_ms(int64_t ms)
{
	for (; ms > 0 && !stopped; ms -= 50)
		usleep((useconds_t)(ms > 50 ? 50 : ms) * 1000);
}

static void keep_rate(struct job *job)
{
	int64_t now = clock_system.monotonic_ms(NULL);

	if (job->rate == 0)
		return;
	sleep_ms(job->next_ms - now);
	if (job->next_ms < now)
		job->next_ms = now;
	job->next_ms += 1000 / (int64_t)job->rate;
}

/* --- What there is to do */

/* How a database stands to the root key. */
struct standing {
	bool there; /* all versions are under it */
	bool proven;
};

/* The first of several that open it; of two owners either. */
static bool is_under(const json_t *root_keys, const char *arn)
{
	const json_t *keys = json_object_get(root_keys, "keys");
	const char *policy = json_string_value(json_object_get(root_keys, "policy"));
	bool both = policy != NULL && strcmp(policy, "and") == 0;

	for (size_t i = 0; i < json_array_size(keys) && (i == 0 || both); i++)
		if (strcmp(json_string_value(json_array_get(keys, i)), arn) == 0)
			return true;
	return false;
}

static struct standing standing_of(const struct job *job, CK_OBJECT_HANDLE zone)
{
	AUTO(freep) char *text = object_text(&job->token, zone, CKA_CMEK_ROOT_KEYS);
	json_t *json = text == NULL ? NULL : json_loads(text, 0, NULL);
	struct standing standing = {
		.there = is_under(json, job->arn) && json_is_true(json_object_get(json, "even")),
		.proven = json_is_true(json_object_get(json, "proven")),
	};

	json_decref(json);
	return standing;
}

static bool has_work(const struct job *job, struct standing standing)
{
	if (!standing.there)
		return true;
	return standing.proven ? job->again : job->prove;
}

/* --- Setting CKA_CMEK_ROOT_KEY */

static bool is_worth_another_try(CK_ULONG reason)
{
	return reason == CMEK_ERROR_KMS_THROTTLED || reason == CMEK_ERROR_KMS_UNAVAILABLE ||
	       reason == CMEK_ERROR_STORE_CONFLICT;
}

/* With longer and longer pauses while the KMS asks for fewer requests, or does not answer. */
static CK_RV set_root_key(const struct job *job, CK_OBJECT_HANDLE object, CK_ULONG *ret_reason)
{
	CK_ATTRIBUTE change = {CKA_CMEK_ROOT_KEY, job->arn, strlen(job->arn)};
	int64_t pause = PAUSE_MS;
	CK_RV rv = CKR_OK;

	for (int i = 0; i < TRIES; i++) {
		rv = job->token.functions->C_SetAttributeValue(job->token.session, object, &change,
							       1);
		*ret_reason = CMEK_ERROR_NONE;
		if (rv != CKR_OK)
			module_last_error(ret_reason);
		if (rv == CKR_OK || !is_worth_another_try(*ret_reason) || i + 1 == TRIES || stopped)
			return rv;
		sleep_ms(pause);
		pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
	}
	return rv;
}

/* --- Progress */

static void show_progress(const struct job *job)
{
	if (job->shows)
		fprintf(stderr, "\r%zu of %zu", job->at, job->total);
}

static void end_progress(const struct job *job)
{
	if (job->shows && job->at > 0)
		fputs("\r\033[K", stderr);
}

static void note_failure(struct job *job, const char *label, CK_RV rv)
{
	const char *message = module_last_error(NULL);
	json_t *row;
	int code;

	if (*message == '\0')
		message = rv_text(rv);
	end_progress(job);
	code = module_failed(rv, "rewrapping database %s in project %s", label, job->token.project);
	row = said_json(code, fail_here.text, fail_here.which_len);
	json_object_set_new(row, "database", print_json_text(label));
	json_object_set_new(row, "error", print_json_text(message));
	json_array_append_new(job->failures, row);
	job->failed++;
	if (job->code == CMEK_EXIT_OK)
		job->code = code;
}

/* --- Databases */

/* False: no other would fare better. */
static bool rewrap_one(struct job *job, CK_OBJECT_HANDLE zone, const char *label)
{
	CK_ULONG reason = CMEK_ERROR_NONE;
	CK_RV rv;

	keep_rate(job);
	rv = set_root_key(job, zone, &reason);
	if (rv == CKR_OK) {
		job->moved++;
		job->unproven += !standing_of(job, zone).proven;
		return true;
	}
	note_failure(job, label, rv);
	return exit_code_for(rv, reason) != CMEK_EXIT_UNAVAILABLE;
}

static bool is_wanted(const struct job *job, CK_OBJECT_HANDLE zone, const char *label)
{
	AUTO(freep) char *cluster = object_text(&job->token, zone, CKA_CMEK_CLUSTER);

	if (job->database != NULL)
		return strcmp(label, job->database) == 0;
	return job->cluster == NULL || (cluster != NULL && strlen(cluster) == job->cluster_len &&
					memcmp(cluster, job->cluster, job->cluster_len) == 0);
}

/* False: to be stopped here. */
static bool visit(struct job *job, CK_OBJECT_HANDLE zone)
{
	AUTO(freep) char *label = object_text(&job->token, zone, CKA_LABEL);
	struct standing standing;

	if (label == NULL || !is_wanted(job, zone, label))
		return true;
	standing = standing_of(job, zone);
	if (!has_work(job, standing)) {
		job->there++;
		job->unproven += !standing.proven;
		return true;
	}
	if (job->dry_run) {
		job->moved++;
		if (!job->arguments->json)
			printf("%s\n", plain_text(label));
		return true;
	}
	return rewrap_one(job, zone, label);
}

/* Also those that await deletion, since they may be restored. */
static int find_pending(const struct job *job, CK_OBJECT_HANDLE **ret_handles, size_t *ret_count)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ULONG pending = CMEK_STATE_PENDING_DELETION;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_CMEK_STATE, &pending, sizeof(pending)},
	};

	return token_search(&job->token, template, COUNT_OF(template), &kind_database, ret_handles,
			    ret_count);
}

static void visit_all(struct job *job, const CK_OBJECT_HANDLE *zones, size_t count)
{
	for (size_t i = 0; i < count && !stopped; i++) {
		job->at++;
		show_progress(job);
		if (!visit(job, zones[i])) {
			stopped = 1;
			break;
		}
	}
}

static int rewrap_databases(struct job *job)
{
	AUTO(freep) CK_OBJECT_HANDLE *active = NULL, *pending = NULL;
	size_t active_count, pending_count;
	CK_OBJECT_HANDLE one;

	TRY(token_find(&job->token, &kind_database, job->database, &active, &active_count));
	TRY(find_pending(job, &pending, &pending_count));
	if (job->database != NULL) {
		TRY(token_find_one(&job->token, &kind_database, job->database, &one));
		pending_count = 0;
	}
	job->total = active_count + pending_count;
	visit_all(job, active, active_count);
	visit_all(job, pending, pending_count);
	end_progress(job);
	return job->code;
}

/* --- Clusters */

static int aim_cluster(struct job *job, CK_OBJECT_HANDLE cluster)
{
	AUTO(freep) char *label = object_text(&job->token, cluster, CKA_LABEL);
	CK_ULONG reason;
	CK_RV rv;

	if (job->dry_run)
		return CMEK_EXIT_OK;
	rv = set_root_key(job, cluster, &reason);
	return rv == CKR_OK ? CMEK_EXIT_OK
			    : module_failed(rv, "giving cluster %s in project %s its root key",
					    label == NULL ? "" : label, job->token.project);
}

/* Before their databases, so that new ones are made under the new root key. */
static int aim_clusters(struct job *job)
{
	AUTO(freep) CK_OBJECT_HANDLE *clusters = NULL;
	AUTO(freep) char *label = NULL;
	CK_OBJECT_HANDLE one;
	size_t count;

	if (job->cluster != NULL) {
		label = strndup(job->cluster, job->cluster_len);
		TRY(token_find_one(&job->token, &kind_cluster, label == NULL ? "" : label, &one));
		return aim_cluster(job, one);
	}
	TRY(token_find(&job->token, &kind_cluster, NULL, &clusters, &count));
	for (size_t i = 0; i < count; i++)
		TRY(aim_cluster(job, clusters[i]));
	return CMEK_EXIT_OK;
}

/* --- The command */

/* What belongs to --key alone. */
static int check_token_keys(const struct arguments *arguments)
{
	static const char *const others[] = {"key", "rate", "prove", "again"};

	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (arguments_value(arguments, others[i]) != NULL)
			return fail(CMEK_EXIT_USAGE,
				    "--token-keys and --%s are two things: the one is about keys "
				    "in the store, the other about root keys",
				    others[i]);
	return CMEK_EXIT_OK;
}

/* "C/D", "C/", or --all. */
static int choose(struct job *job)
{
	const char *which = job->arguments->positional[0];
	bool all = arguments_value(job->arguments, "all") != NULL;
	const char *slash = which == NULL ? NULL : strchr(which, '/');

	if (all == (which != NULL))
		return fail(CMEK_EXIT_USAGE,
			    "name a database (C/D), a whole cluster (C/), or --all");
	if (all)
		return CMEK_EXIT_OK;
	if (slash == NULL || slash == which)
		return fail(CMEK_EXIT_USAGE,
			    "a database is named CLUSTER/DB, a whole cluster CLUSTER/, not %s",
			    which);
	if (slash[1] != '\0') {
		job->database = which;
		return CMEK_EXIT_OK;
	}
	job->cluster = which;
	job->cluster_len = (size_t)(slash - which);
	return CMEK_EXIT_OK;
}

static int read_rate(struct job *job)
{
	const char *text = arguments_value(job->arguments, "rate");

	if (text == NULL || (decimal_decode(text, RATE_MAX, &job->rate) && job->rate > 0))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_USAGE, "--rate is a number of databases a second, 1 to %d, not %s",
		    RATE_MAX, text);
}

static int open_job(struct job *job)
{
	CK_OBJECT_HANDLE key;

	TRY(choose(job));
	TRY(read_rate(job));
	job->dry_run = arguments_value(job->arguments, "dry-run") != NULL;
	job->again = arguments_value(job->arguments, "again") != NULL;
	job->prove = arguments_value(job->arguments, "prove") != NULL;
	job->shows = !job->arguments->json && !job->dry_run && isatty(STDERR_FILENO);
	TRY(token_open(arguments_value(job->arguments, "project"), &job->token));
	TRY(token_find_one(&job->token, &kind_key, arguments_value(job->arguments, "key"), &key));
	job->arn = object_text(&job->token, key, CKA_CMEK_ROOT_KEY);
	job->failures = json_array();
	return job->arn != NULL && job->failures != NULL ? CMEK_EXIT_OK
							 : fail(CMEK_EXIT_FAILED, "out of memory");
}

static void print_words(const struct job *job)
{
	printf("%zu database%s %s, %zu %s there", job->moved, job->moved == 1 ? "" : "s",
	       job->dry_run ? "to rewrap" : "rewrapped", job->there,
	       job->there == 1 ? "was" : "were");
	if (job->failed > 0)
		printf(", %zu failed", job->failed);
	printf("\n");
	if (job->unproven > 0 && !job->dry_run)
		printf("%zu of them not opened since: the root key before is needed until they "
		       "are, "
		       "by whoever uses them or by --prove\n",
		       job->unproven);
}

static int report(struct job *job)
{
	json_t *json;

	if (!job->arguments->json) {
		print_words(job);
		return job->code;
	}
	json = json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:O}", "root_key", job->arn, "dry_run",
			 job->dry_run, "rewrapped", (json_int_t)job->moved, "there",
			 (json_int_t)job->there, "unproven", (json_int_t)job->unproven, "failed",
			 (json_int_t)job->failed, "failures", job->failures);
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	return job->code;
}

int database_rewrap(const struct arguments *arguments)
{
	AUTO(job_clear) struct job job = {.arguments = arguments};
	int code;

	if (arguments_value(arguments, "token-keys") != NULL) {
		TRY(check_token_keys(arguments));
		return rewrap_token_keys(arguments);
	}
	if (arguments_value(arguments, "key") == NULL)
		return fail(CMEK_EXIT_USAGE, "name the root key to go to (--key), or give "
					     "--token-keys for the keys in the store");
	TRY(open_job(&job));
	stop_when_asked();
	if (job.database == NULL)
		TRY(aim_clusters(&job));
	code = rewrap_databases(&job);
	if (code != CMEK_EXIT_OK && job.failed == 0)
		return code;
	report(&job);
	if (!stopped)
		return job.code;
	return fail(job.code == CMEK_EXIT_OK ? CMEK_EXIT_FAILED : job.code,
		    "stopped; nothing is lost, and the same command goes on with the rest");
}
