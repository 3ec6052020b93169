/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A client: the projects that it sees, from its opening to its end. */
#include "library/client.h"

#include "base/free.h"
#include "base/macros.h"
#include "library/login.h"
#include "library/module.h"
#include "library/options.h"

#include <stdlib.h>
#include <string.h>

const char *cmek_version(void)
{
	return CMEK_VERSION;
}

/* --- Projects -------------------------------------------------------------------------------- */

struct library_project *library_projects(const struct cmek_client *client)
{
	return atomic_load_explicit(&client->projects, memory_order_acquire);
}

static void project_free(struct library_project *project)
{
	if (project->login != CK_INVALID_HANDLE && library_module_owns(project->login_generation))
		library_session_close(project->login, project->login_generation);
	if (project->pool != NULL)
		library_pool_clear(project->pool);
	free(project->pool);
	free(project);
}

static bool is_same(const struct library_slot *one, const struct library_slot *other)
{
	return one->id == other->id && strcmp(one->serial, other->serial) == 0 &&
	       strcmp(one->project, other->project) == 0;
}

static bool still_there(struct library_project *project)
{
	struct library_slot now;

	if (!library_slot_read(library_module_functions(), project->slot.id, &now) ||
	    !is_same(&project->slot, &now))
		return false;
	atomic_store(&project->wants_pin, now.wants_login);
	return true;
}

/* Whoever lists the slots has the module look at the store first. */
bool library_project_is_there(struct library_project *project)
{
	CK_ULONG unused;

	return library_module_functions()->C_GetSlotList(CK_FALSE, NULL, &unused) == CKR_OK &&
	       still_there(project);
}

static bool is_known(const struct cmek_client *client, const struct library_slot *found)
{
	for (const struct library_project *at = library_projects(client); at != NULL;
	     at = at->before)
		if (is_same(&at->slot, found))
			return true;
	return false;
}

static struct library_project *project_new(const struct library_slot *found)
{
	struct library_project *project = calloc(1, sizeof(*project));

	if (project == NULL)
		return NULL;
	project->slot = *found;
	atomic_init(&project->wants_pin, found->wants_login);
	project->pool = calloc(1, sizeof(*project->pool));
	if (project->pool == NULL)
		free(TAKE(project));
	return project;
}

/* Another thread may have added it meanwhile. */
static void add(struct cmek_client *client, struct library_project *project)
{
	bool known;

	library_lock();
	known = is_known(client, &project->slot);
	atomic_store(&project->before, library_projects(client));
	if (!known)
		atomic_store_explicit(&client->projects, project, memory_order_release);
	library_unlock();
	if (known)
		project_free(project);
}

/* Others may look at it at this moment, and zones name it: it is kept, and leads on to the rest. */
static void take_out(struct cmek_client *client, struct library_project *project)
{
	struct library_project *_Atomic *place = &client->projects;

	library_lock();
	while (atomic_load(place) != NULL && atomic_load(place) != project)
		place = &atomic_load(place)->before;
	if (atomic_load(place) != NULL) {
		atomic_store(place, atomic_load(&project->before));
		project->gone = client->gone;
		client->gone = project;
		for (size_t i = 0; i < LIBRARY_HINTS; i++)
			if (client->hints[i].project == project)
				client->hints[i].project = NULL;
	}
	library_unlock();
}

static enum cmek_status take_slots(struct cmek_client *client, const CK_SLOT_ID *slots,
				   CK_ULONG count, struct cmek_error *error)
{
	const CK_FUNCTION_LIST *f = library_module_functions();
	struct library_project *project;
	struct library_slot found;

	for (struct library_project *at = library_projects(client), *before; at != NULL;
	     at = before) {
		before = at->before;
		if (!still_there(at))
			take_out(client, at);
	}
	for (CK_ULONG i = 0; i < count; i++) {
		if (!library_slot_read(f, slots[i], &found) || is_known(client, &found) ||
		    (client->project != NULL && strcmp(client->project, found.project) != 0))
			continue;
		project = project_new(&found);
		if (project == NULL)
			return library_no_memory(error);
		add(client, project);
	}
	return CMEK_OK;
}

enum cmek_status library_client_refresh(struct cmek_client *client, struct cmek_error *error)
{
	unsigned generation = library_module_generation(); /* the one that the call begins in */
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	CK_ULONG count, reason = CMEK_ERROR_NONE;
	CK_RV rv = library_slots(library_module_functions(), &slots, &count);

	if (rv == CKR_OK && slots == NULL)
		return library_no_memory(error);
	if (rv == CKR_OK)
		return take_slots(client, slots, count, error);
	library_module_last_error(&reason);
	if (rv == CKR_CRYPTOKI_NOT_INITIALIZED)
		library_module_lost(generation);
	return library_fail_call(error, rv, reason, "listing the projects");
}

struct library_project *library_hint(struct cmek_client *client, uint64_t zone)
{
	struct library_project *found = NULL;

	library_lock();
	for (size_t i = 0; i < LIBRARY_HINTS && found == NULL; i++)
		if (client->hints[i].project != NULL && client->hints[i].zone == zone)
			found = client->hints[i].project;
	library_unlock();
	return found;
}

void library_hint_set(struct cmek_client *client, uint64_t zone, struct library_project *project)
{
	size_t place = LIBRARY_HINTS;

	library_lock();
	for (size_t i = 0; i < LIBRARY_HINTS && place == LIBRARY_HINTS; i++)
		if (client->hints[i].project == NULL || client->hints[i].zone == zone)
			place = i;
	if (place == LIBRARY_HINTS)
		place = client->next_hint++ % LIBRARY_HINTS;
	client->hints[place].zone = zone;
	client->hints[place].project = project;
	library_unlock();
}

/* --- Opening and closing --------------------------------------------------------------------- */

static enum cmek_status login_to_all(struct cmek_client *client, struct cmek_error *error)
{
	unsigned generation;

	TRY(library_module_ready(&generation, error));
	TRY(library_pin_find_project(client, error));
	for (struct library_project *at = library_projects(client); at != NULL; at = at->before)
		TRY(library_login_ensure(client, at, generation, error));
	return CMEK_OK;
}

static enum cmek_status open_client(struct cmek_client *client, struct cmek_error *error)
{
	TRY(library_client_refresh(client, error));
	if (client->project != NULL && library_projects(client) == NULL)
		return library_fail(error, CMEK_NOT_FOUND,
				    "no project %s; see cmek project list, or make it: cmek "
				    "project create %s",
				    client->project, client->project);
	return login_to_all(client, error);
}

static void projects_free(struct library_project *first, bool gone)
{
	for (struct library_project *at = first, *next; at != NULL; at = next) {
		next = gone ? at->gone : at->before;
		project_free(at);
	}
}

static void client_free(struct cmek_client *client)
{
	library_pin_drop(client);
	projects_free(client->gone, true);
	projects_free(library_projects(client), false);
	free(client->project);
	free(client);
}

static bool fill(struct cmek_client *client, const struct cmek_client_options *options)
{
	if (options->project != NULL && (client->project = strdup(options->project)) == NULL)
		return false;
	return options->pin == NULL || library_pin_keep(client, options->pin);
}

static struct cmek_client *client_new(const struct cmek_client_options *options)
{
	struct cmek_client *client = calloc(1, sizeof(*client));

	if (client != NULL && !fill(client, options))
		client_free(TAKE(client));
	return client;
}

static enum cmek_status begin(const struct cmek_client_options *given, cmek_client **ret_client,
			      struct cmek_error *error)
{
	struct cmek_client_options options;
	struct cmek_client *client;
	enum cmek_status status;

	TRY(library_options(given, sizeof(options), &options, error));
	client = client_new(&options);
	if (client == NULL)
		return library_no_memory(error);
	status = library_module_use(options.module, options.configuration, error);
	if (status == CMEK_OK) {
		status = open_client(client, error);
		if (status == CMEK_OK) {
			*ret_client = client;
			return CMEK_OK;
		}
		cmek_close(client);
		return status;
	}
	client_free(client);
	return status;
}

enum cmek_status cmek_open(const struct cmek_client_options *options, cmek_client **ret_client,
			   cmek_error **ret_error)
{
	struct cmek_error error;

	return library_answer(begin(options, ret_client, &error), &error, ret_error);
}

void cmek_close(cmek_client *client)
{
	if (client == NULL)
		return;
	client_free(client);
	library_module_drop();
}
