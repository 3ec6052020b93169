/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PINs and the mark of a move, beside each other in a project's row. */
#include "zones/model/project_extra.h"
#include "base/macros.h"
#include "tests/support/unit.h"
#include "zones/model/moving.h"

static const char pins[] = {'P', 'I', 'N', 9, 0, 3, 1, 2, 3};

static struct entry *project_with(const char *extra, size_t len)
{
	struct entry *project = entry_new(ENTRY_PROJECT);

	assert_non_null(project);
	assert_true(entry_set_bytes(&project->extra, bytes(extra, len)));
	return project;
}

static void a_mark_comes_and_goes_beside_the_pins(void **state)
{
	AUTO(entry_releasep) struct entry *project = project_with(pins, sizeof(pins));
	struct bytes place;

	(void)state;
	assert_int_equal(moving_of(project, &place), MOVING_NOT);
	assert_true(moving_mark(project, MOVING_AWAY, "elsewhere", "its id"));
	assert_int_equal(moving_of(project, &place), MOVING_AWAY);
	assert_true(bytes_are(moving_id_of(project), "its id"));
	assert_bytes(place, bytes_of("elsewhere"));
	assert_bytes(project_extra_pins(project), bytes(pins, sizeof(pins)));
	assert_true(moving_mark(project, MOVING_NOT, NULL, NULL));
	assert_int_equal(moving_of(project, &place), MOVING_NOT);
	assert_bytes(project->extra, bytes(pins, sizeof(pins)));
}

static void a_mark_alone_is_no_pin(void **state)
{
	AUTO(entry_releasep) struct entry *project = project_with("", 0);
	struct bytes place;

	(void)state;
	assert_true(moving_mark(project, MOVING_IN, "elsewhere", ""));
	assert_int_equal(project_extra_pins(project).len, 0);
	assert_int_equal(moving_of(project, &place), MOVING_IN);
}

static void what_is_cut_off_counts_as_pins(void **state)
{
	(void)state;
	for (size_t len = 3; len < sizeof(pins); len++) {
		AUTO(entry_releasep) struct entry *project = project_with(pins, len);

		assert_int_equal(project_extra_pins(project).len, len);
		assert_int_equal(project_extra_mark(project).len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_comes_and_goes_beside_the_pins),
		cmocka_unit_test(a_mark_alone_is_no_pin),
		cmocka_unit_test(what_is_cut_off_counts_as_pins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
