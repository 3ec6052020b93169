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

#include "base/clock.h"
#include "base/file.h"
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

static void put_text(json_t *line, const char *name, const char *value)
{
	/* A label that is no UTF-8 gives NULL, and the field is left out. */
	if (value != NULL && *value != '\0')
		json_object_set_new(line, name, json_string(value));
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
	put_text(line, "project_id", event->project_id);
	put_text(line, "name", event->name);
	put_zone(line, event);
	put_text(line, "root_key", event->root_key);
	put_text(line, "purpose", event->purpose);
	put_text(line, "request_id", event->request_id);
	if (event->duration_us >= 0)
		json_object_set_new(line, "duration_us", json_integer(event->duration_us));
	return line;
}

static bool append(char *text)
{
	AUTO(file_closep) int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	size_t len = strlen(text);

	/* The line's end takes the NUL's place, so that it is one write. */
	text[len] = '\n';
	return file >= 0 && file_write_all(file, bytes(text, len + 1));
}

static void json_freep(json_t **value)
{
	json_decref(*value);
}

void audit_write(const struct audit_event *event)
{
	AUTO(json_freep) json_t *line = NULL;
	char *text;

	if (path == NULL)
		return;
	line = make_line(event);
	text = json_dumps(line, JSON_COMPACT);
	if (text == NULL || !append(text))
		log_error("the audit log %s can't be written: %s; a line is lost (%s %s)", path,
			  strerror(errno), event->event, event->action);
	free(text);
}
