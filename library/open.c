/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/open.h"

#include "base/macros.h"
#include "library/module.h"

#include <inttypes.h>

enum cmek_status library_check_room(uint64_t needed, size_t room, struct cmek_error *error)
{
	return room >= needed ? CMEK_OK
			      : library_fail(error, CMEK_REFUSED,
					     "room for %zu bytes, and %" PRIu64
					     " are needed: see cmek_unsealed_size",
					     room, needed);
}

struct unlocking {
	struct library_opened *opened;
	const struct envelope_expectation *expected;
};

static enum envelope_status unlock(struct library_worker *worker, void *state,
				   struct envelope_error *cause)
{
	const struct unlocking *unlocking = state;
	struct library_opened *opened = unlocking->opened;

	TRY(envelope_check(&worker->by, &opened->header, unlocking->expected, cause));
	return envelope_unlock(&worker->by, &opened->header, &opened->keys, cause);
}

struct envelope_expectation library_expected(const struct cmek_unseal_options *options)
{
	return (struct envelope_expectation){
		.name = bytes(options->name_len == 0 ? NULL : options->name, options->name_len),
		.zone = options->zone == NULL ? 0 : cmek_zone_id(options->zone),
	};
}

enum cmek_status library_opened_unlock(struct library_opened *opened,
				       const struct envelope_expectation *expected,
				       const char *which, struct cmek_error *error)
{
	struct unlocking unlocking = {opened, expected};
	const struct library_sought sought = {which, opened->header.zone, unlock, &unlocking};

	/* Said without a project, and without the KMS. */
	if (expected->zone != 0 && expected->zone != opened->header.zone)
		return library_fail_envelope(error, which, ENVELOPE_OTHER_ZONE,
					     &(struct envelope_error){0});
	return library_open_by(opened->client, &sought, &opened->worker, error);
}

enum cmek_status library_opened_read(struct library_opened *opened, cmek_client *client,
				     const struct envelope_expectation *expected,
				     const struct envelope_io *io, const char *which,
				     struct cmek_error *error)
{
	struct envelope_error cause = {0};
	enum envelope_status status;

	opened->client = client;
	status = envelope_read_header(io, &opened->storage, &opened->header, &cause);
	if (status != ENVELOPE_OK)
		return library_fail_envelope(error, which, status, &cause);
	return library_opened_unlock(opened, expected, which, error);
}

enum cmek_status library_opened_failed(struct library_opened *opened, const char *which,
				       enum envelope_status status,
				       const struct envelope_error *cause, struct cmek_error *error)
{
	if (status == ENVELOPE_OK)
		return CMEK_OK;
	/* Of a stream that has failed, the status alone is known the next time. */
	if (opened->failed == ENVELOPE_OK) {
		opened->failed = status;
		opened->cause = *cause;
	}
	return library_fail_envelope(error, which, opened->failed, &opened->cause);
}

void library_opened_clear(struct library_opened *opened)
{
	struct library_worker *worker = opened->worker;

	if (worker != NULL && library_module_owns(worker->generation))
		envelope_keys_clear(&worker->by, &opened->keys);
	if (worker != NULL)
		library_worker_give(worker->project->pool, worker, opened->failed, &opened->cause);
	opened->worker = NULL;
	buffer_clear(&opened->storage);
}
