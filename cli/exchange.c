/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/exchange.h"

#include "base/aside.h"
#include "base/file.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "cli/successor.h"
#include "library/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int exchange_options_read(const struct arguments *arguments, struct exchange_options *ret_options)
{
	ret_options->in_place = arguments_value(arguments, "in-place") != NULL;
	ret_options->remove = arguments_value(arguments, "remove") != NULL;
	ret_options->dry_run = arguments_value(arguments, "dry-run") != NULL;
	if (ret_options->in_place && ret_options->remove)
		return fail(CMEK_EXIT_USAGE, "--in-place replaces each file: leave out --remove");
	return CMEK_EXIT_OK;
}

int exchange_open(struct exchange *exchange)
{
	exchange->in =
		open(exchange->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	if (exchange->in < 0 && errno == ELOOP)
		return fail(CMEK_EXIT_REFUSED, "%s: is a link; name the file", exchange->path);
	if (exchange->in < 0 || fstat(exchange->in, &exchange->was) != 0)
		return fail_system(errno, exchange->path, "");
	if (!S_ISREG(exchange->was.st_mode))
		return fail(CMEK_EXIT_FAILED, "%s: is not a file", exchange->path);
	return CMEK_EXIT_OK;
}

void exchange_clear(struct exchange *exchange)
{
	free(TAKE(exchange->target));
	if (exchange->in >= 0)
		close(exchange->in);
}

ssize_t exchange_read(void *state, uint8_t *out, size_t len)
{
	struct exchange *exchange = state;
	ssize_t count = library_input_read(exchange->in, out, len);

	return count > 0 && !many_progress(exchange->many, (size_t)count) ? -1 : count;
}

int exchange_check_names(const struct exchange *exchange)
{
	if (exchange->was.st_nlink == 1 ||
	    (!exchange->options->in_place && !exchange->options->remove))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_REFUSED,
		    "%s: has %ju names (hard links), and would stay as it is under the others; "
		    "copy it, "
		    "or leave out --in-place and --remove",
		    exchange->path, (uintmax_t)exchange->was.st_nlink);
}

bool exchange_is_there(const struct exchange *exchange, struct stat *ret_status)
{
	return lstat(exchange->target, ret_status) == 0;
}

/* --- Comparing ------------------------------------------------------------------------------- */

struct comparison {
	struct many *many;
	int envelope, plain;
	off_t at;
	bool differs;
};

static ssize_t comparison_read(void *state, uint8_t *out, size_t len)
{
	struct comparison *comparison = state;
	ssize_t count = library_input_read(comparison->envelope, out, len);

	return count > 0 && !many_progress(comparison->many, 0) ? -1 : count;
}

static bool comparison_write(void *state, struct bytes bytes)
{
	struct comparison *comparison = state;
	uint8_t block[16384];

	while (bytes.len > 0) {
		size_t wanted = bytes.len < sizeof(block) ? bytes.len : sizeof(block);
		ssize_t count = pread(comparison->plain, block, wanted, comparison->at);

		if (count < 0)
			return false;
		if (count == 0 || memcmp(block, bytes.data, (size_t)count) != 0) {
			comparison->differs = true;
			errno = EIO;
			return false;
		}
		comparison->at += count;
		bytes = bytes_after(bytes, (size_t)count);
	}
	return true;
}

static int differs(const struct exchange *exchange)
{
	return fail(
		CMEK_EXIT_FAILED,
		"%s: what was read back is not the same; it was changed meanwhile, or the disk is "
		"bad. Nothing was removed; run the command again",
		exchange->path);
}

static int compare_payload(const struct exchange *exchange, struct comparison *comparison)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_io io = {comparison_read, comparison_write, comparison};
	struct envelope_keys keys = {0};
	struct project_session *session;
	struct envelope_header header;
	struct envelope_error error = {0};
	enum envelope_status status = envelope_read_header(&io, &storage, &header, &error);

	if (status != ENVELOPE_OK)
		return envelope_report_file(exchange->path, status, &error);
	TRY(sessions_unlock(exchange->sessions, &header, exchange->path, &session, &keys));
	status = envelope_open_payload(&session->by, &header, &keys, &io, &error);
	envelope_keys_clear(&session->by, &keys);
	if (comparison->differs)
		return differs(exchange);
	return status == ENVELOPE_OK ? CMEK_EXIT_OK
				     : envelope_report_file(exchange->path, status, &error);
}

/* The made file's contents, from the disk, are the original's as they are now. */
static int compare(const struct exchange *exchange, int made)
{
	struct comparison comparison = {
		.many = exchange->many,
		.envelope = exchange->to_plain ? exchange->in : made,
		.plain = exchange->to_plain ? made : exchange->in,
	};
	struct stat plain;

	if (lseek(comparison.envelope, 0, SEEK_SET) != 0)
		return fail_system(errno, exchange->path, "");
	TRY(compare_payload(exchange, &comparison));
	if (fstat(comparison.plain, &plain) != 0 || plain.st_size != comparison.at)
		return differs(exchange);
	return CMEK_EXIT_OK;
}

/* --- Putting in place ------------------------------------------------------------------------ */

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Just before it is replaced or removed. */
static int check_unchanged(const struct exchange *exchange)
{
	struct stat now;

	if (fstat(exchange->in, &now) == 0 && file_is_at(exchange->in, exchange->path) &&
	    now.st_size == exchange->was.st_size && same_time(now.st_mtim, exchange->was.st_mtim) &&
	    same_time(now.st_ctim, exchange->was.st_ctim))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_FAILED,
		    "%s: was changed while it was read, and stays; run the command again",
		    exchange->path);
}

static int remove_original(const struct exchange *exchange)
{
	if (!exchange->options->remove)
		return CMEK_EXIT_OK;
	TRY(check_unchanged(exchange));
	if (unlink(exchange->path) != 0)
		return fail_system(errno, exchange->path, "cannot be removed: ");
	if (!file_sync_name(exchange->path))
		return fail_system(errno, exchange->path, "removed, but its folder not synced: ");
	return CMEK_EXIT_OK;
}

int exchange_run(struct exchange *exchange, exchange_make *make, void *state)
{
	AUTO(successor_clear) struct successor successor = SUCCESSOR_NONE;
	AUTO(file_closep) int made = -1;

	TRY(successor_open(&successor, exchange->target));
	TRY(make(exchange, successor.fd, state));
	TRY(successor_settle(&successor, exchange->in, exchange->path, &exchange->was));
	TRY(successor_reopen(&successor, &made));
	TRY(compare(exchange, made));
	TRY(check_unchanged(exchange));
	TRY(successor_place(&successor, exchange->options->in_place));
	return remove_original(exchange);
}

/* Whoever made it may not have: a copy that was brought back is in memory alone for a while. */
static int make_durable(const struct exchange *exchange, int made)
{
	if (fsync(made) != 0 || !file_sync_name(exchange->target))
		return fail_system(errno, exchange->target, "cannot be synced: ");
	/* So that it comes from the disk, not out of memory. */
	(void)posix_fadvise(made, 0, 0, POSIX_FADV_DONTNEED);
	return CMEK_EXIT_OK;
}

int exchange_resume(struct exchange *exchange)
{
	AUTO(file_closep) int made = -1;

	if (!exchange->options->remove)
		return CMEK_EXIT_OK;
	made = open(exchange->target, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (made < 0)
		return fail_system(errno, exchange->target, "");
	TRY(make_durable(exchange, made));
	TRY(compare(exchange, made));
	return remove_original(exchange);
}
