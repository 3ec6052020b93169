/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A line is put together by jansson, so that no name can break it, and written in one go. */
#include "zones/kms/audit.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "base/thread.h"
#include "crypto/crypto.h"
#include "zones/kms/audit_who.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char *path;	  /* written while nobody uses the module */
static bool is_required;  /* the same */
static atomic_bool is_on; /* for threads that write at that very moment */

bool audit_configure(const char *new_path)
{
	char *copy = new_path == NULL ? NULL : strdup(new_path);

	if (new_path != NULL && copy == NULL)
		return false;
	free(path);
	path = copy;
	atomic_store(&is_on, copy != NULL);
	if (copy != NULL)
		audit_who_look();
	return true;
}

void audit_require(bool required)
{
	is_required = required;
}

void audit_enter(const char *name)
{
	struct thread_notes *notes;

	/* Reaching a thread's own memory is slow, and every call of the module passes here. */
	if (!atomic_load_explicit(&is_on, memory_order_relaxed))
		return;
	notes = thread_notes();
	if (notes == NULL)
		return;
	notes->function = name;
	notes->has_caller = false;
}

static void put_uid(json_t *line, const char *name, struct uid uid)
{
	static const struct uid none = {0};
	AUTO(buffer_clear) struct buffer id = {0};

	if (uid_equal(uid, none))
		return;
	hex_append(&id, bytes(uid.bytes, UID_SIZE));
	audit_put_text(line, name, buffer_text(&id));
}

/* Zone ids are text: readers of JSON lose digits beyond 2^53. */
static void put_zone(json_t *line, const struct audit_event *event)
{
	char id[24];

	if (event->zone == 0)
		return;
	snprintf(id, sizeof(id), "%" PRIu64, event->zone);
	audit_put_text(line, "zone", id);
	if (event->version != 0)
		json_object_set_new(line, "version", json_integer(event->version));
}

/* The lines that follow from a call of the KMS, in the same C_ function, name the identity that
 * made it. */
static void remember(const struct kms_caller *caller)
{
	struct thread_notes *notes = caller == NULL ? NULL : thread_notes();

	_Static_assert(sizeof(*caller) <= sizeof(notes->caller), "it fits");
	if (notes == NULL)
		return;
	memcpy(notes->caller, caller, sizeof(*caller));
	notes->has_caller = true;
}

static void put_caller(json_t *line, const struct kms_caller *caller)
{
	const struct thread_notes *notes = thread_notes_kept();
	struct kms_caller last = {0};

	if (caller == NULL && notes->has_caller)
		memcpy(&last, notes->caller, sizeof(last));
	if (caller == NULL)
		caller = &last;
	audit_put_text(line, "identity", caller->identity);
	audit_put_text(line, "access_key_id", caller->access_key_id);
	audit_put_text(line, "credentials", caller->credentials);
}

static json_t *make_line(const struct audit_event *event)
{
	json_t *line = json_object();
	char time[25];

	clock_extended_utc(clock_system.realtime_ms(NULL), time);
	audit_put_text(line, "time", time);
	json_object_set_new(line, "pid", json_integer(getpid()));
	audit_put_program(line);
	audit_put_text(line, "function", thread_notes_kept()->function);
	audit_put_text(line, "event", event->event);
	audit_put_text(line, "action", event->action);
	audit_put_text(line, "outcome", event->outcome);
	audit_put_text(line, "project", event->project);
	put_uid(line, "project_id", event->project_id);
	audit_put_text(line, "name", event->name);
	put_zone(line, event);
	audit_put_text(line, "root_key", event->root_key);
	audit_put_text(line, "new_root_key", event->new_root_key);
	audit_put_text(line, "purpose", event->purpose);
	audit_put_text(line, "request_id", event->request_id);
	if (event->failed > 0) {
		json_object_set_new(line, "failed", json_integer((json_int_t)event->failed));
		json_object_set_new(line, "refused", json_integer((json_int_t)event->refused));
	}
	if (event->duration_us >= 0)
		json_object_set_new(line, "duration_us", json_integer(event->duration_us));
	audit_put_who(line);
	put_caller(line, event->caller);
	if (event->lease != NULL)
		json_object_set_new(line, "lease", json_integer(*event->lease));
	audit_put_text(line, "module", CMEK_VERSION);
	if (crypto_is_fips())
		audit_put_text(line, "cryptography", "FIPS provider only");
	return line;
}

/* A full disk takes a piece of a line. Blanked out, in its own place, it spoils neither the next
 * line nor its reader. */
static void blank_out(int file, struct buffer *line, size_t len)
{
	off_t end = lseek(file, 0, SEEK_CUR);

	if (end < (off_t)len || fcntl(file, F_SETFL, 0) != 0) /* no more O_APPEND */
		return;
	memset(line->data, ' ', len);
	line->data[len - 1] = '\n';
	if (pwrite(file, line->data, len, end - (off_t)len) != (ssize_t)len)
		log_loss("the audit log %s has a line that is cut off", path);
}

/* One write(). */
static bool append(struct buffer *line)
{
	AUTO(file_closep) int file = file_open_append(path);
	ssize_t done = file < 0 ? -1 : write(file, line->data, line->len);

	if (done == (ssize_t)line->len)
		return true;
	if (done > 0)
		blank_out(file, line, (size_t)done);
	if (done >= 0)
		errno = ENOSPC;
	return false;
}

static void json_freep(json_t **value)
{
	json_decref(*value);
}

static bool write_line(const struct audit_event *event)
{
	AUTO(json_freep) json_t *line = make_line(event);
	AUTO(buffer_clear) struct buffer text = {0};
	/* Only ASCII: no character that some reader takes for the end of a line. */
	AUTO(freep) char *json = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII);

	errno = ENOMEM;
	if (json == NULL)
		return false;
	buffer_put_text(&text, json);
	buffer_put_u8(&text, '\n');
	return !text.failed && append(&text);
}

/* A line that only says that this log can't be written, which was said when it was found out. */
static bool tells_of_log(const struct audit_event *event)
{
	return strcmp(event->outcome, zone_status_text(ZONE_AUDIT_UNAVAILABLE)) == 0;
}

enum zone_status audit_write(const struct audit_event *event)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	int saved = errno;
	bool written;

	if (path == NULL)
		return ZONE_OK;
	remember(event->caller);
	written = write_line(event);
	if (!written && !tells_of_log(event))
		log_loss("the audit log %s can't be written: %s; a line is lost: %s %s, %s; %s",
			 path, system_error_making(errno), event->event, event->action,
			 event->outcome, system_error_remedy(errno));
	errno = saved;
	return written || !is_required ? ZONE_OK : ZONE_AUDIT_UNAVAILABLE;
}

/* --- Whether the next lines will find room */

/* Enough for the lines of several processes at once. */
enum { ROOM = 64 * 1024 };

static bool within_limit(off_t size)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
	    (rlim_t)size + ROOM <= limit.rlim_cur)
		return true;
	errno = EFBIG;
	return false;
}

/* Blocks behind the end, which stay the file's. A file system that has no such thing says nothing
 * of its room. */
static bool reserve(int file, off_t size)
{
	return fallocate(file, FALLOC_FL_KEEP_SIZE, size, ROOM) == 0 ||
	       (errno != ENOSPC && errno != EDQUOT && errno != EFBIG && errno != EIO);
}

static bool pipe_has_room(int file)
{
	struct pollfd pipe = {.fd = file, .events = POLLOUT};

	if (poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) == 0)
		return true;
	errno = EAGAIN;
	return false;
}

static bool has_room(int file)
{
	struct stat found;

	if (fstat(file, &found) != 0)
		return false;
	if (S_ISFIFO(found.st_mode))
		return pipe_has_room(file);
	return !S_ISREG(found.st_mode) ||
	       (within_limit(found.st_size) && reserve(file, found.st_size));
}

enum zone_status audit_ready(void)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(file_closep) int file = -1;

	if (!is_required || path == NULL)
		return ZONE_OK;
	file = file_open_append(path);
	if (file >= 0 && has_room(file))
		return ZONE_OK;
	if (errno == ENOMEM)
		return ZONE_NO_MEMORY;
	log_error(
		"the audit log %s can't be written: %s; nothing is done that it could not tell of "
		"([log] audit_required); %s",
		path, system_error_making(errno), system_error_remedy(errno));
	return ZONE_AUDIT_UNAVAILABLE;
}
