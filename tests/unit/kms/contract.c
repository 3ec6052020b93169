/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every provider promises, asked of each in the same way: of the embedded KMS always; of AWS
 * KMS where CMEK_TEST_KMS_KEYS (two ARNs; or one, then what needs two is left out) says so, at
 * CMEK_TEST_KMS_ENDPOINT or at AWS itself, with the credentials that are found. Where an emulation
 * differs from the real KMS (CMEK_TEST_KMS=moto), the case says how.
 */
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "kms/aws/provider.h"
#include "kms/kms.h"
#include "kms/local/provider.h"
#include "pkcs11/providers.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNKNOWN "00000000-0000-4000-8000-000000000000"

struct party {
	const char *provider;
	struct kms_clients *clients;
	struct kms_settings settings;
	char endpoint[256]; /* or path, of the settings */
	struct kms_client *kms;
	char region[KMS_REGION_MAX + 1];
	char keys[2][KMS_ARN_MAX + 1];	/* ARNs */
	char names[4][KMS_ARN_MAX + 1]; /* of the first key; empty: none */
	char unknown[KMS_ARN_MAX + 1];
	bool is_moto;
};

static struct party local = {.provider = "local", .settings = {.providers = module_providers}},
		    aws = {.provider = "aws", .settings = {.providers = module_providers}};
static char folder[] = "/tmp/cmek-test-XXXXXX";

static struct kms_client *kms_of(void **state)
{
	const struct party *party = *state;

	assert_non_null(party->kms);
	return party->kms;
}

static bool is_moto(void **state)
{
	return ((struct party *)*state)->is_moto;
}

static const char *key_of(void **state, int number)
{
	return ((struct party *)*state)->keys[number];
}

static void need_two_keys(void **state)
{
	if (key_of(state, 1)[0] != 0)
		return;
	print_message("# reason: there is but one key\n");
	skip();
}

static enum kms_status encrypt(struct kms_client *kms, const char *key, struct bytes plaintext,
			       const struct kms_context *context, struct buffer *blob)
{
	return kms->operations->encrypt(kms, key, plaintext, context, NULL, blob);
}

static enum kms_status decrypt(struct kms_client *kms, const char *key, const struct buffer *blob,
			       const struct kms_context *context, struct buffer *plaintext)
{
	return kms->operations->decrypt(kms, key, buffer_bytes(blob), context, NULL, plaintext);
}

static const struct kms_pair abc[] = {{"a", "1"}, {"b", "2"}, {"c", ""}};
static const struct kms_pair cba[] = {{"c", ""}, {"b", "2"}, {"a", "1"}};
static const struct kms_context context_abc = {abc, 3}, context_cba = {cba, 3};

static void every_name_of_a_key_leads_to_its_arn(void **state)
{
	struct kms_client *kms = kms_of(state);
	const struct party *party = *state;

	for (size_t i = 0; i < COUNT_OF(party->names); i++) {
		struct kms_key key;

		if (party->names[i][0] == 0)
			continue;
		assert_int_equal(kms->operations->describe(kms, party->names[i], NULL, &key),
				 KMS_OK);
		assert_string_equal(key.arn, party->keys[0]);
		assert_string_equal(key.provider, party->provider);
		assert_string_equal(key.region, party->region);
		assert_int_equal(key.state, KMS_KEY_ENABLED);
		assert_true(key.encrypts);
		assert_false(key.multi_region);
	}
}

static void every_name_of_a_key_encrypts_and_decrypts(void **state)
{
	struct kms_client *kms = kms_of(state);
	const struct party *party = *state;

	for (size_t i = 0; i < COUNT_OF(party->names); i++) {
		AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};

		if (party->names[i][0] == 0)
			continue;
		assert_int_equal(encrypt(kms, party->names[i], bytes_of("secret"), NULL, &blob),
				 KMS_OK);
		assert_int_equal(decrypt(kms, party->names[i], &blob, NULL, &plaintext), KMS_OK);
		assert_bytes(buffer_bytes(&plaintext), bytes_of("secret"));
	}
}

static void an_unknown_key_is_not_found(void **state)
{
	struct kms_client *kms = kms_of(state);
	const struct party *party = *state;
	AUTO(buffer_clear) struct buffer blob = {0};
	struct kms_report report = {0};
	struct kms_key key;

	assert_int_equal(kms->operations->describe(kms, party->unknown, &report, &key),
			 KMS_NOT_FOUND);
	assert_string_equal(report.error_type, "NotFoundException");
	assert_true(report.message[0] != 0);
	assert_int_equal(encrypt(kms, party->unknown, bytes_of("x"), NULL, &blob), KMS_NOT_FOUND);
	assert_int_equal(blob.len, 0);
}

static void the_order_of_the_context_does_not_matter(void **state)
{
	struct kms_client *kms = kms_of(state);
	AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};

	assert_int_equal(encrypt(kms, key_of(state, 0), bytes_of("x"), &context_abc, &blob),
			 KMS_OK);
	assert_int_equal(decrypt(kms, key_of(state, 0), &blob, &context_cba, &plaintext), KMS_OK);
	assert_bytes(buffer_bytes(&plaintext), bytes_of("x"));
}

static void another_context_does_not_open(void **state)
{
	static const struct kms_pair other[] = {{"a", "1"}, {"b", "3"}, {"c", ""}};
	const struct kms_context contexts[] = {{other, 3}, {abc, 2}, {NULL, 0}};
	struct kms_client *kms = kms_of(state);
	AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};

	assert_int_equal(encrypt(kms, key_of(state, 0), bytes_of("x"), &context_abc, &blob),
			 KMS_OK);
	for (size_t i = 0; i < COUNT_OF(contexts); i++) {
		/* moto binds the texts of the pairs, not their number */
		if (is_moto(state) && contexts[i].count == 2)
			continue;
		assert_int_equal(decrypt(kms, key_of(state, 0), &blob, &contexts[i], &plaintext),
				 KMS_INVALID_CIPHERTEXT);
	}
	assert_int_equal(plaintext.len, 0);
}

static void any_text_may_be_a_context(void **state)
{
	static const struct kms_pair pairs[] = {{"\"quoted\\\n", "\x01\x1f"},
						{"\xc3\xa4", "\xf0\x9f\x94\x91"}};
	const struct kms_context context = {pairs, 2};
	struct kms_client *kms = kms_of(state);
	AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};

	assert_int_equal(encrypt(kms, key_of(state, 0), bytes_of("x"), &context, &blob), KMS_OK);
	assert_int_equal(decrypt(kms, key_of(state, 0), &blob, &context, &plaintext), KMS_OK);
}

static void a_context_that_is_none_is_refused(void **state)
{
	static const struct kms_pair twice[] = {{"a", "1"}, {"a", "1"}}, empty[] = {{"", "1"}},
				     not_text[] = {{"a", "\xff"}}, missing[] = {{"a", NULL}};
	const struct kms_context contexts[] = {{twice, 2}, {empty, 1}, {not_text, 1}, {missing, 1}};
	struct kms_client *kms = kms_of(state);
	AUTO(buffer_clear) struct buffer blob = {0};

	for (size_t i = 0; i < COUNT_OF(contexts); i++)
		assert_int_equal(encrypt(kms, key_of(state, 0), bytes_of("x"), &contexts[i], &blob),
				 KMS_INVALID_REQUEST);
}

static void plaintexts_have_1_to_4096_bytes(void **state)
{
	static const size_t good[] = {1, 32, 4095, 4096}, bad[] = {0, 4097};
	struct kms_client *kms = kms_of(state);
	uint8_t data[4097];

	memset(data, 0xa5, sizeof(data));
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};

		assert_int_equal(encrypt(kms, key_of(state, 0), bytes(data, good[i]), NULL, &blob),
				 KMS_OK);
		assert_in_range(blob.len, good[i], KMS_BLOB_MAX);
		assert_int_equal(decrypt(kms, key_of(state, 0), &blob, NULL, &plaintext), KMS_OK);
		assert_bytes(buffer_bytes(&plaintext), bytes(data, good[i]));
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		AUTO(buffer_clear) struct buffer blob = {0};

		assert_int_equal(encrypt(kms, key_of(state, 0), bytes(data, bad[i]), NULL, &blob),
				 KMS_INVALID_REQUEST);
	}
}

static void another_key_s_ciphertext_does_not_open(void **state)
{
	struct kms_client *kms = kms_of(state);
	AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};

	need_two_keys(state);
	assert_int_equal(encrypt(kms, key_of(state, 0), bytes_of("x"), NULL, &blob), KMS_OK);
	/* moto's word for it is AccessDeniedException */
	assert_int_equal(decrypt(kms, key_of(state, 1), &blob, NULL, &plaintext),
			 is_moto(state) ? KMS_DENIED : KMS_INCORRECT_KEY);
	assert_int_equal(plaintext.len, 0);
}

static void garbage_does_not_open(void **state)
{
	struct kms_client *kms = kms_of(state);
	AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};

	buffer_put_text(&blob, "too short");
	assert_int_equal(decrypt(kms, key_of(state, 0), &blob, NULL, &plaintext),
			 KMS_INVALID_CIPHERTEXT);
	buffer_clear(&blob);
	assert_int_equal(decrypt(kms, key_of(state, 0), &blob, NULL, &plaintext),
			 KMS_INVALID_REQUEST);
}

static void a_data_key_comes_in_both_forms(void **state)
{
	struct kms_client *kms = kms_of(state);
	AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0}, again = {0};

	assert_int_equal(kms->operations->generate_data_key(kms, key_of(state, 0), &context_abc,
							    NULL, &plaintext, &blob),
			 KMS_OK);
	assert_int_equal(plaintext.len, 32);
	assert_int_equal(decrypt(kms, key_of(state, 0), &blob, &context_abc, &again), KMS_OK);
	assert_bytes(buffer_bytes(&plaintext), buffer_bytes(&again));
}

static void re_encryption_moves_key_and_context(void **state)
{
	struct kms_client *kms = kms_of(state);
	AUTO(buffer_clear) struct buffer blob = {0}, moved = {0}, plaintext = {0};

	need_two_keys(state);
	assert_int_equal(encrypt(kms, key_of(state, 0), bytes_of("x"), &context_abc, &blob),
			 KMS_OK);
	assert_int_equal(kms->operations->re_encrypt(kms, key_of(state, 0), buffer_bytes(&blob),
						     &context_abc, key_of(state, 1), NULL, NULL,
						     &moved),
			 KMS_OK);
	assert_int_equal(decrypt(kms, key_of(state, 1), &moved, NULL, &plaintext), KMS_OK);
	assert_bytes(buffer_bytes(&plaintext), bytes_of("x"));
}

static void what_is_not_a_key_s_name_is_refused(void **state)
{
	struct kms_client *kms = kms_of(state);
	struct kms_key key;
	enum kms_status status = kms->operations->describe(kms, "no such form", NULL, &key);

	assert_true(status == KMS_INVALID_REQUEST || status == KMS_NOT_FOUND);
}

/* Each text goes to the KMS and comes back; false if anything else does. */
static bool talk(struct kms_client *kms, const char *key, const char *who)
{
	for (int i = 0; i < 20; i++) {
		AUTO(buffer_clear) struct buffer text = {0}, blob = {0}, plaintext = {0};

		buffer_format(&text, "%s %d", who, i);
		if (encrypt(kms, key, buffer_bytes(&text), NULL, &blob) != KMS_OK ||
		    decrypt(kms, key, &blob, NULL, &plaintext) != KMS_OK ||
		    !bytes_equal(buffer_bytes(&text), buffer_bytes(&plaintext)))
			return false;
	}
	return true;
}

/* What a child does before it may go on by itself. */
static struct kms_client *begin_anew(struct party *party)
{
	struct kms_client *kms = NULL;

	kms_clients_abandon(party->clients);
	crypto_abandon();
	secret_abandon();
	if (!crypto_start(false))
		return NULL;
	party->clients = kms_clients_new(&party->settings);
	kms_clients_find(party->clients, party->provider, party->region, NULL, &kms);
	return kms;
}

static void parent_and_child_never_get_each_other_s_answers(void **state)
{
	struct kms_client *kms = kms_of(state);
	bool good;
	int status;

	skip_under_valgrind(
		"a child abandons its parent's memory on purpose, which valgrind calls a leak");

	assert_true(talk(kms, key_of(state, 0), "before"));
	if (fork() == 0) {
		kms = begin_anew(*state);
		_exit(kms != NULL && talk(kms, key_of(state, 0), "child") ? 0 : 1);
	}
	good = talk(kms, key_of(state, 0), "parent");
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	assert_true(good);
}

static void set_up_local(void)
{
	static struct kms_local_settings section;
	struct kms_key key;

	snprintf(local.endpoint, sizeof(local.endpoint), "%s/local.keys", folder);
	section.path = local.endpoint;
	local.settings.sections[PROVIDER_LOCAL] = &section;
	local.clients = kms_clients_new(&local.settings);
	assert_int_equal(kms_clients_find(local.clients, "local", "", NULL, &local.kms), KMS_OK);
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "local:root" : "local:root-2";
		bool made;

		assert_int_equal(local.kms->operations->create(local.kms, name, false, NULL, &made),
				 KMS_OK);
		assert_int_equal(local.kms->operations->describe(local.kms, name, NULL, &key),
				 KMS_OK);
		strcpy(local.keys[i], key.arn);
	}
	strcpy(local.region, "local");
	strcpy(local.names[0], local.keys[0]);
	strcpy(local.names[1], "local:root");
	snprintf(local.names[2], sizeof(local.names[2]), "local:%s",
		 strrchr(local.keys[0], '/') + 1);
	strcpy(local.unknown, "local:" UNKNOWN);
}

static void name_from(const char *variable, char *ret_name)
{
	const char *value = getenv(variable);

	snprintf(ret_name, KMS_ARN_MAX + 1, "%s", value == NULL ? "" : value);
}

static void set_up_aws(void)
{
	static struct kms_aws_settings section;
	const char *endpoint = getenv("CMEK_TEST_KMS_ENDPOINT"), *kind = getenv("CMEK_TEST_KMS");
	const char *keys = getenv("CMEK_TEST_KMS_KEYS");
	char provider[KMS_PROVIDER_MAX + 1];

	if (keys == NULL || sscanf(keys, "%2048s %2048s", aws.keys[0], aws.keys[1]) < 1)
		return;
	assert_true(kms_name_parse(module_providers, aws.keys[0], provider, aws.region));
	snprintf(aws.endpoint, sizeof(aws.endpoint), "%s", endpoint == NULL ? "" : endpoint);
	section.aws.endpoint_url = aws.endpoint;
	aws.settings.sections[PROVIDER_AWS] = &section;
	aws.clients = kms_clients_new(&aws.settings);
	assert_int_equal(kms_clients_find(aws.clients, "aws", aws.region, NULL, &aws.kms), KMS_OK);
	strcpy(aws.names[0], aws.keys[0]);
	name_from("CMEK_TEST_KMS_KEY_ID", aws.names[1]);
	name_from("CMEK_TEST_KMS_ALIAS", aws.names[2]);
	name_from("CMEK_TEST_KMS_ALIAS_ARN", aws.names[3]);
	strcpy(aws.unknown, UNKNOWN);
	aws.is_moto = kind != NULL && strcmp(kind, "moto") == 0;
}

static int set_up(void **state)
{
	(void)state;
	if (!crypto_start(false) || mkdtemp(folder) == NULL)
		return -1;
	log_configure(LOG_OFF, "stderr");
	set_up_local();
	set_up_aws();
	return 0;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	kms_clients_free(local.clients);
	kms_clients_free(aws.clients);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static void the_same_cases_on_aws_kms(void **state)
{
	(void)state;
	print_message("# reason: CMEK_TEST_KMS_KEYS names no key\n");
	skip();
}

#define OF_LOCAL(test)                                                                             \
	{                                                                                          \
		"local: " #test, test, NULL, NULL, &local                                          \
	}
#define OF_AWS(test)                                                                               \
	{                                                                                          \
		"aws: " #test, test, NULL, NULL, &aws                                              \
	}

/* clang-format off */
#define CASES(OF)                                                                                  \
	OF(every_name_of_a_key_leads_to_its_arn),                                                  \
	OF(every_name_of_a_key_encrypts_and_decrypts),                                             \
	OF(an_unknown_key_is_not_found),                                                           \
	OF(the_order_of_the_context_does_not_matter),                                              \
	OF(another_context_does_not_open),                                                         \
	OF(any_text_may_be_a_context),                                                             \
	OF(a_context_that_is_none_is_refused),                                                     \
	OF(plaintexts_have_1_to_4096_bytes),                                                       \
	OF(another_key_s_ciphertext_does_not_open),                                                \
	OF(garbage_does_not_open),                                                                 \
	OF(a_data_key_comes_in_both_forms),                                                        \
	OF(re_encryption_moves_key_and_context),                                                   \
	OF(parent_and_child_never_get_each_other_s_answers),                                       \
	OF(what_is_not_a_key_s_name_is_refused),
/* clang-format on */

int main(void)
{
	const struct CMUnitTest of_local[] = {CASES(OF_LOCAL)
						      cmocka_unit_test(the_same_cases_on_aws_kms)};
	const struct CMUnitTest of_both[] = {CASES(OF_LOCAL) CASES(OF_AWS)};

	if (getenv("CMEK_TEST_KMS_KEYS") == NULL)
		return cmocka_run_group_tests(of_local, set_up, tear_down);
	return cmocka_run_group_tests(of_both, set_up, tear_down);
}
