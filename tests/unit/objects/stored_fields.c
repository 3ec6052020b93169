/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the store keeps of an object besides its names: written, read, and read by an older or newer
 * release. */
#include "base/macros.h"
#include "objects/stored_fields.h"
#include "tests/support/unit.h"

static const CK_MECHANISM_TYPE mechanisms[] = {CKM_AES_GCM, CKM_AES_KEY_WRAP_KWP};

static struct object full(void)
{
	return (struct object){
		.flags = OBJECT_TOKEN | OBJECT_SENSITIVE | OBJECT_LOCAL,
		.generated_by = CKM_AES_KEY_GEN,
		.start_date = bytes_of("20260101"),
		.end_date = bytes_of("20271231"),
		.allowed_mechanisms = bytes(mechanisms, sizeof(mechanisms)),
		.wrap_template = bytes_of("wrap"),
		.unwrap_template = bytes_of("unwrap"),
		.kms_key = bytes_of("alias/root"),
	};
}

static void what_is_written_is_read(void **state)
{
	struct object object = full(), read = {.label = bytes_of("kept")};
	struct buffer extra = {0}, scratch = {0};

	(void)state;
	stored_fields_write(&object, &extra);
	assert_true(stored_fields_read(buffer_bytes(&extra), &read, &scratch));
	assert_int_equal(read.flags, object.flags);
	assert_int_equal(read.generated_by, CKM_AES_KEY_GEN);
	assert_bytes(read.start_date, object.start_date);
	assert_bytes(read.end_date, object.end_date);
	assert_bytes(read.allowed_mechanisms, object.allowed_mechanisms);
	assert_bytes(read.wrap_template, object.wrap_template);
	assert_bytes(read.unwrap_template, object.unwrap_template);
	assert_bytes(read.kms_key, object.kms_key);
	assert_bytes(read.label, bytes_of("kept"));
	buffer_clear(&extra);
	buffer_clear(&scratch);
}

static struct object certificate(void)
{
	return (struct object){
		.kind = OBJECT_CERTIFICATE,
		.flags = OBJECT_TOKEN | OBJECT_TRUSTED,
		.more =
			{
				.certificate_type = CKC_X_509,
				.certificate_category = 2,
				.java_domain = 1,
				.name_hash = CKM_SHA_1,
				.application = bytes_of("a program"),
				.object_id = bytes_of("oid"),
				.subject = bytes_of("subject"),
				.issuer = bytes_of("issuer"),
				.serial_number = bytes_of("number"),
				.url = bytes_of("https://"),
				.subject_key_hash = bytes_of("one"),
				.issuer_key_hash = bytes_of("two"),
				.public_key_info = bytes_of("key"),
			},
	};
}

static void what_describes_data_is_read(void **state)
{
	struct object object = certificate(), read = {.kind = OBJECT_DATA};
	struct buffer extra = {0}, scratch = {0};

	(void)state;
	stored_fields_write(&object, &extra);
	assert_true(stored_fields_read(buffer_bytes(&extra), &read, &scratch));
	assert_int_equal(read.kind, OBJECT_CERTIFICATE);
	assert_int_equal(read.more.certificate_category, 2);
	assert_int_equal(read.more.java_domain, 1);
	assert_int_equal(read.more.name_hash, CKM_SHA_1);
	assert_bytes(read.more.application, object.more.application);
	assert_bytes(read.more.object_id, object.more.object_id);
	assert_bytes(read.more.subject, object.more.subject);
	assert_bytes(read.more.issuer, object.more.issuer);
	assert_bytes(read.more.serial_number, object.more.serial_number);
	assert_bytes(read.more.url, object.more.url);
	assert_bytes(read.more.subject_key_hash, object.more.subject_key_hash);
	assert_bytes(read.more.issuer_key_hash, object.more.issuer_key_hash);
	assert_bytes(read.more.public_key_info, object.more.public_key_info);
	/* What is wrapped as a key stays one, whatever follows. */
	read = (struct object){.kind = OBJECT_KEY};
	assert_true(stored_fields_read(buffer_bytes(&extra), &read, &scratch));
	assert_int_equal(read.kind, OBJECT_KEY);
	assert_int_equal(read.more.subject.len, 0);
	buffer_clear(&extra);
	buffer_clear(&scratch);
}

static void a_key_has_a_derive_template_behind_the_others(void **state)
{
	struct object object = full(), read = {.kind = OBJECT_KEY};
	struct buffer extra = {0}, scratch = {0};
	size_t without;

	(void)state;
	stored_fields_write(&object, &extra);
	without = extra.len;
	buffer_truncate(&extra, 0);
	object.derive_template = bytes_of("derive");
	stored_fields_write(&object, &extra);
	assert_int_equal(extra.len, without + 2 + 6);
	assert_true(stored_fields_read(buffer_bytes(&extra), &read, &scratch));
	assert_bytes(read.derive_template, object.derive_template);
	assert_bytes(read.kms_key, object.kms_key);
	buffer_clear(&extra);
	buffer_clear(&scratch);
}

static void the_form_is_the_documented_one(void **state)
{
	const struct object object = {.flags = 0x01020304,
				      .generated_by = CK_UNAVAILABLE_INFORMATION,
				      .allowed_mechanisms = bytes(mechanisms, sizeof(*mechanisms)),
				      .kms_key = bytes_of("k")};
	struct buffer extra = {0}, expected = {0};

	(void)state;
	stored_fields_write(&object, &extra);
	assert_bytes(buffer_bytes(&extra),
		     from_hex(&expected, "0101020304ffffffffffffffff000000000008"
					 "00000000000010870000000000016b"));
	buffer_clear(&extra);
	buffer_clear(&expected);
}

static void what_a_later_release_appends_is_ignored(void **state)
{
	struct object object = full(), read = {0};
	struct buffer extra = {0}, scratch = {0};

	(void)state;
	stored_fields_write(&object, &extra);
	extra.data[0] = 2;
	buffer_put_text(&extra, "more");
	assert_true(stored_fields_read(buffer_bytes(&extra), &read, &scratch));
	assert_int_equal(read.flags, object.flags);
	buffer_clear(&extra);
	buffer_clear(&scratch);
}

static void what_is_cut_short_changes_nothing(void **state)
{
	struct object object = full();
	struct buffer extra = {0}, scratch = {0};

	(void)state;
	stored_fields_write(&object, &extra);
	for (size_t len = 0; len < extra.len; len++) {
		struct object read = {.flags = 7, .generated_by = 9};

		assert_false(stored_fields_read(bytes(extra.data, len), &read, &scratch));
		assert_int_equal(read.flags, 7);
		assert_int_equal(read.generated_by, 9);
		assert_int_equal(read.start_date.len, 0);
	}
	buffer_clear(&extra);
	buffer_clear(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_describes_data_is_read),
		cmocka_unit_test(a_key_has_a_derive_template_behind_the_others),
		cmocka_unit_test(the_form_is_the_documented_one),
		cmocka_unit_test(what_a_later_release_appends_is_ignored),
		cmocka_unit_test(what_is_cut_short_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
