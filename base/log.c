/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log. No lock, since a fork's child must not find one held: the level and the destination are
 * atomic, and a file's descriptor, once it exists, keeps its number for ever.
 */
#include "base/log.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/macros.h"
#include "base/name.h"
#include "base/sigpipe.h"
#include "base/system_error.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum destination { TO_STDERR, TO_SYSLOG, TO_FILE };
enum { MESSAGE_MAX = THREAD_MESSAGE_MAX, LINE_SIZE = 4 * MESSAGE_MAX + 128 };
enum { FACILITY_USER = 1 << 3 };

static const char name[] = "cmek-pkcs11";

static const struct {
	const char *name;
	int severity; /* of syslog, RFC 5424 table 2 */
} levels[] = {
	/* clang-format off */
	[LOG_OFF]     = { "off",     0 },
	[LOG_ERROR]   = { "error",   3 },
	[LOG_WARNING] = { "warning", 4 },
	[LOG_INFO]    = { "info",    6 },
	[LOG_DEBUG]   = { "debug",   7 },
	/* clang-format on */
};

static atomic_int current_level = LOG_WARNING;
static atomic_int current_destination = TO_STDERR;
static atomic_int file_fd = -1;
static atomic_bool is_lost; /* the last line could not be written */

bool log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < COUNT_OF(levels); i++) {
		if (strcmp(text, levels[i].name) != 0)
			continue;
		*ret_level = (enum log_level)i;
		return true;
	}
	return false;
}

/* A socket connected to the system's log; -1: there is none. Not syslog(3), whose connection, lock
 * and identity are the host's. */
static int syslog_open(void)
{
	const struct sockaddr_un address = {AF_UNIX, "/dev/log"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool syslog_exists(void)
{
	int fd = syslog_open();

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Puts the new file under the descriptor that writers may be using right now. Nobody waits for a
 * pipe's reader, neither to open the pipe nor when it is full. */
static bool file_open(const char *path)
{
	int fd = file_open_append(path), none = -1;
	bool moved;

	if (fd < 0)
		return false;
	if (atomic_compare_exchange_strong(&file_fd, &none, fd))
		return true;
	moved = dup3(fd, none, O_CLOEXEC) >= 0;
	close(fd);
	return moved;
}

static enum destination destination_of(const char *to)
{
	if (strcmp(to, "stderr") == 0)
		return TO_STDERR;
	return strcmp(to, "syslog") == 0 ? TO_SYSLOG : TO_FILE;
}

bool log_is_file(const char *to)
{
	return destination_of(to) == TO_FILE;
}

static bool destination_open(const char *to, enum destination *ret_destination)
{
	*ret_destination = destination_of(to);
	if (*ret_destination == TO_FILE)
		return file_open(to);
	return *ret_destination == TO_STDERR || syslog_exists();
}

bool log_configure(enum log_level level, const char *to)
{
	enum destination destination;

	if (!destination_open(to, &destination))
		return false;
	atomic_store(&current_destination, destination);
	atomic_store(&current_level, level);
	atomic_store(&is_lost, false);
	return true;
}

/* Part of a message comes from strangers (labels, a server's answer): whatever could end the line,
 * steer a terminal or hide in it is written as \xNN. */
static size_t escape(const char *message, char *line)
{
	static const char digits[] = "0123456789abcdef";
	size_t unseen = 0;
	char *at = line;

	for (; *message != '\0'; message++, unseen -= unseen > 0) {
		unsigned char c = (unsigned char)*message;

		if (unseen == 0)
			unseen = text_unseen(message);
		if (unseen == 0) {
			*at++ = *message;
			continue;
		}
		*at++ = '\\';
		*at++ = 'x';
		*at++ = digits[c >> 4];
		*at++ = digits[c & 15];
	}
	return (size_t)(at - line);
}

static void write_line(int fd, const char *line, size_t len)
{
	struct sigpipe sigpipe;
	ssize_t done;

	sigpipe_begin(&sigpipe);
	while ((done = write(fd, line, len)) < 0 && errno == EINTR)
		;
	if (done >= 0 && done != (ssize_t)len)
		errno = ENOSPC;
	atomic_store(&is_lost, done != (ssize_t)len);
	sigpipe_end(&sigpipe);
}

static void send_syslog(const char *line, size_t len)
{
	int fd = syslog_open();
	ssize_t done = -1;

	while (fd >= 0 && (done = send(fd, line, len, MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	if (fd >= 0)
		close(fd);
	atomic_store(&is_lost, done < 0);
}

static int put_prefix(enum destination destination, enum log_level level, char *line, size_t size)
{
	char now[25];

	if (destination == TO_SYSLOG)
		return snprintf(line, size, "<%d>%s[%d]: ", FACILITY_USER | levels[level].severity,
				name, (int)getpid());
	if (destination == TO_STDERR)
		return snprintf(line, size, "%s: %s: ", name, levels[level].name);
	clock_extended_utc(clock_now(&clock_system).realtime_ms, now);
	return snprintf(line, size, "%s %s[%d]: %s: ", now, name, (int)getpid(),
			levels[level].name);
}

static atomic_bool is_quiet;

void log_quiet(bool quiet)
{
	atomic_store(&is_quiet, quiet);
}

/* A list that only grows: one entry for each kind, that is, for each format. */
struct loss {
	struct loss *_Atomic next;
	const char *format;
	atomic_uint more;
	char message[];
};
static struct loss *_Atomic losses;

static struct loss *loss_new(const char *format, const char *message)
{
	size_t size = strlen(message) + 1;
	struct loss *loss = malloc(sizeof(*loss) + size);

	if (loss == NULL)
		return NULL;
	atomic_init(&loss->next, NULL);
	atomic_init(&loss->more, 0);
	loss->format = format;
	memcpy(loss->message, message, size);
	return loss;
}

static void keep_loss(const char *format, const char *message)
{
	struct loss *_Atomic *at = &losses;
	struct loss *loss, *new = NULL;

	for (;;) {
		for (; (loss = atomic_load(at)) != NULL; at = &loss->next) {
			if (loss->format != format)
				continue;
			atomic_fetch_add(&loss->more, 1);
			free(new);
			return;
		}
		if (new == NULL)
			new = loss_new(format, message);
		/* Meanwhile another thread may have appended its own. */
		if (new == NULL || atomic_compare_exchange_strong(at, &loss, new))
			return;
	}
}

const char *log_kept(size_t index, unsigned *ret_more)
{
	const struct loss *loss = atomic_load(&losses);

	for (; loss != NULL && index > 0; index--)
		loss = atomic_load(&loss->next);
	if (loss == NULL)
		return NULL;
	*ret_more = atomic_load(&loss->more);
	return loss->message;
}

/* Reported where people look who do not read the log. */
static void keep_lost_line(int error)
{
	static const char format[] = "[log] to: a line can't be written: %s; %s";
	char message[256];

	snprintf(message, sizeof(message), format, system_error_text(error),
		 system_error_remedy(error));
	keep_loss(format, message);
}

static void send_message(enum log_level level, const char *message)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	enum destination destination = (enum destination)atomic_load(&current_destination);
	char line[LINE_SIZE];
	size_t len;

	if (destination == TO_STDERR && atomic_load(&is_quiet))
		return;
	len = (size_t)put_prefix(destination, level, line, sizeof(line));
	len += escape(message, line + len);
	if (destination == TO_SYSLOG) {
		send_syslog(line, len);
		return;
	}
	line[len++] = '\n';
	write_line(destination == TO_FILE ? atomic_load(&file_fd) : STDERR_FILENO, line, len);
	if (atomic_load(&is_lost) && atomic_load(&is_quiet))
		keep_lost_line(errno);
}

static void keep_reason(const char message[MESSAGE_MAX])
{
	struct thread_notes *notes = thread_notes();

	atomic_fetch_add_explicit(&thread_news, 1, memory_order_relaxed);
	if (notes == NULL)
		return;
	memcpy(notes->message, message, MESSAGE_MAX);
	notes->request_id[0] = '\0';
	notes->messages++;
}

unsigned log_reasons(void)
{
	return thread_notes_kept()->messages;
}

const char *log_last(void)
{
	return thread_notes_kept()->message;
}

void log_reason_request(const char *request_id)
{
	struct thread_notes *notes = thread_notes();

	if (notes != NULL)
		snprintf(notes->request_id, sizeof(notes->request_id), "%s", request_id);
}

const char *log_last_request(void)
{
	return thread_notes_kept()->request_id;
}

static bool is_written(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

bool log_writes(enum log_level level)
{
	bool shut = atomic_load(&current_destination) == TO_STDERR && atomic_load(&is_quiet);

	return is_written(level) && !shut && !atomic_load(&is_lost);
}

static bool format_message(char message[MESSAGE_MAX], const char *format, va_list args)
{
	int len = vsnprintf(message, MESSAGE_MAX, format, args);

	if (len >= MESSAGE_MAX)
		memcpy(message + MESSAGE_MAX - 4, "...", 4);
	return len >= 0;
}

void log_write(enum log_level level, const char *format, ...)
{
	bool written = is_written(level), formatted;
	char message[MESSAGE_MAX];
	int saved = errno;
	va_list args;

	if (!written && level > LOG_WARNING)
		return;
	va_start(args, format);
	formatted = format_message(message, format, args);
	va_end(args);
	if (formatted && level <= LOG_WARNING)
		keep_reason(message);
	if (formatted && written)
		send_message(level, message);
	errno = saved;
}

/* False: there is no message. */
static bool note(const char *format, va_list args, char message[MESSAGE_MAX])
{
	if (!format_message(message, format, args))
		return false;
	if (is_written(LOG_WARNING))
		send_message(LOG_WARNING, message);
	return true;
}

void log_notice(const char *format, ...)
{
	char message[MESSAGE_MAX];
	int saved = errno;
	va_list args;

	va_start(args, format);
	note(format, args, message);
	va_end(args);
	errno = saved;
}

void log_loss(const char *format, ...)
{
	char message[MESSAGE_MAX];
	int saved = errno;
	va_list args;

	va_start(args, format);
	if (note(format, args, message) && atomic_load(&is_quiet))
		keep_loss(format, message);
	va_end(args);
	errno = saved;
}

void log_reason(const char *format, ...)
{
	char message[MESSAGE_MAX];
	int saved = errno;
	va_list args;

	va_start(args, format);
	if (format_message(message, format, args))
		keep_reason(message);
	va_end(args);
	errno = saved;
}
