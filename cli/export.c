/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek export: a tree of envelopes back into plain files. */
#include "base/file.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "cli/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum kind { DECRYPTED, PLANNED, ALREADY, MESSAGE, PLAIN };
static const char *const kinds[] = {
	[DECRYPTED] = "decrypted", [PLANNED] = "to decrypt",  [ALREADY] = "decrypted already",
	[MESSAGE] = "messages",	   [PLAIN] = "not encrypted", NULL};

enum { HOLE = 4096 };

/* The envelope's header has been read; what follows is its payload. */
struct opening {
	struct exchange *exchange;
	const struct envelope_header *header;
	int out;
	off_t size;
};

/* --- Making the file ------------------------------------------------------------------------- */

static ssize_t opening_read(void *state, uint8_t *out, size_t len)
{
	return exchange_read(((struct opening *)state)->exchange, out, len);
}

static bool is_hole(struct bytes bytes)
{
	return bytes.len >= HOLE && bytes.data[0] == 0 &&
	       memcmp(bytes.data, bytes.data + 1, bytes.len - 1) == 0;
}

/* Zeros that fill a chunk become a hole: a sparse file comes back as one. */
static bool opening_write(void *state, struct bytes bytes)
{
	struct opening *opening = state;

	opening->size += (off_t)bytes.len;
	if (is_hole(bytes))
		return lseek(opening->out, (off_t)bytes.len, SEEK_CUR) >= 0;
	return file_write_all(opening->out, bytes);
}

static int decrypt(struct exchange *exchange, int fd, void *state)
{
	struct opening *opening = state;
	struct envelope_io io = {opening_read, opening_write, opening};
	struct envelope_keys keys = {0};
	struct envelope_error error = {0};
	struct project_session *session;
	enum envelope_status status;

	opening->out = fd;
	TRY(sessions_unlock(exchange->sessions, opening->header, exchange->path, &session, &keys));
	status = envelope_open_payload(&session->by, opening->header, &keys, &io, &error);
	envelope_keys_clear(&session->by, &keys);
	if (status != ENVELOPE_OK)
		return envelope_report_file(exchange->path, status, &error);
	return ftruncate(fd, opening->size) == 0
		       ? CMEK_EXIT_OK
		       : fail_system(errno, exchange->target, "cannot be written: ");
}

/* --- One file -------------------------------------------------------------------------------- */

/* FILE of FILE.cmek. */
static int choose_target(struct exchange *exchange)
{
	static const char ending[] = ".cmek";
	size_t len = strlen(exchange->path), end = strlen(ending);
	bool ends = len > end && strcmp(exchange->path + len - end, ending) == 0 &&
		    exchange->path[len - end - 1] != '/';

	if (!ends && !exchange->options->in_place)
		return fail(
			CMEK_EXIT_REFUSED,
			"%s: does not end in .cmek, so there is no name for the decrypted file; "
			"add --in-place, or use cmek decrypt",
			exchange->path);
	exchange->target = exchange->options->in_place ? strdup(exchange->path)
						       : strndup(exchange->path, len - end);
	return exchange->target == NULL ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
}

static bool is_made(const struct exchange *exchange, const struct stat *there)
{
	return S_ISREG(there->st_mode) && (uint64_t)there->st_size == exchange->outcome->bytes &&
	       there->st_mtim.tv_sec == exchange->was.st_mtim.tv_sec &&
	       there->st_mtim.tv_nsec == exchange->was.st_mtim.tv_nsec;
}

static int decrypt_envelope(struct exchange *exchange, const struct envelope_header *header)
{
	struct opening opening = {.exchange = exchange, .header = header};
	const struct exchange_options *options = exchange->options;
	struct stat there;

	TRY(choose_target(exchange));
	TRY(exchange_check_names(exchange));
	if (!options->in_place && exchange_is_there(exchange, &there)) {
		if (!is_made(exchange, &there))
			return fail(
				CMEK_EXIT_REFUSED,
				"%s: is there already, and is not what %s has; remove it, or give "
				"it another name",
				exchange->target, exchange->path);
		exchange->outcome->kind = options->remove ? DECRYPTED : ALREADY;
		exchange->outcome->quiet = !options->remove;
		return options->dry_run ? CMEK_EXIT_OK : exchange_resume(exchange);
	}
	exchange->outcome->kind = options->dry_run ? PLANNED : DECRYPTED;
	return options->dry_run ? CMEK_EXIT_OK : exchange_run(exchange, decrypt, &opening);
}

/* A name that is bound in can't be known for a whole tree. */
static int check_name(const struct exchange *exchange, const struct envelope_header *header)
{
	struct envelope_error error = {0};

	return header->name_bound
		       ? envelope_report_file(exchange->path, ENVELOPE_NAME_NEEDED, &error)
		       : CMEK_EXIT_OK;
}

static int export_one(struct exchange *exchange)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_io io = {.read = exchange_read, .state = exchange};
	struct envelope_header header;
	struct envelope_error error = {0};
	enum envelope_status status;
	int64_t size;

	TRY(exchange_open(exchange));
	status = envelope_read_header(&io, &storage, &header, &error);
	exchange->outcome->kind = status == ENVELOPE_MESSAGE ? MESSAGE : PLAIN;
	exchange->outcome->quiet = true;
	if (status == ENVELOPE_EMPTY || status == ENVELOPE_NOT_AN_ENVELOPE ||
	    status == ENVELOPE_MESSAGE)
		return CMEK_EXIT_OK;
	if (status != ENVELOPE_OK)
		return envelope_report_file(exchange->path, status, &error);
	exchange->outcome->quiet = false;
	TRY(check_name(exchange, &header));
	size = envelope_plain_size(&header, exchange->was.st_size);
	exchange->outcome->bytes = size < 0 ? 0 : (uint64_t)size;
	return decrypt_envelope(exchange, &header);
}

static int export_file(struct many *many, struct sessions *sessions, const struct many_file *file,
		       struct many_outcome *outcome)
{
	AUTO(exchange_clear)
	struct exchange exchange = {
		EXCHANGE_NONE,	    .many = many,     .sessions = sessions, .options = many->state,
		.path = file->path, .to_plain = true, .outcome = outcome};

	return export_one(&exchange);
}

int export_files(const struct arguments *arguments)
{
	struct exchange_options options;
	struct many many = {
		.arguments = arguments,
		.project = arguments_value(arguments, "project"),
		.kinds = kinds,
		.work = export_file,
		.state = &options,
		.recursive = true,
	};

	TRY(exchange_options_read(arguments, &options));
	TRY(module_load(&many.functions));
	many.dry_run = options.dry_run;
	return many_run(&many);
}
