/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/client.h"

#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"
#include "library/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *cmek_version(void)
{
	return CMEK_VERSION;
}

enum cmek_status library_options(const void *given, size_t known, void *ret_known,
				 struct cmek_error *error)
{
	const uint8_t *more = given;
	size_t size;

	memset(ret_known, 0, known);
	if (given == NULL)
		return CMEK_OK;
	memcpy(&size, given, sizeof(size));
	/* No struct of any release ends in the middle of a field. */
	if (size < sizeof(size) || size > 4096 || size % sizeof(size) != 0)
		return library_fail(error, CMEK_REFUSED,
				    "options: size is %zu; set it to sizeof of the struct", size);
	for (size_t i = known; i < size; i++)
		if (more[i] != 0)
			return library_fail(error, CMEK_REFUSED,
					    "options: of a later release than this library (%s); "
					    "use that release's",
					    CMEK_VERSION);
	memcpy(ret_known, given, size < known ? size : known);
	return CMEK_OK;
}

enum cmek_status library_check_memory(const void *memory, size_t len, struct cmek_error *error)
{
	return memory != NULL || len == 0
		       ? CMEK_OK
		       : library_fail(error, CMEK_REFUSED,
				      "memory of %zu bytes that is NULL; say where it is", len);
}

/* Other languages write a byte, of which 0 alone is no. */
static void make_bool(bool *flag)
{
	uint8_t byte;

	memcpy(&byte, flag, sizeof(byte));
	*flag = byte != 0;
}

static enum cmek_status check_name(const void *name, size_t len, struct cmek_error *error)
{
	return name != NULL || len == 0
		       ? CMEK_OK
		       : library_fail(error, CMEK_REFUSED,
				      "options: a name of %zu bytes that is NULL; give its bytes",
				      len);
}

enum cmek_status library_seal_options(const struct cmek_seal_options *given,
				      struct cmek_seal_options *ret_options,
				      struct cmek_error *error)
{
	TRY(library_options(given, sizeof(*ret_options), ret_options, error));
	make_bool(&ret_options->embed);
	return check_name(ret_options->name, ret_options->name_len, error);
}

enum cmek_status library_unseal_options(const struct cmek_unseal_options *given,
					struct cmek_unseal_options *ret_options,
					struct cmek_error *error)
{
	TRY(library_options(given, sizeof(*ret_options), ret_options, error));
	make_bool(&ret_options->trust_size);
	return check_name(ret_options->name, ret_options->name_len, error);
}

/* --- Projects -------------------------------------------------------------------------------- */

struct library_project *library_projects(const struct cmek_client *client)
{
	return atomic_load_explicit(&client->projects, memory_order_acquire);
}

static void project_free(struct library_project *project)
{
	if (project->pool != NULL)
		library_pool_clear(project->pool);
	if (project->login != CK_INVALID_HANDLE && library_module_owns(project->login_generation))
		library_module_functions()->C_CloseSession(project->login);
	free(project->pool);
	free(project);
}

/* The label of an initialized token without its padding; false: a free slot. */
static bool look_at_slot(CK_SLOT_ID slot, struct library_project *ret_project)
{
	CK_TOKEN_INFO info;
	size_t len = sizeof(info.label);

	if (library_module_functions()->C_GetTokenInfo(slot, &info) != CKR_OK ||
	    !(info.flags & CKF_TOKEN_INITIALIZED))
		return false;
	while (len > 0 && info.label[len - 1] == ' ')
		len--;
	*ret_project = (struct library_project){
		.slot = slot,
		.wants_pin = (info.flags & CKF_LOGIN_REQUIRED) != 0,
		.read_only = (info.flags & CKF_WRITE_PROTECTED) != 0,
	};
	memcpy(ret_project->name, info.label, len);
	return true;
}

static bool is_known(const struct cmek_client *client, CK_SLOT_ID slot)
{
	for (const struct library_project *at = library_projects(client); at != NULL;
	     at = at->before)
		if (at->slot == slot)
			return true;
	return false;
}

static struct library_project *project_new(const struct library_project *found)
{
	struct library_project *project = malloc(sizeof(*project));

	if (project == NULL)
		return NULL;
	*project = *found;
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
	known = is_known(client, project->slot);
	project->before = library_projects(client);
	if (!known)
		atomic_store_explicit(&client->projects, project, memory_order_release);
	library_unlock();
	if (known)
		project_free(project);
}

static enum cmek_status take_slots(struct cmek_client *client, const CK_SLOT_ID *slots,
				   CK_ULONG count, struct cmek_error *error)
{
	struct library_project found, *project;

	for (CK_ULONG i = 0; i < count; i++) {
		if (is_known(client, slots[i]) || !look_at_slot(slots[i], &found) ||
		    (client->project != NULL && strcmp(client->project, found.name) != 0))
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
	const CK_FUNCTION_LIST *f = library_module_functions();
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	CK_ULONG count = 0, reason = CMEK_ERROR_NONE;
	CK_RV rv = f->C_GetSlotList(CK_FALSE, NULL, &count);

	count += 16;
	slots = rv == CKR_OK ? calloc(count, sizeof(*slots)) : NULL;
	if (rv == CKR_OK && slots == NULL)
		return library_no_memory(error);
	if (rv == CKR_OK)
		rv = f->C_GetSlotList(CK_FALSE, slots, &count);
	if (rv == CKR_OK)
		return take_slots(client, slots, count, error);
	library_module_last_error(&reason);
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

/* --- Sessions -------------------------------------------------------------------------------- */

static CK_RV open_session(const struct library_project *project, CK_SESSION_HANDLE *ret_session)
{
	CK_FLAGS flags = CKF_SERIAL_SESSION | (project->read_only ? 0 : CKF_RW_SESSION);

	return library_module_functions()->C_OpenSession(project->slot, flags, NULL, NULL,
							 ret_session);
}

static enum cmek_status failed(const struct library_project *project, CK_RV rv, const char *what,
			       struct cmek_error *error)
{
	CK_ULONG reason = CMEK_ERROR_NONE;
	char which[LIBRARY_LABEL_SIZE + 64];

	library_module_last_error(&reason);
	snprintf(which, sizeof(which), "%s project %s", what, project->name);
	return library_fail_call(error, rv, reason, which);
}

/* Where the configuration alone asks for a login, any PIN will do; so one is tried without. */
static CK_RV login(const struct cmek_client *client, CK_SESSION_HANDLE session, bool *ret_unseen)
{
	const char *pin = client->pin == NULL ? "" : client->pin;
	CK_RV rv = library_module_functions()->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin,
						       strlen(pin));

	*ret_unseen = rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN;
	return *ret_unseen && client->pin != NULL ? rv : CKR_OK;
}

/* Once a generation: a second thread that comes meanwhile is told that its user is logged in
 * already, and its session is closed again. */
static enum cmek_status ensure_login(struct cmek_client *client, struct library_project *project,
				     unsigned generation, struct cmek_error *error)
{
	CK_SESSION_HANDLE session, spare = CK_INVALID_HANDLE;
	bool unseen, done;
	CK_RV rv;

	library_lock();
	done = project->login_generation == generation;
	library_unlock();
	if (!project->wants_pin || done)
		return CMEK_OK;
	rv = open_session(project, &session);
	if (rv != CKR_OK)
		return failed(project, rv, "opening", error);
	rv = login(client, session, &unseen);
	if (rv != CKR_OK) {
		library_module_functions()->C_CloseSession(session);
		return failed(project, rv, "logging in to", error);
	}
	library_lock();
	if (project->login_generation == generation)
		spare = session;
	else
		project->login = session;
	project->login_generation = generation;
	project->unseen = unseen;
	library_unlock();
	if (spare != CK_INVALID_HANDLE)
		library_module_functions()->C_CloseSession(spare);
	return CMEK_OK;
}

static enum cmek_status worker_new(struct cmek_client *client, struct library_project *project,
				   unsigned generation, struct library_worker **ret_worker,
				   struct cmek_error *error)
{
	struct library_worker *worker;
	CK_RV rv;

	TRY(ensure_login(client, project, generation, error));
	worker = calloc(1, sizeof(*worker));
	if (worker == NULL)
		return library_no_memory(error);
	rv = open_session(project, &worker->by.session);
	if (rv != CKR_OK) {
		free(worker);
		return failed(project, rv, "opening", error);
	}
	worker->by.functions = library_module_functions();
	worker->project = project;
	worker->generation = generation;
	message_opener_init(&worker->opener, &worker->by, 0);
	*ret_worker = worker;
	return CMEK_OK;
}

/* What it holds in the module is not the parent's to destroy. */
static void disown(struct library_worker *worker)
{
	worker->opener.token = NULL;
	for (size_t i = 0; i < COUNT_OF(worker->sealers); i++)
		worker->sealers[i].dek = CK_INVALID_HANDLE;
}

void library_worker_free(struct library_worker *worker)
{
	bool is_ours;

	if (worker == NULL)
		return;
	is_ours = library_module_owns(worker->generation);
	if (!is_ours)
		disown(worker);
	message_opener_clear(&worker->opener);
	for (size_t i = 0; i < COUNT_OF(worker->sealers); i++)
		message_sealer_clear(&worker->sealers[i]);
	buffer_clear(&worker->scratch);
	envelope_scratch_clear(&worker->chunk);
	if (is_ours) {
		envelope_token_clear(&worker->by);
		worker->by.functions->C_CloseSession(worker->by.session);
	}
	free(worker);
}

static struct library_worker *pop(struct library_pool *pool)
{
	struct library_worker *worker;

	library_lock();
	worker = pool->idle;
	if (worker != NULL) {
		pool->idle = worker->next;
		pool->idle_count--;
	}
	library_unlock();
	return worker;
}

enum cmek_status library_worker_take(struct cmek_client *client, struct library_project *project,
				     struct library_pool *pool, struct library_worker **ret_worker,
				     struct cmek_error *error)
{
	struct library_worker *worker;
	unsigned generation;

	TRY(library_module_ready(&generation, error));
	while ((worker = pop(pool)) != NULL) {
		if (worker->generation == generation) {
			*ret_worker = worker;
			return CMEK_OK;
		}
		library_worker_free(worker);
	}
	return worker_new(client, project, generation, ret_worker, error);
}

static bool is_lost(enum envelope_status status, const struct envelope_error *cause)
{
	return status == ENVELOPE_MODULE &&
	       (cause->rv == CKR_SESSION_HANDLE_INVALID || cause->rv == CKR_SESSION_CLOSED ||
		cause->rv == CKR_CRYPTOKI_NOT_INITIALIZED);
}

enum { SCRATCH_KEPT = 65536 };

/* After a failure too: large messages that do not open leave nothing large behind. */
static void empty(struct buffer *scratch)
{
	if (scratch->capacity > SCRATCH_KEPT)
		buffer_clear(scratch);
	else
		buffer_truncate(scratch, 0);
}

void library_worker_give(struct library_pool *pool, struct library_worker *worker,
			 enum envelope_status status, const struct envelope_error *cause)
{
	bool kept;

	if (is_lost(status, cause))
		library_module_lost(worker->generation);
	empty(&worker->scratch);
	library_lock();
	kept = library_module_owns(worker->generation) && pool->idle_count < LIBRARY_IDLE_MAX;
	if (kept) {
		worker->next = pool->idle;
		pool->idle = worker;
		pool->idle_count++;
	}
	library_unlock();
	if (!kept)
		library_worker_free(worker);
}

void library_pool_clear(struct library_pool *pool)
{
	struct library_worker *worker;

	while ((worker = pop(pool)) != NULL)
		library_worker_free(worker);
}

/* --- Opening and closing --------------------------------------------------------------------- */

/* A wrong PIN counts, so it goes to nobody's project but its own. */
static enum cmek_status check_whose_pin(const struct cmek_client *client, struct cmek_error *error)
{
	size_t wanting = 0;

	for (const struct library_project *at = library_projects(client); at != NULL;
	     at = at->before)
		wanting += at->wants_pin;
	if (client->pin == NULL || wanting < 2)
		return CMEK_OK;
	return library_fail(error, CMEK_REFUSED,
			    "%zu projects here want a PIN, and a wrong one counts: say in the "
			    "options which project's it is",
			    wanting);
}

static enum cmek_status login_to_all(struct cmek_client *client, struct cmek_error *error)
{
	unsigned generation;

	TRY(library_module_ready(&generation, error));
	TRY(check_whose_pin(client, error));
	for (struct library_project *at = library_projects(client); at != NULL; at = at->before)
		TRY(ensure_login(client, at, generation, error));
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

static void client_free(struct cmek_client *client)
{
	for (struct library_project *at = library_projects(client), *before; at != NULL;
	     at = before) {
		before = at->before;
		project_free(at);
	}
	if (client->pin != NULL)
		wipe(client->pin, strlen(client->pin));
	free(client->pin);
	free(client->project);
	free(client);
}

static struct cmek_client *client_new(const struct cmek_client_options *options)
{
	struct cmek_client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		return NULL;
	if (options->project != NULL)
		client->project = strdup(options->project);
	if (options->pin != NULL)
		client->pin = strdup(options->pin);
	if ((options->project != NULL && client->project == NULL) ||
	    (options->pin != NULL && client->pin == NULL)) {
		client_free(client);
		return NULL;
	}
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
