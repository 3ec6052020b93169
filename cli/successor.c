/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/successor.h"

#include "base/access.h"
#include "base/aside.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "cli/cli.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int not_written(const struct successor *successor)
{
	return fail_system(errno, successor->target, "cannot be written: ");
}

int successor_open(struct successor *successor, const char *target)
{
	successor->target = target;
	successor->fd = aside_open(target, &successor->temporary);
	return successor->fd < 0 ? not_written(successor) : CMEK_EXIT_OK;
}

int successor_settle(struct successor *successor, int like, const char *called,
		     const struct stat *times)
{
	if (!access_hand_on_from(like, successor->fd))
		return fail(CMEK_EXIT_FAILED,
			    "%s: its owner can't be kept: %s; do it as root or as "
			    "its owner",
			    called, system_error_text(errno));
	if (times != NULL &&
	    futimens(successor->fd, (struct timespec[]){times->st_atim, times->st_mtim}) != 0)
		return not_written(successor);
	return fsync(successor->fd) == 0 ? CMEK_EXIT_OK : not_written(successor);
}

int successor_reopen(const struct successor *successor, int *ret_fd)
{
	int fd = open(successor->temporary, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return not_written(successor);
	/* So that it comes from the disk, not out of memory. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	*ret_fd = fd;
	return CMEK_EXIT_OK;
}

int successor_place(struct successor *successor, bool replaces)
{
	bool placed = file_place(successor->temporary, successor->target, replaces);

	if (!placed && errno == EEXIST)
		return fail(CMEK_EXIT_REFUSED,
			    "%s: is there already; name another file, or remove it",
			    successor->target);
	if (!placed)
		return not_written(successor);
	free(TAKE(successor->temporary));
	if (!file_sync_name(successor->target))
		return fail(CMEK_EXIT_FAILED, "%s: written, but the folder could not be synced: %s",
			    successor->target, system_error_text(errno));
	return CMEK_EXIT_OK;
}

void successor_clear(struct successor *successor)
{
	if (successor->temporary != NULL)
		unlink(successor->temporary);
	free(TAKE(successor->temporary));
	lock_release(successor->fd);
	successor->fd = -1;
}
