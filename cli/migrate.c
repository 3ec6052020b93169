/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek migrate: a tree of plain files into a database. */
#include "base/encode.h"
#include "base/file.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "cli/exchange.h"
#include "library/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum kind { ENCRYPTED, PLANNED, ALREADY, ENVELOPE };
static const char *const kinds[] = {[ENCRYPTED] = "encrypted",
				    [PLANNED] = "to encrypt",
				    [ALREADY] = "encrypted already",
				    [ENVELOPE] = "envelopes",
				    NULL};

struct migration {
	struct exchange_options options;
	const char *database;
	uint64_t zone;
};

static bool migration_write(void *state, struct bytes bytes)
{
	return file_write_all(*(int *)state, bytes);
}

/* --- Making the envelope --------------------------------------------------------------------- */

struct sealing {
	struct exchange *exchange;
	int out;
};

static ssize_t sealing_read(void *state, uint8_t *out, size_t len)
{
	return exchange_read(((struct sealing *)state)->exchange, out, len);
}

static bool sealing_write(void *state, struct bytes bytes)
{
	return migration_write(&((struct sealing *)state)->out, bytes);
}

static int seal(struct exchange *exchange, int fd, void *state)
{
	const struct migration *migration = state;
	struct sealing sealing = {exchange, fd};
	struct envelope_io io = {sealing_read, sealing_write, &sealing};
	struct envelope_options no_name = {0};
	struct envelope_error error = {0};
	struct project_session *session;
	enum envelope_status status;
	CK_OBJECT_HANDLE zone;

	TRY(sessions_find_zone(exchange->sessions, migration->zone, exchange->path, &session,
			       &zone));
	if (session == NULL)
		return fail(CMEK_EXIT_NOT_FOUND, "database %s is gone", migration->database);
	if (lseek(exchange->in, 0, SEEK_SET) != 0)
		return fail_system(errno, exchange->path, "");
	status = envelope_seal(&session->by, zone, &no_name, &io, &error);
	return status == ENVELOPE_OK ? CMEK_EXIT_OK
				     : envelope_report_file(exchange->path, status, &error);
}

/* --- What is there already ------------------------------------------------------------------- */

static ssize_t plain_read(void *state, uint8_t *out, size_t len)
{
	return library_input_read(*(int *)state, out, len);
}

static enum envelope_status header_of(int fd, struct buffer *storage,
				      struct envelope_header *ret_header,
				      struct envelope_error *error)
{
	struct envelope_io io = {.read = plain_read, .state = &fd};

	if (lseek(fd, 0, SEEK_SET) != 0)
		return ENVELOPE_INPUT;
	return envelope_read_header(&io, storage, ret_header, error);
}

/* The original is an envelope itself: of this database, which is as it should be, or of another. */
static int judge_envelope(const struct migration *migration, struct exchange *exchange,
			  enum envelope_status status, const struct envelope_header *header,
			  const struct envelope_error *error)
{
	exchange->outcome->kind = migration->options.in_place ? ALREADY : ENVELOPE;
	exchange->outcome->quiet = true;
	if (status != ENVELOPE_OK)
		return envelope_report_file(exchange->path, status, error);
	if (header->zone == migration->zone)
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_REFUSED,
		    "%s: is encrypted already, for another database than %s; move it: cmek rewrap "
		    "--to",
		    exchange->path, migration->database);
}

/* FILE.cmek is an envelope of this database, of a file of this size and time. */
static bool is_made(const struct migration *migration, const struct exchange *exchange,
		    const struct stat *there)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	AUTO(file_closep)
	int fd = open(exchange->target, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct envelope_header header;
	struct envelope_error error = {0};

	return fd >= 0 && S_ISREG(there->st_mode) &&
	       header_of(fd, &storage, &header, &error) == ENVELOPE_OK &&
	       header.zone == migration->zone &&
	       envelope_plain_size(&header, there->st_size) == exchange->was.st_size &&
	       there->st_mtim.tv_sec == exchange->was.st_mtim.tv_sec &&
	       there->st_mtim.tv_nsec == exchange->was.st_mtim.tv_nsec;
}

/* --- One file -------------------------------------------------------------------------------- */

static int encrypt_plain(struct migration *migration, struct exchange *exchange)
{
	struct stat there;

	if (migration->options.in_place)
		exchange->target = strdup(exchange->path);
	else if (asprintf(&exchange->target, "%s.cmek", exchange->path) < 0)
		exchange->target = NULL;
	if (exchange->target == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	TRY(exchange_check_names(exchange));
	exchange->outcome->bytes = (uint64_t)exchange->was.st_size;
	if (!migration->options.in_place && exchange_is_there(exchange, &there)) {
		if (!is_made(migration, exchange, &there))
			return fail(
				CMEK_EXIT_REFUSED,
				"%s: is there already, and is not what %s is now; remove it, or "
				"give it another name",
				exchange->target, exchange->path);
		exchange->outcome->kind = migration->options.remove ? ENCRYPTED : ALREADY;
		exchange->outcome->quiet = !migration->options.remove;
		return migration->options.dry_run ? CMEK_EXIT_OK : exchange_resume(exchange);
	}
	exchange->outcome->kind = migration->options.dry_run ? PLANNED : ENCRYPTED;
	return migration->options.dry_run ? CMEK_EXIT_OK : exchange_run(exchange, seal, migration);
}

static int migrate_one(struct migration *migration, struct exchange *exchange)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_header header = {0};
	struct envelope_error error = {0};
	enum envelope_status status;

	TRY(exchange_open(exchange));
	status = header_of(exchange->in, &storage, &header, &error);
	if (status != ENVELOPE_EMPTY && status != ENVELOPE_NOT_AN_ENVELOPE)
		return judge_envelope(migration, exchange, status, &header, &error);
	return encrypt_plain(migration, exchange);
}

static int migrate_file(struct many *many, struct sessions *sessions, const struct many_file *file,
			struct many_outcome *outcome)
{
	struct migration *migration = many->state;
	AUTO(exchange_clear)
	struct exchange exchange = {EXCHANGE_NONE,	  .many = many,
				    .sessions = sessions, .options = &migration->options,
				    .path = file->path,	  .outcome = outcome};
	int code = migrate_one(migration, &exchange);

	outcome->stop = code == CMEK_EXIT_DENIED || code == CMEK_EXIT_UNAVAILABLE;
	return code;
}

int migrate_files(const struct arguments *arguments)
{
	struct migration migration = {.database = arguments_value(arguments, "database")};
	AUTO(token_close) struct token token = {0};
	struct many many = {
		.arguments = arguments,
		.project = arguments_value(arguments, "project"),
		.kinds = kinds,
		.work = migrate_file,
		.state = &migration,
		.recursive = true,
	};
	CK_OBJECT_HANDLE zone;

	TRY(exchange_options_read(arguments, &migration.options));
	TRY(token_open(many.project, &token));
	TRY(token_find_one(&token, &kind_database, migration.database, &zone));
	migration.zone = object_zone_id(&token, zone);
	many.functions = token.functions;
	many.dry_run = migration.options.dry_run;
	return many_run(&many);
}
