/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The table of mechanisms keeps its own rules. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "mechanisms/mechanism.h"
#include "mechanisms/wrapping.h"
#include "tests/support/unit.h"

static const CK_FLAGS crypts = CKF_ENCRYPT | CKF_DECRYPT, wraps = CKF_WRAP | CKF_UNWRAP;

static void no_mechanism_stands_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < mechanism_count(); i++)
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(mechanism_at(i)->type, mechanism_at(j)->type);
}

static void each_is_found_by_its_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < mechanism_count(); i++)
		assert_ptr_equal(mechanism_find(mechanism_at(i)->type), mechanism_at(i));
	assert_null(mechanism_find(CKM_RSA_PKCS));
	assert_null(mechanism_find(CKM_VENDOR_DEFINED));
}

/* Java disables a mechanism that does one half only; it knows none of ours. */
static void what_goes_one_way_goes_the_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < mechanism_count(); i++) {
		CK_FLAGS flags = mechanism_at(i)->flags;

		assert_true((flags & crypts) == 0 || (flags & crypts) == crypts ||
			    mechanism_at(i)->type == CKM_CMEK_CHUNK);
		assert_true((flags & wraps) == 0 || (flags & wraps) == wraps);
		assert_int_not_equal(flags, 0);
	}
}

static bool uses_a_key(const struct mechanism *mechanism)
{
	return (mechanism->flags & (crypts | wraps | CKF_DERIVE | CKF_SIGN | CKF_VERIFY)) != 0;
}

static void only_what_uses_a_key_says_which(void **state)
{
	(void)state;
	for (size_t i = 0; i < mechanism_count(); i++)
		assert_int_equal(uses_a_key(mechanism_at(i)), mechanism_at(i)->key_kinds != 0);
}

/* An EZK itself encrypts nothing, and a wrapped key is not opened by C_Decrypt. */
static void on_zones_wrapping_has_another_key_than_encrypting(void **state)
{
	(void)state;
	for (size_t i = 0; i < mechanism_count(); i++) {
		const struct mechanism *mechanism = mechanism_at(i);

		if (!(mechanism->key_kinds & KEY_KIND_ZONE))
			continue;
		if (mechanism->flags & crypts)
			assert_int_equal(mechanism->encrypt_purpose, EZK_DATA);
		if ((mechanism->flags & wraps) && !mechanism->does->wrap->checks_nothing)
			assert_int_not_equal(mechanism->wrap_purpose, EZK_DATA);
	}
}

static void each_way_of_wrapping_has_a_key_of_its_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < mechanism_count(); i++)
		for (size_t j = 0; j < i; j++) {
			const struct mechanism *one = mechanism_at(i), *two = mechanism_at(j);

			if (!(one->flags & two->flags & wraps) || one->does == two->does ||
			    !(one->key_kinds & two->key_kinds & KEY_KIND_ZONE) ||
			    one->does->wrap->checks_nothing || two->does->wrap->checks_nothing)
				continue;
			assert_int_not_equal(one->wrap_purpose, two->wrap_purpose);
		}
}

static void both_numbers_of_key_wrap_with_padding_are_the_same(void **state)
{
	const struct mechanism *old = mechanism_find(CKM_AES_KEY_WRAP_PAD);
	const struct mechanism *new = mechanism_find(CKM_AES_KEY_WRAP_KWP);

	(void)state;
	assert_ptr_equal(old->does, new->does);
	assert_int_equal(old->wrap_purpose, new->wrap_purpose);
}

static void root_keys_work_by_the_kms_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < mechanism_count(); i++)
		if (mechanism_at(i)->key_kinds & KEY_KIND_ROOT)
			assert_int_equal(mechanism_at(i)->type, CKM_CMEK_KMS);
}

static void a_test_may_hand_in_a_longer_list(void **state)
{
	static struct mechanism list[128];
	size_t count = mechanism_count();

	(void)state;
	assert_true(count < COUNT_OF(list));
	for (size_t i = 0; i < count; i++)
		list[i] = *mechanism_at(i);
	list[count] = *mechanism_find(CKM_AES_ECB);
	list[count].type = CKM_VENDOR_DEFINED;
	mechanisms_use(list, count + 1);
	assert_int_equal(mechanism_count(), count + 1);
	assert_ptr_equal(mechanism_at(count), &list[count]);
	assert_ptr_equal(mechanism_find_for(CKM_VENDOR_DEFINED, CKF_ENCRYPT), &list[count]);
	assert_ptr_equal(mechanism_find(CKM_AES_CCM)->does, &ccm_behaviour);
	mechanisms_use(NULL, 0);
	assert_int_equal(mechanism_count(), count);
	assert_null(mechanism_find(CKM_VENDOR_DEFINED));
}

/* The last one here: this process stays so. */
static void with_fips_only_what_is_approved_is_offered(void **state)
{
	/* clang-format off */
	static const CK_FLAGS tells = CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE;
	const struct {
		CK_MECHANISM_TYPE type;
		CK_FLAGS offered, left_out;
	} uses[] = {
		{ CKM_AES_GCM,          CKF_DECRYPT | wraps | tells, CKF_ENCRYPT },
		{ CKM_AES_CBC_PAD,      CKF_ENCRYPT | CKF_DECRYPT, CKF_WRAP | CKF_UNWRAP },
		{ CKM_AES_CBC,          CKF_ENCRYPT | CKF_DECRYPT, CKF_WRAP | CKF_UNWRAP },
		{ CKM_AES_KEY_WRAP_KWP, crypts | wraps,            0 },
		{ CKM_CMEK_DEK_WRAP,    wraps,                     0 },
		{ CKM_CMEK_CHUNK,       CKF_ENCRYPT,               0 },
		{ CKM_CMEK_MESSAGE,     crypts,                    0 },
		{ CKM_HKDF_DERIVE,      CKF_DERIVE,                0 },
		{ CKM_HKDF_DATA,        CKF_DERIVE,                0 },
		{ CKM_SHA_1,            CKF_DIGEST,                0 },
		{ CKM_SHA256_HMAC,      CKF_SIGN | CKF_VERIFY,     0 },
		{ CKM_AES_CMAC,         CKF_SIGN | CKF_VERIFY,     0 },
		{ CKM_AES_GMAC,         CKF_VERIFY,                CKF_SIGN },
	};
	/* clang-format on */
	/* Those that derive by encrypting have no part that is approved. */
	size_t otherwise = mechanism_count() - 2;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(uses); i++)
		assert_non_null(
			mechanism_find_for(uses[i].type, uses[i].left_out | uses[i].offered));
	assert_int_equal(mechanism_find(CKM_HKDF_DERIVE)->min_key, 1);
	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(true)) {
		print_message("# reason: there is no FIPS provider of OpenSSL here\n");
		skip();
	}
	assert_int_equal(mechanism_count(), otherwise);
	for (size_t i = 0; i < COUNT_OF(uses); i++) {
		const struct mechanism *one = mechanism_find(uses[i].type);

		assert_int_equal(one->flags, uses[i].offered);
		assert_ptr_equal(mechanism_find_for(uses[i].type, uses[i].offered), one);
		assert_true(uses[i].left_out == 0 ||
			    mechanism_find_for(uses[i].type, uses[i].left_out) == NULL);
	}
	assert_int_equal(mechanism_find(CKM_HKDF_DERIVE)->min_key, 14);
	each_is_found_by_its_type(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_mechanism_stands_twice),
		cmocka_unit_test(each_is_found_by_its_type),
		cmocka_unit_test(what_goes_one_way_goes_the_other),
		cmocka_unit_test(only_what_uses_a_key_says_which),
		cmocka_unit_test(on_zones_wrapping_has_another_key_than_encrypting),
		cmocka_unit_test(each_way_of_wrapping_has_a_key_of_its_own),
		cmocka_unit_test(both_numbers_of_key_wrap_with_padding_are_the_same),
		cmocka_unit_test(root_keys_work_by_the_kms_alone),
		cmocka_unit_test(a_test_may_hand_in_a_longer_list),
		cmocka_unit_test(with_fips_only_what_is_approved_is_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
