/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The names are remembered beside their numbers, and shown only with those: a process may become
 * somebody else at any time. */
#include "zones/kms/audit_who.h"

#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

enum { TEXT_MAX = 255, ENTRY_SIZE = 4096, ENTRY_SIZE_MAX = 64 * 1024 };

struct user {
	uid_t uid;
	char name[TEXT_MAX + 1]; /* empty: not known */
};

/* Written while nobody uses the module. */
static char host[TEXT_MAX + 1];
static struct user users[2]; /* the real and the effective one, once looked for */
static pid_t looked;	     /* the process that looked; 0: none yet */

/* As much as a password file or a directory has of a user. False: there is no such user, or none
 * that can be known now; *ret_more: there is more than `size`. */
static bool find_name(uid_t uid, char *entry, size_t size, char ret_name[static TEXT_MAX + 1],
		      bool *ret_more)
{
	struct passwd passwd, *found = NULL;
	int code = getpwuid_r(uid, &passwd, entry, size, &found);

	*ret_more = code == ERANGE;
	if (found == NULL || found->pw_name == NULL)
		return false;
	utf8_cut(found->pw_name, TEXT_MAX + 1, ret_name);
	return true;
}

static struct user look_up(uid_t uid)
{
	struct user user = {.uid = uid};
	char entry[ENTRY_SIZE];
	bool more;

	if (!find_name(uid, entry, sizeof(entry), user.name, &more) && more) {
		AUTO(freep) char *larger = malloc(ENTRY_SIZE_MAX);

		if (larger != NULL)
			find_name(uid, larger, ENTRY_SIZE_MAX, user.name, &more);
	}
	return user;
}

void audit_who_look(void)
{
	int saved = errno;

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	if (looked == 0 || looked == getpid()) {
		looked = getpid();
		users[0] = look_up(getuid());
		users[1] = geteuid() == getuid() ? users[0] : look_up(geteuid());
	}
	errno = saved;
}

/* Names come partly from strangers. */
static json_t *ascii_part(const char *value)
{
	AUTO(buffer_clear) struct buffer text = {0};

	for (; *value != '\0'; value++) {
		if ((*value & 0x80) != 0)
			buffer_put_text(&text, "\xef\xbf\xbd"); /* U+FFFD */
		else
			buffer_put_u8(&text, (uint8_t)*value);
	}
	return json_string(buffer_text(&text));
}

void audit_put_text(json_t *line, const char *name, const char *value)
{
	json_t *text;

	if (value == NULL || *value == '\0')
		return;
	text = json_string(value);
	json_object_set_new(line, name, text != NULL ? text : ascii_part(value));
}

void audit_put_program(json_t *line)
{
	char name[TEXT_MAX + 1];

	utf8_cut(program_invocation_short_name, sizeof(name), name);
	audit_put_text(line, "program", name);
}

static void put_user(json_t *line, const char *number, const char *name, uid_t uid)
{
	json_object_set_new(line, number, json_integer(uid));
	for (size_t i = 0; looked != 0 && i < COUNT_OF(users); i++)
		if (users[i].uid == uid) {
			audit_put_text(line, name, users[i].name);
			return;
		}
}

void audit_put_who(json_t *line)
{
	uid_t uid = getuid(), euid = geteuid();

	audit_put_text(line, "host", host);
	put_user(line, "uid", "user", uid);
	if (euid != uid)
		put_user(line, "euid", "euser", euid);
}
