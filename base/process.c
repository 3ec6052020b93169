/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A program run for its output. */
#include "base/process.h"

#include "base/file.h"
#include "base/have.h"
#include "base/macros.h"
#include "base/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_OF_HOST = 3, SLICE_MS = 20, KILL_SLICES = 50, READ_AT_ONCE = 4096 };

/* One word, up to an unquoted space; its text with a NUL goes to `out`. */
static bool take_word(const char **at, struct buffer *out)
{
	char quote = 0;

	for (; **at != 0 && (quote != 0 || strchr(" \t\r\n", **at) == NULL); (*at)++) {
		char c = **at;

		if (quote != '\'' && c == '\\' && (*at)[1] != 0 &&
		    (quote == 0 || strchr("\"\\$`", (*at)[1]) != NULL))
			buffer_put_u8(out, (uint8_t) * ++*at);
		else if (quote == 0 && (c == '\'' || c == '"'))
			quote = c;
		else if (c == quote)
			quote = 0;
		else
			buffer_put_u8(out, (uint8_t)c);
	}
	buffer_put_u8(out, 0);
	return quote == 0;
}

bool process_split(const char *line, struct buffer *ret_text,
		   char *ret_words[static PROCESS_WORDS_MAX + 1])
{
	size_t count = 0, at = 0;

	for (line += strspn(line, " \t\r\n"); *line != 0; line += strspn(line, " \t\r\n"))
		if (++count > PROCESS_WORDS_MAX || !take_word(&line, ret_text))
			return false;
	if (count == 0 || ret_text->failed)
		return false;
	for (size_t i = 0; i < count; i++) {
		ret_words[i] = (char *)ret_text->data + at;
		at += strlen(ret_words[i]) + 1;
	}
	ret_words[count] = NULL;
	return true;
}

#if defined(HAVE_POSIX_SPAWN_FILE_ACTIONS_ADDCLOSEFROM_NP) && !defined(CMEK_TEST_LACKING)
static bool close_the_rest(posix_spawn_file_actions_t *files)
{
	return posix_spawn_file_actions_addclosefrom_np(files, FIRST_OF_HOST) == 0;
}
#else
/* What another of the host's threads opens from here on stays open, unless it has FD_CLOEXEC. */
static bool close_the_rest(posix_spawn_file_actions_t *files)
{
	AUTO(dir_closep) DIR *dir = opendir("/proc/self/fd");
	const struct dirent *found;

	if (dir == NULL)
		return false;
	while (errno = 0, (found = readdir(dir)) != NULL) {
		int fd = atoi(found->d_name);

		if (fd >= FIRST_OF_HOST && (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0 &&
		    posix_spawn_file_actions_addclose(files, fd) != 0)
			return false;
	}
	return errno == 0;
}
#endif

/* An empty input, the pipe as output, nothing else of the host's. */
static bool set_files(posix_spawn_file_actions_t *files, int out)
{
	bool good = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0) == 0 &&
		    posix_spawn_file_actions_adddup2(files, out, 1) == 0;

	return good && close_the_rest(files);
}

/* The child blocks and ignores no signal, whatever the host does with its own. */
static bool set_signals(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	return posix_spawnattr_setsigmask(attributes, &none) == 0 &&
	       posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
	       posix_spawnattr_setflags(attributes,
					POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0;
}

/* 0, or what errno would be. */
static int spawn(char *const words[], int out, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int error = ENOMEM;

	if (posix_spawn_file_actions_init(&files) != 0)
		return error;
	if (posix_spawnattr_init(&attributes) == 0) {
		if (set_files(&files, out) && set_signals(&attributes))
			error = posix_spawnp(ret_pid, words[0], &files, &attributes, words,
					     environ);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&files);
	return error;
}

/* A running child. */
struct child {
	pid_t pid;  /* 0: it has ended, and its number may belong to another process by now */
	int handle; /* the child's pidfd, where the kernel has those; or -1 */
	int out;    /* -1: closed */
	int code;
};

static void child_clear(struct child *child)
{
	file_closep(&child->out);
	file_closep(&child->handle);
}

/* Checks whether it has ended. */
static void reap(struct child *child)
{
	int status = 0;
	pid_t got;

	do {
		got = child->pid == 0 ? 0 : waitpid(child->pid, &status, WNOHANG);
	} while (got < 0 && errno == EINTR);
	if (got == 0)
		return;
	child->pid = 0;
	if (got > 0)
		child->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* A killed child that the kernel does not let go (a hanging file system) is left behind. */
static void end(struct child *child)
{
	if (child->pid != 0 && child->handle >= 0)
		syscall(SYS_pidfd_send_signal, child->handle, SIGKILL, NULL, 0);
	else if (child->pid != 0)
		kill(child->pid, SIGKILL);
	for (int i = 0; i < KILL_SLICES && child->pid != 0; i++) {
		poll(NULL, 0, SLICE_MS);
		reap(child);
	}
}

/* Reads what is there, or waits a slice for it. */
static enum process_result read_some(struct child *child, struct buffer *output)
{
	struct pollfd ready = {.fd = child->out, .events = POLLIN};
	uint8_t chunk[READ_AT_ONCE];
	ssize_t got;

	if (poll(&ready, 1, SLICE_MS) <= 0)
		return PROCESS_ENDED;
	got = read(child->out, chunk, sizeof(chunk));
	if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
		file_closep(&child->out);
	if (got <= 0)
		return PROCESS_ENDED;
	buffer_append(output, bytes(chunk, (size_t)got));
	wipe(chunk, sizeof(chunk));
	if (!output->failed)
		return PROCESS_ENDED;
	return output->len + (size_t)got > output->limit ? PROCESS_TOO_LONG : PROCESS_NO_MEMORY;
}

/* Reads to the end of the output and of the child: either may end long before the other. */
static enum process_result follow(struct child *child, int64_t timeout_ms, struct buffer *output)
{
	const int64_t limit = clock_system.monotonic_ms(NULL) + timeout_ms;

	while (child->out >= 0 || child->pid != 0) {
		bool had_ended = child->pid == 0;
		size_t before = output->len;
		enum process_result result = read_some(child, output);

		if (result != PROCESS_ENDED)
			return result;
		reap(child);
		/* The child's own children may hold the pipe open for ever. */
		if (had_ended && output->len == before)
			file_closep(&child->out);
		else if (clock_system.monotonic_ms(NULL) >= limit)
			return PROCESS_TIMED_OUT;
	}
	return PROCESS_ENDED;
}

enum process_result process_run(char *const words[], int64_t timeout_ms, struct buffer *ret_output,
				int *ret_code)
{
	AUTO(child_clear) struct child child = {.out = -1, .handle = -1};
	enum process_result result;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return PROCESS_NOT_STARTED;
	child.out = ends[0];
	errno = spawn(words, ends[1], &child.pid);
	file_closep(&ends[1]);
	if (errno != 0)
		return PROCESS_NOT_STARTED;
	child.handle = (int)syscall(SYS_pidfd_open, child.pid, 0);
	result = follow(&child, timeout_ms, ret_output);
	if (result != PROCESS_ENDED)
		end(&child);
	*ret_code = child.code;
	return result;
}
