/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How ready keys are let go, so that none outlives what allows it: the session that has them
 * does it, and any other session does it for idle ones. */
#include "session/ready_keys.h"
#include "session/ready_keys_private.h"
#include "session/state.h"
#include "session/table.h"
#include "zones/domain/zones.h"

static bool is_over(struct session *session, const struct ready_key *place)
{
	return !objects_has(session->objects, place->object) ||
	       !ready_keys_may_use(session, place->object);
}

static void let_go(struct session *session, struct ready_key *place)
{
	if (ready_keys_is_busy(session, place))
		place->over = true;
	else
		ready_key_clear(place);
}

static void tidy_place(struct session *session, struct ready_key *place)
{
	const struct ezk *lease = ready_key_lease(place);

	if (is_over(session, place))
		let_go(session, place);
	else if (ready_key_has_schedule(place) && lease != NULL && !ezk_leased(lease) &&
		 !ready_keys_is_busy(session, place))
		ready_key_drop_schedule(place);
}

static void tidy_all(struct session *session)
{
	for (size_t i = 0; i < READY_KEYS_COUNT; i++)
		if (session->ready.places[i].handle != 0)
			tidy_place(session, &session->ready.places[i]);
}

/* Session objects come and go with each message, so this takes no lock and reads no clock;
 * their zones, which other sessions may use too, are the exception (view_of_session). */
static bool is_gone(struct session *session, const struct object *object)
{
	if (object->owner == 0 || object->kind != OBJECT_ZONE)
		return object_is_gone(object);
	return !objects_has(session->objects, object);
}

static void tidy_gone(struct session *session)
{
	for (size_t i = 0; i < READY_KEYS_COUNT; i++) {
		struct ready_key *place = &session->ready.places[i];

		if (place->handle != 0 && is_gone(session, place->object))
			let_go(session, place);
	}
}

static atomic_uint_fast64_t swept; /* idle sessions, at this news */

void ready_keys_start(void)
{
	atomic_store(&swept, 0);
}

static void sweep_idle(uint64_t news)
{
	if (atomic_load_explicit(&swept, memory_order_relaxed) != news &&
	    atomic_exchange(&swept, news) != news)
		ready_keys_visit_idle();
}

void ready_keys_init(struct ready_keys *ready, struct objects *objects)
{
	ready->turn = 0;
	ready->gone = objects_gone(objects);
	ready->watch = registry_watch(zones_registry(objects_zones(objects)));
	ready->seen_gone = ready->seen_news = 0;
}

void ready_keys_tidy(struct session *session)
{
	struct ready_keys *ready = &session->ready;
	uint64_t gone = atomic_load_explicit(ready->gone, memory_order_acquire);
	uint64_t news = atomic_load_explicit(ready->watch.news, memory_order_acquire);

	if (news == ready->seen_news) {
		tidy_gone(session);
	} else {
		tidy_all(session);
		sweep_idle(news);
	}
	ready->seen_gone = gone;
	ready->seen_news = news;
}

void ready_keys_tidy_idle(struct objects *objects)
{
	struct registry *registry = zones_registry(objects_zones(objects));
	struct registry_watch watch = registry_watch(registry);

	if (atomic_load_explicit(watch.wipe_at, memory_order_relaxed) != INT64_MAX)
		registry_sweep(registry);
	sweep_idle(atomic_load_explicit(watch.news, memory_order_acquire));
}

void ready_keys_visit_idle(void)
{
	table_visit_idle(tidy_all);
}

void ready_keys_tidy_now(struct session *session)
{
	tidy_all(session);
	ready_keys_visit_idle();
}

void ready_keys_let_go(struct session *session, const struct object *object, bool other)
{
	/* A change of an entry is news. */
	if (object->owner == 0 || !(other || object_is_shared(object)))
		return;
	tidy_gone(session);
	if (other || object_is_shared(object))
		table_visit_idle(tidy_gone);
}

static void wipe_schedules(struct session *session)
{
	for (size_t i = 0; i < READY_KEYS_COUNT; i++)
		if (!ready_keys_is_busy(session, &session->ready.places[i]))
			ready_key_drop_schedule(&session->ready.places[i]);
}

void ready_keys_before_fork(void)
{
	table_visit_idle(wipe_schedules);
}
