/*
 * The audit log: one line of JSON for each call of the KMS, each change of the hierarchy and each
 * lease that ends or recovers ([log] audit; docs/audit.md names the fields). A line is one write()
 * to a file opened for appending just then, so that processes, forks and the usual rotation tools
 * need no arrangement; it costs some microseconds beside a network call. Never a secret.
 */
#pragma once

#include <stdbool.h>

#include "zones/entry.h"

/* NULL: off (the default). Copied. Not while other threads write. */
bool audit_configure(const char *path);

/* The C_ function that this thread is in, for the lines it causes; static text. */
void audit_enter(const char *function);

/* Texts may be NULL where they do not apply; numbers 0. */
struct audit_event {
	const char *event;   /* "kms", "lease", or what changed: "zone", "project", "archive" … */
	const char *action;  /* a KMS operation, or "created", "changed" … */
	const char *outcome; /* "ok", or why not */
	const char *project; /* label */
	struct uid project_id;
	const char *name; /* label of what the event is about */
	uint64_t zone;
	uint32_t version;
	const char *root_key; /* ARN */
	const char *purpose;
	const char *request_id;
	int64_t duration_us; /* -1: none */
};
/* A failure to write is logged, stops nobody, and is no call's reason to fail. Keeps errno. */
void audit_write(const struct audit_event *event);
