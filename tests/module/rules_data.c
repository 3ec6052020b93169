/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Data and certificates: what the token has of them is encrypted by a zone, reading it is a use of
 * the zone, and none of it is a key. */
#include "rules.h"

enum { GREATEST = 65536 };

static CK_BYTE large[GREATEST + 1];

/* The value is borrowed. */
static struct template *with_value(struct template *t, const void *value, CK_ULONG len)
{
	t->rows[t->count++] = (CK_ATTRIBUTE){CKA_VALUE, (void *)(uintptr_t)value, len};
	return t;
}

static struct template *in_zone(struct template *t, CK_SESSION_HANDLE session,
				CK_OBJECT_HANDLE zone)
{
	CK_BYTE id[8];

	assert_int_equal(attribute_bytes(session, zone, CKA_CMEK_ZONE, id, 8), 8);
	return with(with_bool(t, CKA_TOKEN, true), CKA_CMEK_ZONE, id, 8);
}

static struct template *data_template(const char *label)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_DATA);

	return with_text(with_text(t, CKA_LABEL, label), CKA_APPLICATION, "a program");
}

static struct template *certificate_template(const char *label)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_CERTIFICATE);

	with_number(with_text(t, CKA_LABEL, label), CKA_CERTIFICATE_TYPE, CKC_X_509);
	with(with(t, CKA_SUBJECT, "the subject", 11), CKA_ISSUER, "the issuer", 10);
	return with(with(t, CKA_SERIAL_NUMBER, "\2\1\7", 3), CKA_ID, "id", 2);
}

static CK_RV create(CK_SESSION_HANDLE session, struct template *t, CK_OBJECT_HANDLE *ret_object)
{
	return p11->C_CreateObject(session, t->rows, t->count, ret_object);
}

static CK_RV set(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, struct template *t)
{
	return p11->C_SetAttributeValue(session, object, t->rows, t->count);
}

static CK_OBJECT_HANDLE kept(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, const char *label,
			     const char *value)
{
	struct template *t = with_value(data_template(label), value, strlen(value));
	CK_OBJECT_HANDLE data;

	check(create(session, in_zone(t, session, zone), &data));
	return data;
}

static CK_RV read_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_BYTE *value,
			CK_ULONG *len)
{
	CK_ATTRIBUTE row = {CKA_VALUE, value, *len};
	CK_RV rv = p11->C_GetAttributeValue(session, object, &row, 1);

	*len = row.ulValueLen;
	return rv;
}

static void reads(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const void *value,
		  CK_ULONG len)
{
	static CK_BYTE read[GREATEST];
	CK_ULONG read_len = sizeof(read);

	check(read_value(session, object, read, &read_len));
	assert_int_equal(read_len, len);
	assert_memory_equal(read, value, len);
}

static CK_ULONG stored_form(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_BYTE *blob,
			    CK_ULONG size)
{
	CK_ULONG len = attribute_bytes(session, object, CKA_CMEK_ENCRYPTED_KEY, blob, size);

	assert_memory_equal(blob, "CTDA\1\0\0\0", 8);
	return len;
}

static bool has_text(const CK_BYTE *blob, CK_ULONG len, const char *text)
{
	return memmem(blob, len, text, strlen(text)) != NULL;
}

static CK_SESSION_HANDLE begin_anew(void **state)
{
	check(p11->C_Finalize(NULL));
	check(initialize());
	*state = (void *)session_new();
	return (CK_SESSION_HANDLE)*state;
}

static CK_OBJECT_HANDLE found(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, const char *label)
{
	return object_find(session, with_text(with_number(template_new(), CKA_CLASS, class),
					      CKA_LABEL, label));
}

/* --- Data */

static void data_of_the_token_is_encrypted_by_its_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), data;
	CK_BYTE blob[256], id[8], other[8];
	struct template *t = with_value(data_template("password"), "correct horse", 13);

	check(create(session, in_zone(with(t, CKA_OBJECT_ID, "\6\1\52", 3), session, zone), &data));
	assert_int_equal(stored_form(session, data, blob, sizeof(blob)), 13 + 64);
	assert_false(has_text(blob, 13 + 64, "horse"));
	attribute_bytes(session, zone, CKA_CMEK_ZONE, id, 8);
	session = begin_anew(state);
	data = found(session, CKO_DATA, "password");
	reads(session, data, "correct horse", 13);
	assert_int_equal(attribute_bytes(session, data, CKA_CMEK_ZONE, other, 8), 8);
	assert_memory_equal(id, other, 8);
	assert_int_equal(attribute_bytes(session, data, CKA_APPLICATION, blob, 255), 9);
	assert_memory_equal(blob, "a program", 9);
	assert_int_equal(attribute_bytes(session, data, CKA_OBJECT_ID, blob, 255), 3);
	assert_int_equal(attribute_number(session, data, CKA_CLASS), CKO_DATA);
	assert_true(attribute_bool(session, data, CKA_TOKEN));
}

static void data_goes_where_its_label_says(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = zone_generate(session, "default/configs"), data;
	CK_BYTE id[8], other[8];
	struct template *t = with_value(data_template("default/configs/app"), "x", 1);

	check(create(session, with_bool(t, CKA_TOKEN, true), &data));
	attribute_bytes(session, zone, CKA_CMEK_ZONE, id, 8);
	attribute_bytes(session, data, CKA_CMEK_ZONE, other, 8);
	assert_memory_equal(id, other, 8);
	t = with_value(data_template("default/nowhere/app"), "x", 1);
	fails_for(CMEK_ERROR_NOT_FOUND, session,
		  create(session, with_bool(t, CKA_TOKEN, true), &data));
}

static void data_has_64_KiB_at_most_and_may_be_empty(void **state)
{
	static const CK_ULONG lengths[] = {0, 1, 512, 513, 4097, GREATEST};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), data;

	for (CK_ULONG i = 0; i < sizeof(large); i++)
		large[i] = (CK_BYTE)(i * 7 + i / 256);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		CK_ULONG len = lengths[i];

		check(create(session, with_value(data_template("session"), large, len), &data));
		reads(session, data, large, len);
		check(create(session,
			     in_zone(with_value(data_template("token"), large, len), session, zone),
			     &data));
		reads(session, data, large, len);
		check(p11->C_DestroyObject(session, data));
	}
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		create(session, with_value(data_template("long"), large, GREATEST + 1), &data));
	check(create(session, data_template("none"), &data));
	reads(session, data, "", 0);
}

static void a_search_by_value_opens_no_data(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE data = kept(session, some_zone(session), "sought", "sought on the token");

	reads(session, data, "sought on the token", 19);
	assert_int_equal(
		objects_count(session, with_value(template_new(), "sought on the token", 19)), 0);
	assert_int_equal(objects_count(session, with_text(with_value(template_new(), "", 0),
							  CKA_LABEL, "sought")),
			 0);
	check(create(session, with_value(data_template("mine"), "sought in the session", 21),
		     &data));
	assert_int_equal(
		object_find(session, with_value(template_new(), "sought in the session", 21)),
		data);
}

static void a_search_for_one_class_finds_no_other(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), certificate;
	struct template *t = with_value(certificate_template("classes"), "der", 3);
	const CK_OBJECT_CLASS classes[] = {CKO_DATA, CKO_CERTIFICATE, CKO_SECRET_KEY};

	kept(session, zone, "classes", "x");
	check(create(session, in_zone(t, session, zone), &certificate));
	t = with_text(aes_template(), CKA_LABEL, "classes");
	key_generate(session, in_zone(with_number(t, CKA_VALUE_LEN, 32), session, zone));
	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
		assert_int_equal(
			attribute_number(session, found(session, classes[i], "classes"), CKA_CLASS),
			classes[i]);
	assert_int_equal(objects_count(session, with_text(template_new(), CKA_LABEL, "classes")),
			 3);
}

static void a_new_value_is_encrypted_anew(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE data = kept(session, some_zone(session), "changing", "one");
	CK_BYTE before[256], after[256];
	CK_ULONG len = stored_form(session, data, before, sizeof(before));

	check(set(session, data, with_text(template_new(), CKA_LABEL, "changed")));
	assert_int_equal(stored_form(session, data, after, sizeof(after)), len);
	assert_memory_equal(before, after, len);
	check(set(session, data, with_value(template_new(), "another", 7)));
	assert_int_equal(stored_form(session, data, after, sizeof(after)), 7 + 64);
	reads(session, data, "another", 7);
	check(set(session, data, with_text(template_new(), CKA_APPLICATION, "others")));
	session = begin_anew(state);
	data = found(session, CKO_DATA, "changed");
	reads(session, data, "another", 7);
	assert_int_equal(attribute_bytes(session, data, CKA_APPLICATION, before, 255), 6);
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		set(session, data, with_value(template_new(), large, GREATEST + 1)));
	reads(session, data, "another", 7);
}

static void a_new_value_of_a_session_object_replaces_the_old_one(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE data;

	check(create(session, with_value(data_template("mine"), "one", 3), &data));
	check(set(session, data, with_value(template_new(), "", 0)));
	reads(session, data, "", 0);
	check(set(session, data, with_value(template_new(), "another", 7)));
	reads(session, data, "another", 7);
}

static void only_data_gets_another_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_value(certificate_template("fixed"), "der", 3);
	CK_OBJECT_HANDLE certificate, data;

	check(create(session, t, &certificate));
	answers(CKR_ATTRIBUTE_READ_ONLY,
		set(session, certificate, with_value(template_new(), "other", 5)));
	answers(CKR_ATTRIBUTE_READ_ONLY,
		set(session, known_key(session), with_value(template_new(), known_value, 32)));
	answers(CKR_ATTRIBUTE_READ_ONLY,
		set(session, some_zone(session), with_value(template_new(), known_value, 32)));
	t = with_bool(with_value(data_template("fixed"), "x", 1), CKA_MODIFIABLE, false);
	check(create(session, t, &data));
	answers(CKR_ACTION_PROHIBITED, set(session, data, with_value(template_new(), "y", 1)));
}

static void data_is_copied_within_its_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), copy, again;
	CK_OBJECT_HANDLE data = kept(session, zone, "original", "to be copied");
	struct template *t = with_bool(template_new(), CKA_TOKEN, false);
	CK_BYTE id[8], other[8];

	attribute_bytes(session, zone, CKA_CMEK_ZONE, id, 8);
	check(p11->C_CopyObject(session, data, t->rows, t->count, &copy));
	reads(session, copy, "to be copied", 12);
	assert_int_equal(attribute_bytes(session, copy, CKA_CMEK_ZONE, other, 8), 8);
	assert_memory_equal(id, other, 8);
	t = with_text(with_bool(template_new(), CKA_TOKEN, true), CKA_LABEL, "copy");
	check(p11->C_CopyObject(session, copy, t->rows, t->count, &again));
	check(p11->C_DestroyObject(session, data));
	session = begin_anew(state);
	reads(session, found(session, CKO_DATA, "copy"), "to be copied", 12);
	t = with_bool(template_new(), CKA_ENCRYPT, true);
	answers(CKR_ATTRIBUTE_TYPE_INVALID,
		p11->C_CopyObject(session, found(session, CKO_DATA, "copy"), t->rows, t->count,
				  &again));
}

static void data_that_is_destroyed_is_gone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE data = kept(session, some_zone(session), "short-lived", "x");
	CK_ULONG len = 0;

	check(p11->C_DestroyObject(session, data));
	answers(CKR_OBJECT_HANDLE_INVALID, read_value(session, data, NULL, &len));
	assert_int_equal(
		objects_count(session, with_text(template_new(), CKA_LABEL, "short-lived")), 0);
}

static void data_is_no_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE data = kept(session, some_zone(session), "no-key", "0123456789abcdef");
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped);
	CK_OBJECT_HANDLE made;

	answers(CKR_KEY_HANDLE_INVALID, p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), data));
	answers(CKR_KEY_HANDLE_INVALID, wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP),
						some_zone(session), data, wrapped, &len));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	answers(CKR_KEY_INDIGESTIBLE, p11->C_DigestKey(session, data));
	answers(CKR_ATTRIBUTE_TYPE_INVALID,
		create(session, with_bool(data_template("x"), CKA_ENCRYPT, true), &made));
	answers(CKR_ATTRIBUTE_TYPE_INVALID,
		create(session, with_number(data_template("x"), CKA_KEY_TYPE, CKK_AES), &made));
	answers(CKR_ATTRIBUTE_TYPE_INVALID,
		create(session,
		       with_text(with(aes_template(), CKA_VALUE, known_value, 32), CKA_APPLICATION,
				 "x"),
		       &made));
}

static void no_mechanism_opens_stored_data(void **state)
{
	static const char *const magics[] = {"CTDA", "CTKN", "CDEK"};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), opened;
	CK_OBJECT_HANDLE data = kept(session, zone, "stored", "0123456789abcdef0123456789abcdef");
	CK_BYTE blob[256];
	CK_ULONG len = stored_form(session, data, blob, sizeof(blob));

	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
		memcpy(blob, magics[i], 4);
		answers(CKR_WRAPPED_KEY_INVALID,
			unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, blob, len, &opened));
	}
}

static void the_size_of_data_counts_its_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	CK_OBJECT_HANDLE a = kept(session, zone, "size-1", "x"),
			 b = kept(session, zone, "size-2", "");
	CK_ULONG one, none;

	check(p11->C_GetObjectSize(session, a, &one));
	check(p11->C_GetObjectSize(session, b, &none));
	/* The value, and the form in which it is stored. */
	assert_int_equal(one, none + 2);
}

static void a_session_that_only_reads_makes_data_of_its_own(void **state)
{
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE data;

	(void)state;
	check(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
	check(create(session, with_value(data_template("mine"), "x", 1), &data));
	answers(CKR_SESSION_READ_ONLY,
		create(session, with_bool(data_template("token"), CKA_TOKEN, true), &data));
	check(p11->C_CloseSession(session));
}

static void data_moves_to_the_newest_version_of_its_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	CK_OBJECT_HANDLE data = kept(session, zone, "rotated", "as before");

	check(set(session, zone, with_number(template_new(), CKA_CMEK_VERSION, 2)));
	reads(session, data, "as before", 9);
	assert_int_equal(attribute_number(session, data, CKA_CMEK_WRAP_VERSION), 1);
	check(set(session, data, with_number(template_new(), CKA_CMEK_WRAP_VERSION, 2)));
	assert_int_equal(attribute_number(session, data, CKA_CMEK_WRAP_VERSION), 2);
	reads(session, data, "as before", 9);
}

/* --- Certificates */

static void a_certificate_is_kept_with_what_its_maker_says(void **state)
{
	static const struct {
		CK_ATTRIBUTE_TYPE type;
		const char *value;
		CK_ULONG len;
	} said[] = {{CKA_SUBJECT, "the subject", 11},
		    {CKA_ISSUER, "the issuer", 10},
		    {CKA_SERIAL_NUMBER, "\2\1\7", 3},
		    {CKA_ID, "id", 2},
		    {CKA_URL, "", 0}};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_value(certificate_template("certificate"), "der", 3);
	CK_OBJECT_HANDLE certificate;
	CK_BYTE read[64];

	check(create(session, in_zone(t, session, some_zone(session)), &certificate));
	session = begin_anew(state);
	certificate = found(session, CKO_CERTIFICATE, "certificate");
	reads(session, certificate, "der", 3);
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++) {
		assert_int_equal(attribute_bytes(session, certificate, said[i].type, read, 64),
				 said[i].len);
		assert_memory_equal(read, said[i].value, said[i].len);
	}
	assert_int_equal(attribute_number(session, certificate, CKA_CERTIFICATE_TYPE), CKC_X_509);
	assert_int_equal(attribute_number(session, certificate, CKA_CERTIFICATE_CATEGORY), 0);
	assert_int_equal(attribute_number(session, certificate, CKA_NAME_HASH_ALGORITHM),
			 CKM_SHA_1);
	assert_false(attribute_bool(session, certificate, CKA_TRUSTED));
	assert_false(attribute_bool(session, certificate, CKA_PRIVATE));
	check(set(session, certificate, with(template_new(), CKA_SERIAL_NUMBER, "\2\1\10", 3)));
	answers(CKR_ATTRIBUTE_READ_ONLY,
		set(session, certificate, with(template_new(), CKA_SUBJECT, "other", 5)));
	reads(session, certificate, "der", 3);
}

static void a_certificate_needs_type_subject_and_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_CERTIFICATE);
	CK_OBJECT_HANDLE made;

	answers(CKR_TEMPLATE_INCOMPLETE, create(session, with_value(t, "der", 3), &made));
	with_number(t, CKA_CERTIFICATE_TYPE, CKC_X_509);
	answers(CKR_TEMPLATE_INCOMPLETE, create(session, t, &made));
	check(create(session, with(t, CKA_SUBJECT, "s", 1), &made));
	answers(CKR_TEMPLATE_INCOMPLETE, create(session, certificate_template("no value"), &made));
	t = with_text(certificate_template("elsewhere"), CKA_URL, "https://example.com/c");
	with(t, CKA_HASH_OF_SUBJECT_PUBLIC_KEY, known_value, 20);
	with(t, CKA_HASH_OF_ISSUER_PUBLIC_KEY, known_value, 20);
	check(create(session, t, &made));
	t = with_number(template_new(), CKA_CLASS, CKO_CERTIFICATE);
	with_value(with(t, CKA_SUBJECT, "s", 1), "der", 3);
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		create(session, with_number(t, CKA_CERTIFICATE_TYPE, CKC_X_509_ATTR_CERT), &made));
}

int rules_data(void)
{
	const struct CMUnitTest tests[] = {
		in_session(data_of_the_token_is_encrypted_by_its_zone),
		in_session(data_goes_where_its_label_says),
		in_session(data_has_64_KiB_at_most_and_may_be_empty),
		in_session(a_search_by_value_opens_no_data),
		in_session(a_search_for_one_class_finds_no_other),
		in_session(a_new_value_is_encrypted_anew),
		in_session(a_new_value_of_a_session_object_replaces_the_old_one),
		in_session(only_data_gets_another_value),
		in_session(data_is_copied_within_its_zone),
		in_session(data_that_is_destroyed_is_gone),
		in_session(data_is_no_key),
		in_session(no_mechanism_opens_stored_data),
		in_session(the_size_of_data_counts_its_value),
		in_session(a_session_that_only_reads_makes_data_of_its_own),
		in_session(data_moves_to_the_newest_version_of_its_zone),
		in_session(a_certificate_is_kept_with_what_its_maker_says),
		in_session(a_certificate_needs_type_subject_and_value),
	};

	return run_group("data", tests, token_setup, token_teardown);
}
