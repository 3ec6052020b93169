/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the rounds, in the current folder. */
#include "application.h"
#include "shortage_rounds.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void read_file(const char *name, CK_BYTE *ret, CK_ULONG *ret_len)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, ret, OUT_MAX);

	must(len < 0 ? CKR_GENERAL_ERROR : CKR_OK, name);
	close(fd);
	*ret_len = (CK_ULONG)len;
}

void write_file(const char *name, const CK_BYTE *data, CK_ULONG len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd < 0 || write(fd, data, len) != (ssize_t)len ? CKR_GENERAL_ERROR : CKR_OK, name);
	close(fd);
}

static void copy_file(int folder, const char *name)
{
	int from = openat(folder, name, O_RDONLY | O_CLOEXEC);
	int to = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static char block[65536];
	ssize_t len;

	while ((len = read(from, block, sizeof(block))) > 0)
		must(write(to, block, (size_t)len) != len ? CKR_GENERAL_ERROR : CKR_OK, name);
	close(from);
	close(to);
}

/* Calls `each` with the name of each file in a folder. */
static void for_files(const char *path, void (*each)(int folder, const char *name))
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	must(folder == NULL ? CKR_GENERAL_ERROR : CKR_OK, path);
	while ((entry = readdir(folder)) != NULL)
		if (entry->d_type == DT_REG)
			each(dirfd(folder), entry->d_name);
	closedir(folder);
}

static void remove_file(int folder, const char *name)
{
	unlinkat(folder, name, 0);
}

void begin_anew(void)
{
	for_files(".", remove_file);
	for_files(getenv("SHORTAGE_START"), copy_file);
}
