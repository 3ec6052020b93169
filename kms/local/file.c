/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The file of local keys: read again only when it has changed, written as a whole under a lock. */
#include "kms/local/file.h"

#include "base/file.h"
#include "base/free.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "net/answer.h"

#include <errno.h>
#include <stdlib.h>

bool local_file_init(struct local_file *file, const char *path)
{
	*file = (struct local_file){.path = strdup(path)};
	return file->path != NULL;
}

void local_file_clear(struct local_file *file)
{
	local_keys_clear(&file->keys);
	free(file->path);
	*file = (struct local_file){0};
}

/* A failure that depends on the path and its permissions stays until they change; others (a full
 * disk, too many open files) may pass. */
static enum kms_status status_of(int error)
{
	static const int set_up[] = {ENOENT, ENOTDIR, EISDIR, ELOOP,  ENAMETOOLONG,
				     EACCES, EPERM,   EROFS,  ESPIPE, EEXIST};

	for (size_t i = 0; i < COUNT_OF(set_up); i++)
		if (set_up[i] == error)
			return KMS_MISCONFIGURED;
	return error == ENOMEM ? KMS_NO_MEMORY : KMS_UNAVAILABLE;
}

static enum kms_status fail(const struct local_file *file, const char *what,
			    struct kms_report *report)
{
	int error = errno;

	if (error == ENOMEM)
		return KMS_NO_MEMORY;
	return kms_fail(status_of(error), report, NULL, "%s can't be %s: %s; %s", file->path, what,
			system_error_text(error), system_error_remedy(error));
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Each writer makes a new file, so its inode, time and size tell whether it is the one we know. */
static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

static void adopt(struct local_file *file, struct local_keys *keys, const struct stat *now)
{
	local_keys_clear(&file->keys);
	file->keys = *keys;
	*keys = (struct local_keys){0};
	file->loaded = true;
	file->missing = now == NULL;
	file->seen |= now != NULL;
	file->known = now == NULL ? (struct stat){0} : *now;
}

static enum kms_status load(struct local_file *file, const struct stat *now,
			    struct kms_report *report)
{
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(local_keys_clear) struct local_keys keys = {0};
	enum kms_status status;
	const char *why;

	if (!S_ISREG(now->st_mode)) /* reading a pipe might never end */
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"%s is not a file; set path in [local] to the file of root keys",
				file->path);
	if ((now->st_mode & 077) != 0)
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"%s is open to other users; it holds root keys: chmod 600 it",
				file->path);
	if (!file_read(file->path, LOCAL_FILE_MAX, &text))
		return fail(file, "read", report);
	status = local_keys_read(&text, &keys, &why);
	if (status == KMS_MISCONFIGURED)
		return kms_fail(status, report, NULL,
				"%s can't be used: %s; restore it from a backup", file->path, why);
	TRY(status);
	adopt(file, &keys, now);
	return KMS_OK;
}

/* A disk that is not mounted has no keys either, and they may come back with it: this says nothing
 * about a key. */
static enum kms_status gone(struct local_file *file, struct kms_report *report)
{
	int error = errno;

	if (!file->gone)
		log_notice("%s, the file of root keys, was there and is out of reach now: %s; its "
			   "keys can be used when it is back",
			   file->path, system_error_text(error));
	file->gone = true;
	return kms_fail(KMS_UNAVAILABLE, report, NULL,
			"%s was there and is out of reach now: %s; mount it, or restore it from a "
			"backup",
			file->path, system_error_text(error));
}

static void is_back(struct local_file *file)
{
	if (file->gone)
		log_notice("%s, the file of root keys, is back", file->path);
	file->gone = false;
}

enum kms_status local_file_refresh(struct local_file *file, struct kms_report *report)
{
	AUTO(local_keys_clear) struct local_keys none = {0};
	struct stat now;

	if (stat(file->path, &now) == 0) {
		is_back(file);
		if (file->loaded && !file->missing && same_file(&now, &file->known))
			return KMS_OK;
		return load(file, &now, report);
	}
	if (file->seen)
		return gone(file, report);
	if (errno != ENOENT && errno != ENOTDIR)
		return fail(file, "read", report);
	adopt(file, &none, NULL);
	return KMS_OK;
}

static enum kms_status no_target(const struct local_file *file, struct kms_report *report)
{
	int error = errno;
	struct stat found;

	if (error == ENOMEM)
		return KMS_NO_MEMORY;
	if (lstat(file->path, &found) != 0 || !S_ISLNK(found.st_mode)) {
		errno = error;
		return fail(file, "written", report);
	}
	return kms_fail(KMS_MISCONFIGURED, report, NULL,
			"%s is a link, and what it leads to can't be reached: %s; make that, or "
			"remove the link",
			file->path, system_error_text(error));
}

static enum kms_status take_lock(const char *path, const char *target, struct kms_report *report,
				 int *ret_lock)
{
	AUTO(buffer_clear) struct buffer text = {0};
	struct lock_wait wait = {0};
	enum lock_answer answer;
	int error;

	do {
		answer = lock_try(path, target, true, ret_lock);
		error = errno;
	} while (answer == LOCK_BUSY && lock_wait(&wait));
	if (answer == LOCK_OURS || answer == LOCK_NEEDLESS)
		return KMS_OK;
	lock_explain(answer, error, path, target, &text);
	if (text.failed || (answer == LOCK_IMPOSSIBLE && error == ENOMEM))
		return KMS_NO_MEMORY;
	return kms_fail(answer == LOCK_BUSY ? KMS_UNAVAILABLE : KMS_MISCONFIGURED, report, NULL,
			"%s can't be changed: %s", target, buffer_text(&text));
}

enum kms_status local_file_lock(const struct local_file *file, struct kms_report *report,
				int *ret_lock)
{
	char *target AUTO(freep) = path_target(file->path);
	char *folder AUTO(freep) = target == NULL ? NULL : path_folder(target);
	AUTO(buffer_clear) struct buffer path = {0};

	if (target == NULL)
		return no_target(file, report);
	buffer_format(&path, "%s.lock", target);
	if (folder == NULL || path.failed)
		return KMS_NO_MEMORY;
	if (!file_make_folders(folder))
		return fail(file, "written", report);
	return take_lock(buffer_text(&path), target, report, ret_lock);
}

static enum kms_status save(struct local_file *file, struct kms_report *report)
{
	AUTO(buffer_clear) struct buffer text = {0};

	file->loaded = false; /* whatever happens now, the file is read again before it is used */
	if (!local_keys_write(&file->keys, &text))
		return KMS_NO_MEMORY;
	if (!file_replace(file->path, buffer_bytes(&text), 0600))
		return fail(file, "written", report);
	file->seen = true;
	return KMS_OK;
}

enum kms_status local_file_change(struct local_file *file, local_change *change, const void *state,
				  struct kms_report *report)
{
	enum kms_status status;

	TRY(local_file_refresh(file, report));
	status = change(&file->keys, state, report);
	if (status != KMS_OK) {
		file->loaded = false;
		return status;
	}
	return save(file, report);
}
