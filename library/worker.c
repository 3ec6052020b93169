/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Workers and their pools (library/client.h). */
#include "library/login.h"

#include "base/macros.h"
#include "library/module.h"

#include <stdlib.h>

static enum cmek_status worker_new(struct library_project *project, unsigned generation,
				   struct library_worker **ret_worker, struct cmek_error *error)
{
	struct library_worker *worker = calloc(1, sizeof(*worker));
	CK_RV rv;

	if (worker == NULL)
		return library_no_memory(error);
	worker->epoch = atomic_load(&project->epoch);
	rv = library_session_open(project, &worker->by.session);
	if (rv != CKR_OK) {
		free(worker);
		return library_project_failed(project, generation, rv, "opening", error);
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
		library_session_close(worker->by.session, worker->generation);
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

/* Others have closed the session, and perhaps all of that project. */
static void note_closed(const struct library_worker *worker)
{
	unsigned epoch = worker->epoch;

	library_module_used_by_others(worker->generation);
	atomic_compare_exchange_strong(&worker->project->epoch, &epoch, epoch + 1);
}

bool library_worker_is_lost(const struct library_worker *worker)
{
	CK_SESSION_INFO info;

	if (worker->by.functions->C_GetSessionInfo(worker->by.session, &info) !=
	    CKR_SESSION_HANDLE_INVALID)
		return false;
	note_closed(worker);
	return true;
}

enum cmek_status library_worker_take(struct cmek_client *client, struct library_project *project,
				     struct library_pool *pool, struct library_worker **ret_worker,
				     struct cmek_error *error)
{
	struct library_worker *worker;
	unsigned generation;

	TRY(library_module_ready(&generation, error));
	TRY(library_login_ensure(client, project, generation, error));
	while ((worker = pop(pool)) != NULL) {
		if (library_worker_is_current(worker)) {
			*ret_worker = worker;
			return CMEK_OK;
		}
		library_worker_free(worker);
	}
	return worker_new(project, generation, ret_worker, error);
}

static void notice_loss(struct library_worker *worker, enum envelope_status status,
			const struct envelope_error *cause)
{
	if (status != ENVELOPE_MODULE)
		return;
	if (cause->rv == CKR_CRYPTOKI_NOT_INITIALIZED)
		library_module_lost(worker->generation);
	if (cause->rv == CKR_SESSION_HANDLE_INVALID || cause->rv == CKR_SESSION_CLOSED)
		note_closed(worker);
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
