/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a file allows, handed on to another: the same, or less, and never more. */
#include "base/access.h"
#include "tests/support/folder_fixture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/xattr.h>

enum { OWNER = 0x01, USER = 0x02, GROUP = 0x04, MASK = 0x10, OTHER = 0x20 };
enum { SOMEBODY = 1, NOBODY = 65534, STRANGERS = 3001 };

static const char acl_name[] = "system.posix_acl_access";

struct acl {
	uint32_t version;
	struct {
		uint16_t tag, allowed;
		uint32_t id;
	} entries[5];
};

/* user::rw, user:1:`somebody`, group::`group`, mask::rw, other::`other` */
static struct acl acl_of(unsigned somebody, unsigned group, unsigned other)
{
	const unsigned tags[] = {OWNER, USER, GROUP, MASK, OTHER};
	const unsigned allowed[] = {6, somebody, group, 6, other};
	struct acl acl = {.version = htole32(2)};

	for (size_t i = 0; i < COUNT_OF(tags); i++) {
		acl.entries[i].tag = htole16((uint16_t)tags[i]);
		acl.entries[i].allowed = htole16((uint16_t)allowed[i]);
		acl.entries[i].id = htole32(tags[i] == USER ? SOMEBODY : UINT32_MAX);
	}
	return acl;
}

static bool has_acls(const char *path, const char *name, struct acl acl)
{
	if (setxattr(path, name, &acl, sizeof(acl), 0) == 0)
		return true;
	print_message("# reason: no ACLs here\n");
	return false;
}

/* What the ACL of the file says of that tag; -1: the file has none. */
static int allowed_by_acl(const char *path, unsigned tag)
{
	struct acl acl;

	if (getxattr(path, acl_name, &acl, sizeof(acl)) != sizeof(acl))
		return -1;
	for (size_t i = 0; i < COUNT_OF(acl.entries); i++)
		if (le16toh(acl.entries[i].tag) == tag)
			return le16toh(acl.entries[i].allowed);
	return -1;
}

static void make(const char *path, unsigned mode)
{
	assert_true(file_make(path, NULL));
	assert_int_equal(chmod(path, mode), 0);
}

/* As all who use it do. */
static int make_new(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void owner_group_and_mode_are_kept(void **state)
{
	AUTO(freep) char *old = in_folder("old");
	AUTO(freep) char *new = in_folder("new");
	AUTO(file_closep) int fd = -1;
	struct stat found;

	(void)state;
	make(old, 0640);
	if (geteuid() == 0)
		assert_int_equal(chown(old, 3000, STRANGERS), 0);
	fd = make_new(new);
	assert_true(access_hand_on(old, fd));
	assert_int_equal(fstat(fd, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0640);
	assert_int_equal(found.st_uid, geteuid() == 0 ? 3000 : geteuid());
	assert_int_equal(found.st_gid, geteuid() == 0 ? STRANGERS : getegid());
	assert_false(access_hand_on("/nonexistent", fd));
}

static void what_took_an_open_file_s_name_counts_for_nothing(void **state)
{
	AUTO(freep) char *old = in_folder("old");
	AUTO(freep) char *away = in_folder("away");
	AUTO(freep) char *new = in_folder("new");
	AUTO(file_closep) int like = -1;
	AUTO(file_closep) int fd = -1;
	struct stat found;

	(void)state;
	make(old, 0600);
	like = open(old, O_RDONLY | O_CLOEXEC);
	assert_int_equal(rename(old, away), 0);
	make(old, 0644);
	if (geteuid() == 0)
		assert_int_equal(chown(old, 3000, STRANGERS), 0);
	fd = make_new(new);
	assert_true(access_hand_on_from(like, fd));
	assert_int_equal(fstat(fd, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0600);
	assert_int_equal(found.st_uid, geteuid());
	assert_false(access_hand_on_from(-1, fd));
}

static void attributes_go_along_but_not_those_that_vouch_for_contents(void **state)
{
	AUTO(freep) char *old = in_folder("old");
	AUTO(freep) char *new = in_folder("new");
	AUTO(file_closep) int fd = -1;
	char value[8] = {0};

	(void)state;
	make(old, 0600);
	if (setxattr(old, "user.origin", "here", 4, 0) != 0) {
		print_message("# reason: no attributes here\n");
		skip();
	}
	assert_int_equal(setxattr(old, "user.empty", "", 0, 0), 0);
	fd = make_new(new);
	assert_true(access_hand_on(old, fd));
	assert_int_equal(fgetxattr(fd, "user.origin", value, sizeof(value)), 4);
	assert_string_equal(value, "here");
	assert_int_equal(fgetxattr(fd, "user.empty", value, sizeof(value)), 0);
	if (geteuid() == 0) {
		static const uint8_t capability[20] = {0, 0, 0, 2, 1};

		assert_int_equal(setxattr(old, "security.capability", capability, 20, 0), 0);
		assert_true(access_hand_on(old, fd));
		assert_int_equal(fgetxattr(fd, "security.capability", value, 0), -1);
	}
}

static void acl_is_kept(void **state)
{
	AUTO(freep) char *old = in_folder("old");
	AUTO(freep) char *new = in_folder("new");
	AUTO(file_closep) int fd = -1;

	(void)state;
	make(old, 0600);
	if (!has_acls(old, acl_name, acl_of(4, 0, 0)))
		skip();
	fd = make_new(new);
	assert_true(access_hand_on(old, fd));
	assert_int_equal(allowed_by_acl(new, USER), 4);
	assert_int_equal(allowed_by_acl(new, GROUP), 0);
	assert_int_equal(mode_of(new), 0660); /* 6 is the mask */
}

/* The exit code; 99: nothing can be mounted here. */
static int hand_on_to_where_no_acls_are(const char *path)
{
	AUTO(freep) char *place = in_folder("place");
	AUTO(freep) char *new = in_folder("place/new");
	AUTO(file_closep) int fd = -1;

	if (mkdir(place, 0700) != 0 || unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", place, "ramfs", 0, NULL) != 0)
		return 99;
	fd = open(new, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || fsetxattr(fd, acl_name, "", 0, 0) == 0 || errno != EOPNOTSUPP)
		return 99;
	return access_hand_on(path, fd) && mode_of(new) == 0600 ? 0 : 1;
}

/* The mask would become the permission of the owning group, and whoever the ACL shuts out would be
 * one of the others. */
static void without_its_acl_a_file_is_its_owner_s_alone(void **state)
{
	AUTO(freep) char *old = in_folder("old");
	int result;

	(void)state;
	SKIP_UNLESS_ROOT();
	make(old, 0600);
	if (!has_acls(old, acl_name, acl_of(0, 0, 4)))
		skip();
	result = in_child(hand_on_to_where_no_acls_are, old);
	if (result == 99) {
		print_message("# reason: no file system without ACLs can be mounted here\n");
		skip();
	}
	assert_int_equal(result, 0);
}

static void what_the_folder_would_add_by_its_default_acl_is_not_added(void **state)
{
	AUTO(freep) char *old = in_folder("old");
	AUTO(freep) char *new = in_folder("new");
	AUTO(file_closep) int fd = -1;

	(void)state;
	make(old, 0640);
	if (!has_acls(folder, "system.posix_acl_default", acl_of(6, 0, 0)))
		skip();
	fd = make_new(new);
	assert_int_equal(allowed_by_acl(new, USER), 6);
	assert_true(access_hand_on(old, fd));
	assert_int_equal(allowed_by_acl(new, USER), -1);
	assert_int_equal(mode_of(new), 0640);
}

static int replace(const char *path)
{
	AUTO(file_closep) int fd = -1;
	char name[96];

	become_nobody();
	snprintf(name, sizeof(name), "%s.new", path);
	fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	return fd < 0 ? 1 : access_hand_on(path, fd) ? 2 : 0;
}

static void group_that_can_not_be_kept_keeps_what_all_may_do(void **state)
{
	static const unsigned modes[][2] = {{0640, 0600}, {0664, 0644}, {0604, 0600},
					    {0644, 0644}, {0666, 0666}, {0660, 0600}};

	(void)state;
	SKIP_UNLESS_ROOT();
	assert_int_equal(chmod(folder, 0777), 0);
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		char name[8];
		AUTO(freep) char *old = NULL;
		AUTO(freep) char *new = NULL;

		snprintf(name, sizeof(name), "%zu", i);
		old = in_folder(name);
		strcat(name, ".new");
		new = in_folder(name);
		make(old, modes[i][0]);
		assert_int_equal(chown(old, 3000, STRANGERS), 0);
		assert_int_equal(in_child(replace, old), 0); /* and says that it's not 3000's */
		assert_int_equal(mode_of(new), modes[i][1]);
	}
}

static void nor_does_it_in_an_acl(void **state)
{
	AUTO(freep) char *old = in_folder("old");
	AUTO(freep) char *new = in_folder("old.new");

	(void)state;
	SKIP_UNLESS_ROOT();
	assert_int_equal(chmod(folder, 0777), 0);
	make(old, 0600);
	assert_int_equal(chown(old, 3000, STRANGERS), 0);
	if (!has_acls(old, acl_name, acl_of(4, 6, 0)))
		skip();
	assert_int_equal(in_child(replace, old), 0);
	assert_int_equal(allowed_by_acl(new, USER), 4);
	assert_int_equal(allowed_by_acl(new, GROUP), 0);
}

static void new_file_like_another_lets_nobody_in_whom_that_keeps_out(void **state)
{
	AUTO(freep) char *like = in_folder("like");
	AUTO(freep) char *new = in_folder("new");
	AUTO(file_closep) int from = -1, to = -1;

	(void)state;
	make(like, 0640);
	from = open(like, O_RDONLY | O_CLOEXEC);
	to = make_new(new);
	assert_int_equal(access_like(from, to), 0640);
	assert_int_equal(access_like(-1, to), 0600);
	if (geteuid() == 0) {
		assert_int_equal(fchown(from, (uid_t)-1, STRANGERS), 0);
		assert_int_equal(access_like(from, to), 0600);
		assert_int_equal(fchmod(from, 0644), 0);
		assert_int_equal(access_like(from, to), 0644);
	}
	if (!has_acls(like, acl_name, acl_of(0, 6, 4)))
		skip();
	assert_int_equal(access_like(from, to), 0600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(owner_group_and_mode_are_kept),
		IN_FOLDER(what_took_an_open_file_s_name_counts_for_nothing),
		IN_FOLDER(attributes_go_along_but_not_those_that_vouch_for_contents),
		IN_FOLDER(acl_is_kept),
		IN_FOLDER(without_its_acl_a_file_is_its_owner_s_alone),
		IN_FOLDER(what_the_folder_would_add_by_its_default_acl_is_not_added),
		IN_FOLDER(group_that_can_not_be_kept_keeps_what_all_may_do),
		IN_FOLDER(nor_does_it_in_an_acl),
		IN_FOLDER(new_file_like_another_lets_nobody_in_whom_that_keeps_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
