/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's tool. Everything it does, it does by PKCS #11 calls; another program can do
 * the same with include/cmek.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "include/pkcs11.h"
#include "include/cmek.h"

/* With a standard stream closed, the next file opened would take its number, and a file meant for
 * data get the messages. The wrong direction keeps it unusable. */
static void open_standard_streams(void)
{
	static const int flags[] = {O_WRONLY, O_RDONLY, O_RDONLY};

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags[fd]) != fd)
			_exit(CMEK_EXIT_FAILED);
}

int main(int argc, char **argv)
{
	int code;

	open_standard_streams();
	/* Both are errors of write() then, with a message. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	code = run_words(argc, argv);
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == CMEK_EXIT_OK)
		return fail_system(errno, "standard output", "");
	return code;
}
