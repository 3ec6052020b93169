#include "cli/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"

/* --- Progress -------------------------------------------------------------------------------- */

enum { PROGRESS_AFTER_MS = 500, PROGRESS_EVERY_MS = 100, PROGRESS_WIDTH = 30 };

static void draw(const struct stream *stream)
{
	int percent = stream->total > 0 ? (int)(stream->done * 100 / stream->total) : 0;
	char bar[PROGRESS_WIDTH + 1];

	if (percent > 100)
		percent = 100;
	for (int i = 0; i < PROGRESS_WIDTH; i++)
		bar[i] = i < percent * PROGRESS_WIDTH / 100 ? '#' : '.';
	bar[PROGRESS_WIDTH] = '\0';
	if (stream->total > 0)
		fprintf(stderr, "\r%s %3d %% %" PRId64 " MiB", bar, percent, stream->done >> 20);
	else
		fprintf(stderr, "\r%" PRId64 " MiB", stream->done >> 20);
}

static void progress(struct stream *stream, size_t len)
{
	int64_t now;

	stream->done += (int64_t)len;
	if (!stream->terminal)
		return;
	now = clock_system.monotonic_ms(NULL);
	if (now - stream->started_ms < PROGRESS_AFTER_MS ||
	    now - stream->shown_ms < PROGRESS_EVERY_MS)
		return;
	stream->shown_ms = now;
	draw(stream);
}

static void progress_end(struct stream *stream)
{
	if (stream->shown_ms != 0)
		fputs("\r\033[K", stderr);
	stream->shown_ms = 0;
}

/* --- Reading and writing --------------------------------------------------------------------- */

static ssize_t stream_read(void *state, uint8_t *out, size_t len)
{
	struct stream *stream = state;
	ssize_t count;

	do {
		count = read(stream->in, out, len);
	} while (count < 0 && errno == EINTR);
	if (count > 0)
		progress(stream, (size_t)count);
	return count;
}

static bool stream_write(void *state, struct bytes bytes)
{
	struct stream *stream = state;

	return file_write_all(stream->out, bytes);
}

static bool is_standard(const char *name)
{
	return strcmp(name, "-") == 0;
}

int stream_open_input(struct stream *stream, const char *in_name)
{
	struct stat status;

	stream->in_name = is_standard(in_name) ? "standard input" : in_name;
	stream->in = is_standard(in_name) ? STDIN_FILENO : open(in_name, O_RDONLY | O_CLOEXEC);
	if (stream->in < 0)
		return fail(errno == ENOENT ? CMEK_EXIT_NOT_FOUND : CMEK_EXIT_FAILED, "%s: %s",
			    in_name, strerror(errno));
	if (fstat(stream->in, &status) == 0 && S_ISDIR(status.st_mode))
		return fail(CMEK_EXIT_FAILED, "%s: is a folder, not a file", in_name);
	stream->total = S_ISREG(status.st_mode) ? status.st_size : -1;
	stream->terminal = isatty(STDERR_FILENO);
	stream->started_ms = clock_system.monotonic_ms(NULL);
	stream->io = (struct envelope_io){stream_read, stream_write, stream};
	return CMEK_EXIT_OK;
}

/* The output gets the input's permissions, less the umask; standard input's is 0600, for it may be
 * secret. */
static mode_t output_mode(const struct stream *stream)
{
	struct stat status;

	if (stream->in >= 0 && fstat(stream->in, &status) == 0 && S_ISREG(status.st_mode))
		return status.st_mode & 0777;
	return 0600;
}

static char *temporary_name(const char *out_name)
{
	char *name;

	return asprintf(&name, "%s.%08x.tmp", out_name, (unsigned)getpid()) < 0 ? NULL : name;
}

int stream_create_output(struct stream *stream, const char *out_name)
{
	mode_t mode = output_mode(stream);

	stream->out_name = is_standard(out_name) ? "standard output" : out_name;
	if (is_standard(out_name)) {
		stream->out = STDOUT_FILENO;
		return CMEK_EXIT_OK;
	}
	stream->folder = path_folder(out_name);
	stream->out = stream->folder == NULL
			      ? -1
			      : open(stream->folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
	if (stream->out >= 0)
		return CMEK_EXIT_OK;
	stream->temporary = temporary_name(out_name);
	if (stream->temporary != NULL)
		stream->out =
			open(stream->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (stream->out >= 0)
		return CMEK_EXIT_OK;
	free(TAKE(stream->temporary));
	return fail(errno == ENOENT ? CMEK_EXIT_NOT_FOUND : CMEK_EXIT_FAILED, "%s: %s", out_name,
		    strerror(errno));
}

int stream_open(struct stream *stream, const char *in_name, const char *out_name)
{
	TRY(stream_open_input(stream, in_name));
	return stream_create_output(stream, out_name);
}

/* A file without a name gets its temporary one. */
static bool give_name(struct stream *stream)
{
	char self[64];

	if (stream->temporary != NULL)
		return true;
	stream->temporary = temporary_name(stream->out_name);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", stream->out);
	return stream->temporary != NULL &&
	       linkat(AT_FDCWD, self, AT_FDCWD, stream->temporary, AT_SYMLINK_FOLLOW) == 0;
}

static bool sync_folder(const struct stream *stream)
{
	AUTO(file_closep) int folder = open(stream->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return folder >= 0 && fsync(folder) == 0;
}

int stream_finish(struct stream *stream)
{
	progress_end(stream);
	if (stream->out == STDOUT_FILENO)
		return CMEK_EXIT_OK;
	if (fsync(stream->out) != 0 || !give_name(stream) ||
	    rename(stream->temporary, stream->out_name) != 0)
		return fail(CMEK_EXIT_FAILED, "%s: %s", stream->out_name, strerror(errno));
	free(TAKE(stream->temporary));
	if (!sync_folder(stream))
		return fail(CMEK_EXIT_FAILED, "%s: written, but the folder could not be synced: %s",
			    stream->out_name, strerror(errno));
	return CMEK_EXIT_OK;
}

void stream_clear(struct stream *stream)
{
	progress_end(stream);
	if (stream->temporary != NULL)
		unlink(stream->temporary);
	free(TAKE(stream->temporary));
	free(TAKE(stream->folder));
	if (stream->in > STDERR_FILENO)
		close(stream->in);
	if (stream->out > STDERR_FILENO)
		close(stream->out);
}
