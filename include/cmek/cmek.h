/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcmek: data sealed under a database's key, and opened again, in a few lines. A message, a file,
 * a stream, or a range of a large object; what it writes is what docs/format.md, section 5, says,
 * and what `cmek decrypt` opens. It calls the module cmek-pkcs11 by PKCS #11 and knows no key.
 *
 * Calls answer CMEK_OK or a kind of failure. Whoever passes `ret_error` (it may be NULL) gets then
 * what happened in words, with what to do; it is the caller's: cmek_error_free.
 *
 * Threads: a client, a zone and a range may be used by many threads at once; a writer, a reader and
 * an error by one at a time. A thread that is cancelled (pthread_cancel) in a call about files,
 * streams or ranges ends after it, and so do the caller's functions.
 *
 * fork: a child goes on with its clients, zones and ranges, which open anew what they need at their
 * first call there. A writer or reader that was begun before stays the parent's: the child gets
 * CMEK_FAILED, and may free it.
 *
 * Signals: none is caught, and none blocked in a thread of the caller's. No thread is started, but
 * for those in which the module looks up the names of hosts, and those that `threads` in the
 * options asks for: these end before the call does. None runs a handler of the program's, but for
 * faults and, of those that look up names, for SIGHUP, SIGINT, SIGQUIT and SIGTERM, which the
 * kernel gives the main thread where that does not block them. What a write of theirs raises
 * (SIGPIPE, SIGXFSZ), or what of these the process has pending meanwhile, is raised in the caller's
 * thread. Nothing is written to standard output or standard error. A call may wait for the KMS or
 * the store, as long as their deadlines allow ([kms] in the configuration).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- How calls end */

enum cmek_status {
	CMEK_OK = 0,
	/* The KMS says no, the key is disabled or gone, or a PIN is missing or wrong: stop, until
	 * somebody changes that. */
	CMEK_DENIED = 1,
	/* KMS, credentials or store are out of reach. Whether the same call may succeed later,
	 * without anybody's doing: cmek_error_may_pass. */
	CMEK_UNAVAILABLE = 2,
	/* There is no such project, database, key, module or file. */
	CMEK_NOT_FOUND = 3,
	/* A rule: another zone than expected, a name that is missing or, of a file, wrong, a limit,
	 * a bad argument. */
	CMEK_REFUSED = 4,
	/* It was changed, cut short or extended, or a message has another name; or a record or the
	 * store is damaged. */
	CMEK_DAMAGED = 5,
	/* Plain data, nothing at all, or another program's. */
	CMEK_NOT_AN_ENVELOPE = 6,
	/* A later release is needed to read it. */
	CMEK_NEWER = 7,
	/* It could be opened by a root key that no project here trusts. */
	CMEK_UNTRUSTED_ROOT = 8,
	/* The caller's function, or a file: cmek_error_errno. */
	CMEK_IO = 9,
	/* No memory, a module or a configuration that does not work, a fault of ours. */
	CMEK_FAILED = 10,
};

typedef struct cmek_error cmek_error;

enum cmek_status cmek_error_status(const cmek_error *error);
/* One line, which says what happened to which project, database or file, and what to do. Lives as
 * long as the error. */
const char *cmek_error_text(const cmek_error *error);
/* Whether the same call may succeed when it is tried again. Of a writer or reader that was begun:
 * no, for its first failure is its end; another one may. */
bool cmek_error_may_pass(const cmek_error *error);
/* What to quote to AWS; "" where no KMS was asked. */
const char *cmek_error_request_id(const cmek_error *error);
/* Of the caller's function or of a file, whatever the status; else 0. */
int cmek_error_errno(const cmek_error *error);
void cmek_error_free(cmek_error *error); /* accepts NULL */

/* --- Client */

typedef struct cmek_client cmek_client;

/* All fields may be 0. `size` is sizeof(struct cmek_client_options) as the caller was compiled;
 * releases to come add fields at the end. */
struct cmek_client_options {
	size_t size;
	const char *module; /* a path; NULL: $CMEK_PKCS11_MODULE, else where it was installed,
			     * else beside libcmek.so */
	const char *configuration; /* a path; NULL: $CMEK_PKCS11_CONF, else as conf/cmek.conf says
				    */
	const char *project;	   /* the only one that is looked at; NULL: all */
	/* Of `project`, or of the only one that has a PIN when the client is opened, and tried at
	 * no other. One that is refused is not tried again, by the process or its forks: open
	 * another client. Copied, for a fork's child must log in anew; wiped by cmek_close. */
	const char *pin;
};

/* Loads the module once for the process, and asks no KMS. `options` may be NULL. A module that the
 * process has already initialized is used as it is, and not finalized; one that others of the
 * process finalize is initialized again, and then left so. A login is the process's: where somebody
 * else has logged in, the PIN is compared with those of other clients alone. All clients of a
 * process have one module and one configuration (CMEK_REFUSED). */
enum cmek_status cmek_open(const struct cmek_client_options *options, cmek_client **ret_client,
			   cmek_error **ret_error);
/* Zones, writers, readers and ranges of it are freed before. Accepts NULL. */
void cmek_close(cmek_client *client);
const char *cmek_version(void);

/* --- Zones */

typedef struct cmek_zone cmek_zone;

/* A database, by "CLUSTER/NAME", "PROJECT:CLUSTER/NAME", or its zone id, a decimal number as the
 * tool shows it. A CLUSTER/NAME that two projects have is CMEK_REFUSED. What stands before a colon
 * that comes before the first slash is a project, so a CLUSTER with a colon needs its project said;
 * where the name fits two projects, it is CMEK_REFUSED. */
enum cmek_status cmek_zone_open(cmek_client *client, const char *name, cmek_zone **ret_zone,
				cmek_error **ret_error);
/* Accepts NULL. Its writers go on: they hold it. */
void cmek_zone_free(cmek_zone *zone);
uint64_t cmek_zone_id(const cmek_zone *zone);
const char *cmek_zone_name(const cmek_zone *zone);    /* CLUSTER/NAME when it was opened */
const char *cmek_zone_project(const cmek_zone *zone); /* lives as long as the zone, as the name does
						       */

/* --- What sealing and opening take; all fields may be 0, and a NULL pointer means so */

struct cmek_seal_options {
	size_t size; /* sizeof(struct cmek_seal_options) */
	/* Bound in, and not part of the result: whoever opens it must give the same. An object's
	 * path, a row's key. NULL: none. One that is not NULL, and empty, is CMEK_REFUSED, when
	 * something is opened, too. */
	const void *name;
	size_t name_len;
	/* Messages: the zone's key record goes into each one (about 1.2 KiB), so that a project
	 * with the same root key opens it without this store. Files have it unless the zone
	 * forbids. */
	bool embed;
	uint64_t collection; /* messages: which one of the database's, in clear; 0: none */
	/* Files: in how many threads a large one is worked on, of which the caller's is one. 0: in
	 * that alone. At most 8 are of use, each with about 8 MiB of memory. */
	size_t threads;
};
/* As many as there are processors for the calling thread. */
#define CMEK_ALL_PROCESSORS SIZE_MAX

struct cmek_unseal_options {
	size_t size; /* sizeof(struct cmek_unseal_options) */
	const void *name;
	size_t name_len;
	const cmek_zone
		*zone; /* the only one whose data are opened; NULL: any that is known here */
	/* Ranges: the object's end is not looked at before the first bytes are given out, so an
	 * object that was cut short is seen only by whoever reads its end. */
	bool trust_size;
	size_t threads; /* files: as in struct cmek_seal_options */
};

/* --- Bytes: one message (docs/messages.md), at most 64 MiB */

/* How many bytes cmek_seal makes of `len`; with `embed`, at most. 0: of so much, or with such
 * options, it makes none. */
size_t cmek_sealed_size(const cmek_zone *zone, size_t len, const struct cmek_seal_options *options);
/* `out` has room for cmek_sealed_size bytes. Many messages share one data key of the zone, which is
 * made anew in time. CMEK_REFUSED: `out` overlaps `data` or the name. */
enum cmek_status cmek_seal(cmek_zone *zone, const void *data, size_t len,
			   const struct cmek_seal_options *options, void *out, size_t room,
			   size_t *ret_len, cmek_error **ret_error);
/* How many bytes are in what was sealed, a message or a file's envelope in memory, as far as it
 * says; `sealed_len` is never less. 0 of what is no envelope. */
size_t cmek_unsealed_size(const void *sealed, size_t sealed_len);
/* Opens a message or a file's envelope. `out` has room for cmek_unsealed_size bytes; nothing of it
 * may be used after a failure. */
enum cmek_status cmek_unseal(cmek_client *client, const void *sealed, size_t sealed_len,
			     const struct cmek_unseal_options *options, void *out, size_t room,
			     size_t *ret_len, cmek_error **ret_error);

/* --- Files */

/* `out_path` appears whole, with the rights of `in_path`, or not at all; a link to a file stays
 * one. What is there already is CMEK_REFUSED unless `replace`, and in any case if it is the input,
 * no file, a mount point, or another user's in a folder where everybody may put files. */
enum cmek_status cmek_seal_file(cmek_zone *zone, const char *in_path, const char *out_path,
				bool replace, const struct cmek_seal_options *options,
				cmek_error **ret_error);
enum cmek_status cmek_unseal_file(cmek_client *client, const char *in_path, const char *out_path,
				  bool replace, const struct cmek_unseal_options *options,
				  cmek_error **ret_error);

/* --- Streams of any length, by constant memory. Their functions, as those of ranges, return: they
 * neither jump nor throw over the call that called them, and do not call for the same stream.
 * A writer, reader or range is in *ret_… before its function is called the first time, so that it
 * can be freed also if the function never returns (a goroutine that ends). If making it fails,
 * *ret_… is NULL. */

/* Takes all of `len` bytes: 0; else an errno, which ends the writer. Called by the thread that
 * calls the writer. */
typedef int cmek_write_function(void *state, const void *data, size_t len);
/* Up to `room` bytes, at least one unless it is the end: 0 and *ret_len; else an errno. */
typedef int cmek_read_function(void *state, void *out, size_t room, size_t *ret_len);

typedef struct cmek_writer cmek_writer;

/* Writes the header at once. */
enum cmek_status cmek_writer_new(cmek_zone *zone, const struct cmek_seal_options *options,
				 cmek_write_function *write, void *state, cmek_writer **ret_writer,
				 cmek_error **ret_error);
enum cmek_status cmek_writer_put(cmek_writer *writer, const void *data, size_t len,
				 cmek_error **ret_error);
/* Writes the end. What was written without it is no envelope, and does not open. After it a put is
 * CMEK_REFUSED, and another finish does nothing. */
enum cmek_status cmek_writer_finish(cmek_writer *writer, cmek_error **ret_error);
void cmek_writer_free(cmek_writer *writer); /* accepts NULL */

typedef struct cmek_reader cmek_reader;

/* Reads the header, and finds the key. */
enum cmek_status cmek_reader_new(cmek_client *client, const struct cmek_unseal_options *options,
				 cmek_read_function *read, void *state, cmek_reader **ret_reader,
				 cmek_error **ret_error);
/* The next bytes, all verified; *ret_len is less than `room` only at the end, which is verified as
 * well: a stream that was cut short is CMEK_DAMAGED. */
enum cmek_status cmek_reader_get(cmek_reader *reader, void *out, size_t room, size_t *ret_len,
				 cmek_error **ret_error);
void cmek_reader_free(cmek_reader *reader); /* accepts NULL */

/* --- Ranges of an object that is read where one likes */

/* `len` bytes at `offset` of the sealed object, all of them: 0; else an errno (EIO where there are
 * fewer). Called by whoever reads, by several threads at once if they do. */
typedef int cmek_pread_function(void *state, void *out, size_t len, uint64_t offset);

typedef struct cmek_range cmek_range;

/* `sealed_size`: of the object as it lies there. Reads the header and, unless `trust_size`, the
 * last chunk: an object that was cut short or extended is CMEK_DAMAGED. */
enum cmek_status cmek_range_new(cmek_client *client, const struct cmek_unseal_options *options,
				cmek_pread_function *pread, void *state, uint64_t sealed_size,
				cmek_range **ret_range, cmek_error **ret_error);
uint64_t cmek_range_size(const cmek_range *range); /* of the plain data */
/* Reads the chunks (of 64 KiB) in which these bytes lie, and no others; all are verified. *ret_len
 * is less than `len` only at the end, 0 behind it. */
enum cmek_status cmek_range_read(cmek_range *range, void *out, size_t len, uint64_t offset,
				 size_t *ret_len, cmek_error **ret_error);
void cmek_range_free(cmek_range *range); /* accepts NULL; wipes what was read last */

/* The zone of what is opened; 0 of none. */
uint64_t cmek_reader_zone(const cmek_reader *reader);
uint64_t cmek_range_zone(const cmek_range *range);

#ifdef __cplusplus
}
#endif
