/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/find.h"

#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "library/module.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What is said where nothing is found ----------------------------------------------------- */

/* Whether a store is too new for this module to read all of it (docs/store.md, "reads"). */
static bool is_partial(struct library_worker *worker)
{
	const CK_FUNCTION_LIST *f = worker->by.functions;
	CK_SESSION_HANDLE session = worker->by.session;
	CK_OBJECT_CLASS diagnostic = CKO_CMEK_DIAGNOSTIC;
	CK_ATTRIBUTE class = {CKA_CLASS, &diagnostic, sizeof(diagnostic)};
	CK_ATTRIBUTE facts = {CKA_CMEK_STORE, NULL, 0};
	AUTO(freep) char *text = NULL;
	CK_OBJECT_HANDLE object;
	CK_ULONG count = 0;

	if (f->C_FindObjectsInit(session, &class, 1) != CKR_OK)
		return false;
	if (f->C_FindObjects(session, &object, 1, &count) != CKR_OK)
		count = 0;
	f->C_FindObjectsFinal(session);
	if (count == 0 || f->C_GetAttributeValue(session, object, &facts, 1) != CKR_OK ||
	    facts.ulValueLen == CK_UNAVAILABLE_INFORMATION)
		return false;
	text = calloc(1, facts.ulValueLen + 1);
	facts.pValue = text;
	return text != NULL && f->C_GetAttributeValue(session, object, &facts, 1) == CKR_OK &&
	       strstr(text, "\"reads\": false") != NULL;
}

static enum cmek_status check_read(struct cmek_client *client, struct library_project *project,
				   const char *which, struct cmek_error *error)
{
	struct envelope_error none = {0};
	struct library_worker *worker;
	bool partial;

	TRY(library_worker_take(client, project, project->pool, &worker, error));
	partial = is_partial(worker);
	library_worker_give(project->pool, worker, ENVELOPE_OK, &none);
	return !partial ? CMEK_OK
			: library_fail(error, CMEK_NEWER,
				       "%s: not found in what this release can read of the store "
				       "of project %s; use a newer one",
				       which, project->name);
}

/* What is not found may still be in a store that is too new to be read, or be seen by a user
 * alone. */
static enum cmek_status check_whole(struct cmek_client *client, const char *which,
				    struct cmek_error *error)
{
	for (struct library_project *at = library_projects(client); at != NULL; at = at->before) {
		if (at->unseen)
			return library_fail(error, CMEK_DENIED,
					    "%s: not found; project %s has a PIN, and it may be "
					    "there: give the user's PIN",
					    which, at->name);
		TRY(check_read(client, at, which, error));
	}
	return CMEK_OK;
}

static enum cmek_status no_project(struct cmek_error *error)
{
	return library_fail(error, CMEK_NOT_FOUND,
			    "there is no project here; make one: cmek project create NAME, then "
			    "cmek key add");
}

/* --- By the zone ----------------------------------------------------------------------------- */

typedef enum envelope_status find_in(struct envelope_token *token, uint64_t zone,
				     CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error);

static enum cmek_status find_by(struct cmek_client *client, find_in *find, uint64_t zone,
				const char *which, struct library_project **ret_project,
				struct cmek_error *error)
{
	for (struct library_project *at = library_projects(client); at != NULL; at = at->before) {
		CK_OBJECT_HANDLE ezk = CK_INVALID_HANDLE;
		struct envelope_error cause = {0};
		struct library_worker *worker;
		enum envelope_status status;
		enum cmek_status told = CMEK_OK;

		TRY(library_worker_take(client, at, at->pool, &worker, error));
		status = find(&worker->by, zone, &ezk, &cause);
		if (status != ENVELOPE_OK)
			told = library_fail_envelope(error, which, status, &cause);
		library_worker_give(at->pool, worker, status, &cause);
		TRY(told);
		if (ezk != CK_INVALID_HANDLE) {
			*ret_project = at;
			return CMEK_OK;
		}
	}
	return CMEK_OK;
}

/* --- Opening --------------------------------------------------------------------------------- */

static bool is_elsewhere(enum envelope_status status)
{
	return status == ENVELOPE_ZONE_UNKNOWN || status == ENVELOPE_ROOT_KEY_UNKNOWN;
}

struct outcome {
	enum envelope_status status;
	struct envelope_error cause;
};

/* A worker that opened it is kept; what else it says is final, or the next project is asked. */
static enum cmek_status attempt(struct cmek_client *client, const struct library_sought *sought,
				struct library_project *project, struct outcome *outcome,
				struct library_worker **ret_worker, struct cmek_error *error)
{
	struct library_worker *worker;
	enum cmek_status told = CMEK_OK;

	TRY(library_worker_take(client, project, project->pool, &worker, error));
	outcome->cause.text[0] = '\0';
	outcome->status = sought->attempt(worker, sought->state, &outcome->cause);
	if (outcome->status == ENVELOPE_OK) {
		*ret_worker = worker;
		return CMEK_OK;
	}
	if (!is_elsewhere(outcome->status))
		told = library_fail_envelope(error, sought->which, outcome->status,
					     &outcome->cause);
	library_worker_give(project->pool, worker, outcome->status, &outcome->cause);
	return told;
}

static enum cmek_status attempt_all(struct cmek_client *client, const struct library_sought *sought,
				    struct outcome *outcome, struct library_worker **ret_worker,
				    struct cmek_error *error)
{
	for (struct library_project *at = library_projects(client);
	     at != NULL && *ret_worker == NULL; at = at->before)
		TRY(attempt(client, sought, at, outcome, ret_worker, error));
	if (*ret_worker != NULL)
		return CMEK_OK;
	TRY(check_whole(client, sought->which, error));
	return library_fail_envelope(error, sought->which, outcome->status, &outcome->cause);
}

static enum cmek_status search(struct cmek_client *client, const struct library_sought *sought,
			       struct outcome *outcome, struct library_worker **ret_worker,
			       struct cmek_error *error)
{
	struct library_project *project = NULL;

	TRY(find_by(client, envelope_zone_find, sought->zone, sought->which, &project, error));
	if (project == NULL) {
		TRY(library_client_refresh(client, error));
		TRY(find_by(client, envelope_opener_find, sought->zone, sought->which, &project,
			    error));
	}
	if (library_projects(client) == NULL)
		return no_project(error);
	if (project == NULL)
		return attempt_all(client, sought, outcome, ret_worker, error);
	TRY(attempt(client, sought, project, outcome, ret_worker, error));
	return *ret_worker != NULL ? CMEK_OK
				   : library_fail_envelope(error, sought->which, outcome->status,
							   &outcome->cause);
}

enum cmek_status library_open_by(struct cmek_client *client, const struct library_sought *sought,
				 struct library_worker **ret_worker, struct cmek_error *error)
{
	struct library_project *known = library_hint(client, sought->zone);
	struct library_worker *worker = NULL;
	struct outcome outcome;

	outcome.cause.rv = CKR_OK;
	outcome.cause.reason = CMEK_ERROR_NONE;
	if (known != NULL)
		TRY(attempt(client, sought, known, &outcome, &worker, error));
	if (worker == NULL) {
		TRY(search(client, sought, &outcome, &worker, error));
		library_hint_set(client, sought->zone, worker->project);
	}
	*ret_worker = worker;
	return CMEK_OK;
}

/* --- A database by its name ------------------------------------------------------------------ */

/* The part of the name that is to be looked for in that project: all of it, or what follows the
 * project's name and a colon; names may have colons of their own. */
static const char *name_within(const struct library_project *project, const char *name)
{
	size_t len = strlen(project->name);

	return strncmp(name, project->name, len) == 0 && name[len] == ':' ? name + len + 1 : NULL;
}

static enum envelope_status look_up(struct envelope_token *token, const char *label,
				    uint64_t *ret_zone, struct envelope_error *cause)
{
	CK_OBJECT_HANDLE ezk;

	*ret_zone = 0;
	TRY(envelope_zone_find_named(token, bytes_of(label), &ezk, cause));
	return ezk == CK_INVALID_HANDLE ? ENVELOPE_OK
					: envelope_zone_id(token, ezk, ret_zone, cause);
}

static enum envelope_status look_up_both(struct library_worker *worker, const char *name,
					 uint64_t *ret_zone, struct envelope_error *cause)
{
	const char *within = name_within(worker->project, name);

	TRY(look_up(&worker->by, name, ret_zone, cause));
	return *ret_zone != 0 || within == NULL ? ENVELOPE_OK
						: look_up(&worker->by, within, ret_zone, cause);
}

static enum cmek_status ambiguous(const char *name, const struct library_project *one,
				  const struct library_project *other, struct cmek_error *error)
{
	return library_fail(error, CMEK_REFUSED,
			    "%s: projects %s and %s have a database of this name; say which: "
			    "%s:%s",
			    name, other->name, one->name, other->name, name);
}

static enum cmek_status find_named(struct cmek_client *client, const char *name,
				   struct library_database *database, struct cmek_error *error)
{
	for (struct library_project *at = library_projects(client); at != NULL; at = at->before) {
		struct envelope_error cause = {0};
		struct library_worker *worker;
		enum cmek_status told = CMEK_OK;
		enum envelope_status status;
		uint64_t zone;

		TRY(library_worker_take(client, at, at->pool, &worker, error));
		status = look_up_both(worker, name, &zone, &cause);
		if (status != ENVELOPE_OK)
			told = library_fail_envelope(error, name, status, &cause);
		library_worker_give(at->pool, worker, status, &cause);
		TRY(told);
		if (zone != 0 && database->project != NULL)
			return ambiguous(name, database->project, at, error);
		if (zone != 0)
			*database = (struct library_database){at, zone};
	}
	return CMEK_OK;
}

static enum cmek_status find_either(struct cmek_client *client, const char *name,
				    struct library_database *database, struct cmek_error *error)
{
	if (!decimal_decode(name, INT64_MAX, &database->zone))
		return find_named(client, name, database, error);
	return find_by(client, envelope_zone_find, database->zone, name, &database->project, error);
}

enum cmek_status library_find_database(struct cmek_client *client, const char *name,
				       struct library_database *ret_database,
				       struct cmek_error *error)
{
	struct library_database database = {0};

	TRY(find_either(client, name, &database, error));
	if (database.project == NULL) {
		TRY(library_client_refresh(client, error));
		TRY(find_either(client, name, &database, error));
	}
	*ret_database = database;
	if (database.project != NULL)
		return CMEK_OK;
	if (library_projects(client) == NULL)
		return no_project(error);
	TRY(check_whole(client, name, error));
	return library_fail(error, CMEK_NOT_FOUND,
			    "%s: no project here has a database of this name; see cmek tree", name);
}
