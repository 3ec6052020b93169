/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How many IVs are made for a key, by whom, and for how long that is remembered. */
#include "objects/ivs.h"

#include "tests/support/objects_fixture.h"

static uint8_t zeros[MADE_IV_MAX], iv[MADE_IV_MAX];

static CK_OBJECT_HANDLE create(struct objects_fixture *fixture, bool counts)
{
	static CK_BYTE value[32];
	CK_ATTRIBUTE rows[] = {NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
			       NUMBER_ROW(CKA_KEY_TYPE, CKK_AES),
			       {CKA_VALUE, value, sizeof(value)}};
	AUTO(object_releasep) struct object *object = NULL;
	CK_OBJECT_HANDLE handle = 0;

	assert_int_equal(edit_create(&fixture->editor, rows, 3, &handle), CKR_OK);
	object = objects_find(fixture->objects, 0, handle);
	if (counts)
		object_allow_iv_counter(object);
	return handle;
}

static struct made_ivs *ivs_of(struct objects_fixture *fixture, CK_OBJECT_HANDLE handle)
{
	AUTO(object_releasep) struct object *object = objects_find(fixture->objects, 0, handle);
	struct made_ivs *ivs = NULL;

	assert_int_equal(objects_made_ivs(fixture->objects, object, &ivs), CKR_OK);
	return ivs;
}

static CK_RV take(struct made_ivs *ivs, enum iv_maker maker, size_t len, size_t fixed_bits)
{
	const struct iv_wish wish = {maker, zeros, len, fixed_bits, CKM_AES_GCM};

	return made_ivs_take(ivs, &wish, iv);
}

/* SP 800-38D, section 8.3; and with fewer bits, the same chance. */
static void random_ivs_end_where_two_could_be_the_same(void **state)
{
	static const struct {
		size_t bits;
		uint64_t max;
	} rows[] = {
		{104, UINT64_C(1) << 32}, {96, UINT64_C(1) << 32}, {95, UINT64_C(1) << 31},
		{80, UINT64_C(1) << 24},  {64, UINT64_C(1) << 16},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		CK_OBJECT_HANDLE key = create(*state, false);
		AUTO(made_ivs_releasep) struct made_ivs *ivs = ivs_of(*state, key);

		made_ivs_advance(ivs, rows[i].max - 1, 0);
		assert_int_equal(take(ivs, IV_RANDOM, 13, 104 - rows[i].bits), CKR_OK);
		assert_int_equal(take(ivs, IV_RANDOM, 13, 104 - rows[i].bits), CKR_KEY_EXHAUSTED);
	}
}

/* All random ones count together: those with more bits go on where those with fewer end. */
static void random_ivs_of_all_widths_are_counted_together(void **state)
{
	AUTO(made_ivs_releasep) struct made_ivs *ivs = ivs_of(*state, create(*state, false));

	made_ivs_advance(ivs, UINT64_C(1) << 16, 0);
	assert_int_equal(take(ivs, IV_RANDOM, 12, 32), CKR_KEY_EXHAUSTED);
	assert_int_equal(take(ivs, IV_RANDOM, 12, 0), CKR_OK);
	made_ivs_advance(ivs, UINT64_C(1) << 32, 0);
	assert_int_equal(take(ivs, IV_RANDOM, 12, 0), CKR_KEY_EXHAUSTED);
	assert_int_equal(take(ivs, IV_RANDOM, 7, 0), CKR_MECHANISM_PARAM_INVALID);
}

static void a_counter_ends_with_its_bits(void **state)
{
	static const size_t widths[] = {1, 8, 13, 32, 63};

	for (size_t i = 0; i < COUNT_OF(widths); i++) {
		CK_OBJECT_HANDLE key = create(*state, true);
		AUTO(made_ivs_releasep) struct made_ivs *ivs = ivs_of(*state, key);
		size_t fixed = 96 - widths[i];

		made_ivs_advance(ivs, 0, (UINT64_C(1) << widths[i]) - 1);
		assert_int_equal(take(ivs, IV_COUNTER, 12, fixed), CKR_OK);
		assert_int_equal(iv[11], widths[i] < 8 ? 1 : 0xff);
		assert_int_equal(take(ivs, IV_COUNTER, 12, fixed), CKR_KEY_EXHAUSTED);
		assert_int_equal(take(ivs, IV_RANDOM, 12, 0), CKR_OK);
	}
}

/* What few random bits give may be what the counter gives. */
static void few_random_bits_and_a_counter_exclude_each_other(void **state)
{
	AUTO(made_ivs_releasep) struct made_ivs *counts = ivs_of(*state, create(*state, true));
	AUTO(made_ivs_releasep) struct made_ivs *random = ivs_of(*state, create(*state, true));

	assert_int_equal(take(counts, IV_COUNTER, 12, 32), CKR_OK);
	assert_int_equal(take(counts, IV_RANDOM, 12, 1), CKR_MECHANISM_PARAM_INVALID);
	assert_int_equal(take(counts, IV_RANDOM, 12, 0), CKR_OK);
	assert_int_equal(take(counts, IV_COUNTER, 12, 32), CKR_OK);
	assert_int_equal(take(random, IV_RANDOM, 12, 1), CKR_OK);
	assert_int_equal(take(random, IV_COUNTER, 12, 0), CKR_MECHANISM_PARAM_INVALID);
	assert_int_equal(take(random, IV_COUNTER_XOR, 12, 0), CKR_MECHANISM_PARAM_INVALID);
	assert_int_equal(take(random, IV_RANDOM, 12, 1), CKR_OK);
}

static CK_OBJECT_HANDLE copied(struct objects_fixture *fixture, CK_OBJECT_HANDLE key)
{
	AUTO(object_releasep) struct object *object = objects_find(fixture->objects, 0, key);
	CK_OBJECT_HANDLE copy = 0;

	assert_int_equal(edit_copy(&fixture->editor, object, NULL, 0, &copy), CKR_OK);
	return copy;
}

/* The original may count. */
static void a_copy_needs_enough_random_bits(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE copy = copied(fixture, create(fixture, true));
	AUTO(object_releasep) struct object *object = objects_find(fixture->objects, 0, copy);
	AUTO(made_ivs_releasep) struct made_ivs *ivs = NULL;

	/* Also once it has changed. */
	assert_int_equal(edit_change(&fixture->editor, object,
				     &(CK_ATTRIBUTE){CKA_LABEL, (CK_BYTE[]){'x'}, 1}, 1,
				     &(bool){0}),
			 CKR_OK);
	ivs = ivs_of(fixture, copy);
	assert_int_equal(take(ivs, IV_RANDOM, 13, 9), CKR_MECHANISM_PARAM_INVALID);
	assert_int_equal(take(ivs, IV_RANDOM, 13, 8), CKR_OK);
	assert_int_equal(take(ivs, IV_COUNTER, 13, 0), CKR_MECHANISM_PARAM_INVALID);
}

/* The block GCM begins with could be one of CCM's, though the IVs differ. */
static void a_counter_keeps_its_mechanism(void **state)
{
	static const CK_MECHANISM_TYPE types[] = {CKM_AES_GCM, CKM_AES_CCM};

	for (size_t i = 0; i < 2; i++) {
		AUTO(made_ivs_releasep)
		struct made_ivs *ivs = ivs_of(*state, create(*state, true));
		const struct iv_wish first = {IV_COUNTER, zeros, 12, 32, types[i]};
		const struct iv_wish other = {IV_COUNTER, zeros, 12, 32, types[1 - i]};

		assert_int_equal(made_ivs_take(ivs, &first, iv), CKR_OK);
		assert_int_equal(made_ivs_take(ivs, &other, iv), CKR_MECHANISM_PARAM_INVALID);
		assert_int_equal(made_ivs_take(ivs, &first, iv), CKR_OK);
		assert_int_equal(iv[11], 1);
	}
}

/* No more can be counted, though the field has room. */
static void a_wide_counter_ends_too(void **state)
{
	AUTO(made_ivs_releasep) struct made_ivs *ivs = ivs_of(*state, create(*state, true));

	made_ivs_advance(ivs, 0, UINT64_MAX - 1);
	assert_int_equal(take(ivs, IV_COUNTER, 13, 0), CKR_OK);
	assert_int_equal(take(ivs, IV_COUNTER, 13, 0), CKR_KEY_EXHAUSTED);
}

static void a_count_lives_as_long_as_its_handle(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE key = create(fixture, true);
	AUTO(object_releasep) struct object *object = objects_find(fixture->objects, 0, key);
	AUTO(made_ivs_releasep) struct made_ivs *ivs = ivs_of(fixture, key), *again = NULL;

	assert_int_equal(take(ivs, IV_COUNTER, 12, 0), CKR_OK);
	assert_int_equal(edit_change(&fixture->editor, object,
				     &(CK_ATTRIBUTE){CKA_LABEL, (CK_BYTE[]){'x'}, 1}, 1,
				     &(bool){0}),
			 CKR_OK);
	again = ivs_of(fixture, key);
	assert_ptr_equal(again, ivs);
	assert_int_equal(take(again, IV_COUNTER, 12, 0), CKR_OK);
	assert_int_equal(iv[11], 1);
	objects_remove(fixture->objects, key, NULL);
	made_ivs_release(TAKE(again));
	assert_int_equal(objects_made_ivs(fixture->objects, object, &again),
			 CKR_KEY_HANDLE_INVALID);
	/* Whoever has it still may work on. */
	assert_int_equal(take(ivs, IV_COUNTER, 12, 0), CKR_OK);
	made_ivs_release(NULL);
}

static void a_count_goes_with_its_session(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE key = create(fixture, true);
	AUTO(object_releasep) struct object *object = objects_find(fixture->objects, 0, key);
	AUTO(made_ivs_releasep) struct made_ivs *ivs = ivs_of(fixture, key), *again = NULL;

	objects_remove_session(fixture->objects, FIXTURE_SESSION);
	assert_int_equal(objects_made_ivs(fixture->objects, object, &again),
			 CKR_KEY_HANDLE_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_ivs_end_where_two_could_be_the_same),
		cmocka_unit_test(random_ivs_of_all_widths_are_counted_together),
		cmocka_unit_test(a_counter_ends_with_its_bits),
		cmocka_unit_test(few_random_bits_and_a_counter_exclude_each_other),
		cmocka_unit_test(a_copy_needs_enough_random_bits),
		cmocka_unit_test(a_counter_keeps_its_mechanism),
		cmocka_unit_test(a_wide_counter_ends_too),
		cmocka_unit_test(a_count_lives_as_long_as_its_handle),
		cmocka_unit_test(a_count_goes_with_its_session),
	};

	return cmocka_run_group_tests(tests, objects_fixture_setup, objects_fixture_teardown);
}
