/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Owner, group, mode, ACL and extended attributes. The kernel shows ACLs as extended attributes,
 * and that view is all that is needed here. */
#include "base/access.h"

#include "base/buffer.h"
#include "base/macros.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* --- Attributes */

/* False, with an errno that is neither of those two: the attribute exists, but it can't be read
 * (ENOMEM: out of memory). */
static bool attribute_read(const char *path, const char *name, struct buffer *ret_value)
{
	ssize_t len = getxattr(path, name, NULL, 0);
	uint8_t *place = len > 0 ? buffer_extend(ret_value, (size_t)len) : NULL;

	if (len == 0)
		errno = ENODATA;
	else if (len > 0 && place == NULL)
		errno = ENOMEM;
	if (place == NULL)
		return false;
	len = getxattr(path, name, place, ret_value->len);
	if (len < 0)
		return false;
	buffer_truncate(ret_value, (size_t)len);
	return true;
}

static bool is_absent(int error)
{
	return error == ENODATA || error == EOPNOTSUPP || error == ENOSYS;
}

/* Attributes that vouch for the contents (security.ima, security.capability) are left out, since
 * the contents are new. */
static bool goes_along(const char *name)
{
	static const char *const beginnings[] = {"user.", "trusted.", "security.selinux",
						 "security.SMACK64"};

	for (size_t i = 0; i < COUNT_OF(beginnings); i++)
		if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

/* From here on false means ENOMEM: what exists can't be read. */
static bool copy_attribute(const char *path, const char *name, int fd)
{
	AUTO(buffer_clear) struct buffer value = {0};
	const char *data = "";

	if (!attribute_read(path, name, &value) && errno != ENODATA)
		return errno != ENOMEM;
	if (value.len > 0)
		data = (const char *)value.data;
	(void)fsetxattr(fd, name, data, value.len, 0);
	return true;
}

static bool copy_attributes(const char *path, int fd)
{
	AUTO(buffer_clear) struct buffer names = {0};
	ssize_t len = listxattr(path, NULL, 0);
	char *list = len > 0 ? (char *)buffer_extend(&names, (size_t)len) : NULL;

	errno = ENOMEM;
	if (names.failed)
		return false;
	len = list == NULL ? 0 : listxattr(path, list, (size_t)len);
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1)
		if (goes_along(list + at) && !copy_attribute(path, list + at, fd))
			return false;
	return true;
}

/* --- Modes and ACLs */

/* Members of the group are now among the others, or the other way round. */
static mode_t without_group(mode_t mode)
{
	mode_t both = mode >> 3 & mode & 7;

	return (mode & 0700) | both << 3 | both;
}

static const char posix_acl[] = "system.posix_acl_access";
static const char *const acls[] = {posix_acl, "system.nfs4_acl", "system.richacl"};

/* The layout of acl(5) as <linux/posix_acl_xattr.h> defines it: a version, then entries of 8 bytes:
 * tag, permissions, id. */
enum { ACL_HEADER = 4, ACL_ENTRY = 8, ACL_GROUP = 0x04, ACL_OTHER = 0x20 };

static uint16_t *acl_permissions(struct buffer *acl, unsigned tag)
{
	for (size_t at = ACL_HEADER; at + ACL_ENTRY <= acl->len; at += ACL_ENTRY) {
		uint16_t *entry = (uint16_t *)(void *)(acl->data + at);

		if (le16toh(entry[0]) == tag)
			return entry + 1;
	}
	return NULL;
}

static bool acl_without_group(const char *name, struct buffer *acl)
{
	uint16_t *group = acl_permissions(acl, ACL_GROUP);
	uint16_t *other = acl_permissions(acl, ACL_OTHER);

	if (name != posix_acl || group == NULL || other == NULL)
		return false;
	*other &= *group;
	*group = *other;
	return true;
}

/* The ACL of that name. False: the file has none. `ret_acl` is empty if it can't be read. */
static bool has_acl(const char *path, const char *name, struct buffer *ret_acl)
{
	if (attribute_read(path, name, ret_acl))
		return true;
	buffer_truncate(ret_acl, 0);
	return !is_absent(errno);
}

static bool give_acl(int fd, const char *name, struct buffer *acl, bool same_group)
{
	return acl->len > 0 && (same_group || acl_without_group(name, acl)) &&
	       fsetxattr(fd, name, acl->data, acl->len, 0) == 0;
}

/* The old file did not have what the folder's default ACL gives to new files. */
static bool drop_acl(int fd)
{
	return fremovexattr(fd, posix_acl) == 0 || is_absent(errno);
}

static bool give_mode(const char *path, mode_t mode, int fd, bool same_group)
{
	for (size_t i = 0; i < COUNT_OF(acls); i++) {
		AUTO(buffer_clear) struct buffer acl = {0};

		if (!has_acl(path, acls[i], &acl))
			continue;
		errno = ENOMEM;
		if (acl.failed)
			return false;
		(void)fchmod(fd, mode & 0700);
		(void)give_acl(fd, acls[i], &acl, same_group);
		return true;
	}
	if (!same_group)
		mode = without_group(mode);
	(void)fchmod(fd, drop_acl(fd) ? mode : mode & 0700);
	return true;
}

bool access_hand_on(const char *path, int fd)
{
	struct stat from, to;
	bool same_group;

	if (stat(path, &from) != 0 || fstat(fd, &to) != 0)
		return false;
	same_group = from.st_gid == to.st_gid || fchown(fd, (uid_t)-1, from.st_gid) == 0;
	if (!copy_attributes(path, fd) || !give_mode(path, from.st_mode & 0777, fd, same_group))
		return false;
	/* This comes last, since the file may not be ours any more after it. */
	return from.st_uid == to.st_uid || fchown(fd, from.st_uid, (gid_t)-1) == 0;
}

bool access_hand_on_from(int like, int fd)
{
	char path[32]; /* proc(5) */

	snprintf(path, sizeof(path), "/proc/self/fd/%d", like);
	return access_hand_on(path, fd);
}

void access_of_folder(const char *folder, int fd)
{
	struct stat place, made;

	/* A file that does not belong to root is not the one that has just been made. */
	if (geteuid() != 0 || stat(folder, &place) != 0 || fstat(fd, &made) != 0 ||
	    made.st_uid != 0 || place.st_uid == 0)
		return;
	(void)!fchown(fd, place.st_uid, place.st_gid);
}

unsigned access_like(int like, int fd)
{
	struct stat from, to;
	mode_t mode;

	if (fstat(like, &from) != 0 || !S_ISREG(from.st_mode) || fstat(fd, &to) != 0)
		return 0600;
	mode = from.st_mode & 0777;
	for (size_t i = 0; i < COUNT_OF(acls); i++)
		if (fgetxattr(like, acls[i], NULL, 0) > 0)
			return mode & 0700;
	return from.st_gid == to.st_gid ? mode : without_group(mode);
}
