/* A line is put together by jansson, so that no name can break it, and written in one go. */
#include "zones/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"

static char *path;	  /* written while nobody uses the module */
static atomic_bool is_on; /* for those who may come by at that very time */
static _Thread_local const char *function;

bool audit_configure(const char *new_path)
{
	char *copy = new_path == NULL ? NULL : strdup(new_path);

	if (new_path != NULL && copy == NULL)
		return false;
	free(path);
	path = copy;
	atomic_store(&is_on, copy != NULL);
	return true;
}

void audit_enter(const char *name)
{
	/* A thread's own memory is dear to reach, and every call of the module comes by. */
	if (atomic_load_explicit(&is_on, memory_order_relaxed))
		function = name;
}

/* Names come partly from strangers. One that is no UTF-8 is shown as far as it is ASCII. */
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

static void put_text(json_t *line, const char *name, const char *value)
{
	json_t *text;

	if (value == NULL || *value == '\0')
		return;
	text = json_string(value);
	json_object_set_new(line, name, text != NULL ? text : ascii_part(value));
}

static void put_uid(json_t *line, const char *name, struct uid uid)
{
	static const struct uid none = {0};
	AUTO(buffer_clear) struct buffer id = {0};

	if (uid_equal(uid, none))
		return;
	hex_append(&id, bytes(uid.bytes, UID_SIZE));
	put_text(line, name, buffer_text(&id));
}

/* Zone ids are text: readers of JSON lose digits beyond 2^53. */
static void put_zone(json_t *line, const struct audit_event *event)
{
	char id[24];

	if (event->zone == 0)
		return;
	snprintf(id, sizeof(id), "%" PRIu64, event->zone);
	put_text(line, "zone", id);
	if (event->version != 0)
		json_object_set_new(line, "version", json_integer(event->version));
}

static json_t *make_line(const struct audit_event *event)
{
	json_t *line = json_object();
	char time[25];

	clock_extended_utc(clock_system.realtime_ms(NULL), time);
	put_text(line, "time", time);
	json_object_set_new(line, "pid", json_integer(getpid()));
	put_text(line, "program", program_invocation_short_name);
	put_text(line, "function", function);
	put_text(line, "event", event->event);
	put_text(line, "action", event->action);
	put_text(line, "outcome", event->outcome);
	put_text(line, "project", event->project);
	put_uid(line, "project_id", event->project_id);
	put_text(line, "name", event->name);
	put_zone(line, event);
	put_text(line, "root_key", event->root_key);
	put_text(line, "purpose", event->purpose);
	put_text(line, "request_id", event->request_id);
	if (event->duration_us >= 0)
		json_object_set_new(line, "duration_us", json_integer(event->duration_us));
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
		log_notice("the audit log %s has a line that is cut off", path);
}

/* One write(), and no waiting for who reads a pipe. */
static bool append(struct buffer *line)
{
	AUTO(file_closep)
	int file =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
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

void audit_write(const struct audit_event *event)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	int saved = errno;

	if (path == NULL)
		return;
	if (!write_line(event))
		log_notice("the audit log %s can't be written: %s; a line is lost: %s %s, %s. Look "
			   "at the file's folder, its permissions and its disk",
			   path, strerror(errno), event->event, event->action, event->outcome);
	errno = saved;
}
