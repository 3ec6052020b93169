/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Saved digests; see the header. */
#include "session/states.h"

#include "base/free.h"
#include "crypto/crypto.h"
#include "session/output.h"
#include "session/run_private.h"
#include "session/state.h"

struct saved {
	uint8_t name[STATE_LEN];
	const struct mechanism *mechanism;
	struct digest *digest; /* NULL: a free place */
	enum stage stage;
};

static struct {
	pthread_mutex_t lock;
	struct saved saved[STATES_MAX];
	size_t next; /* the oldest */
} states = {.lock = PTHREAD_MUTEX_INITIALIZER};

void states_stop(void)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&states.lock);

	for (size_t i = 0; i < STATES_MAX; i++) {
		digest_free(states.saved[i].digest);
		states.saved[i] = (struct saved){0};
	}
}

void states_abandon(void)
{
	/* A thread that is not here may have held it. */
	pthread_mutex_init(&states.lock, NULL);
	memset(states.saved, 0, sizeof(states.saved));
}

/* --- Saving */

static void keep(const struct saved *saved)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&states.lock);
	struct saved *place = &states.saved[states.next++ % STATES_MAX];

	digest_free(place->digest);
	*place = *saved;
}

/* A digest alone: the state of the session is that of all its operations. */
static CK_RV may_save(const struct session *session)
{
	bool has_digest = session->operations[OPERATION_DIGEST].class != NULL;

	for (size_t i = 0; i < OPERATION_KIND_COUNT; i++)
		if (i != OPERATION_DIGEST && session->operations[i].class != NULL)
			return CKR_STATE_UNSAVEABLE;
	return has_digest ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
}

CK_RV session_save_state(struct session *session, CK_BYTE *out, CK_ULONG *out_len)
{
	const struct operation *op = &session->operations[OPERATION_DIGEST];
	struct saved saved = {.mechanism = op->mechanism, .stage = op->stage};

	if (out_len == NULL)
		return CKR_ARGUMENTS_BAD;
	TRY(may_save(session));
	if (out == NULL || get_ulong(out_len) < STATE_LEN) {
		put_ulong(out_len, STATE_LEN);
		return out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	if (!crypto_random(saved.name, STATE_LEN))
		return CKR_FUNCTION_FAILED;
	saved.digest = digest_copy(op->digest);
	if (saved.digest == NULL)
		return CKR_HOST_MEMORY;
	keep(&saved);
	memcpy(out, saved.name, STATE_LEN);
	put_ulong(out_len, STATE_LEN);
	return CKR_OK;
}

/* --- Restoring */

/* A copy, the caller's; with `digest` NULL there is none, or (*ret_no_memory) no memory for it. */
static struct saved find(struct bytes name, bool *ret_no_memory)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&states.lock);

	*ret_no_memory = false;
	for (size_t i = 0; i < STATES_MAX; i++) {
		struct saved found = states.saved[i];

		if (found.digest == NULL || !bytes_equal(bytes(found.name, STATE_LEN), name))
			continue;
		found.digest = digest_copy(found.digest);
		*ret_no_memory = found.digest == NULL;
		return found;
	}
	return (struct saved){0};
}

CK_RV session_restore_state(struct session *session, struct bytes state, bool with_key)
{
	struct operation *op = &session->operations[OPERATION_DIGEST];
	struct saved found;
	bool no_memory;

	if (state.data == NULL)
		return CKR_ARGUMENTS_BAD;
	if (with_key)
		return CKR_KEY_NOT_NEEDED;
	found = find(state, &no_memory);
	if (found.digest == NULL)
		return no_memory ? CKR_HOST_MEMORY : CKR_SAVED_STATE_INVALID;
	operation_clear(op);
	op->class = found.mechanism->does->operations[OPERATION_DIGEST];
	op->mechanism = found.mechanism;
	op->objects = session->objects;
	op->kind = OPERATION_DIGEST;
	op->stage = found.stage;
	op->digest = found.digest;
	op->digest_kind = (enum digest_kind)found.mechanism->detail;
	return CKR_OK;
}
