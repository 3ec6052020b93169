/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmek rewrap: a new wrap into the half of the header that is not in use, synced; so the other half
 * opens, whenever the process dies. What has no room, and what goes to another database, is written
 * anew beside the file, read back, and put in its place.
 */
#include "base/aside.h"
#include "base/file.h"
#include "base/free.h"
#include "base/lock.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "cli/many.h"
#include "cli/successor.h"
#include "envelope/rewrap.h"
#include "library/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { REWRAPPED, REWRITTEN, PLANNED, CURRENT, MESSAGE, PLAIN };
static const char *const kinds[] = {[REWRAPPED] = "rewrapped",
				    [REWRITTEN] = "rewritten",
				    [PLANNED] = "to rewrap",
				    [CURRENT] = "up to date",
				    [MESSAGE] = "messages",
				    [PLAIN] = "not encrypted",
				    NULL};

/* Zones whose key was refused or out of reach: nobody is asked again for each further file. */
enum { REFUSED_MAX = 16 };

struct options {
	const char *to, *output;
	bool rewrite, wipe_old, dry_run;
	uint64_t target_zone;
	struct {
		uint64_t zone;
		int code;
	} refused[REFUSED_MAX];
	size_t refused_count;
};

/* A file under way. */
struct task {
	struct many *many;
	struct options *options;
	struct sessions *sessions;
	const char *name; /* for messages */
	char *path;	  /* without links: what a new file replaces */
	int fd;
	struct stat status;
	struct buffer storage;
	struct envelope_header header;	 /* borrows from it */
	struct project_session *session; /* of its zone; NULL: not here */
	CK_OBJECT_HANDLE zone;
	struct many_outcome *outcome;
};

static void task_clear(struct task *task)
{
	lock_release(task->fd);
	free(task->path);
	buffer_clear(&task->storage);
}

/* --- The file -------------------------------------------------------------------------------- */

static ssize_t task_read(void *state, uint8_t *out, size_t len)
{
	struct task *task = state;
	ssize_t count = library_input_read(task->fd, out, len);

	return count > 0 && !many_progress(task->many, (size_t)count) ? -1 : count;
}

static int open_file(struct task *task)
{
	int access = task->options->dry_run || task->options->to != NULL ? O_RDONLY : O_RDWR;

	task->fd = open(task->path, access | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	if (task->fd < 0 || fstat(task->fd, &task->status) != 0)
		return fail_system(errno, task->name, "");
	if (!S_ISREG(task->status.st_mode))
		return fail(CMEK_EXIT_FAILED, "%s: is not a file", task->name);
	return CMEK_EXIT_OK;
}

/* Where there are no locks, as on some network file systems, nobody can be kept out. */
static int lock_file(struct task *task)
{
	struct lock_wait wait = {0};

	while (flock(task->fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return CMEK_EXIT_OK;
		if (!lock_wait(&wait))
			return fail(CMEK_EXIT_UNAVAILABLE,
				    "%s: another process has its lock; look which one (fuser -v), "
				    "and try again",
				    task->name);
	}
	return CMEK_EXIT_OK;
}

/* While the lock was waited for, another file may have taken the place of this one. */
static int open_locked(struct task *task)
{
	task->path = realpath(task->name, NULL);
	if (task->path == NULL)
		return fail_system(errno, task->name, "");
	for (int attempt = 0; attempt < 100; attempt++) {
		TRY(open_file(task));
		if (task->options->dry_run)
			return CMEK_EXIT_OK;
		TRY(lock_file(task));
		if (file_is_at(task->fd, task->path))
			return CMEK_EXIT_OK;
		lock_release(task->fd);
		task->fd = -1;
	}
	return fail(CMEK_EXIT_FAILED, "%s: is replaced again and again", task->name);
}

static enum envelope_status read_header(struct task *task, struct envelope_error *error)
{
	struct envelope_io io = {.read = task_read, .state = task};

	if (lseek(task->fd, 0, SEEK_SET) != 0) {
		error->system_error = errno;
		return ENVELOPE_INPUT;
	}
	buffer_truncate(&task->storage, 0);
	return envelope_read_header(&io, &task->storage, &task->header, error);
}

static int reported(struct task *task, enum envelope_status status,
		    const struct envelope_error *error)
{
	return status == ENVELOPE_OK ? CMEK_EXIT_OK
				     : envelope_report_file(task->name, status, error);
}

/* --- Keys that were refused ------------------------------------------------------------------ */

static int refused_before(struct task *task)
{
	struct options *options = task->options;
	int code = CMEK_EXIT_OK;

	pthread_mutex_lock(&task->many->lock);
	for (size_t i = 0; i < options->refused_count; i++)
		if (options->refused[i].zone == task->header.zone)
			code = options->refused[i].code;
	pthread_mutex_unlock(&task->many->lock);
	return code == CMEK_EXIT_OK ? code
				    : fail(code,
					   "%s: not tried, since its database's key was "
					   "refused for another file",
					   task->name);
}

static int remember_refusal(struct task *task, int code)
{
	struct options *options = task->options;

	pthread_mutex_lock(&task->many->lock);
	if ((code == CMEK_EXIT_DENIED || code == CMEK_EXIT_UNAVAILABLE) &&
	    options->refused_count < REFUSED_MAX) {
		options->refused[options->refused_count].zone = task->header.zone;
		options->refused[options->refused_count++].code = code;
	}
	pthread_mutex_unlock(&task->many->lock);
	return code;
}

/* --- In place -------------------------------------------------------------------------------- */

static bool write_at(int fd, struct bytes bytes, uint64_t offset)
{
	while (bytes.len > 0) {
		ssize_t count = pwrite(fd, bytes.data, bytes.len, (off_t)offset);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		bytes = bytes_after(bytes, (size_t)count);
		offset += (uint64_t)count;
	}
	return fsync(fd) == 0;
}

static int write_slot(struct task *task, const struct envelope_new_slot *slot)
{
	if (!write_at(task->fd, buffer_bytes(&slot->bytes), slot->offset))
		return fail_system(errno, task->name, "cannot be written: ");
	task->outcome->to = slot->version;
	return CMEK_EXIT_OK;
}

/* The wrap that has been read back, and has opened, goes into the other slot too. */
static enum envelope_status copy_wrap(struct task *task, struct envelope_new_slot *ret_slot,
				      struct envelope_error *error)
{
	const struct envelope_slot *slots[ENVELOPE_SLOTS];
	struct envelope_keys keys = {0};

	TRY(read_header(task, error));
	TRY(envelope_unlock(&task->session->by, &task->header, &keys, error));
	envelope_keys_clear(&task->session->by, &keys);
	envelope_slots_in_order(&task->header, slots);
	if (keys.slot == slots[0])
		return envelope_rewrap_other(&task->header, slots[0], ret_slot);
	snprintf(error->text, sizeof(error->text), "header: its newest wrap does not open");
	return ENVELOPE_DAMAGED;
}

static bool has_old_wrap(const struct task *task)
{
	const struct envelope_slot *slots[ENVELOPE_SLOTS];

	envelope_slots_in_order(&task->header, slots);
	return slots[1] != NULL && (!bytes_equal(slots[0]->wrapped, slots[1]->wrapped) ||
				    !bytes_equal(slots[0]->record, slots[1]->record));
}

static int wipe_old(struct task *task)
{
	AUTO(envelope_new_slot_clear) struct envelope_new_slot slot = {0};
	struct envelope_error error = {0};

	TRY(reported(task, copy_wrap(task, &slot, &error), &error));
	return write_slot(task, &slot);
}

/* --- Written anew ---------------------------------------------------------------------------- */

struct rewriting {
	struct task *task;
	int out;
};

static ssize_t rewriting_read(void *state, uint8_t *out, size_t len)
{
	return task_read(((struct rewriting *)state)->task, out, len);
}

static bool rewriting_write(void *state, struct bytes bytes)
{
	return file_write_all(((struct rewriting *)state)->out, bytes);
}

static bool write_nothing(void *state, struct bytes bytes)
{
	(void)state, (void)bytes;
	return true;
}

/* What has been written opens, to its last chunk. */
static int read_back(struct task *task, const struct successor *successor)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	AUTO(file_closep) int fd = -1;
	struct task reading = {.many = task->many};
	struct envelope_io io = {.read = task_read, .write = write_nothing, .state = &reading};
	struct project_session *session;
	struct envelope_header header;
	struct envelope_error error = {0};
	struct envelope_keys keys = {0};
	enum envelope_status status;

	TRY(successor_reopen(successor, &fd));
	reading.fd = fd;
	TRY(reported(task, envelope_read_header(&io, &storage, &header, &error), &error));
	TRY(sessions_unlock(task->sessions, &header, task->name, &session, &keys));
	status = envelope_open_payload(&session->by, &header, &keys, &io, &error);
	envelope_keys_clear(&session->by, &keys);
	return reported(task, status, &error);
}

static int write_anew(struct task *task, struct successor *successor, struct project_session *to,
		      CK_OBJECT_HANDLE ezk)
{
	struct rewriting rewriting = {task, successor->fd};
	struct envelope_io io = {rewriting_read, rewriting_write, &rewriting};
	struct envelope_keys keys = {0};
	struct project_session *from;
	struct envelope_error error = {0};
	enum envelope_status status;

	TRY(reported(task, read_header(task, &error), &error));
	TRY(sessions_unlock(task->sessions, &task->header, task->name, &from, &keys));
	status = envelope_reseal(
		&(struct envelope_resealing){&from->by, &task->header, &keys, &to->by, ezk}, &io,
		&error);
	envelope_keys_clear(&from->by, &keys);
	TRY(reported(task, status, &error));
	TRY(successor_settle(successor, task->fd, task->path, NULL));
	return read_back(task, successor);
}

/* A new file for the name would leave the old one under the others. */
static int check_one_name(const struct task *task)
{
	if (task->options->output != NULL || task->status.st_nlink == 1)
		return CMEK_EXIT_OK;
	return fail(
		CMEK_EXIT_REFUSED,
		"%s: has %ju names (hard links), and would stay as it is under the others; write "
		"it elsewhere with --output",
		task->name, (uintmax_t)task->status.st_nlink);
}

static int rewrite(struct task *task, struct project_session *to, CK_OBJECT_HANDLE ezk)
{
	AUTO(successor_clear) struct successor successor = SUCCESSOR_NONE;
	const char *output = task->options->output;

	TRY(check_one_name(task));
	TRY(successor_open(&successor, output != NULL ? output : task->path));
	TRY(write_anew(task, &successor, to, ezk));
	task->outcome->kind = REWRITTEN;
	task->outcome->bytes = (uint64_t)task->status.st_size;
	return successor_place(&successor, output == NULL);
}

static int rewrap_to(struct task *task)
{
	struct project_session *to;
	CK_OBJECT_HANDLE zone;

	task->outcome->kind = task->header.zone == task->options->target_zone ? CURRENT : PLANNED;
	task->outcome->quiet = task->outcome->kind == CURRENT;
	if (task->outcome->quiet || task->options->dry_run)
		return CMEK_EXIT_OK;
	TRY(sessions_find_zone(task->sessions, task->options->target_zone, task->name, &to, &zone));
	if (to == NULL)
		return fail(CMEK_EXIT_NOT_FOUND, "database %s is gone", task->options->to);
	return rewrite(task, to, zone);
}

/* --- One file -------------------------------------------------------------------------------- */

static int rewrap_in_place(struct task *task)
{
	AUTO(envelope_new_slot_clear) struct envelope_new_slot slot = {0};
	struct envelope_error error = {0};
	enum envelope_status status =
		envelope_rewrap(&task->session->by, &task->header, &slot, &error);

	if (status == ENVELOPE_NO_ROOM && task->options->rewrite)
		return rewrite(task, task->session, task->zone);
	TRY(reported(task, status, &error));
	TRY(write_slot(task, &slot));
	return task->options->wipe_old ? wipe_old(task) : CMEK_EXIT_OK;
}

static int find_zone(struct task *task)
{
	struct missing missing;

	TRY(sessions_find_zone(task->sessions, task->header.zone, task->name, &task->session,
			       &task->zone));
	if (task->session != NULL)
		return CMEK_EXIT_OK;
	missing = sessions_missing(task->sessions, &task->header, task->name);
	if (missing_is_elsewhere(&missing))
		return CMEK_EXIT_NOT_FOUND;
	TRY(sessions_check_seen(task->sessions, task->name));
	return fail(CMEK_EXIT_NOT_FOUND,
		    "%s: its zone %" PRIu64
		    " is in no project here; use the store where its database "
		    "lives, or encrypt it for another: cmek rewrap --to",
		    task->name, task->header.zone);
}

static int rewrap_known(struct task *task)
{
	AUTO(envelope_primary_clear) struct envelope_primary primary = {0};
	const struct envelope_slot *slots[ENVELOPE_SLOTS];
	struct envelope_error error = {0};
	struct envelope_wrap wrap;
	bool current, clean;

	TRY(find_zone(task));
	TRY(reported(task, envelope_primary_read(&task->session->by, task->zone, &primary, &error),
		     &error));
	envelope_slots_in_order(&task->header, slots);
	envelope_wrap_of(slots[0], &wrap);
	current = envelope_slot_is_current(slots[0], &primary);
	clean = !task->options->wipe_old || !has_old_wrap(task);
	task->outcome->from = wrap.version;
	task->outcome->to = primary.version;
	task->outcome->kind = current && clean ? CURRENT : PLANNED;
	task->outcome->quiet = current && clean;
	if ((current && clean) || task->options->dry_run)
		return CMEK_EXIT_OK;
	TRY(refused_before(task));
	task->outcome->kind = REWRAPPED;
	return remember_refusal(task, current ? wipe_old(task) : rewrap_in_place(task));
}

/* Of a tree, what is not the envelope of a file. */
static bool is_left_alone(enum envelope_status status, struct many_outcome *outcome)
{
	outcome->kind = status == ENVELOPE_MESSAGE ? MESSAGE : PLAIN;
	outcome->quiet = status == ENVELOPE_MESSAGE || status == ENVELOPE_EMPTY ||
			 status == ENVELOPE_NOT_AN_ENVELOPE;
	return outcome->quiet;
}

static int rewrap_file(struct many *many, struct sessions *sessions, const struct many_file *file,
		       struct many_outcome *outcome)
{
	AUTO(task_clear)
	struct task task = {.many = many,
			    .options = many->state,
			    .sessions = sessions,
			    .name = file->path,
			    .fd = -1,
			    .outcome = outcome};
	struct envelope_error error = {0};
	enum envelope_status status;

	TRY(open_locked(&task));
	status = read_header(&task, &error);
	if (file->walked && is_left_alone(status, outcome))
		return CMEK_EXIT_OK;
	TRY(reported(&task, status, &error));
	return task.options->to != NULL ? rewrap_to(&task) : rewrap_known(&task);
}

/* --- The command ----------------------------------------------------------------------------- */

static int check_options(const struct arguments *arguments, const struct options *options)
{
	struct stat status;

	if (options->to != NULL && arguments_value(arguments, "project") == NULL)
		return fail(CMEK_EXIT_USAGE, "--to needs --project, the project of that database");
	if (options->to != NULL && (options->rewrite || options->wipe_old))
		return fail(CMEK_EXIT_USAGE, "--to writes all files anew: leave out --rewrite and "
					     "--wipe-old");
	if (options->output == NULL)
		return CMEK_EXIT_OK;
	if (options->to == NULL && !options->rewrite)
		return fail(CMEK_EXIT_USAGE, "--output is for --to and --rewrite");
	if (arguments->word_count != 1 || strcmp(arguments->words[0], "-") == 0 ||
	    (stat(arguments->words[0], &status) == 0 && S_ISDIR(status.st_mode)))
		return fail(CMEK_EXIT_USAGE, "--output takes one FILE");
	return CMEK_EXIT_OK;
}

static int find_target(const struct arguments *arguments, struct options *options,
		       const CK_FUNCTION_LIST **ret_functions)
{
	AUTO(token_close) struct token token = {0};
	CK_OBJECT_HANDLE zone;

	if (options->to == NULL)
		return module_load(ret_functions);
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find_one(&token, &kind_database, options->to, &zone));
	options->target_zone = object_zone_id(&token, zone);
	*ret_functions = token.functions;
	return CMEK_EXIT_OK;
}

int rewrap_files(const struct arguments *arguments)
{
	struct options options = {
		.to = arguments_value(arguments, "to"),
		.output = arguments_value(arguments, "output"),
		.rewrite = arguments_value(arguments, "rewrite") != NULL,
		.wipe_old = arguments_value(arguments, "wipe-old") != NULL,
		.dry_run = arguments_value(arguments, "dry-run") != NULL,
	};
	struct many many = {
		.arguments = arguments,
		.kinds = kinds,
		.work = rewrap_file,
		.state = &options,
		.dry_run = options.dry_run,
		.recursive = arguments_value(arguments, "recursive") != NULL,
		/* With --to it is that database's, and the files may be any project's. */
		.project = options.to == NULL ? arguments_value(arguments, "project") : NULL,
	};

	TRY(check_options(arguments, &options));
	TRY(find_target(arguments, &options, &many.functions));
	return many_run(&many);
}
