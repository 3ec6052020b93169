/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "library/login.h"

#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"
#include "library/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Sessions */

CK_RV library_session_open(const struct library_project *project, CK_SESSION_HANDLE *ret_session)
{
	return library_slot_open(library_module_functions(), project->slot.id,
				 project->slot.read_only, ret_session);
}

enum cmek_status library_project_failed(const struct library_project *project, unsigned generation,
					CK_RV rv, const char *what, struct cmek_error *error)
{
	CK_ULONG reason = CMEK_ERROR_NONE;
	char which[LIBRARY_LABEL_SIZE + 64];

	library_module_last_error(&reason);
	if (rv == CKR_CRYPTOKI_NOT_INITIALIZED)
		library_module_lost(generation);
	snprintf(which, sizeof(which), "%s project %s", what, project->slot.project);
	return library_fail_call(error, rv, reason, which);
}

/* A session that was closed already: by others, who may have finalized the module. */
void library_session_close(CK_SESSION_HANDLE session, unsigned generation)
{
	if (library_module_functions()->C_CloseSession(session) != CKR_OK)
		library_module_used_by_others(generation);
}

/* --- A client's PIN */

/* All who are here, so that the PINs of two clients can be compared. */
static struct cmek_client *clients_with_pins;

static void enlist(struct cmek_client *client)
{
	library_lock();
	client->next = clients_with_pins;
	clients_with_pins = client;
	library_unlock();
}

static void strike_off(struct cmek_client *client)
{
	struct cmek_client **at = &clients_with_pins;

	library_lock();
	while (*at != NULL && *at != client)
		at = &(*at)->next;
	if (*at != NULL)
		*at = client->next;
	library_unlock();
}

bool library_pin_keep(struct cmek_client *client, const char *pin)
{
	client->pin = strdup(pin);
	client->refusal = library_refusal_new();
	if (client->pin == NULL || client->refusal == NULL)
		return false;
	enlist(client);
	return true;
}

void library_pin_drop(struct cmek_client *client)
{
	strike_off(client);
	if (client->pin != NULL)
		wipe(client->pin, strlen(client->pin));
	free(client->pin);
	library_refusal_free(client->refusal);
}

/* From here on the PIN is that project's, whatever others are made, or get one of their own. */
enum cmek_status library_pin_find_project(struct cmek_client *client, struct cmek_error *error)
{
	const struct library_project *whose = NULL;
	size_t count = 0;

	for (const struct library_project *at = library_projects(client);
	     client->pin != NULL && at != NULL; at = at->before) {
		if (client->project == NULL && !atomic_load(&at->wants_pin))
			continue;
		whose = at;
		count++;
	}
	if (count > 1)
		return library_fail(error, CMEK_REFUSED,
				    "%zu projects here want a PIN, and a wrong one counts: say in "
				    "the options which project's it is",
				    count);
	if (whose != NULL)
		memcpy(client->guarded, whose->slot.serial, sizeof(client->guarded));
	return CMEK_OK;
}

/* --- Logins */

/* A wrong PIN counts, so it goes to nobody's project but its own. */
static const char *pin_of(const struct cmek_client *client, const struct library_project *project)
{
	return client->pin != NULL && strcmp(client->guarded, project->slot.serial) == 0
		       ? client->pin
		       : NULL;
}

/* Whether another client of this process has opened that project by another PIN. */
static bool differs_from_others(const struct cmek_client *client, unsigned generation,
				bool *ret_same)
{
	bool same = false, other = false;

	library_lock();
	for (const struct cmek_client *at = clients_with_pins; at != NULL; at = at->next) {
		if (at == client || at->proven != generation ||
		    strcmp(at->guarded, client->guarded) != 0)
			continue;
		same |= strcmp(at->pin, client->pin) == 0;
		other |= strcmp(at->pin, client->pin) != 0;
	}
	library_unlock();
	*ret_same = same;
	return other && !same;
}

static enum cmek_status was_refused(const struct library_project *project, struct cmek_error *error)
{
	return library_fail(error, CMEK_DENIED,
			    "project %s: this PIN was refused, and is not tried again, since each "
			    "try counts: open a client with the right one",
			    project->slot.project);
}

struct trying {
	const struct cmek_client *client;
	CK_SESSION_HANDLE session;
};

static CK_RV try_pin(void *state)
{
	const struct trying *trying = state;
	char *pin = trying->client->pin;

	return library_module_functions()->C_Login(trying->session, CKU_USER, (CK_UTF8CHAR *)pin,
						   strlen(pin));
}

/* Where somebody is logged in already, the module does not look at PINs. */
static enum cmek_status login_by_pin(struct cmek_client *client,
				     const struct library_project *project,
				     CK_SESSION_HANDLE session, unsigned generation,
				     struct cmek_error *error)
{
	unsigned accepted = library_refusal_look(client->refusal);
	struct trying trying = {client, session};
	bool proven, tried;
	CK_RV rv = library_refusal_try(client->refusal, accepted, try_pin, &trying, &tried);

	if (!tried)
		return was_refused(project, error);
	proven = rv == CKR_OK;
	if (rv == CKR_USER_ALREADY_LOGGED_IN && differs_from_others(client, generation, &proven))
		return library_fail(error, CMEK_DENIED,
				    "project %s: another client of this process is logged in by "
				    "another PIN; give the same, or close that one",
				    project->slot.project);
	if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
		return library_project_failed(project, generation, rv, "logging in to", error);
	library_lock();
	client->proven = proven ? generation : 0;
	library_unlock();
	return CMEK_OK;
}

/* The slot may be another project's by now, so that is looked at last. */
static enum cmek_status login(struct cmek_client *client, struct library_project *project,
			      CK_SESSION_HANDLE session, unsigned generation,
			      struct cmek_error *error)
{
	if (pin_of(client, project) == NULL) {
		atomic_store(&project->unseen,
			     !library_login_without(library_module_functions(), session));
		return CMEK_OK;
	}
	if (!library_project_is_there(project))
		return library_fail(error, CMEK_NOT_FOUND,
				    "project %s is there no more; see cmek project list",
				    project->slot.project);
	TRY(login_by_pin(client, project, session, generation, error));
	atomic_store(&project->unseen, false);
	return CMEK_OK;
}

/* Others of the process may log out or in, for a login is the whole process's; or close sessions.
 */
static bool is_logged_in(struct library_project *project, unsigned generation)
{
	CK_SESSION_HANDLE session;
	CK_SESSION_INFO info;
	bool sees;
	CK_RV rv;

	library_lock();
	session = project->login_generation == generation ? project->login : CK_INVALID_HANDLE;
	library_unlock();
	if (session == CK_INVALID_HANDLE)
		return false;
	rv = library_module_functions()->C_GetSessionInfo(session, &info);
	if (rv == CKR_SESSION_HANDLE_INVALID)
		library_module_used_by_others(generation);
	if (rv != CKR_OK)
		return false;
	sees = library_is_users(info.state);
	if (sees)
		atomic_store(&project->unseen, false);
	return sees || atomic_load(&project->unseen);
}

/* What was opened before a login sees nothing of what the user sees, and is opened anew. */
static void keep_login(struct library_project *project, CK_SESSION_HANDLE session,
		       unsigned generation)
{
	CK_SESSION_HANDLE spare;
	unsigned before;

	library_lock();
	before = project->login_generation;
	spare = library_module_owns(before) ? project->login : CK_INVALID_HANDLE;
	project->login = session;
	project->login_generation = generation;
	atomic_fetch_add(&project->epoch, 1);
	library_unlock();
	if (spare != CK_INVALID_HANDLE)
		library_session_close(spare, before);
}

static enum cmek_status login_anew(struct cmek_client *client, struct library_project *project,
				   unsigned generation, struct cmek_error *error)
{
	CK_SESSION_HANDLE session;
	enum cmek_status status;
	CK_RV rv = library_session_open(project, &session);

	if (rv != CKR_OK)
		return library_project_failed(project, generation, rv, "opening", error);
	status = login(client, project, session, generation, error);
	if (status == CMEK_OK)
		keep_login(project, session, generation);
	else
		library_session_close(session, generation);
	return status;
}

/* One thread after the other, lest each tries a wrong PIN. */
enum cmek_status library_login_ensure(struct cmek_client *client, struct library_project *project,
				      unsigned generation, struct cmek_error *error)
{
	enum cmek_status status = CMEK_OK;

	if (!atomic_load(&project->wants_pin) || is_logged_in(project, generation))
		return CMEK_OK;
	library_lock_logins();
	if (!is_logged_in(project, generation))
		status = login_anew(client, project, generation, error);
	library_unlock_logins();
	return status;
}
