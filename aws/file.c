/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one of AWS's shared files: INI in the dialect of the AWS SDKs. */
#include "aws/file.h"

#include "base/file.h"
#include "base/ini.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "net/answer.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { AWS_FILE_MAX = 1024 * 1024 };

void aws_file_clear(struct aws_file *file)
{
	buffer_clear(&file->path);
	buffer_clear(&file->pool);
	free(file->lines);
	*file = (struct aws_file){0};
}

/* HOME, else what the system's user list says. */
static bool put_home(struct buffer *out, const char *home)
{
	struct passwd user, *found = NULL;
	char space[4096];

	if (home == NULL && getpwuid_r(getuid(), &user, space, sizeof(space), &found) == 0 &&
	    found != NULL)
		home = found->pw_dir;
	if (home == NULL)
		return false;
	buffer_put_text(out, home);
	return !out->failed;
}

bool aws_path_expand(const char *path, const char *home, struct buffer *out)
{
	bool in_home = bytes_begin(bytes_of(path), "~/");

	if (in_home && !put_home(out, home))
		return false;
	buffer_put_text(out, in_home ? path + 1 : path);
	return buffer_text(out) != NULL;
}

static size_t keep(struct aws_file *file, const char *text)
{
	size_t at = file->pool.len;

	buffer_append(&file->pool, bytes(text, strlen(text) + 1));
	return at;
}

static bool grow(struct aws_file *file)
{
	size_t capacity = file->capacity == 0 ? 32 : 2 * file->capacity;
	struct aws_line *lines;

	if (file->count < file->capacity)
		return true;
	lines = realloc(file->lines, capacity * sizeof(*lines));
	if (lines == NULL)
		return false;
	file->lines = lines;
	file->capacity = capacity;
	return true;
}

/* How the names of other sections than [default] and the credentials file's begin. */
static const char *const kinds[] = {"profile", "sso-session", "services"};

/* The name of a section [KIND NAME]; NULL: it has no kind. */
static const char *name_after_kind(const char *section, size_t *ret_kind_len)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		size_t len = strlen(kinds[i]);

		if (strncmp(section, kinds[i], len) != 0 || !byte_is_blank((uint8_t)section[len]))
			continue;
		*ret_kind_len = len;
		while (byte_is_blank((uint8_t)section[len]))
			len++;
		return section + len;
	}
	return NULL;
}

/* The section in the form that is looked up, "KIND NAME" with one blank and without quotes, since
 * there may be any number of blanks and tabs between the two, and the name may be quoted. */
static size_t keep_section(struct aws_file *file, const char *section)
{
	size_t at = file->pool.len, kind_len = 0, len;
	const char *name = name_after_kind(section, &kind_len);

	if (name == NULL)
		return keep(file, section);
	len = strlen(name);
	if (len >= 2 && (name[0] == '"' || name[0] == '\'') && name[len - 1] == name[0]) {
		name++;
		len -= 2;
	}
	buffer_append(&file->pool, bytes(section, kind_len));
	buffer_put_u8(&file->pool, ' ');
	buffer_append(&file->pool, bytes(name, len));
	buffer_put_u8(&file->pool, 0);
	return at;
}

static bool on_line(void *state, const char *section, const char *key, const char *value,
		    unsigned number)
{
	struct aws_file *file = state;
	struct aws_line line = {.key = SIZE_MAX};

	(void)number;
	if (!grow(file)) {
		file->pool.failed = true;
		return false;
	}
	line.section = keep_section(file, section);
	if (key != NULL) {
		line.key = keep(file, key);
		line.value = keep(file, value);
	}
	file->lines[file->count++] = line;
	return !file->pool.failed;
}

static enum kms_status parse(struct aws_file *file, struct bytes text, struct kms_report *report)
{
	unsigned line = 0;

	if (ini_parse(text, on_line, file, &line))
		return KMS_OK;
	if (file->pool.failed || line == 0)
		return KMS_NO_MEMORY;
	return kms_fail(KMS_MISCONFIGURED, report, NULL, "%s:%u: neither [section] nor key = value",
			buffer_text(&file->path), line);
}

/* There is no such file, or it is a default one in a home folder that we may not read. */
static bool is_absent(int error, bool given)
{
	return error == ENOENT || error == ENOTDIR || (!given && error == EACCES);
}

enum kms_status aws_file_read(struct aws_file *file, const char *path, bool given, const char *home,
			      struct kms_report *report)
{
	AUTO(buffer_clear) struct buffer text = {0};

	if (!aws_path_expand(path, home, &file->path))
		return file->path.failed ? KMS_NO_MEMORY : KMS_OK;
	if (file_read(buffer_text(&file->path), AWS_FILE_MAX, &text))
		return parse(file, buffer_bytes(&text), report);
	if (is_absent(errno, given))
		return KMS_OK;
	if (errno == ENOMEM)
		return KMS_NO_MEMORY;
	return kms_fail(KMS_MISCONFIGURED, report, NULL, "%s can't be read: %s",
			buffer_text(&file->path), system_error_text(errno));
}

static const char *text_at(const struct aws_file *file, size_t at)
{
	return (const char *)file->pool.data + at;
}

/* Compared in two parts, so that looking needs no memory: if a lack of memory hid a setting,
 * another setting, or another identity, would be used. */
static bool is_section(const struct aws_file *file, const struct aws_line *line, const char *kind,
		       const char *name)
{
	const char *section = text_at(file, line->section);
	size_t len = kind == NULL ? 0 : strlen(kind);

	if (kind == NULL)
		return strcmp(section, name) == 0;
	return strncmp(section, kind, len) == 0 && section[len] == ' ' &&
	       strcmp(section + len + 1, name) == 0;
}

bool aws_file_has(const struct aws_file *file, const char *kind, const char *name)
{
	for (size_t i = 0; i < file->count; i++)
		if (is_section(file, &file->lines[i], kind, name))
			return true;
	return false;
}

const char *aws_file_find(const struct aws_file *file, const char *kind, const char *name,
			  const char *key)
{
	for (size_t i = file->count; i-- > 0;) {
		const struct aws_line *line = &file->lines[i];

		if (line->key != SIZE_MAX && is_section(file, line, kind, name) &&
		    strcasecmp(text_at(file, line->key), key) == 0)
			return text_at(file, line->value);
	}
	return NULL;
}
