/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges: the keys are opened once, on a session that is the range's; each read takes another. */
#include "envelope/range.h"

#include "base/cancel.h"
#include "base/free.h"
#include "base/macros.h"
#include "library/module.h"
#include "library/open.h"
#include "library/options.h"

#include <errno.h>
#include <stdlib.h>

/* In a fork's child the keys are opened anew, once; the parent's are only forgotten. */
struct held {
	struct library_opened opened;
	struct envelope_range range;
	struct held *before; /* of an earlier generation: another thread may still read by it */
};

/* The last chunk as it lies there, of the look at the object's end: the first read of it asks the
 * caller for no bytes. Sealed, so that whoever reads it needs the key. */
struct end {
	uint64_t offset;
	size_t len;
	uint8_t data[];
};

struct cmek_range {
	cmek_client *client;
	struct envelope_expectation expected; /* its name is ours: */
	void *name;
	uint64_t sealed_size;
	cmek_pread_function *pread;
	void *state;
	struct held *_Atomic held; /* of the youngest generation */
	struct end *_Atomic end;   /* NULL: read meanwhile, or not looked at */
	/* Who is reading; under library_lock. Whoever never comes back from `pread` stays in it. */
	struct library_worker *reading;
};

/* --- Reading what is sealed */

/* Once, by the thread that comes first. */
static bool take_end(cmek_range *range, uint8_t *out, size_t len, uint64_t offset)
{
	struct end *end = atomic_load(&range->end);

	if (end == NULL)
		return false;
	end = atomic_exchange(&range->end, NULL);
	if (end != NULL && end->offset == offset && end->len == len) {
		memcpy(out, end->data, len);
		free(end);
		return true;
	}
	if (end != NULL)
		atomic_store(&range->end, end);
	return false;
}

static bool pread_on(void *state, uint8_t *out, size_t len, uint64_t offset)
{
	cmek_range *range = state;
	int error;

	if (take_end(range, out, len, offset))
		return true;
	error = range->pread(range->state, out, len, offset);
	errno = error;
	return error == 0;
}

struct start {
	cmek_range *range;
	uint64_t at;
};

/* The header, as a stream that ends where the object does. */
static ssize_t read_start(void *state, uint8_t *out, size_t len)
{
	struct start *start = state;
	uint64_t left = start->range->sealed_size - start->at;

	if (len > left)
		len = (size_t)left;
	if (len > 0 && !pread_on(start->range, out, len, start->at))
		return -1;
	start->at += len;
	return (ssize_t)len;
}

/* --- Opening */

/* Plain data of its chunks end with it, in whichever worker they are. */
static void held_free(struct held *held)
{
	struct library_worker *worker = held == NULL ? NULL : held->opened.worker;
	struct library_pool *pool = worker == NULL ? NULL : worker->project->pool;

	if (held != NULL)
		library_opened_clear(&held->opened);
	if (pool != NULL)
		library_pool_forget(pool);
	free(held);
}

/* What was read last of the object. Without memory it is read again. */
static void keep_end(cmek_range *range, const struct envelope_scratch *sealed, uint64_t offset)
{
	size_t len = (size_t)(range->sealed_size - offset);
	struct end *end = malloc(sizeof(*end) + len);

	if (end == NULL)
		return;
	end->offset = offset;
	end->len = len;
	memcpy(end->data, sealed->memory, len);
	atomic_store(&range->end, end);
}

static enum envelope_status check_end(struct held *held, cmek_range *range,
				      struct envelope_error *cause)
{
	struct library_worker *worker = held->opened.worker;

	TRY(envelope_range_check_end(&held->range, &worker->by, &worker->chunk, cause));
	keep_end(range, &worker->chunk, envelope_range_last(&held->range));
	envelope_scratch_clear(&worker->chunk);
	return ENVELOPE_OK;
}

static enum envelope_status begin(struct held *held, cmek_range *range, bool trust_size,
				  struct envelope_error *cause)
{
	struct library_worker *worker = held->opened.worker;

	TRY(envelope_range_init(&held->range, &worker->by, &held->opened.header, &held->opened.keys,
				range->sealed_size, pread_on, range, cause));
	return trust_size ? ENVELOPE_OK : check_end(held, range, cause);
}

static enum cmek_status hold(cmek_range *range, struct held *held, bool trust_size,
			     struct cmek_error *error)
{
	struct start start = {range, 0};
	const struct envelope_io io = {.read = read_start, .state = &start};
	struct envelope_error cause = {0};
	enum envelope_status status;

	TRY(library_opened_read(&held->opened, range->client, &range->expected, &io, "range",
				error));
	status = begin(held, range, trust_size, &cause);
	return library_opened_failed(&held->opened, "range", status, &cause, error);
}

/* In a fork's child it is opened once more, when the caller's name and zone may be gone. */
static enum cmek_status keep_expected(cmek_range *range, const struct cmek_unseal_options *options,
				      struct cmek_error *error)
{
	struct bytes name;

	range->expected = library_expected(options);
	name = range->expected.name;
	if (name.len == 0)
		return CMEK_OK;
	range->name = malloc(name.len);
	if (range->name == NULL)
		return library_no_memory(error);
	memcpy(range->name, name.data, name.len);
	range->expected.name = bytes(range->name, name.len);
	return CMEK_OK;
}

static enum cmek_status open_range(cmek_range *range, const struct cmek_unseal_options *given,
				   struct cmek_error *error)
{
	struct cmek_unseal_options options;
	struct held *held;

	TRY(library_unseal_options(given, &options, error));
	TRY(keep_expected(range, &options, error));
	held = calloc(1, sizeof(*held));
	if (held == NULL)
		return library_no_memory(error);
	atomic_store(&range->held, held);
	return hold(range, held, options.trust_size, error);
}

static enum cmek_status range_new(cmek_client *client, const struct cmek_unseal_options *options,
				  cmek_pread_function *pread, void *state, uint64_t sealed_size,
				  cmek_range **ret_range, struct cmek_error *error)
{
	cmek_range *range = calloc(1, sizeof(*range));
	enum cmek_status status;

	*ret_range = range;
	if (range == NULL)
		return library_no_memory(error);
	range->client = client;
	range->pread = pread;
	range->state = state;
	range->sealed_size = sealed_size;
	status = open_range(range, options, error);
	if (status != CMEK_OK)
		cmek_range_free(TAKE(*ret_range));
	return status;
}

enum cmek_status cmek_range_new(cmek_client *client, const struct cmek_unseal_options *options,
				cmek_pread_function *pread, void *state, uint64_t sealed_size,
				cmek_range **ret_range, cmek_error **ret_error)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct cmek_error error;

	return library_answer(
		range_new(client, options, pread, state, sealed_size, ret_range, &error), &error,
		ret_error);
}

static void begin_reading(cmek_range *range, struct library_worker *worker)
{
	library_lock();
	worker->next = range->reading;
	range->reading = worker;
	library_unlock();
}

static void end_reading(cmek_range *range, const struct library_worker *worker)
{
	struct library_worker **at = &range->reading;

	library_lock();
	while (*at != worker)
		at = &(*at)->next;
	*at = worker->next;
	library_unlock();
}

static void free_left(struct library_worker *left)
{
	struct library_worker *worker;

	while ((worker = left) != NULL) {
		left = worker->next;
		library_worker_free(worker);
	}
}

void cmek_range_free(cmek_range *range)
{
	struct held *before;

	if (range == NULL)
		return;
	free_left(range->reading);
	for (struct held *at = atomic_load(&range->held); at != NULL; at = before) {
		before = at->before;
		held_free(at);
	}
	free(atomic_load(&range->end));
	free(range->name);
	free(range);
}

/* --- Reading */

/* An object is the one whose end was looked at, and whose zone and size were told. */
static enum cmek_status check_same(const struct held *anew, const struct held *held,
				   struct cmek_error *error)
{
	return memcmp(anew->opened.header.immutable, held->opened.header.immutable,
		      sizeof(held->opened.header.immutable)) == 0
		       ? CMEK_OK
		       : library_fail(error, CMEK_DAMAGED,
				      "range: another object lies there than when it was opened; "
				      "open that one");
}

static enum cmek_status held_again(cmek_range *range, const struct held *held,
				   struct held **ret_anew, struct cmek_error *error)
{
	struct held *anew = calloc(1, sizeof(*anew));
	enum cmek_status status;

	if (anew == NULL)
		return library_no_memory(error);
	status = hold(range, anew, true, error);
	if (status == CMEK_OK)
		status = check_same(anew, held, error);
	if (status != CMEK_OK)
		held_free(anew);
	else
		*ret_anew = anew;
	return status;
}

/* Whose keys are there; the first thread that finds them gone opens it anew for all. */
static enum cmek_status current(cmek_range *range, struct held **ret_held, struct cmek_error *error)
{
	struct held *held = atomic_load(&range->held), *anew = NULL;
	unsigned generation;

	TRY(library_module_ready(&generation, error));
	if (!library_worker_is_current(held->opened.worker)) {
		TRY(held_again(range, held, &anew, error));
		library_lock();
		held = atomic_load(&range->held);
		if (!library_worker_is_current(held->opened.worker)) {
			anew->before = held;
			atomic_store(&range->held, anew);
			held = TAKE(anew);
		}
		library_unlock();
		held_free(anew);
	}
	*ret_held = held;
	return CMEK_OK;
}

struct part {
	uint8_t *out;
	size_t len;
	uint64_t offset;
	size_t *ret_len;
};

/* *ret_lost: it failed, and the session that has the keys is gone. Their handles may have been
 * given to other keys since, by which nothing of the object opens. */
static enum cmek_status read_by(struct held *held, cmek_range *range, const struct part *part,
				bool *ret_lost, struct cmek_error *error)
{
	struct library_project *project = held->opened.worker->project;
	struct envelope_error cause = {.text = ""};
	struct library_worker *worker;
	enum cmek_status told = CMEK_OK;
	enum envelope_status status;

	TRY(library_worker_take(range->client, project, project->pool, &worker, error));
	begin_reading(range, worker);
	status = envelope_range_read(&held->range, &worker->by, &worker->chunk, part->out,
				     part->len, part->offset, part->ret_len, &cause);
	end_reading(range, worker);
	if (status != ENVELOPE_OK)
		told = library_fail_envelope(error, "range", status, &cause);
	library_worker_give(project->pool, worker, status, &cause);
	*ret_lost = (status == ENVELOPE_DAMAGED || status == ENVELOPE_MODULE) &&
		    library_worker_is_lost(held->opened.worker);
	return told;
}

static enum cmek_status read_range(cmek_range *range, const struct part *part,
				   struct cmek_error *error)
{
	enum cmek_status status;
	struct held *held;
	bool lost = false;

	TRY(library_check_memory(part->out, part->len, error));
	TRY(current(range, &held, error));
	status = read_by(held, range, part, &lost, error);
	if (!lost)
		return status;
	TRY(current(range, &held, error));
	return read_by(held, range, part, &lost, error);
}

enum cmek_status cmek_range_read(cmek_range *range, void *out, size_t len, uint64_t offset,
				 size_t *ret_len, cmek_error **ret_error)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	const struct part part = {out, len, offset, ret_len};
	struct cmek_error error;

	return library_answer(read_range(range, &part, &error), &error, ret_error);
}

uint64_t cmek_range_size(const cmek_range *range)
{
	return atomic_load(&range->held)->range.plain_size;
}

uint64_t cmek_range_zone(const cmek_range *range)
{
	return atomic_load(&range->held)->opened.header.zone;
}
