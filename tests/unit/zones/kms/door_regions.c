/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Work by a multi-Region key while regions are in trouble: who is asked for what, what counts as a
 * no, and what is left in the log. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "kms/aws/provider.h"
#include "pkcs11/providers.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kms_client.h"
#include "tests/support/unit.h"
#include "zones/kms/canary.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/record.h"

#include <stdio.h>
#include <unistd.h>

#define MRK	":111122223333:key/mrk-44444444444444444444444444444444"
#define HOME	"arn:aws:kms:us-west-2" MRK
#define REPLICA "arn:aws:kms:eu-west-1" MRK

enum { A_WHILE_MS = 31000, SILENCE_MS = 13000 };

struct fixture {
	struct fake_clock clock;
	struct fake_kms kms;
	struct kms_clients *clients;
	char log[64];
};

static struct fixture f;

static int set_up(void **state)
{
	struct kms_aws_settings section = {.multi_region_order = "us-west-2 eu-west-1"};
	struct kms_settings settings = {.providers = module_providers,
					.sections = {[PROVIDER_AWS] = &section}};

	(void)state;
	memset(&f, 0, sizeof(f));
	fake_clock_init(&f.clock);
	settings.clock = &f.clock.clock;
	fake_kms_init(&f.kms, "aws");
	fake_kms_add(&f.kms, HOME, NULL);
	fake_kms_add(&f.kms, REPLICA, NULL);
	f.clients = kms_clients_new(&settings);
	assert_true(kms_clients_replace(f.clients, "aws", &f.kms.client));
	snprintf(f.log, sizeof(f.log), "/tmp/cmek-regions.XXXXXX");
	close(mkstemp(f.log));
	assert_true(log_configure(LOG_WARNING, f.log));
	return crypto_start(false) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	log_configure(LOG_OFF, "stderr");
	unlink(f.log);
	kms_clients_free(f.clients);
	return 0;
}

static struct kms_door door_home(void)
{
	return (struct kms_door){.clients = f.clients, .key = HOME};
}

/* What every use of the key in that region answers from now on; KMS_OK: as its state says. */
static void answers(const char *arn, enum kms_status status)
{
	fake_kms_set(&f.kms, arn, KMS_KEY_ENABLED, status);
}

static size_t log_lines(char text[static 4096])
{
	FILE *file = fopen(f.log, "r");
	size_t len, count = 0;

	assert_non_null(file);
	len = fread(text, 1, 4095, file);
	text[len] = '\0';
	fclose(file);
	for (size_t i = 0; i < len; i++)
		count += text[i] == '\n';
	return count;
}

static enum zone_status decrypt(void)
{
	AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};
	const struct kms_door door = door_home();
	struct fake_kms other;

	/* Of a KMS where all is well. */
	fake_kms_init(&other, "aws");
	fake_kms_add(&other, HOME, NULL);
	assert_int_equal(other.client.operations->encrypt(&other.client, HOME, bytes_of("secret"),
							  NULL, NULL, &blob),
			 KMS_OK);
	return door_decrypt(&door, buffer_bytes(&blob), &plaintext);
}

static unsigned decrypts(void)
{
	return fake_kms_calls(&f.kms, FAKE_DECRYPT);
}

static void all_work_goes_to_the_replica_while_the_own_region_is_out(void **state)
{
	static const enum kms_status outages[] = {KMS_UNAVAILABLE, KMS_THROTTLED};

	for (size_t i = 0; i < COUNT_OF(outages); i++) {
		AUTO(buffer_clear) struct buffer blob = {0}, drawn = {0}, drawn_blob = {0};
		AUTO(buffer_clear) struct buffer plaintext = {0};
		const struct kms_door door = door_home();

		answers(HOME, outages[i]);
		assert_int_equal(door_encrypt(&door, bytes_of("secret"), &blob), ZONE_OK);
		assert_int_equal(door_generate(&door, &drawn, &drawn_blob), ZONE_OK);
		assert_int_equal(door_decrypt(&door, buffer_bytes(&blob), &plaintext), ZONE_OK);
		assert_bytes(buffer_bytes(&plaintext), bytes_of("secret"));
		/* The own region can open what was made elsewhere. */
		answers(HOME, KMS_OK);
		answers(REPLICA, KMS_UNAVAILABLE);
		fake_clock_advance(&f.clock, SILENCE_MS);
		buffer_clear(&plaintext);
		assert_int_equal(door_decrypt(&door, buffer_bytes(&blob), &plaintext), ZONE_OK);
		buffer_clear(&plaintext);
		assert_int_equal(door_decrypt(&door, buffer_bytes(&drawn_blob), &plaintext),
				 ZONE_OK);
		assert_bytes(buffer_bytes(&plaintext), buffer_bytes(&drawn));
		tear_down(state);
		set_up(state);
	}
}

static void what_a_replica_wraps_is_stored_under_the_key_s_own_name(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	const struct kms_door door = door_home();
	const struct ezk_seal seal = {.identity = {.zone = 7, .version = 1}};

	(void)state;
	answers(HOME, KMS_UNAVAILABLE);
	assert_int_equal(ezk_version_seal(&door, &seal, &version), ZONE_OK);
	assert_int_equal(version.wrap_count, 1);
	assert_string_equal(version.wraps[0].arn, HOME);
}

static void a_key_shows_that_it_works_in_its_own_region(void **state)
{
	AUTO(buffer_clear) struct buffer canary = {0};
	char arn[] = HOME;
	const struct entry root_key = {
		.kind = ENTRY_ROOT_KEY,
		.project = {{1}},
		.of_root_key = {.arn = arn},
	};

	(void)state;
	answers(HOME, KMS_UNAVAILABLE);
	assert_int_equal(canary_make(f.clients, &root_key, NULL, &canary), ZONE_KMS_UNAVAILABLE);
	assert_int_equal(fake_kms_calls(&f.kms, FAKE_ENCRYPT), 1);
	answers(HOME, KMS_OK);
	fake_clock_advance(&f.clock, SILENCE_MS);
	assert_int_equal(canary_make(f.clients, &root_key, NULL, &canary), ZONE_OK);
}

static void a_description_is_of_the_key_that_is_named(void **state)
{
	const struct kms_door door = door_home();
	struct kms_key key;

	(void)state;
	answers(HOME, KMS_UNAVAILABLE);
	assert_int_equal(door_describe(&door, &key), ZONE_KMS_UNAVAILABLE);
	assert_int_equal(fake_kms_calls(&f.kms, FAKE_DESCRIBE), 1);
}

/* --- Noes */

static void the_own_region_s_no_is_not_overridden_by_a_replica_s_yes(void **state)
{
	static const enum kms_status noes[] = {KMS_DENIED, KMS_DISABLED, KMS_INVALID_STATE,
					       KMS_NOT_FOUND};

	for (size_t i = 0; i < COUNT_OF(noes); i++) {
		answers(HOME, noes[i]);
		assert_int_equal(decrypt(), zone_status_of_kms(noes[i]));
		assert_int_equal(decrypts(), 1);
		tear_down(state);
		set_up(state);
	}
}

static void nor_once_the_own_region_is_out_of_reach(void **state)
{
	(void)state;
	answers(HOME, KMS_DISABLED);
	assert_int_equal(decrypt(), ZONE_KMS_DISABLED);
	answers(HOME, KMS_UNAVAILABLE);
	assert_int_equal(decrypt(), ZONE_KMS_UNAVAILABLE);
	fake_clock_advance(&f.clock, A_WHILE_MS);
	assert_int_equal(decrypt(), ZONE_KMS_UNAVAILABLE);
	assert_int_equal(decrypts(), 3);
	answers(HOME, KMS_OK);
	fake_clock_advance(&f.clock, SILENCE_MS);
	assert_int_equal(decrypt(), ZONE_OK);
	answers(HOME, KMS_UNAVAILABLE);
	assert_int_equal(decrypt(), ZONE_OK);
}

/* An identity that may not use the key there for this may get this answer. */
static void nor_if_the_no_was_in_a_description(void **state)
{
	const struct kms_door door = door_home();
	struct kms_key key;

	(void)state;
	fake_kms_set(&f.kms, HOME, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(door_describe(&door, &key), ZONE_OK);
	assert_int_equal(key.state, KMS_KEY_DISABLED);
	answers(HOME, KMS_UNAVAILABLE);
	assert_int_equal(decrypt(), ZONE_KMS_UNAVAILABLE);
	answers(HOME, KMS_OK);
	fake_clock_advance(&f.clock, SILENCE_MS);
	assert_int_equal(decrypt(), ZONE_OK);
	answers(HOME, KMS_UNAVAILABLE);
	assert_int_equal(decrypt(), ZONE_OK);
}

/* Each has its own switch. */
static void a_replica_that_is_described_says_nothing_of_the_key(void **state)
{
	struct kms_door door = door_home();
	struct kms_key key;

	(void)state;
	door.key = REPLICA;
	fake_kms_set(&f.kms, REPLICA, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(door_describe(&door, &key), ZONE_OK);
	answers(REPLICA, KMS_OK);
	answers(HOME, KMS_UNAVAILABLE);
	assert_int_equal(decrypt(), ZONE_OK);
}

static void a_replica_s_no_during_an_outage_is_a_no(void **state)
{
	static const enum kms_status noes[] = {KMS_DENIED, KMS_DISABLED, KMS_INVALID_STATE};
	char text[4096];

	for (size_t i = 0; i < COUNT_OF(noes); i++) {
		answers(HOME, KMS_UNAVAILABLE);
		answers(REPLICA, noes[i]);
		assert_int_equal(decrypt(), zone_status_of_kms(noes[i]));
		assert_int_equal(log_lines(text), 2); /* the region that is lost, and the no */
		assert_non_null(strstr(text, "error: KMS Decrypt with key " REPLICA));
		/* The own region's yes ends it. */
		answers(HOME, KMS_OK);
		fake_clock_advance(&f.clock, A_WHILE_MS);
		assert_int_equal(decrypt(), ZONE_OK);
		tear_down(state);
		set_up(state);
	}
}

static void where_there_is_no_replica_the_own_region_s_outage_is_what_counts(void **state)
{
	char text[4096];

	(void)state;
	answers(HOME, KMS_THROTTLED);
	answers(REPLICA, KMS_NOT_FOUND);
	assert_int_equal(decrypt(), ZONE_KMS_THROTTLED);
	log_lines(text);
	assert_non_null(strstr(text, "error: root key " HOME ": throttled"));
	assert_null(strstr(text, kms_status_text(KMS_NOT_FOUND)));
}

/* --- The log */

static void a_change_of_region_is_one_notice(void **state)
{
	unsigned reasons = log_reasons();
	char text[4096];

	(void)state;
	answers(HOME, KMS_UNAVAILABLE);
	for (int i = 0; i < 5; i++)
		assert_int_equal(decrypt(), ZONE_OK);
	assert_int_equal(decrypts(), 6);
	assert_int_equal(log_lines(text), 1);
	assert_non_null(strstr(text, "region us-west-2 does not answer"));
	assert_null(strstr(text, "error"));
	/* Looked at again in vain, it is no news. */
	fake_clock_advance(&f.clock, A_WHILE_MS);
	assert_int_equal(decrypt(), ZONE_OK);
	assert_int_equal(decrypts(), 8);
	assert_int_equal(log_lines(text), 1);
	answers(HOME, KMS_OK);
	fake_clock_advance(&f.clock, A_WHILE_MS);
	for (int i = 0; i < 5; i++)
		assert_int_equal(decrypt(), ZONE_OK);
	assert_int_equal(decrypts(), 13);
	assert_int_equal(log_lines(text), 2);
	assert_non_null(strstr(text, "region us-west-2 answers again"));
	/* None of these calls failed, so none has left a reason for a failure. */
	assert_int_equal(log_reasons(), reasons);
}

static void where_nobody_answers_one_error_says_so(void **state)
{
	char text[4096];
	const char *error;

	(void)state;
	answers(HOME, KMS_UNAVAILABLE);
	answers(REPLICA, KMS_UNAVAILABLE);
	assert_int_equal(decrypt(), ZONE_KMS_UNAVAILABLE);
	log_lines(text);
	error = strstr(text, "error: aws in ");
	assert_non_null(error);
	assert_null(strstr(error + 1, "error: "));
	assert_non_null(strstr(log_last(), kms_status_text(KMS_UNAVAILABLE)));
}

static void a_refusal_that_the_caller_tells_is_not_logged(void **state)
{
	struct kms_door door = door_home();
	struct kms_key key;
	char text[4096];

	(void)state;
	answers(HOME, KMS_DENIED);
	door.quiet = true;
	assert_int_equal(door_describe(&door, &key), ZONE_KMS_DENIED);
	assert_int_equal(log_lines(text), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(all_work_goes_to_the_replica_while_the_own_region_is_out),
		CASE(what_a_replica_wraps_is_stored_under_the_key_s_own_name),
		CASE(a_key_shows_that_it_works_in_its_own_region),
		CASE(a_description_is_of_the_key_that_is_named),
		CASE(the_own_region_s_no_is_not_overridden_by_a_replica_s_yes),
		CASE(nor_once_the_own_region_is_out_of_reach),
		CASE(nor_if_the_no_was_in_a_description),
		CASE(a_replica_that_is_described_says_nothing_of_the_key),
		CASE(a_replica_s_no_during_an_outage_is_a_no),
		CASE(where_there_is_no_replica_the_own_region_s_outage_is_what_counts),
		CASE(a_change_of_region_is_one_notice),
		CASE(where_nobody_answers_one_error_says_so),
		CASE(a_refusal_that_the_caller_tells_is_not_logged),
	};

	return cmocka_run_group_tests_name("door_regions", tests, NULL, NULL);
}
