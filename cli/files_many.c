/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* encrypt and decrypt of many files: each is read once and written once, in one process, so that
 * the KMS is asked once for a database and not once for a file. */
#include "cli/files_many.h"

#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "cli/files.h"
#include "envelope/parallel.h"
#include "library/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum kind { DONE, LEFT_ALONE, PLAIN };
static const char *const encrypted[] = {
	[DONE] = "encrypted", [LEFT_ALONE] = "left alone by name", NULL};
static const char *const decrypted[] = {
	[DONE] = "decrypted", [LEFT_ALONE] = "left alone by name", [PLAIN] = "not encrypted", NULL};

/* Bytes from which on a file is worth more than one thread. */
enum { LARGE = 1 << 23 };

struct bulk {
	struct plan plan;
	struct plan_options options;
	bool force;
	const char *database;
	uint64_t zone;	     /* of the database; 0: any */
	atomic_ullong holes; /* files that have some */
	struct output_folder folder;
	atomic_uint helpers; /* threads that a large file may have beside the one that took it */
};

/* One file under way. */
struct job {
	struct many *many;
	struct sessions *sessions;
	const struct plan_file *file;
	struct bulk *bulk;
	int in, folder;
	off_t size;
	unsigned helpers; /* that it has */
	struct output output;
};
#define JOB_NONE .in = -1, .folder = -1, .output = OUTPUT_NONE

/* Among many files large ones are few, so that the first gets all helpers; all of them together are
 * no more threads than there are for files. */
static unsigned threads_for(struct job *job)
{
	if (job->size >= LARGE && job->helpers == 0)
		job->helpers = atomic_exchange(&job->bulk->helpers, 0);
	return 1 + job->helpers;
}

static void job_clear(struct job *job)
{
	atomic_fetch_add(&job->bulk->helpers, job->helpers);
	library_output_clear(&job->output);
	file_closep(&job->in);
	file_closep(&job->folder);
}

/* --- Reading and writing --------------------------------------------------------------------- */

static ssize_t job_read(void *state, uint8_t *out, size_t len)
{
	struct job *job = state;
	ssize_t count = library_input_read(job->in, out, len);

	return count > 0 && !many_progress(job->many, (size_t)count) ? -1 : count;
}

static bool job_write(void *state, struct bytes bytes)
{
	return library_output_write(&((struct job *)state)->output, bytes);
}

static struct envelope_io io_of(struct job *job)
{
	return (struct envelope_io){job_read, job_write, job};
}

static int report(const struct job *job, enum envelope_status status,
		  const struct envelope_error *error)
{
	if (status == ENVELOPE_INPUT && error->system_error == ECANCELED)
		many_cancelled();
	return envelope_report_file(
		envelope_failed_file(status, job->file->path, job->file->target), status, error);
}

/* A link is followed only where somebody has named it. */
static int open_file(struct job *job)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct place place = plan_input(job->file);
	AUTO(file_closep) int folder = -1;

	if (!job->file->walked) {
		job->in = open(job->file->path, flags);
		return job->in < 0 ? fail_system(errno, job->file->path, "") : CMEK_EXIT_OK;
	}
	TRY(folder_open(&place, &folder));
	job->in = openat(folder, place_leaf(&place), flags | O_NOFOLLOW);
	if (job->in < 0 && errno == ELOOP)
		return fail(CMEK_EXIT_REFUSED, "%s: has become a link, which is not followed",
			    job->file->path);
	return job->in < 0 ? fail_system(errno, job->file->path, "") : CMEK_EXIT_OK;
}

static int open_input(struct job *job)
{
	struct stat status;
	off_t hole;

	TRY(open_file(job));
	if (fstat(job->in, &status) != 0)
		return fail_system(errno, job->file->path, "");
	if (S_ISDIR(status.st_mode))
		return fail(CMEK_EXIT_FAILED, "%s: is a folder; name files, or add --recursive",
			    job->file->path);
	if (!S_ISREG(status.st_mode))
		return fail(CMEK_EXIT_REFUSED,
			    "%s: is a pipe, a device or a socket; give it alone, as IN OUT",
			    job->file->path);
	job->size = status.st_size;
	hole = lseek(job->in, 0, SEEK_HOLE);
	if (hole >= 0 && hole < status.st_size)
		atomic_fetch_add(&job->bulk->holes, 1);
	return lseek(job->in, 0, SEEK_SET) == 0 ? CMEK_EXIT_OK
						: fail_system(errno, job->file->path, "");
}

static int open_output(struct job *job)
{
	struct place in = plan_input(job->file), out = plan_output(job->file);

	if (job->bulk->options.folder == NULL)
		TRY(folder_open(&out, &job->folder));
	else
		TRY(folder_make(&out, job->file->walked ? &in : NULL, &job->folder));
	TRY(output_choose_in(&job->output, job->file->target, job->folder, place_leaf(&out),
			     job->in, job->bulk->force));
	return output_open(&job->output);
}

/* --- Encrypting ------------------------------------------------------------------------------ */

static void warn_of_envelope(const struct job *job)
{
	uint8_t start[4];
	ssize_t count = pread(job->in, start, sizeof(start), 0);

	if (count > 0)
		envelope_warn_of_second(job->file->path, bytes(start, (size_t)count));
}

static int encrypt_one(struct job *job)
{
	struct envelope_options no_name = {0};
	struct envelope_error error = {0};
	struct envelope_io io = io_of(job);
	struct project_session *session;
	enum envelope_status status;
	CK_OBJECT_HANDLE zone;

	warn_of_envelope(job);
	TRY(sessions_find_zone(job->sessions, job->bulk->zone, job->file->path, &session, &zone));
	if (session == NULL)
		return fail(CMEK_EXIT_NOT_FOUND, "database %s is gone", job->bulk->database);
	TRY(open_output(job));
	status =
		envelope_seal_parallel(&session->by, zone, &no_name, threads_for(job), &io, &error);
	return status == ENVELOPE_OK ? CMEK_EXIT_OK : report(job, status, &error);
}

/* --- Decrypting ------------------------------------------------------------------------------ */

/* Of --database, by its label: the zone is that of a database here. */
static int check_database(struct job *job, const struct envelope_header *header)
{
	struct project_session *session;
	CK_OBJECT_HANDLE zone;
	struct missing missing;

	if (job->bulk->database == NULL)
		return CMEK_EXIT_OK;
	TRY(sessions_find_opener(job->sessions, header->zone, job->file->path, &session, &zone));
	missing = sessions_missing(job->sessions, header, job->file->path);
	return missing_check_database(&missing, job->bulk->database,
				      session == NULL ? NULL : &session->token, zone);
}

static int open_payload(struct job *job, const struct envelope_header *header)
{
	const struct envelope_expectation no_name = {0};
	struct envelope_keys keys = {0};
	struct envelope_error error = {0};
	struct envelope_io io = io_of(job);
	struct project_session *session;
	enum envelope_status status;
	int code;

	TRY(check_database(job, header));
	TRY(sessions_unlock(job->sessions, header, job->file->path, &session, &keys));
	status = envelope_check(&session->by, header, &no_name, &error);
	code = status == ENVELOPE_OK ? open_output(job) : report(job, status, &error);
	if (code == CMEK_EXIT_OK) {
		status = envelope_open_parallel(&session->by, header, &keys, threads_for(job), &io,
						&error);
		code = status == ENVELOPE_OK ? CMEK_EXIT_OK : report(job, status, &error);
	}
	envelope_keys_clear(&session->by, &keys);
	return code;
}

static int decrypt_one(struct job *job)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_header header;
	struct envelope_error error = {0};
	struct envelope_io io = io_of(job);
	enum envelope_status status = envelope_read_header(&io, &storage, &header, &error);

	if (status == ENVELOPE_MESSAGE)
		return fail(CMEK_EXIT_REFUSED,
			    "%s: is a message's envelope; give it alone: cmek decrypt IN OUT",
			    job->file->path);
	return status == ENVELOPE_OK ? open_payload(job, &header) : report(job, status, &error);
}

/* --- All ------------------------------------------------------------------------------------- */

static int run_job(struct job *job, struct many_outcome *outcome)
{
	TRY(open_input(job));
	TRY(job->bulk->options.encrypts ? encrypt_one(job) : decrypt_one(job));
	TRY(output_finish(&job->output));
	TRY(output_finish_folder(&job->bulk->folder, &job->output));
	outcome->target = job->file->target;
	outcome->bytes = (uint64_t)lseek(job->in, 0, SEEK_CUR);
	return CMEK_EXIT_OK;
}

/* All files of an encryption have one key: where the KMS says no to it, or is out of reach, the
 * others would only wait for the same. */
static int run_file(struct many *many, struct sessions *sessions, const struct many_file *file,
		    struct many_outcome *outcome)
{
	struct bulk *bulk = many->state;
	AUTO(job_clear)
	struct job job = {JOB_NONE, .many = many, .sessions = sessions, .bulk = bulk,
			  .file = &bulk->plan.files[file->index]};
	int code = run_job(&job, outcome);

	outcome->stop = bulk->options.encrypts &&
			(code == CMEK_EXIT_DENIED || code == CMEK_EXIT_UNAVAILABLE);
	return code;
}

static bool next_file(struct many *many, struct found *ret_found)
{
	struct plan *plan = &((struct bulk *)many->state)->plan;

	if (plan->next == plan->count)
		return false;
	*ret_found = (struct found){.index = plan->next,
				    .walked = plan->files[plan->next].walked,
				    .path = strdup(plan->files[plan->next].path)};
	if (ret_found->path == NULL)
		ret_found->code = fail(CMEK_EXIT_FAILED, "out of memory");
	plan->next++;
	return true;
}

static int run(struct bulk *bulk, struct many *many)
{
	int code;

	bulk->force = arguments_value(many->arguments, "force") != NULL;
	bulk->database = arguments_value(many->arguments, "database");
	bulk->helpers = many->threads - 1;
	many->state = bulk;
	many->again = "what was written stays; a second run refuses that and does the rest, with "
		      "--force all again";
	many->work = run_file;
	many->next = next_file;
	code = files_plan(&bulk->plan, &bulk->options, many);
	if (code == CMEK_EXIT_OK) {
		many->counts[LEFT_ALONE] = bulk->plan.left_alone;
		many->counts[PLAIN] = bulk->plan.plain;
		output_prepare();
		code = many_run(many);
		if (output_finish_folder(&bulk->folder, NULL) != CMEK_EXIT_OK &&
		    code == CMEK_EXIT_OK)
			code = CMEK_EXIT_FAILED;
	}
	if (bulk->holes > 0 && !many->quiet)
		warn("files with holes: %llu; the holes were read and written as zeros",
		     (unsigned long long)bulk->holes);
	plan_clear(&bulk->plan);
	return code;
}

int files_encrypt(const struct arguments *arguments)
{
	struct bulk bulk = {.folder = OUTPUT_FOLDER_NONE};
	AUTO(token_close) struct token token = {0};
	struct many many = {
		.arguments = arguments,
		.project = arguments_value(arguments, "project"),
		.kinds = encrypted,
	};
	CK_OBJECT_HANDLE zone;

	TRY(files_options(arguments, true, &bulk.options, &many));
	TRY(token_open(many.project, &token));
	TRY(token_find_one(&token, &kind_database, arguments_value(arguments, "database"), &zone));
	bulk.zone = object_zone_id(&token, zone);
	many.functions = token.functions;
	return run(&bulk, &many);
}

int files_decrypt(const struct arguments *arguments)
{
	struct bulk bulk = {.folder = OUTPUT_FOLDER_NONE};
	struct many many = {
		.arguments = arguments,
		.project = arguments_value(arguments, "project"),
		.kinds = decrypted,
	};

	TRY(files_options(arguments, false, &bulk.options, &many));
	TRY(module_load(&many.functions));
	return run(&bulk, &many);
}
