/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/find.h"

#include "base/encode.h"
#include "base/macros.h"
#include "library/diagnostic.h"
#include "library/search.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- What is said where nothing is found ----------------------------------------------------- */

static enum cmek_status check_read(struct cmek_client *client, struct library_project *project,
				   const char *which, struct cmek_error *error)
{
	struct envelope_error none = {0};
	struct library_worker *worker;
	bool partial;

	TRY(library_worker_take(client, project, project->pool, &worker, error));
	partial = library_store_is_partial(worker->by.functions, worker->by.session);
	library_worker_give(project->pool, worker, ENVELOPE_OK, &none);
	return !partial ? CMEK_OK
			: library_fail(error, CMEK_NEWER,
				       "%s: not found in what this release can read of the store "
				       "of project %s; use a newer one",
				       which, project->slot.project);
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
					    which, at->slot.project);
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

/* --- Projects, one after the other ----------------------------------------------------------- */

struct walk {
	struct cmek_client *client;
	struct library_project *at;
	struct cmek_error *error;
};

static int next(void *state, bool again, void **ret_session, struct envelope_token **ret_by)
{
	struct walk *walk = state;
	struct library_worker *worker = NULL;

	walk->at = again ? library_projects(walk->client) : walk->at->before;
	if (walk->at != NULL)
		TRY(library_worker_take(walk->client, walk->at, walk->at->pool, &worker,
					walk->error));
	*ret_session = worker;
	*ret_by = worker == NULL ? NULL : &worker->by;
	return CMEK_OK;
}

static void give(void *state, void *session, enum envelope_status status,
		 const struct envelope_error *cause)
{
	struct library_worker *worker = session;

	(void)state;
	library_worker_give(worker->project->pool, worker, status, cause);
}

static struct library_searcher searcher_of(struct walk *walk)
{
	return (struct library_searcher){next, give, walk};
}

/* --- Opening --------------------------------------------------------------------------------- */

static enum envelope_status ask(void *session, struct envelope_token *by, void *state,
				struct envelope_error *cause)
{
	const struct library_sought *sought = state;

	(void)by;
	return sought->attempt(session, sought->state, cause);
}

/* A worker that opened it is the caller's; else it goes back, and the failure is told. */
static enum cmek_status ask_one(const struct library_sought *sought, struct library_worker *worker,
				struct library_search *search, struct cmek_error *error)
{
	search->status = sought->attempt(worker, sought->state, &search->cause);
	search->session = search->status == ENVELOPE_OK ? worker : NULL;
	if (search->status == ENVELOPE_OK)
		return CMEK_OK;
	library_fail_envelope(error, sought->which, search->status, &search->cause);
	library_worker_give(worker->project->pool, worker, search->status, &search->cause);
	return error->status;
}

static enum cmek_status ask_all(const struct library_searcher *searcher,
				const struct library_sought *sought, struct library_search *search,
				struct cmek_error *error)
{
	const struct walk *walk = searcher->state;

	if (library_projects(walk->client) == NULL)
		return no_project(error);
	TRY(library_search_by(searcher, ask, (void *)sought, search));
	if (library_is_elsewhere(search->status))
		TRY(check_whole(walk->client, sought->which, error));
	return search->status == ENVELOPE_OK
		       ? CMEK_OK
		       : library_fail_envelope(error, sought->which, search->status,
					       &search->cause);
}

static enum cmek_status search_all(struct cmek_client *client, const struct library_sought *sought,
				   struct library_search *search, struct cmek_error *error)
{
	struct walk walk = {client, NULL, error};
	const struct library_searcher searcher = searcher_of(&walk);
	CK_OBJECT_HANDLE ezk;

	TRY(library_search_zone(&searcher, sought->zone, search, &ezk));
	if (search->status == ENVELOPE_ZONE_UNKNOWN) {
		TRY(library_client_refresh(client, error));
		TRY(library_search_opener(&searcher, sought->zone, search, &ezk));
	}
	if (search->status == ENVELOPE_OK)
		return ask_one(sought, search->session, search, error);
	return search->status == ENVELOPE_ZONE_UNKNOWN
		       ? ask_all(&searcher, sought, search, error)
		       : library_fail_envelope(error, sought->which, search->status,
					       &search->cause);
}

/* By the project where it was found last: the common case, so what it need not clear it does not.
 */
static enum cmek_status ask_known(struct cmek_client *client, const struct library_sought *sought,
				  struct library_search *search, struct cmek_error *error)
{
	struct library_project *known = library_hint(client, sought->zone);
	struct library_worker *worker;
	enum cmek_status told;

	search->status = ENVELOPE_ZONE_UNKNOWN;
	if (known == NULL)
		return CMEK_OK;
	search->cause.rv = CKR_OK;
	search->cause.reason = CMEK_ERROR_NONE;
	search->cause.text[0] = '\0';
	TRY(library_worker_take(client, known, known->pool, &worker, error));
	told = ask_one(sought, worker, search, error);
	return library_is_elsewhere(search->status) ? CMEK_OK : told;
}

enum cmek_status library_open_by(struct cmek_client *client, const struct library_sought *sought,
				 struct library_worker **ret_worker, struct cmek_error *error)
{
	struct library_search search;

	TRY(ask_known(client, sought, &search, error));
	if (search.status != ENVELOPE_OK) {
		TRY(search_all(client, sought, &search, error));
		library_hint_set(client, sought->zone,
				 ((struct library_worker *)search.session)->project);
	}
	*ret_worker = search.session;
	return CMEK_OK;
}

/* --- A database by its name ------------------------------------------------------------------ */

/* What follows the project's name and a colon; NULL: the name says nothing of that project. */
static const char *name_within(const struct library_project *project, const char *name)
{
	size_t len = strlen(project->slot.project);

	return strncmp(name, project->slot.project, len) == 0 && name[len] == ':' ? name + len + 1
										  : NULL;
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

/* A colon before the first slash ends a project's name, whether that project is here or not. */
static bool says_a_project(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

/* Names of projects and databases may have colons of their own. Who says a project means no other
 * one: what is not there is not looked for under another reading of the name. */
static enum cmek_status find_said(struct cmek_client *client, const char *name,
				  const struct library_project **ret_said, struct cmek_error *error)
{
	const struct library_project *said = NULL;

	for (const struct library_project *at = library_projects(client); at != NULL;
	     at = at->before) {
		if (name_within(at, name) == NULL)
			continue;
		if (said != NULL)
			return library_fail(error, CMEK_REFUSED,
					    "%s: is it of project %s or of project %s? Say the "
					    "zone id, which cmek tree shows",
					    name, said->slot.project, at->slot.project);
		said = at;
	}
	*ret_said = said;
	return CMEK_OK;
}

static enum cmek_status ambiguous(const char *name, const struct library_project *one,
				  const struct library_project *other, struct cmek_error *error)
{
	return library_fail(error, CMEK_REFUSED,
			    "%s: projects %s and %s have a database of this name; say which: "
			    "%s:%s",
			    name, other->slot.project, one->slot.project, other->slot.project,
			    name);
}

static enum cmek_status find_named(struct cmek_client *client, const char *name,
				   struct library_database *database, struct cmek_error *error)
{
	const struct library_project *said = NULL;

	TRY(find_said(client, name, &said, error));
	if (said == NULL && says_a_project(name) && library_projects(client) != NULL)
		return library_fail(error, CMEK_NOT_FOUND,
				    "%s: no project of this name is here; see cmek project list",
				    name);
	for (struct library_project *at = library_projects(client); at != NULL; at = at->before) {
		struct envelope_error cause = {0};
		struct library_worker *worker;
		enum cmek_status told = CMEK_OK;
		enum envelope_status status;
		uint64_t zone;

		if (said != NULL && at != said)
			continue;
		TRY(library_worker_take(client, at, at->pool, &worker, error));
		status = look_up(&worker->by, said == NULL ? name : name_within(at, name), &zone,
				 &cause);
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

static enum cmek_status find_by_id(struct cmek_client *client, const char *name, uint64_t zone,
				   struct library_database *database, struct cmek_error *error)
{
	struct walk walk = {client, NULL, error};
	const struct library_searcher searcher = searcher_of(&walk);
	struct library_search search;
	CK_OBJECT_HANDLE ezk;

	TRY(library_search_zone(&searcher, zone, &search, &ezk));
	if (search.status == ENVELOPE_ZONE_UNKNOWN)
		return CMEK_OK;
	if (search.status != ENVELOPE_OK)
		return library_fail_envelope(error, name, search.status, &search.cause);
	*database = (struct library_database){walk.at, zone};
	give(&walk, search.session, ENVELOPE_OK, &search.cause);
	return CMEK_OK;
}

static enum cmek_status find_either(struct cmek_client *client, const char *name,
				    struct library_database *database, struct cmek_error *error)
{
	uint64_t zone;

	return decimal_decode(name, INT64_MAX, &zone)
		       ? find_by_id(client, name, zone, database, error)
		       : find_named(client, name, database, error);
}

static enum cmek_status has_changed(const char *name, struct cmek_error *error)
{
	return library_fail(error, CMEK_NOT_FOUND,
			    "%s: its project was replaced meanwhile; see cmek project list", name);
}

enum cmek_status library_find_database(struct cmek_client *client, const char *name,
				       struct library_database *ret_database,
				       struct cmek_error *error)
{
	struct library_database database = {0};

	/* A slot may have become another project's. */
	TRY(library_client_refresh(client, error));
	TRY(find_either(client, name, &database, error));
	*ret_database = database;
	if (database.project != NULL)
		return library_project_is_there(database.project) ? CMEK_OK
								  : has_changed(name, error);
	if (library_projects(client) == NULL)
		return no_project(error);
	TRY(check_whole(client, name, error));
	return library_fail(
		error, CMEK_NOT_FOUND,
		"%s: no project here has a database of this name; it is CLUSTER/NAME or "
		"PROJECT:CLUSTER/NAME, see cmek tree",
		name);
}
