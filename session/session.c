/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions as the C_* functions see them: opened, borrowed, closed; and logins, which are the
 * token's.
 */
#include "session/session.h"

#include "base/fork.h"
#include "base/free.h"
#include "base/thread.h"
#include "objects/error.h"
#include "objects/refusal.h"
#include "session/state.h"
#include "session/states.h"
#include "session/table.h"
#include "zones/domain/zones.h"
#include "zones/kms/audit.h"

#include <stdlib.h>

/* --- Opening */

/* Of one that is not active only that is left which stays from one to the next. */
static bool holds_something(const struct operation *op)
{
	return op->class != NULL || op->digest != NULL;
}

/* Lets go of all it holds, and is as good as new. */
static void session_clear(struct session *session)
{
	size_t i;

	for (i = 0; i < OPERATION_KIND_COUNT; i++)
		if (holds_something(&session->operations[i]))
			operation_clear(&session->operations[i]);
	for (i = 0; session->ready.turn > 0 && i < READY_KEYS_COUNT; i++)
		ready_key_clear(&session->ready.places[i]);
	search_clear(&session->search);
	memset((void *)session, 0, offsetof(struct session, operations));
}

static void session_free(struct session *session)
{
	session_clear(session);
	free(session);
}

static struct session *session_new(void)
{
	struct session *session = aligned_alloc(_Alignof(struct session), sizeof(*session));

	if (session != NULL)
		memset((void *)session, 0, sizeof(*session));
	return session;
}

/* A place keeps the memory of the session that was there before. */
static CK_RV open_in(struct place *place, CK_SESSION_HANDLE handle, CK_SLOT_ID slot, CK_FLAGS flags)
{
	struct session *session = place->session;

	if (session == NULL)
		session = place->session = session_new();
	if (session == NULL)
		return CKR_HOST_MEMORY;
	session->place = place;
	session->handle = handle;
	session->slot = slot;
	session->read_write = (flags & CKF_RW_SESSION) != 0;
	session->objects = table_objects();
	session->tokens = table_tokens();
	ready_keys_init(&session->ready, table_objects());
	return CKR_OK;
}

/* The free slot has sessions too: a backup is restored where there is no project yet. */
static CK_RV token_exists(struct tokens *tokens, CK_SLOT_ID slot)
{
	CK_RV rv = tokens_have(tokens, slot);

	return rv == CKR_TOKEN_NOT_RECOGNIZED ? CKR_OK : rv;
}

CK_RV session_open(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *ret_handle)
{
	AUTO(table_give_back) struct place *place = NULL;
	CK_SESSION_HANDLE handle;

	TRY(table_take_place(&place, &handle));
	ready_keys_tidy_idle(table_objects());
	if (ret_handle == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((flags & CKF_SERIAL_SESSION) == 0)
		return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
	TRY(token_exists(table_tokens(), slot));
	TRY(open_in(place, handle, slot, flags));
	TRY(table_publish(place, handle, slot, (flags & CKF_RW_SESSION) != 0));
	place = NULL; /* the table's: another thread may close it */
	*ret_handle = handle;
	return CKR_OK;
}

/* --- Borrowing */

/* Why a handle is not found. */
static CK_RV not_found(void)
{
	TRY(table_started());
	return CKR_SESSION_HANDLE_INVALID;
}

/* A lease that has ended unnoticed loses its keys here, before the call does anything. While
 * there is no lease, no clock is read. */
static void enter(struct session *session)
{
	const struct registry_watch *watch = &session->ready.watch;
	int64_t wipe_at = atomic_load_explicit(watch->wipe_at, memory_order_relaxed);

	session->realtime_ms = INT64_MAX;
	if (wipe_at == INT64_MAX)
		return;
	session->realtime_ms = watch->clock->realtime_ms(watch->clock->state);
	if (session->realtime_ms < wipe_at)
		return;
	registry_sweep(zones_registry(objects_zones(session->objects)));
	ready_keys_tidy(session);
}

CK_RV session_borrow_for(const char *function, CK_SESSION_HANDLE handle,
			 struct session **ret_session)
{
	struct place *place;

	audit_enter(function);
	if (fork_is_child())
		return refusal_told(function, CKR_CRYPTOKI_NOT_INITIALIZED);
	place = table_lock(handle);
	if (place == NULL)
		return refusal_told(function, not_found());
	enter(place->session);
	*ret_session = place->session;
	return CKR_OK;
}

/* True: a thread has noted something since the session was left last. */
static bool take_reason(struct session *session)
{
	unsigned news = atomic_load_explicit(&thread_news, memory_order_relaxed);

	session->device_error = 0;
	if (news == session->thread_news)
		return false;
	session->device_error = error_take_reason();
	session->thread_news = news;
	return true;
}

static inline bool leave(struct session *session)
{
	bool news;

	/* After what this call, and others, have learnt or done. */
	if (!ready_keys_is_tidy(&session->ready))
		ready_keys_tidy(session);
	news = take_reason(session);
	pthread_mutex_unlock(&session->place->lock);
	return news;
}

void session_return(struct session **session)
{
	if (*session != NULL && leave(*session))
		error_call_ends();
}

void session_leave(struct session **session)
{
	if (*session != NULL)
		leave(*session);
}

/* --- Closing */

/* Waits for the thread that is still in the session. */
static void move_out(struct place *place)
{
	AUTO(table_give_back) struct place *free_again = place;
	struct session *session = place->session;
	CK_SESSION_HANDLE handle = session->handle;
	struct objects *objects = session->objects;

	pthread_mutex_lock(&place->lock);
	pthread_mutex_unlock(&place->lock);
	session_clear(session);
	if (objects_remove_session(objects, handle))
		ready_keys_visit_idle();
}

static void move_all_out(struct place *list)
{
	struct place *next;

	for (; list != NULL; list = next) {
		next = list->next;
		move_out(list);
	}
}

/* Any call does that, also one that is refused. */
static CK_RV refuse_to_close(CK_RV why)
{
	AUTO(table_leave) struct table_shard *inside = NULL;

	TRY(table_enter(&inside));
	ready_keys_tidy_idle(table_objects());
	return why;
}

CK_RV session_close(CK_SESSION_HANDLE handle)
{
	struct place *place;
	CK_RV rv = table_unlink(handle, &place);

	if (rv != CKR_OK)
		return refuse_to_close(rv);
	ready_keys_tidy_idle(table_objects());
	move_out(place);
	return CKR_OK;
}

CK_RV session_close_all(CK_SLOT_ID slot)
{
	AUTO(table_leave) struct table_shard *inside = NULL;

	TRY(table_enter(&inside));
	ready_keys_tidy_idle(table_objects());
	TRY(token_exists(table_tokens(), slot));
	move_all_out(table_unlink_all(&slot));
	return CKR_OK;
}

void sessions_stop(void)
{
	table_stop();
	move_all_out(table_unlink_all(NULL));
	table_visit_free(session_free);
	states_stop();
}

/* --- Logins */

static CK_RV find_slot(CK_SESSION_HANDLE handle, CK_SLOT_ID *ret_slot)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	*ret_slot = session->slot;
	return CKR_OK;
}

/* "The SO can only log in when there are no read-only sessions." Counted before the session is
 * locked, since the table's lock comes before a session's. */
CK_RV session_login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, struct bytes pin)
{
	AUTO(session_leave) struct session *session = NULL;
	struct token_login login;
	CK_ULONG all, read_write;
	CK_SLOT_ID slot = 0;

	TRY(find_slot(handle, &slot));
	session_counts(slot, &all, &read_write);
	TRY(session_borrow(handle, &session));
	if (user == CKU_CONTEXT_SPECIFIC)
		return CKR_OPERATION_NOT_INITIALIZED; /* no key asks for it */
	if (user == CKU_SO && all > read_write)
		return CKR_SESSION_READ_ONLY_EXISTS;
	TRY(tokens_check_login(session->tokens, slot, user, pin, &login));
	session_leave(&session);
	session = NULL;
	/* It, and others, may have been closed and opened meanwhile. */
	return table_log_in(handle, &login);
}

CK_RV session_logout(CK_SESSION_HANDLE handle)
{
	AUTO(session_leave) struct session *session = NULL;
	CK_SLOT_ID slot;

	TRY(find_slot(handle, &slot));
	TRY(table_log_out(handle));
	if (session_borrow(handle, &session) == CKR_OK)
		ready_keys_tidy_now(session);
	else
		ready_keys_visit_idle(); /* it has been closed meanwhile */
	return CKR_OK;
}

CK_RV session_init_pin(CK_SESSION_HANDLE handle, struct bytes pin)
{
	AUTO(session_leave) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	if (!session->read_write)
		return CKR_SESSION_READ_ONLY;
	return tokens_init_pin(session->tokens, session->slot, pin);
}

CK_RV session_set_pin(CK_SESSION_HANDLE handle, struct bytes old, struct bytes new)
{
	AUTO(session_leave) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	if (!session->read_write)
		return CKR_SESSION_READ_ONLY;
	return tokens_set_pin(session->tokens, session->slot, old, new);
}

/* --- Asking */

static CK_STATE state_of(const struct session *session)
{
	switch (tokens_user(session->tokens, session->slot)) {
	case CKU_USER:
		return session->read_write ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
	case CKU_SO:
		return CKS_RW_SO_FUNCTIONS;
	default:
		return session->read_write ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
	}
}

/* Leaves the reason of the last call where it is: C_GetSessionInfo is how one reads it. */
CK_RV session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *ret_info)
{
	struct session *session = NULL;
	CK_SESSION_INFO info;

	TRY(session_borrow(handle, &session));
	info = (CK_SESSION_INFO){
		.slotID = session->slot,
		.state = state_of(session),
		.flags = CKF_SERIAL_SESSION | (session->read_write ? CKF_RW_SESSION : 0),
		.ulDeviceError = session->device_error,
	};
	pthread_mutex_unlock(&session->place->lock);
	memcpy((void *)ret_info, &info, sizeof(info));
	return CKR_OK;
}

CK_SESSION_HANDLE session_handle(const struct session *session)
{
	return session->handle;
}

CK_SLOT_ID session_slot(const struct session *session)
{
	return session->slot;
}

bool session_is_read_write(const struct session *session)
{
	return session->read_write;
}

struct objects *session_objects(const struct session *session)
{
	return session->objects;
}

struct tokens *session_tokens(const struct session *session)
{
	return session->tokens;
}

static bool is_officer(const struct session *session)
{
	return tokens_user(session->tokens, session->slot) == (int)CKU_SO;
}

CK_RV session_object_seen(struct session *session, CK_OBJECT_HANDLE handle,
			  struct object **ret_object)
{
	AUTO(object_releasep) struct object *object = NULL;

	TRY(objects_get(session->objects, session->slot, handle, &object));
	if ((object->flags & OBJECT_PRIVATE) != 0 &&
	    !tokens_private_allowed(session->tokens, session->slot) &&
	    !(object->kind == OBJECT_ZONE && is_officer(session)))
		return CKR_OBJECT_HANDLE_INVALID;
	*ret_object = TAKE(object);
	return CKR_OK;
}

CK_RV session_object(struct session *session, CK_OBJECT_HANDLE handle, CK_RV invalid,
		     struct object **ret_object)
{
	struct object *object;
	CK_RV rv = objects_get(session->objects, session->slot, handle, &object);

	if (rv != CKR_OK)
		return rv == CKR_OBJECT_HANDLE_INVALID ? invalid : rv;
	if ((object->flags & OBJECT_PRIVATE) != 0 &&
	    !tokens_private_allowed(session->tokens, session->slot)) {
		object_release(object);
		return invalid;
	}
	*ret_object = object;
	return CKR_OK;
}
