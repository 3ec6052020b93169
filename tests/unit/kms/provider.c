/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A provider is a row and what it points at: a third one, made up here, is named, asked, refused
 * and told of as those of the module are. */
#include "base/encode.h"
#include "base/log.h"
#include "base/macros.h"
#include "kms/aws/provider.h"
#include "kms/local/provider.h"
#include "kms/provider.h"
#include "kms/settings.h"
#include "net/answer.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/doctor.h"
#include "zones/domain/lookup.h"
#include "zones/domain/root_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/ezk/ezk.h"

#include <stdio.h>
#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

/* --- The vault: keys are vault:NAME, or vault:REGION:NAME, which is the canonical name */

#define PREFIX	   "vault:"
#define SAFE	   "vault:north:safe"
#define TWIN	   "vault:north:twin-a"
#define TWIN_SOUTH "vault:south:twin-a"

static struct {
	enum kms_status status; /* of all it is asked */
	unsigned calls;
	char region[KMS_REGION_MAX + 1]; /* of the last client that was opened */
	unsigned shared, opened;
} vault;

static struct bytes vault_label(const char *key)
{
	const char *colon = strrchr(key, ':');

	return strncmp(key, PREFIX, strlen(PREFIX)) == 0 ? bytes_of(colon + 1) : bytes(NULL, 0);
}

static bool vault_read_name(const char *key, struct bytes *ret_region)
{
	struct bytes name = vault_label(key);
	const char *region = key + strlen(PREFIX);

	if (name.len == 0)
		return false;
	*ret_region = region == (const char *)name.data ? bytes_of("")
							: bytes(region, strcspn(region, ":"));
	return true;
}

static bool vault_read_fields(const char *key, struct kms_key_fields *ret_fields)
{
	struct bytes region;

	if (!vault_read_name(key, &region))
		return false;
	*ret_fields =
		(struct kms_key_fields){bytes_of("vault"), region, bytes_of("-"), vault_label(key)};
	return true;
}

/* Whether the region is said. */
static bool vault_is_own_name(const char *key)
{
	struct bytes region;

	return vault_read_name(key, &region) && region.len > 0;
}

/* A twin safe has the same content in another region, under a name of that region. */
static bool vault_in_region(const char *key, struct bytes region,
			    char ret_key[static KMS_ARN_MAX + 1])
{
	struct bytes label = vault_label(key);

	if (!vault_is_own_name(key) || !bytes_begin(label, "twin-"))
		return false;
	return snprintf(ret_key, KMS_ARN_MAX + 1, PREFIX "%.*s:%s", (int)region.len, region.data,
			label.data) <= KMS_ARN_MAX;
}

static enum kms_status vault_says(struct kms_report *report)
{
	vault.calls++;
	if (report != NULL)
		report->sent = true;
	return vault.status == KMS_OK
		       ? KMS_OK
		       : kms_fail(vault.status, report, "VaultShut", "the vault is shut");
}

static enum kms_status vault_describe_key(struct kms_client *client, const char *key,
					  struct kms_report *report, struct kms_key *ret_key)
{
	(void)client;
	*ret_key = (struct kms_key){.provider = "vault", .region = "north", .encrypts = true};
	snprintf(ret_key->arn, sizeof(ret_key->arn), "vault:north:%s", vault_label(key).data);
	return vault_says(report);
}

/* It encrypts nothing: a blob is the plaintext. */
static enum kms_status vault_copy(struct kms_client *client, const char *key, struct bytes in,
				  const struct kms_context *context, struct kms_report *report,
				  struct buffer *ret_out)
{
	(void)client;
	(void)context;
	assert_true(vault_is_own_name(key));
	TRY(vault_says(report));
	buffer_append(ret_out, in);
	return KMS_OK;
}

static enum kms_status vault_generate(struct kms_client *client, const char *key,
				      const struct kms_context *context, struct kms_report *report,
				      struct buffer *ret_plaintext, struct buffer *ret_blob)
{
	static const uint8_t value[32] = "what a vault has drawn, 32 bytes";

	TRY(vault_copy(client, key, bytes(value, sizeof(value)), context, report, ret_plaintext));
	buffer_append(ret_blob, bytes(value, sizeof(value)));
	return KMS_OK;
}

static void vault_close(struct kms_client *client)
{
	free(client);
}

static const struct kms_operations vault_operations = {
	.describe = vault_describe_key,
	.encrypt = vault_copy,
	.decrypt = vault_copy,
	.generate_data_key = vault_generate,
	.free = vault_close,
};

static void *vault_shared_new(const struct kms_settings *settings)
{
	(void)settings;
	vault.shared++;
	return malloc(1);
}

static enum kms_status vault_find_region(void *shared, struct kms_report *report,
					 char ret_region[static KMS_REGION_MAX + 1])
{
	(void)report;
	assert_non_null(shared);
	strcpy(ret_region, "north");
	return KMS_OK;
}

static enum kms_status vault_open(const struct kms_settings *settings, void *shared,
				  const char *region, struct kms_report *report,
				  struct kms_client **ret_client)
{
	struct kms_client *client = calloc(1, sizeof(*client));

	(void)settings;
	(void)report;
	assert_non_null(shared);
	assert_non_null(client);
	client->operations = &vault_operations;
	snprintf(vault.region, sizeof(vault.region), "%s", region);
	vault.opened++;
	*ret_client = client;
	return KMS_OK;
}

static enum kms_status vault_describe(const struct kms_settings *settings, void *shared,
				      const char *region, struct kms_report *report,
				      struct buffer *ret_text)
{
	(void)settings;
	(void)shared;
	(void)report;
	buffer_format(ret_text, "vault door: %s\n", region);
	return KMS_OK;
}

static const struct kms_remedy remedies[] = {{KMS_DENIED, "ask the keeper of the vault"}};

/* [vault] of cmek.conf */
struct vault_settings {
	const char *twins; /* an order of regions */
	const char *door;  /* a file */
	unsigned knock_ms;
	bool gently;
};

static const struct kms_setting vault_rows[] = {
	{"twins", KMS_SETTING_REGIONS, offsetof(struct vault_settings, twins), 0, 0, NULL},
	{"door", KMS_SETTING_FILE, offsetof(struct vault_settings, door), 0, 0, "vault.door"},
	{"knock_ms", KMS_SETTING_NUMBER, offsetof(struct vault_settings, knock_ms), 7000, 9000,
	 NULL},
	{"gently", KMS_SETTING_FLAG, offsetof(struct vault_settings, gently), 0, 0, NULL},
};

static unsigned vault_call_ms(const void *section)
{
	return ((const struct vault_settings *)section)->knock_ms;
}

static const char *vault_region_order(const void *section)
{
	return ((const struct vault_settings *)section)->twins;
}

static const struct kms_provider kms_vault = {
	.name = "vault",
	.key_names = "vault:NAME",
	.patterns = "vault:REGION:NAME",
	.read_name = vault_read_name,
	.label = vault_label,
	.read_fields = vault_read_fields,
	.read_pattern = vault_read_fields,
	.is_own_name = vault_is_own_name,
	.in_region = vault_in_region,
	.section_size = sizeof(struct vault_settings),
	.settings = vault_rows,
	.setting_count = COUNT_OF(vault_rows),
	.call_ms = vault_call_ms,
	.region_order = vault_region_order,
	.remedies = remedies,
	.remedy_count = COUNT_OF(remedies),
	.shared_new = vault_shared_new,
	.shared_free = free,
	.shared_abandon = free,
	.find_region = vault_find_region,
	.open = vault_open,
	.describe = vault_describe,
};

static const struct kms_provider *const longer[] = {&kms_aws, &kms_local, &kms_vault, NULL};

/* --- */

static int begin(void **state)
{
	int failed = zones_begin(state);
	FIXTURE(state);

	memset(&vault, 0, sizeof(vault));
	f->providers = longer;
	zones_reopen(f);
	return failed;
}

static enum zone_status open_zone(struct zones_fixture *f, uint64_t number)
{
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(f->zones, number);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	assert_non_null(zone);
	TRY(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk));
	return ezk_begin(ezk);
}

/* A zone below a key of the vault, in a domain that knows nothing yet. */
static uint64_t make_zone(struct zones_fixture *f)
{
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, "vault:safe");
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "c");
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct entry_names names = names_of("c/db");

	assert_string_equal(root_key->of_root_key.provider, "vault");
	assert_string_equal(root_key->of_root_key.region, "north");
	assert_string_equal(root_key->of_root_key.arn, SAFE);
	assert_string_equal(root_key->label, "safe");
	assert_string_equal(cluster->of_cluster.provider, "vault");
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	zones_reopen(f);
	return zone->of_zone.zone;
}

static void its_key_is_added_and_its_zone_made_and_opened(void **state)
{
	FIXTURE(state);
	uint64_t zone = make_zone(f);

	assert_string_equal(vault.region, "north");
	assert_int_equal(open_zone(f, zone), ZONE_OK);
	assert_int_equal(vault.shared, 2); /* once a set of clients, of which there were two */
}

static void its_no_is_a_no_and_told_in_its_words(void **state)
{
	FIXTURE(state);
	uint64_t zone = make_zone(f);

	vault.status = KMS_DENIED;
	assert_int_equal(open_zone(f, zone), ZONE_KMS_DENIED);
	assert_non_null(strstr(log_last(), "the vault is shut [VaultShut]"));
	assert_non_null(strstr(log_last(), "ask the keeper of the vault"));
}

static void its_outage_is_a_silence(void **state)
{
	FIXTURE(state);
	uint64_t zone = make_zone(f);
	unsigned calls;

	vault.status = KMS_UNAVAILABLE;
	assert_int_equal(open_zone(f, zone), ZONE_KMS_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "check network"));
	calls = vault.calls;
	fake_clock_advance(&f->clock, 10);
	assert_int_equal(open_zone(f, zone), ZONE_KMS_UNAVAILABLE);
	assert_int_equal(vault.calls, calls); /* nobody was asked */
	fake_clock_advance(&f->clock, 60000);
	vault.status = KMS_OK;
	assert_int_equal(open_zone(f, zone), ZONE_OK);
}

static void its_keys_may_be_those_that_are_allowed(void **state)
{
	FIXTURE(state);
	unsigned calls;

	f->allowed_root_keys = "vault:*:safe";
	zones_reopen(f);
	assert_int_equal(add_root_key(f->zones, f->project->uid, "vault:safe", NULL), ZONE_OK);
	assert_int_equal(add_root_key(f->zones, f->project->uid, "vault:attic", NULL),
			 ZONE_ROOT_KEY_REFUSED);
	calls = vault.calls;
	assert_int_equal(add_root_key(f->zones, f->project->uid, "vault:north:attic", NULL),
			 ZONE_ROOT_KEY_REFUSED);
	assert_int_equal(vault.calls, calls); /* a key's own name says which: nobody is asked */
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, NULL),
			 ZONE_ROOT_KEY_REFUSED);
}

static void its_settings_have_its_defaults(void **state)
{
	static const struct kms_provider *const alone[] = {&kms_vault, NULL};
	struct kms_settings copy, given = {.providers = alone, .allowed_root_keys = ""};
	struct vault_settings said = {.knock_ms = 9, .door = "front", .twins = "", .gently = true};
	const struct vault_settings *kept;

	(void)state;
	assert_true(settings_copy(&given, &copy));
	kept = provider_section(&copy, &kms_vault);
	assert_int_equal(kept->knock_ms, 7000);
	assert_int_equal(kms_settings_call_ms(&copy), 7000);
	assert_null(kept->door);
	assert_null(copy.allowed_root_keys);
	settings_clear(&copy);
	given.sections[0] = &said;
	given.allowed_root_keys = SAFE;
	assert_true(settings_copy(&given, &copy));
	kept = provider_section(&copy, &kms_vault);
	said = (struct vault_settings){0};
	assert_int_equal(kept->knock_ms, 9);
	assert_string_equal(kept->door, "front");
	assert_null(kept->twins);
	assert_true(kept->gently);
	assert_string_equal(copy.allowed_root_keys, SAFE);
	assert_null(provider_section(&copy, &kms_aws)); /* it is not in the list */
	settings_clear(&copy);
}

/* In another provider's section nothing is its. */
static void its_section_is_its_own(void **state)
{
	struct kms_aws_settings aws = {.multi_region_order = "east", .aws.call_timeout_ms = 1};
	struct vault_settings said = {.twins = "south"};
	const struct kms_settings settings = {.providers = longer, .sections = {&aws, NULL, &said}};
	struct kms_clients *clients = kms_clients_new(&settings);
	char name[KMS_ARN_MAX + 1];

	(void)state;
	assert_true(kms_clients_name(clients, TWIN, 0, name));
	assert_string_equal(name, TWIN_SOUTH);
	assert_true(kms_clients_name(clients, TWIN, 1, name));
	assert_string_equal(name, TWIN);
	assert_false(kms_clients_name(clients, TWIN, 2, name));
	assert_true(kms_clients_name(clients, SAFE, 0, name));
	assert_string_equal(name, SAFE);
	assert_false(kms_clients_name(clients, SAFE, 1, name));
	kms_clients_free(clients);
}

static void its_related_keys_are_one(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *twin = make_root_key(f, TWIN);

	assert_true(kms_same_key(longer, TWIN, TWIN_SOUTH));
	assert_false(kms_same_key(longer, SAFE, PREFIX "south:safe"));
	assert_int_equal(add_root_key(f->zones, f->project->uid, TWIN_SOUTH, NULL), ZONE_EXISTS);
	assert_true(zones_root_key_is(f->zones, twin, bytes_of(TWIN_SOUTH)));
}

static void its_keys_are_not_made_here(void **state)
{
	FIXTURE(state);

	assert_int_equal(create_root_key(f->zones, f->project->uid, "vault:new", NULL),
			 ZONE_INVALID);
	assert_int_equal(vault.calls, 0);
}

static void doctor_and_messages_know_it(void **state)
{
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer text = {0};
	struct doctor_faults faults = {0};

	make_zone(f);
	assert_int_equal(zones_doctor(f->zones, f->project->uid, &text, &faults), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), "KMS: vault, north\nvault door: north\n"));
	assert_int_equal(add_root_key(f->zones, f->project->uid, "no such name", NULL),
			 ZONE_INVALID);
	assert_non_null(strstr(log_last(), "a key id, local:NAME, or vault:NAME"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(its_key_is_added_and_its_zone_made_and_opened,
						begin, zones_end),
		cmocka_unit_test_setup_teardown(its_no_is_a_no_and_told_in_its_words, begin,
						zones_end),
		cmocka_unit_test_setup_teardown(its_outage_is_a_silence, begin, zones_end),
		cmocka_unit_test_setup_teardown(its_keys_may_be_those_that_are_allowed, begin,
						zones_end),
		cmocka_unit_test(its_settings_have_its_defaults),
		cmocka_unit_test(its_section_is_its_own),
		cmocka_unit_test_setup_teardown(its_related_keys_are_one, begin, zones_end),
		cmocka_unit_test_setup_teardown(its_keys_are_not_made_here, begin, zones_end),
		cmocka_unit_test_setup_teardown(doctor_and_messages_know_it, begin, zones_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
