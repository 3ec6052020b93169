/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: PKCS #11 has no other way to give a reason. One line a message, written with one write()
 * so that threads and processes do not mix; control characters in it are written as \xNN, and it is
 * cut at 2 KiB. Never standard output. Never a secret. Default: warnings to standard error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* `to` is "stderr", "syslog" (a datagram to /dev/log; the host's own openlog() stays untouched) or
 * the path of a file (opened for append, CLOEXEC, 0600). False: it can't be opened (errno); the log
 * then stays where it was. */
bool log_configure(enum log_level level, const char *to);
/* Whether `to` is the path of a file. */
bool log_is_file(const char *to);
/* "off", "error", "warning", "info", "debug". */
bool log_level_parse(const char *text, enum log_level *ret_level);
/* Whether a line of that level reaches a reader: the level lets it through, it does not go to a
 * standard error that is to be quiet, and the last line was not lost. */
bool log_writes(enum log_level level);
/* Keeps errno. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A warning that does not make a call fail: log_last keeps its message. Keeps errno. */
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A notice that something was lost that the settings ask for, such as a line of the audit log.
 * While the log is quiet, the first of each kind (that is, format) is kept for the caller to show.
 */
void log_loss(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The index-th loss that was kept, and how many like it came later; NULL: there are no more. */
const char *log_kept(size_t index, unsigned *ret_more);

/* A reason that another thread has logged already: it goes to this thread's log_last only. */
void log_reason(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The request that this thread's last reason was the answer to, as the service numbered it; kept
 * until the next reason. */
void log_reason_request(const char *request_id);
/* "": of none, or none is known. */
const char *log_last_request(void);
/* How many reasons this thread's log_last has had: tells whether a call has given one. */
unsigned log_reasons(void);

/* Nothing goes to standard error any more (or again); syslog, files and log_last are as before. */
void log_quiet(bool quiet);
/* This thread's last error or warning, whether or not it was written; "" if there was none.
 * Unchanged until the next one. */
const char *log_last(void);

#define log_error(...)	 log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	 log_write(LOG_DEBUG, __VA_ARGS__)
