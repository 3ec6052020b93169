/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How messages call a zone, by what the caller knows of it. */
#include "tests/support/unit.h"
#include "zones/model/title.h"

static void a_zone_is_called_by_what_is_known(void **state)
{
	(void)state;
	assert_string_equal(zone_title_as("c/d", "p", 7).text, "zone 'c/d' of project 'p'");
	assert_string_equal(zone_title_as("c/d", NULL, 7).text, "zone 'c/d'");
	assert_string_equal(zone_title_as("", "p", 9007199254740993).text, "zone 9007199254740993");
	assert_string_equal(zone_title_as(NULL, NULL, 7).text, "zone 7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_zone_is_called_by_what_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
