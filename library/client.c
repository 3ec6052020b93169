/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/client.h"

#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"
#include "library/module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

/* A session that was closed already: by others, who may have finalized the module. */
static void close_session(CK_SESSION_HANDLE session, unsigned generation)
{
	if (library_module_functions()->C_CloseSession(session) != CKR_OK)
		library_module_used_by_others(generation);
}

static void project_free(struct library_project *project)
{
	if (project->login != CK_INVALID_HANDLE && library_module_owns(project->login_generation))
		close_session(project->login, project->login_generation);
	if (project->pool != NULL)
		library_pool_clear(project->pool);
	free(project->pool);
	free(project);
}

static void take_padded(const CK_UTF8CHAR *padded, size_t len, char *ret_text)
{
	while (len > 0 && padded[len - 1] == ' ')
		len--;
	memcpy(ret_text, padded, len);
	ret_text[len] = '\0';
}

/* An initialized token, without its padding; false: a free slot. */
static bool look_at_slot(CK_SLOT_ID slot, struct library_project *ret_project)
{
	CK_TOKEN_INFO info;

	if (library_module_functions()->C_GetTokenInfo(slot, &info) != CKR_OK ||
	    !(info.flags & CKF_TOKEN_INITIALIZED))
		return false;
	*ret_project = (struct library_project){
		.slot = slot,
		.wants_pin = (info.flags & CKF_LOGIN_REQUIRED) != 0,
		.read_only = (info.flags & CKF_WRITE_PROTECTED) != 0,
	};
	take_padded(info.label, sizeof(info.label), ret_project->name);
	take_padded(info.serialNumber, sizeof(info.serialNumber), ret_project->serial);
	return true;
}

static bool is_same(const struct library_project *one, const struct library_project *other)
{
	return one->slot == other->slot && strcmp(one->serial, other->serial) == 0 &&
	       strcmp(one->name, other->name) == 0;
}

static bool still_there(struct library_project *project)
{
	struct library_project now;

	if (!look_at_slot(project->slot, &now) || !is_same(project, &now))
		return false;
	atomic_store(&project->wants_pin, atomic_load(&now.wants_pin));
	return true;
}

/* Whoever lists the slots has the module look at the store first. */
bool library_project_is_there(struct library_project *project)
{
	CK_ULONG unused;

	return library_module_functions()->C_GetSlotList(CK_FALSE, NULL, &unused) == CKR_OK &&
	       still_there(project);
}

static bool is_known(const struct cmek_client *client, const struct library_project *found)
{
	for (const struct library_project *at = library_projects(client); at != NULL;
	     at = at->before)
		if (is_same(at, found))
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
	known = is_known(client, project);
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
	struct library_project found, *project;

	for (struct library_project *at = library_projects(client), *before; at != NULL;
	     at = before) {
		before = at->before;
		if (!still_there(at))
			take_out(client, at);
	}
	for (CK_ULONG i = 0; i < count; i++) {
		if (!look_at_slot(slots[i], &found) || is_known(client, &found) ||
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
	unsigned generation = library_module_generation(); /* the one that the call begins in */
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

/* --- Sessions -------------------------------------------------------------------------------- */

static CK_RV open_session(const struct library_project *project, CK_SESSION_HANDLE *ret_session)
{
	CK_FLAGS flags = CKF_SERIAL_SESSION | (project->read_only ? 0 : CKF_RW_SESSION);

	return library_module_functions()->C_OpenSession(project->slot, flags, NULL, NULL,
							 ret_session);
}

static enum cmek_status failed(const struct library_project *project, unsigned generation, CK_RV rv,
			       const char *what, struct cmek_error *error)
{
	CK_ULONG reason = CMEK_ERROR_NONE;
	char which[LIBRARY_LABEL_SIZE + 64];

	library_module_last_error(&reason);
	if (rv == CKR_CRYPTOKI_NOT_INITIALIZED)
		library_module_lost(generation);
	snprintf(which, sizeof(which), "%s project %s", what, project->name);
	return library_fail_call(error, rv, reason, which);
}

/* --- Logins */

/* A wrong PIN counts, so it goes to nobody's project but its own. */
static const char *pin_of(const struct cmek_client *client, const struct library_project *project)
{
	return client->pin != NULL && strcmp(client->guarded, project->serial) == 0 ? client->pin
										    : NULL;
}

/* All who are here, so that the PINs of two clients can be compared. */
static struct cmek_client *clients_with_pins;

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
			    project->name);
}

/* One process that shares the refusal after the other. One that dies here blocks no other. */
static CK_RV try_pin(const struct cmek_client *client, CK_SESSION_HANDLE session, bool *ret_tried)
{
	AUTO(unlockp) pthread_mutex_t *lock = &client->refusal->lock;
	CK_RV rv;

	if (pthread_mutex_lock(lock) == EOWNERDEAD)
		pthread_mutex_consistent(lock);
	*ret_tried = !client->refusal->refused;
	if (!*ret_tried)
		return CKR_PIN_INCORRECT;
	rv = library_module_functions()->C_Login(session, CKU_USER, (CK_UTF8CHAR *)client->pin,
						 strlen(client->pin));
	client->refusal->refused = rv == CKR_PIN_INCORRECT;
	return rv;
}

/* Where somebody is logged in already, the module does not look at PINs. */
static enum cmek_status login_by_pin(struct cmek_client *client,
				     const struct library_project *project,
				     CK_SESSION_HANDLE session, unsigned generation,
				     struct cmek_error *error)
{
	bool proven, tried;
	CK_RV rv = try_pin(client, session, &tried);

	if (!tried)
		return was_refused(project, error);
	proven = rv == CKR_OK;
	if (rv == CKR_USER_ALREADY_LOGGED_IN && differs_from_others(client, generation, &proven))
		return library_fail(error, CMEK_DENIED,
				    "project %s: another client of this process is logged in by "
				    "another PIN; give the same, or close that one",
				    project->name);
	if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
		return failed(project, generation, rv, "logging in to", error);
	library_lock();
	client->proven = proven ? generation : 0;
	library_unlock();
	return CMEK_OK;
}

/* Where the configuration alone asks for a login, any PIN will do; so one is tried without. Of this
 * length it is no guess, and is not counted. */
static bool login_without(CK_SESSION_HANDLE session)
{
	CK_RV rv = library_module_functions()->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"", 0);

	return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN;
}

/* The slot may be another project's by now, so that is looked at last. */
static enum cmek_status login(struct cmek_client *client, struct library_project *project,
			      CK_SESSION_HANDLE session, unsigned generation,
			      struct cmek_error *error)
{
	if (pin_of(client, project) == NULL) {
		atomic_store(&project->unseen, !login_without(session));
		return CMEK_OK;
	}
	if (!library_project_is_there(project))
		return library_fail(error, CMEK_NOT_FOUND,
				    "project %s is there no more; see cmek project list",
				    project->name);
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
	sees = info.state == CKS_RW_USER_FUNCTIONS || info.state == CKS_RO_USER_FUNCTIONS;
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
		close_session(spare, before);
}

static enum cmek_status login_anew(struct cmek_client *client, struct library_project *project,
				   unsigned generation, struct cmek_error *error)
{
	CK_SESSION_HANDLE session;
	enum cmek_status status;
	CK_RV rv = open_session(project, &session);

	if (rv != CKR_OK)
		return failed(project, generation, rv, "opening", error);
	status = login(client, project, session, generation, error);
	if (status == CMEK_OK)
		keep_login(project, session, generation);
	else
		close_session(session, generation);
	return status;
}

/* One thread after the other, lest each tries a wrong PIN. */
static enum cmek_status ensure_login(struct cmek_client *client, struct library_project *project,
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

/* --- Workers */

static enum cmek_status worker_new(struct library_project *project, unsigned generation,
				   struct library_worker **ret_worker, struct cmek_error *error)
{
	struct library_worker *worker = calloc(1, sizeof(*worker));
	CK_RV rv;

	if (worker == NULL)
		return library_no_memory(error);
	worker->epoch = atomic_load(&project->epoch);
	rv = open_session(project, &worker->by.session);
	if (rv != CKR_OK) {
		free(worker);
		return failed(project, generation, rv, "opening", error);
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
		close_session(worker->by.session, worker->generation);
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
		worker->forgotten = atomic_load(&pool->forgotten);
	}
	library_unlock();
	return worker;
}

bool library_worker_is_current(const struct library_worker *worker)
{
	return library_module_owns(worker->generation) &&
	       worker->epoch == atomic_load(&worker->project->epoch);
}

bool library_worker_is_lost(const struct library_worker *worker)
{
	unsigned epoch = worker->epoch;
	CK_SESSION_INFO info;

	if (worker->by.functions->C_GetSessionInfo(worker->by.session, &info) !=
	    CKR_SESSION_HANDLE_INVALID)
		return false;
	atomic_compare_exchange_strong(&worker->project->epoch, &epoch, epoch + 1);
	library_module_used_by_others(worker->generation);
	return true;
}

enum cmek_status library_worker_take(struct cmek_client *client, struct library_project *project,
				     struct library_pool *pool, struct library_worker **ret_worker,
				     struct cmek_error *error)
{
	struct library_worker *worker;
	unsigned generation;

	TRY(library_module_ready(&generation, error));
	TRY(ensure_login(client, project, generation, error));
	while ((worker = pop(pool)) != NULL) {
		if (library_worker_is_current(worker)) {
			*ret_worker = worker;
			return CMEK_OK;
		}
		library_worker_free(worker);
	}
	return worker_new(project, generation, ret_worker, error);
}

/* Somebody else has closed the session, and perhaps all of that project; or finalized the module.
 */
static void notice_loss(struct library_worker *worker, enum envelope_status status,
			const struct envelope_error *cause)
{
	unsigned epoch = worker->epoch;

	if (status != ENVELOPE_MODULE)
		return;
	if (cause->rv == CKR_CRYPTOKI_NOT_INITIALIZED)
		library_module_lost(worker->generation);
	if (cause->rv != CKR_SESSION_HANDLE_INVALID && cause->rv != CKR_SESSION_CLOSED)
		return;
	library_module_used_by_others(worker->generation);
	atomic_compare_exchange_strong(&worker->project->epoch, &epoch, epoch + 1);
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

static void forget_chunk(struct library_pool *pool, struct library_worker *worker)
{
	unsigned forgotten = atomic_load(&pool->forgotten);

	if (worker->forgotten != forgotten)
		envelope_scratch_clear(&worker->chunk);
	worker->forgotten = forgotten;
}

void library_worker_give(struct library_pool *pool, struct library_worker *worker,
			 enum envelope_status status, const struct envelope_error *cause)
{
	bool kept;

	notice_loss(worker, status, cause);
	empty(&worker->scratch);
	forget_chunk(pool, worker);
	library_lock();
	kept = library_worker_is_current(worker) &&
	       worker->forgotten == atomic_load(&pool->forgotten) &&
	       pool->idle_count < LIBRARY_IDLE_MAX;
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

void library_pool_forget(struct library_pool *pool)
{
	const struct envelope_error none = {0};
	struct library_worker *workers, *worker;

	library_lock();
	atomic_fetch_add(&pool->forgotten, 1);
	workers = TAKE(pool->idle);
	pool->idle_count = 0;
	library_unlock();
	while ((worker = workers) != NULL) {
		workers = worker->next;
		library_worker_give(pool, worker, ENVELOPE_OK, &none);
	}
}

/* --- Opening and closing --------------------------------------------------------------------- */

/* From here on the PIN is that project's, whatever others are made, or get one of their own. */
static enum cmek_status find_whose_pin(struct cmek_client *client, struct cmek_error *error)
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
		memcpy(client->guarded, whose->serial, sizeof(client->guarded));
	return CMEK_OK;
}

static enum cmek_status login_to_all(struct cmek_client *client, struct cmek_error *error)
{
	unsigned generation;

	TRY(library_module_ready(&generation, error));
	TRY(find_whose_pin(client, error));
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

static void projects_free(struct library_project *first, bool gone)
{
	for (struct library_project *at = first, *next; at != NULL; at = next) {
		next = gone ? at->gone : at->before;
		project_free(at);
	}
}

static void client_free(struct cmek_client *client)
{
	strike_off(client);
	projects_free(client->gone, true);
	projects_free(library_projects(client), false);
	if (client->pin != NULL)
		wipe(client->pin, strlen(client->pin));
	if (client->refusal != NULL) /* its lock is the children's too, and not destroyed */
		munmap(client->refusal, sizeof(*client->refusal));
	free(client->pin);
	free(client->project);
	free(client);
}

static bool make_shared_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t kind;
	bool made;

	if (pthread_mutexattr_init(&kind) != 0)
		return false;
	made = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0 &&
	       pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0 &&
	       pthread_mutex_init(lock, &kind) == 0;
	pthread_mutexattr_destroy(&kind);
	return made;
}

/* Children and parents tell each other that a PIN was refused, lest each of them tries it. */
static bool share_refusals(struct cmek_client *client)
{
	void *shared = mmap(NULL, sizeof(*client->refusal), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	client->refusal = shared == MAP_FAILED ? NULL : shared;
	return client->refusal != NULL && make_shared_lock(&client->refusal->lock);
}

static bool fill(struct cmek_client *client, const struct cmek_client_options *options)
{
	if (options->project != NULL && (client->project = strdup(options->project)) == NULL)
		return false;
	if (options->pin == NULL)
		return true;
	client->pin = strdup(options->pin);
	if (client->pin == NULL || !share_refusals(client))
		return false;
	enlist(client);
	return true;
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
