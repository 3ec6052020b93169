/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmek scan: the headers of many files, counted by database and key version, or the files that have
 * something in common. Needs no key and asks no KMS; what the store says of a database is read
 * once.
 */
#include "base/encode.h"
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "cli/many.h"
#include "cli/print.h"
#include "envelope/rewrap.h"
#include "library/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { FOUND, MESSAGE, PLAIN };
static const char *const kinds[] = {
	[FOUND] = "encrypted", [MESSAGE] = "messages", [PLAIN] = "not encrypted", NULL};

/* A zone, as the store knows it. */
struct zone {
	uint64_t id;
	char *project, *database; /* owned; NULL: it is not in a store here */
	struct envelope_primary primary;
};

/* The files of a zone whose data key one version wraps. */
struct row {
	size_t zone; /* its index */
	uint32_t version;
	uint64_t files, bytes, old_root_key, old_slots;
};

struct scan {
	/* What is listed; `counts`: nothing is, all is counted. */
	bool counts, older, old_root_key, plain;
	uint64_t version; /* 0: any */
	char end;
	/* Under the lock of struct many. */
	struct buffer zones, rows; /* of struct zone, struct row */
};

static struct zone *zone_at(const struct scan *scan, size_t index)
{
	return &((struct zone *)(void *)scan->zones.data)[index];
}

static struct row *row_at(const struct scan *scan, size_t index)
{
	return &((struct row *)(void *)scan->rows.data)[index];
}

static size_t zone_count(const struct scan *scan)
{
	return scan->zones.len / sizeof(struct zone);
}

static size_t row_count(const struct scan *scan)
{
	return scan->rows.len / sizeof(struct row);
}

static void scan_clear(struct scan *scan)
{
	for (size_t i = 0; i < zone_count(scan); i++) {
		free(zone_at(scan, i)->project);
		free(zone_at(scan, i)->database);
		envelope_primary_clear(&zone_at(scan, i)->primary);
	}
	buffer_clear(&scan->zones);
	buffer_clear(&scan->rows);
}

/* --- What the store knows -------------------------------------------------------------------- */

static int ask_store(struct sessions *sessions, const char *name, struct zone *zone)
{
	struct envelope_error error = {0};
	struct project_session *session = NULL;
	CK_OBJECT_HANDLE handle;

	if (sessions->slots->count == 0)
		return CMEK_EXIT_OK;
	TRY(sessions_find_zone(sessions, zone->id, name, &session, &handle));
	if (session == NULL)
		return CMEK_EXIT_OK;
	zone->project = strdup(session->token.project);
	zone->database = object_text(&session->token, handle, CKA_LABEL);
	/* Of a database that awaits deletion there may be no more to read. */
	(void)envelope_primary_read(&session->by, handle, &zone->primary, &error);
	return CMEK_EXIT_OK;
}

static int find_zone(struct scan *scan, struct sessions *sessions, uint64_t id, const char *name,
		     size_t *ret_index)
{
	struct zone zone = {.id = id};

	for (size_t i = 0; i < zone_count(scan); i++)
		if (zone_at(scan, i)->id == id) {
			*ret_index = i;
			return CMEK_EXIT_OK;
		}
	TRY(ask_store(sessions, name, &zone));
	buffer_append(&scan->zones, bytes(&zone, sizeof(zone)));
	*ret_index = zone_count(scan) - 1;
	return scan->zones.failed ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
}

static bool is_known(const struct zone *zone)
{
	return zone->primary.version != 0;
}

static bool is_older(const struct zone *zone, uint32_t version)
{
	return is_known(zone) && version < zone->primary.version;
}

static bool names(const struct envelope_record *record, struct bytes arn)
{
	for (size_t i = 0; i < record->arn_count; i++)
		if (bytes_equal(record->arns[i], arn))
			return true;
	return false;
}

/* Whether the slot's record names a root key that the zone's own does not, or opens otherwise than
 * by that: by one owner where it needs two. */
static bool has_old_root_key(const struct zone *zone, const struct envelope_slot *slot)
{
	struct envelope_record now;
	struct envelope_wrap wrap;

	if (!envelope_record_decode(buffer_bytes(&zone->primary.record), &now))
		return false;
	envelope_wrap_of(slot, &wrap);
	if (wrap.arn_count > 0 && wrap.both != now.both)
		return true;
	for (size_t i = 0; i < wrap.arn_count; i++)
		if (!names(&now, wrap.arns[i]))
			return true;
	return false;
}

/* --- One file -------------------------------------------------------------------------------- */

struct seen {
	struct envelope_wrap wrap;
	size_t zone;
	bool old_root_key, old_slot;
};

static void look_at(const struct scan *scan, const struct envelope_header *header,
		    struct seen *seen)
{
	const struct envelope_slot *slots[ENVELOPE_SLOTS];
	const struct zone *zone = zone_at(scan, seen->zone);

	envelope_slots_in_order(header, slots);
	envelope_wrap_of(slots[0], &seen->wrap);
	seen->old_root_key = has_old_root_key(zone, slots[0]);
	seen->old_slot = slots[1] != NULL && (!bytes_equal(slots[0]->wrapped, slots[1]->wrapped) ||
					      !bytes_equal(slots[0]->record, slots[1]->record));
}

static bool is_listed(const struct scan *scan, const struct seen *seen)
{
	if (scan->counts || scan->plain)
		return false;
	return (!scan->older || is_older(zone_at(scan, seen->zone), seen->wrap.version)) &&
	       (!scan->old_root_key || seen->old_root_key) &&
	       (scan->version == 0 || scan->version == seen->wrap.version);
}

static int count(struct scan *scan, const struct seen *seen, uint64_t size)
{
	struct row row = {.zone = seen->zone, .version = seen->wrap.version};
	size_t index = 0;

	while (index < row_count(scan) && (row_at(scan, index)->zone != row.zone ||
					   row_at(scan, index)->version != row.version))
		index++;
	if (index == row_count(scan))
		buffer_append(&scan->rows, bytes(&row, sizeof(row)));
	if (scan->rows.failed)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	row_at(scan, index)->files++;
	row_at(scan, index)->bytes += size;
	row_at(scan, index)->old_root_key += seen->old_root_key;
	row_at(scan, index)->old_slots += seen->old_slot;
	return CMEK_EXIT_OK;
}

static void list(const struct scan *scan, const char *path)
{
	fputs(path, stdout);
	putchar(scan->end);
}

static int note_envelope(struct scan *scan, struct sessions *sessions, const char *path,
			 const struct envelope_header *header, uint64_t size)
{
	struct seen seen = {0};

	TRY(find_zone(scan, sessions, header->zone, path, &seen.zone));
	look_at(scan, header, &seen);
	if (is_listed(scan, &seen))
		list(scan, path);
	return count(scan, &seen, size);
}

static ssize_t scan_read(void *state, uint8_t *out, size_t len)
{
	return library_input_read(*(int *)state, out, len);
}

static int scan_file(struct many *many, struct sessions *sessions, const struct many_file *file,
		     struct many_outcome *outcome)
{
	AUTO(file_closep)
	int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_io io = {.read = scan_read, .state = &fd};
	struct scan *scan = many->state;
	struct envelope_header header;
	struct envelope_error error = {0};
	enum envelope_status status;
	struct stat found;
	int code;

	if (fd < 0 || fstat(fd, &found) != 0)
		return fail_system(errno, file->path, "");
	if (!S_ISREG(found.st_mode))
		return fail(CMEK_EXIT_FAILED, "%s: is not a file", file->path);
	status = envelope_read_header(&io, &storage, &header, &error);
	outcome->kind = status == ENVELOPE_OK	     ? FOUND
			: status == ENVELOPE_MESSAGE ? MESSAGE
						     : PLAIN;
	pthread_mutex_lock(&many->lock);
	if (status == ENVELOPE_EMPTY || status == ENVELOPE_NOT_AN_ENVELOPE) {
		code = CMEK_EXIT_OK;
		if (scan->plain)
			list(scan, file->path);
	} else if (status == ENVELOPE_MESSAGE)
		code = CMEK_EXIT_OK;
	else if (status != ENVELOPE_OK)
		code = envelope_report_file(file->path, status, &error);
	else
		code = note_envelope(scan, sessions, file->path, &header, (uint64_t)found.st_size);
	pthread_mutex_unlock(&many->lock);
	return code;
}

/* --- The command ----------------------------------------------------------------------------- */

static const char *standing(const struct zone *zone, uint32_t version)
{
	if (!is_known(zone))
		return "not known here";
	return is_older(zone, version) ? "older" : "primary";
}

static int print_table(const struct scan *scan)
{
	struct printer printer = {.json = false};

	for (size_t i = 0; i < row_count(scan); i++) {
		const struct row *row = row_at(scan, i);
		const struct zone *zone = zone_at(scan, row->zone);

		print_row(&printer);
		print_text(&printer, "project", zone->project);
		print_text(&printer, "database", zone->database);
		print_id(&printer, "zone", zone->id);
		print_number(&printer, "version", row->version);
		print_text(&printer, "is", standing(zone, row->version));
		print_number(&printer, "files", row->files);
		print_number(&printer, "bytes", row->bytes);
		print_number(&printer, "old_root_key", row->old_root_key);
		print_number(&printer, "old_slots", row->old_slots);
	}
	return row_count(scan) > 0 ? print_end(&printer) : CMEK_EXIT_OK;
}

static json_t *row_json(const struct scan *scan, const struct row *row)
{
	const struct zone *zone = zone_at(scan, row->zone);
	char id[24];

	snprintf(id, sizeof(id), "%" PRIu64, zone->id);
	return json_pack("{s:s?, s:s?, s:s, s:I, s:s, s:I, s:I, s:I, s:I}", "project",
			 zone->project, "database", zone->database, "zone", id, "version",
			 (json_int_t)row->version, "is", standing(zone, row->version), "files",
			 (json_int_t)row->files, "bytes", (json_int_t)row->bytes, "old_root_key",
			 (json_int_t)row->old_root_key, "old_slots", (json_int_t)row->old_slots);
}

static void print_json(const struct many *many, const struct scan *scan)
{
	json_t *summary = many_summary(many), *rows = json_array();

	for (size_t i = 0; i < row_count(scan); i++)
		json_array_append_new(rows, row_json(scan, row_at(scan, i)));
	json_object_set_new(summary, "databases", rows);
	json_object_set(summary, "files", many->files);
	json_dumpf(summary, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(summary);
}

static int report(const struct many *many, const struct scan *scan)
{
	if (scan->counts && many->arguments->json)
		print_json(many, scan);
	if (!scan->counts || many->arguments->json)
		return CMEK_EXIT_OK;
	TRY(print_table(scan));
	printf("%" PRIu64 " encrypted, %" PRIu64 " not encrypted, %" PRIu64 " failed\n",
	       many->counts[FOUND], many->counts[PLAIN], many->failed);
	return CMEK_EXIT_OK;
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *first = a, *second = b;

	if (first->zone != second->zone)
		return first->zone < second->zone ? -1 : 1;
	return first->version < second->version ? -1 : first->version > second->version;
}

static int read_options(const struct arguments *arguments, struct scan *scan)
{
	const char *version = arguments_value(arguments, "version");

	scan->older = arguments_value(arguments, "older-than-primary") != NULL;
	scan->old_root_key = arguments_value(arguments, "old-root-key") != NULL;
	scan->plain = arguments_value(arguments, "plain") != NULL;
	scan->end = arguments_value(arguments, "null") != NULL ? '\0' : '\n';
	if (version != NULL &&
	    (!decimal_decode(version, UINT32_MAX, &scan->version) || scan->version == 0))
		return fail(CMEK_EXIT_USAGE, "--version is the number of a key version, not %s",
			    version);
	scan->counts = !scan->older && !scan->old_root_key && !scan->plain && version == NULL;
	if (scan->plain && (scan->older || scan->old_root_key || version != NULL))
		return fail(CMEK_EXIT_USAGE, "--plain lists files that have no key version: give "
					     "it alone");
	if (arguments->json && !scan->counts)
		return fail(CMEK_EXIT_USAGE, "a list has no --json; its paths can end in NUL (-0)");
	return CMEK_EXIT_OK;
}

int scan_files(const struct arguments *arguments)
{
	AUTO(scan_clear) struct scan scan = {0};
	struct many many = {
		.arguments = arguments,
		.kinds = kinds,
		.work = scan_file,
		.state = &scan,
		.again = "what was found is not all; run the command again",
		.recursive = true,
		.silent = true,
		.project = arguments_value(arguments, "project"),
	};
	int code, printed;

	TRY(read_options(arguments, &scan));
	TRY(module_load(&many.functions));
	code = many_run(&many);
	if (row_count(&scan) > 0)
		qsort(scan.rows.data, row_count(&scan), sizeof(struct row), compare_rows);
	printed = report(&many, &scan);
	json_decref(many.files);
	return printed == CMEK_EXIT_OK ? code : printed;
}
