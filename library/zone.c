/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/zone.h"

#include "base/macros.h"
#include "library/find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Workers --------------------------------------------------------------------------------- */

static enum envelope_status prepare(struct library_worker *worker, uint64_t zone,
				    struct envelope_error *cause)
{
	if (worker->ezk != CK_INVALID_HANDLE)
		return ENVELOPE_OK;
	TRY(envelope_zone_find(&worker->by, zone, &worker->ezk, cause));
	for (size_t i = 0; i < COUNT_OF(worker->sealers); i++)
		message_sealer_init(&worker->sealers[i], &worker->by, worker->ezk, i == 1, NULL,
				    NULL);
	return ENVELOPE_OK;
}

static enum cmek_status is_gone(const cmek_zone *zone, struct cmek_error *error)
{
	if (atomic_load(&zone->project->unseen))
		return library_fail(error, CMEK_DENIED,
				    "%s: the project has a PIN: give the user's", zone->title);
	return library_fail(error, CMEK_NOT_FOUND,
			    "%s: the database is there no more; see cmek tree", zone->title);
}

/* None: the database is not seen. A project that has got a PIN meanwhile shows it to its user. */
static enum cmek_status take(cmek_zone *zone, struct library_worker **ret_worker,
			     struct cmek_error *error)
{
	struct envelope_error cause;
	struct library_worker *worker;
	enum envelope_status status;

	TRY(library_worker_take(zone->client, zone->project, &zone->pool, &worker, error));
	if (worker->ezk == CK_INVALID_HANDLE) {
		cause = (struct envelope_error){0};
		status = prepare(worker, zone->id, &cause);
		if (status != ENVELOPE_OK)
			return library_zone_give(zone, worker, status, &cause, error);
		if (worker->ezk == CK_INVALID_HANDLE) {
			library_worker_give(&zone->pool, worker, status, &cause);
			return CMEK_OK;
		}
	}
	*ret_worker = worker;
	return CMEK_OK;
}

enum cmek_status library_zone_take(cmek_zone *zone, struct library_worker **ret_worker,
				   struct cmek_error *error)
{
	struct library_worker *worker = NULL;
	bool knew = atomic_load(&zone->project->wants_pin);

	TRY(take(zone, &worker, error));
	if (worker == NULL && library_project_is_there(zone->project) && !knew &&
	    atomic_load(&zone->project->wants_pin))
		TRY(take(zone, &worker, error));
	if (worker == NULL)
		return is_gone(zone, error);
	*ret_worker = worker;
	return CMEK_OK;
}

enum cmek_status library_zone_give(cmek_zone *zone, struct library_worker *worker,
				   enum envelope_status status, const struct envelope_error *cause,
				   struct cmek_error *error)
{
	enum cmek_status told = CMEK_OK;

	if (status != ENVELOPE_OK)
		told = library_fail_envelope(error, zone->title, status, cause);
	/* Of a zone that was deleted and brought back the handle may be another. */
	if (status == ENVELOPE_MODULE &&
	    (cause->rv == CKR_KEY_HANDLE_INVALID || cause->rv == CKR_OBJECT_HANDLE_INVALID ||
	     cause->rv == CKR_WRAPPING_KEY_HANDLE_INVALID))
		worker->ezk = CK_INVALID_HANDLE;
	library_worker_give(&zone->pool, worker, status, cause);
	return told;
}

/* --- Opening --------------------------------------------------------------------------------- */

static enum envelope_status read_label(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
				       char **ret_label, struct envelope_error *cause)
{
	CK_ATTRIBUTE label = {CKA_LABEL, NULL, 0};
	CK_RV rv = token->functions->C_GetAttributeValue(token->session, ezk, &label, 1);

	if (rv == CKR_OK && (label.pValue = calloc(1, label.ulValueLen + 1)) == NULL)
		return ENVELOPE_NO_MEMORY;
	*ret_label = label.pValue;
	if (rv == CKR_OK)
		rv = token->functions->C_GetAttributeValue(token->session, ezk, &label, 1);
	return rv == CKR_OK ? ENVELOPE_OK
			    : envelope_failed(token, cause, "C_GetAttributeValue", rv);
}

static enum envelope_status describe(cmek_zone *zone, struct library_worker *worker,
				     struct envelope_error *cause)
{
	AUTO(buffer_clear) struct buffer record = {0};

	TRY(read_label(&worker->by, worker->ezk, &zone->name, cause));
	TRY(envelope_zone_is_kept(&worker->by, worker->ezk, &zone->kept, cause));
	if (!zone->kept)
		TRY(envelope_zone_record(&worker->by, worker->ezk, &record, cause));
	atomic_store(&zone->record_room,
		     zone->kept ? 0 : 2 + envelope_record_room(buffer_bytes(&record)));
	if (asprintf(&zone->title, "%s of project %s", zone->name, zone->project->slot.project) < 0)
		zone->title = NULL;
	return zone->title == NULL ? ENVELOPE_NO_MEMORY : ENVELOPE_OK;
}

static enum cmek_status open_zone(cmek_zone *zone, const char *name, struct cmek_error *error)
{
	struct envelope_error cause = {0};
	struct library_database database;
	struct library_worker *worker;
	enum envelope_status status;
	enum cmek_status told = CMEK_OK;

	TRY(library_find_database(zone->client, name, &database, error));
	zone->project = database.project;
	zone->id = database.zone;
	zone->title = strdup(name); /* until it is described */
	if (zone->title == NULL)
		return library_no_memory(error);
	TRY(library_zone_take(zone, &worker, error));
	free(TAKE(zone->title));
	status = describe(zone, worker, &cause);
	if (status != ENVELOPE_OK)
		told = library_fail_envelope(error, name, status, &cause);
	library_worker_give(&zone->pool, worker, status, &cause);
	return told;
}

static enum cmek_status begin(cmek_client *client, const char *name, cmek_zone **ret_zone,
			      struct cmek_error *error)
{
	cmek_zone *zone;
	enum cmek_status status;

	if (client == NULL || name == NULL)
		return library_fail(error, CMEK_REFUSED,
				    "a client or a database's name that is NULL; give both");
	zone = calloc(1, sizeof(*zone));
	if (zone == NULL)
		return library_no_memory(error);
	zone->client = client;
	atomic_init(&zone->users, 1);
	status = open_zone(zone, name, error);
	if (status != CMEK_OK)
		cmek_zone_free(zone);
	else
		*ret_zone = zone;
	return status;
}

enum cmek_status cmek_zone_open(cmek_client *client, const char *name, cmek_zone **ret_zone,
				cmek_error **ret_error)
{
	struct cmek_error error;

	return library_answer(begin(client, name, ret_zone, &error), &error, ret_error);
}

cmek_zone *library_zone_keep(cmek_zone *zone)
{
	atomic_fetch_add(&zone->users, 1);
	return zone;
}

void cmek_zone_free(cmek_zone *zone)
{
	if (zone == NULL || atomic_fetch_sub(&zone->users, 1) > 1)
		return;
	library_pool_clear(&zone->pool);
	free(zone->title);
	free(zone->name);
	free(zone);
}

uint64_t cmek_zone_id(const cmek_zone *zone)
{
	return zone->id;
}

const char *cmek_zone_name(const cmek_zone *zone)
{
	return zone->name;
}

const char *cmek_zone_project(const cmek_zone *zone)
{
	return zone->project->slot.project;
}
