/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor's parts: threads of the caller's ask at once, and what is told is the same. */
#include "base/free.h"
#include "base/macros.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/doctor.h"
#include "zones/domain/edit.h"
#include "zones/domain/zone.h"

#include <stdatomic.h>
#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

enum { THREADS = 4, ZONES = 6 };

static void put_line(void *state, const struct doctor_row *row)
{
	doctor_row_text(row, state);
}

/* --- Ways to ask ----------------------------------------------------------------------------- */

struct asking {
	doctor_ask *ask;
	void *asked;
	size_t count;
	atomic_size_t next;
};

static void *ask_some(void *state)
{
	struct asking *asking = state;
	size_t number;

	while ((number = atomic_fetch_add(&asking->next, 1)) < asking->count)
		asking->ask(asking->asked, number);
	return NULL;
}

static void by_threads(void *state, size_t count, doctor_ask *ask, void *asked)
{
	struct asking asking = {.ask = ask, .asked = asked, .count = count};
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_some, &asking), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void by_nobody(void *state, size_t count, doctor_ask *ask, void *asked)
{
	(void)state, (void)ask, (void)asked;
	assert_true(count > ZONES);
}

/* The last first, each twice, and one that is not there. */
static void backwards(void *state, size_t count, doctor_ask *ask, void *asked)
{
	(void)state;
	for (size_t i = count + 1; i > 0; i--)
		ask(asked, i), ask(asked, i - 1);
}

/* All rows as text. */
static void look(struct zones_fixture *f, doctor_ask_all *run, bool all, struct buffer *ret_text)
{
	const struct doctor_request request = {
		.all_zones = all, .put = put_line, .run = run, .state = ret_text};

	buffer_truncate(ret_text, 0);
	zones_reopen(f); /* no lease, nothing known of any key */
	assert_int_equal(zones_doctor_rows(f->zones, &request), ZONE_OK);
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void make_tree(struct zones_fixture *f)
{
	AUTO(entry_releasep) struct entry *a = make_root_key(f, "alias/a");
	AUTO(entry_releasep) struct entry *b = NULL;

	for (int i = 0; i < ZONES; i++) {
		struct entry *zone = NULL;
		char label[32];

		snprintf(label, sizeof(label), "zone%d", i);
		struct entry_names names = names_of(label);

		assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone),
				 ZONE_OK);
		if (i == ZONES - 1)
			assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
		entry_release(zone);
	}
	b = make_root_key(f, "alias/b"); /* of two, none is the one for a zone without a cluster */
}

static void the_rows_are_the_same_whoever_asks(void **state)
{
	static doctor_ask_all *const ways[] = {by_threads, by_nobody, backwards};
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer alone = {0}, text = {0};

	make_tree(f);
	for (int broken = 0; broken < 2; broken++) {
		for (int all = 0; all < 2; all++) {
			look(f, NULL, all != 0, &alone);
			assert_non_null(strstr(buffer_text(&alone), "root key b"));
			assert_non_null(strstr(buffer_text(&alone), "awaits deletion"));
			for (size_t i = 0; i < COUNT_OF(ways); i++) {
				look(f, ways[i], all != 0, &text);
				assert_string_equal(buffer_text(&text), buffer_text(&alone));
			}
		}
		fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	}
	/* A root key's fault is told once, whichever of its zones was asked first. */
	assert_non_null(strstr(buffer_text(&text), "root key a (" ROOT_A ", us-west-2): FAILED"));
	assert_null(strstr(buffer_text(&text), "zone zone0"));
	assert_non_null(strstr(buffer_text(&text), "5 can't be opened for that"));
	look(f, by_threads, false, &text);
	assert_non_null(strstr(buffer_text(&text), "5 can't be opened for that"));
}

static void each_is_asked_once(void **state)
{
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer text = {0};
	unsigned before, alone;

	make_tree(f);
	before = fake_kms_calls(&f->aws, FAKE_DECRYPT);
	look(f, NULL, true, &text);
	alone = fake_kms_calls(&f->aws, FAKE_DECRYPT) - before;
	assert_true(alone >= 2 + ZONES - 1);
	before += alone;
	look(f, backwards, true, &text);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_DECRYPT) - before, alone);
}

/* A call of the KMS waits until another is under way: one after the other would never end. */
struct meeting {
	pthread_mutex_t lock;
	pthread_cond_t met;
	unsigned here;
};

static void meet(void *state, enum fake_kms_call call)
{
	struct meeting *meeting = state;

	if (call != FAKE_DECRYPT)
		return;
	pthread_mutex_lock(&meeting->lock);
	meeting->here++;
	pthread_cond_broadcast(&meeting->met);
	while (meeting->here < 2)
		pthread_cond_wait(&meeting->met, &meeting->lock);
	pthread_mutex_unlock(&meeting->lock);
}

static void two_root_keys_are_asked_about_at_once(void **state)
{
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer text = {0};
	struct meeting meeting = {.here = 0};

	make_tree(f);
	pthread_mutex_init(&meeting.lock, NULL);
	pthread_cond_init(&meeting.met, NULL);
	f->aws.on_call_state = &meeting;
	f->aws.on_call = meet;
	look(f, by_threads, false, &text);
	f->aws.on_call = NULL;
	assert_true(meeting.here >= 2);
	assert_null(strstr(buffer_text(&text), "FAILED"));
	pthread_cond_destroy(&meeting.met);
	pthread_mutex_destroy(&meeting.lock);
}

#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONES_TEST(the_rows_are_the_same_whoever_asks),
		ZONES_TEST(each_is_asked_once),
		ZONES_TEST(two_root_keys_are_asked_about_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
