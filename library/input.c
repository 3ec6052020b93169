/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/input.h"

#include "base/file.h"
#include "library/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool look(struct library_input *input)
{
	struct stat status;

	if (fstat(input->fd, &status) != 0)
		return false;
	input->is_folder = S_ISDIR(status.st_mode);
	input->size = S_ISREG(status.st_mode) ? status.st_size : -1;
	(void)posix_fadvise(input->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return true;
}

bool library_input_open(struct library_input *input, const char *path)
{
	input->fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	return input->fd >= 0 && look(input);
}

bool library_input_standard(struct library_input *input)
{
	input->fd = STDIN_FILENO;
	input->is_borrowed = true;
	return look(input);
}

unsigned library_input_threads(const struct library_input *input, size_t wanted)
{
	return input->size < 0 ? 0 : library_threads(wanted);
}

void library_input_clear(struct library_input *input)
{
	if (!input->is_borrowed)
		file_closep(&input->fd);
	*input = (struct library_input)LIBRARY_INPUT_NONE;
}

ssize_t library_input_read(int fd, uint8_t *out, size_t len)
{
	ssize_t count;

	do {
		count = read(fd, out, len);
	} while (count < 0 && errno == EINTR);
	return count;
}
