/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/missing.h"

#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/envelopes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name of the zone's database, if the slot has the zone (free() it); else NULL. */
static char *database_in(const struct missing *missing, CK_SLOT_ID slot)
{
	AUTO(token_close) struct token token = {.functions = missing->functions};
	struct envelope_token by = {.functions = missing->functions};
	struct envelope_error error = {0};
	CK_OBJECT_HANDLE zone = CK_INVALID_HANDLE;

	if (library_slot_open(missing->functions, slot, true, &token.session) != CKR_OK)
		return NULL;
	by.session = token.session;
	if (envelope_zone_find(&by, missing->header->zone, &zone, &error) != ENVELOPE_OK ||
	    zone == CK_INVALID_HANDLE)
		return NULL;
	return object_text(&token, zone, CKA_LABEL);
}

/* By what the envelope says of itself, where a PIN hides that project's databases. */
static bool is_of_another_project(const struct missing *missing)
{
	AUTO(freep) char *owner = missing->project == NULL ? NULL : missing_project(missing);

	if (owner == NULL || strcmp(owner, missing->project) == 0)
		return false;
	fail(CMEK_EXIT_NOT_FOUND,
	     "%s: it belongs to project %s, and project %s can't open it; leave out --project, or "
	     "give that one",
	     missing->name, owner, missing->project);
	return true;
}

bool missing_is_elsewhere(const struct missing *missing)
{
	struct library_slot slot;

	for (CK_ULONG i = 0; missing->project != NULL && i < missing->slot_count; i++) {
		AUTO(freep) char *database = NULL;

		if (!library_slot_read(missing->functions, missing->slots[i], &slot) ||
		    strcmp(missing->project, slot.project) == 0)
			continue;
		database = database_in(missing, missing->slots[i]);
		if (database == NULL)
			continue;
		fail(CMEK_EXIT_NOT_FOUND,
		     "%s: it belongs to database %s of project %s, and project %s can't open it; "
		     "leave out --project, or give that one",
		     missing->name, database, slot.project, missing->project);
		return true;
	}
	return is_of_another_project(missing);
}

int missing_check_whole(const struct missing *missing, const char *key)
{
	if (missing->unseen)
		return fail(
			CMEK_EXIT_DENIED,
			"%s: its %s is not found among what is seen without the user's PIN; give "
			"--pin-file FILE or CMEK_PIN",
			missing->name, key);
	if (missing->searched->session == CK_INVALID_HANDLE || !token_is_partial(missing->searched))
		return CMEK_EXIT_OK;
	module_failed(CKR_DEVICE_ERROR, "%s: looking for its %s", missing->name, key);
	return exit_code_for(CKR_DEVICE_ERROR, CMEK_ERROR_STORE_NEWER);
}

/* The record that travels with an envelope names its project, else the header does. */
static struct bytes project_of(const struct envelope_header *header, struct envelope_record *record)
{
	const struct envelope_slot *slots[ENVELOPE_SLOTS];

	envelope_slots_in_order(header, slots);
	if (slots[0] != NULL && envelope_record_decode(slots[0]->record, record))
		return bytes(record->project, ENVELOPE_PROJECT);
	return bytes(header->project, ENVELOPE_PROJECT);
}

char *missing_project(const struct missing *missing)
{
	AUTO(buffer_clear) struct buffer serial = {0};
	struct envelope_record record;
	struct library_slot slot;

	hex_append(&serial, project_of(missing->header, &record));
	for (CK_ULONG i = 0; i < missing->slot_count; i++)
		if (library_slot_read(missing->functions, missing->slots[i], &slot) &&
		    bytes_equal(bytes_of(slot.serial), buffer_bytes(&serial)))
			return strdup(slot.project);
	return NULL;
}

int missing_report_kept(const struct missing *missing, const char *which)
{
	AUTO(buffer_clear) struct buffer serial = {0};
	AUTO(freep) char *project = missing_project(missing);

	TRY(missing_check_whole(missing, "key"));
	hex_append(&serial, bytes(missing->header->project, ENVELOPE_PROJECT));
	if (project != NULL)
		return fail(CMEK_EXIT_NOT_FOUND,
			    "%s: its key (%s) is only in the store of project %s, and is not "
			    "there; restore the store from a backup: if it was erased, the file "
			    "opens no more",
			    missing->name, which, project);
	return fail(CMEK_EXIT_NOT_FOUND,
		    "%s: its key (%s) is only in the store of the project with serial %.*s, which "
		    "is not here; use that store, or a backup of it",
		    missing->name, which, (int)serial.len, (const char *)serial.data);
}

int missing_report(const struct missing *missing, enum envelope_status status,
		   const struct envelope_error *error)
{
	bool unknown = status == ENVELOPE_ZONE_UNKNOWN || status == ENVELOPE_ROOT_KEY_UNKNOWN;

	if (unknown && missing_is_elsewhere(missing))
		return CMEK_EXIT_NOT_FOUND;
	if (status == ENVELOPE_ZONE_UNKNOWN)
		return missing_report_kept(missing, error->text);
	return envelope_report_file(missing->name, status, error);
}

int missing_check_database(const struct missing *missing, const char *wanted,
			   const struct token *token, CK_OBJECT_HANDLE zone)
{
	struct envelope_error error = {0};
	AUTO(freep) char *label = NULL;

	if (wanted == NULL)
		return CMEK_EXIT_OK;
	if (zone == CK_INVALID_HANDLE && missing_is_elsewhere(missing))
		return CMEK_EXIT_NOT_FOUND;
	if (zone == CK_INVALID_HANDLE)
		TRY(missing_check_whole(missing, "database"));
	if (zone == CK_INVALID_HANDLE)
		return fail(CMEK_EXIT_NOT_FOUND,
			    "%s: its zone %" PRIu64 " is in no project here, so it cannot be shown "
			    "to be of %s; leave out --database",
			    missing->name, missing->header->zone, wanted);
	label = object_text(token, zone, CKA_LABEL);
	if (label != NULL && strcmp(label, wanted) == 0)
		return CMEK_EXIT_OK;
	snprintf(error.text, sizeof(error.text), "%s of project %s, not %s",
		 label == NULL ? "?" : label, token->project, wanted);
	return envelope_report_file(missing->name, ENVELOPE_OTHER_ZONE, &error);
}
