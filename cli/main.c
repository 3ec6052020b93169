/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's tool. It does everything by PKCS #11 calls; another program can do the same
 * with include/cmek.h. */
#include "cli/cli.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* If a standard stream is closed, the next file to be opened would take its number, and a data file
 * would get the messages. A descriptor of the wrong direction keeps the number unusable. */
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
	/* Both then fail in write(), which is reported. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	code = run_words(argc, argv);
	errno = EIO; /* of a write that failed before, and whose cause is not known any more */
	if ((fflush(stdout) == 0 && !ferror(stdout)) || code != CMEK_EXIT_OK)
		return code;
	/* Whoever read it has had enough (`cmek tree | head`), and knows. */
	return errno == EPIPE ? CMEK_EXIT_FAILED : fail_system(errno, "standard output", "");
}
