/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The fixture for tests of sessions; see the header. */
#include "tests/support/session_fixture.h"

#include "crypto/crypto.h"
#include "mechanisms/mechanism.h"
#include "pkcs11/providers.h"
#include "session/keys.h"
#include "tests/support/judged_fips.h"
#include "tests/support/sqlite_store.h"
#include "zones/domain/project.h"
#include "zones/domain/root_key.h"
#include "zones/domain/zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct bed bed;

CK_FUNCTION_LIST *bed_functions(void)
{
	static CK_FUNCTION_LIST *functions;

	if (functions == NULL) {
		assert_int_equal(C_GetFunctionList(&functions), CKR_OK);
		functions = judged(functions);
	}
	return functions;
}

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS class_secret = CKO_SECRET_KEY;
static CK_KEY_TYPE type_aes = CKK_AES;
static CK_ULONG len_32 = 32;

static struct store *store_of_bed(void)
{
	char path[128];

	strcpy(bed.folder, "/tmp/cmek-session-XXXXXX");
	assert_non_null(mkdtemp(bed.folder));
	snprintf(path, sizeof(path), "%s/store.db", bed.folder);
	return store_sqlite_new(path);
}

static struct kms_clients *clients_of_bed(void)
{
	const struct kms_settings settings = {.providers = module_providers,
					      .clock = &bed.clock.clock};
	struct kms_clients *clients = kms_clients_new(&settings);

	assert_non_null(clients);
	fake_kms_init(&bed.kms, "aws");
	fake_kms_add(&bed.kms, TEST_ROOT_ARN, "alias/root");
	assert_true(kms_clients_replace(clients, "aws", &bed.kms.client));
	return clients;
}

static void make_project(void)
{
	AUTO(entry_releasep) struct entry *project = NULL;

	assert_int_equal(zones_project_create(bed.zones, 0, bytes_of("test"), &project), ZONE_OK);
	bed.slot = project->of_project.slot;
}

static void make_root_key(void)
{
	AUTO(entry_releasep) struct entry *project = NULL, *root = NULL;
	const struct entry_names names = {.usages = USAGE_ENCRYPT | USAGE_DECRYPT | USAGE_WRAP |
						    USAGE_UNWRAP};

	check(tokens_project(bed.tokens, bed.slot, &project));
	assert_int_equal(
		zones_root_key_add(bed.zones, project->uid, bytes_of(TEST_ROOT_ARN), &names, &root),
		ZONE_OK);
	bed.root = root->number;
}

CK_OBJECT_HANDLE bed_zone(const char *name)
{
	CK_ATTRIBUTE template[] = {{CKA_TOKEN, &yes, sizeof(yes)},
				   {CKA_VALUE_LEN, &len_32, sizeof(len_32)},
				   {CKA_LABEL, (void *)name, strlen(name)}};
	CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
	CK_OBJECT_HANDLE zone;

	check(C_GenerateKey(bed.session, &mechanism, template, 3, &zone));
	return zone;
}

CK_SESSION_HANDLE bed_open(CK_FLAGS flags)
{
	CK_SESSION_HANDLE session;

	check(C_OpenSession(bed.slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &session));
	return session;
}

static void start(struct store *store, unsigned lease_seconds, bool login_required)
{
	struct zones_settings settings = {.lease_seconds = lease_seconds,
					  .deny_seconds = 5,
					  .new_zone = {86400, 86400},
					  .deletion_window_days = 30};
	const struct token_settings tokens = {.login_required = login_required};

	fake_clock_init(&bed.clock);
	settings.clock = &bed.clock.clock;
	assert_int_equal(zones_new(&settings, store, clients_of_bed(), &bed.zones), ZONE_OK);
	check(objects_new(bed.zones, &mechanisms_asked, &bed.objects));
	check(tokens_new(bed.objects, &tokens, &bed.tokens));
	check(sessions_start(bed.objects, bed.tokens));
	make_project();
	make_root_key();
	bed.session = bed_open(CKF_RW_SESSION);
	if (login_required)
		check(C_Login(bed.session, CKU_USER, NULL, 0));
	bed.zone = bed_zone("one");
}

static void begin(void)
{
	assert_true(crypto_start(false));
	memset(&bed, 0, sizeof(bed));
}

void bed_start_with(unsigned lease_seconds, bool login_required)
{
	begin();
	start(store_of_bed(), lease_seconds, login_required);
}

void bed_start_in(struct store *store)
{
	begin();
	start(store, 300, false);
}

int bed_start(void **state)
{
	(void)state;
	bed_start_with(300, false);
	return 0;
}

int bed_stop(void **state)
{
	char command[128];

	(void)state;
	sessions_stop();
	tokens_free(bed.tokens);
	objects_free(bed.objects);
	zones_free(bed.zones);
	snprintf(command, sizeof(command), "rm -rf '%s'", bed.folder);
	return system(command);
}

CK_ULONG bed_template(CK_ATTRIBUTE *ret_template, bool token, bool extractable)
{
	const CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class_secret, sizeof(class_secret)},
		{CKA_KEY_TYPE, &type_aes, sizeof(type_aes)},
		{CKA_TOKEN, token ? &yes : &no, sizeof(yes)},
		{CKA_EXTRACTABLE, extractable ? &yes : &no, sizeof(yes)},
	};

	memcpy(ret_template, template, sizeof(template));
	return COUNT_OF(template);
}

/* As C_CreateObject makes it, which stands above. */
static CK_OBJECT_HANDLE import_key(const uint8_t *value, size_t len)
{
	struct template template = {.key_type = CKK_AES, .class = CKO_SECRET_KEY};
	struct object *key = NULL;
	CK_OBJECT_HANDLE handle;

	template.usages = template.usages_named = 0x7f;
	check(template_make_key(TEMPLATE_CREATE, &template, false, &key));
	check(object_set_value(key, bytes(value, len)));
	key->slot = bed.slot;
	key->owner = bed.session;
	check(objects_add(bed.objects, key, &handle));
	return handle;
}

CK_OBJECT_HANDLE bed_key(const uint8_t *value, size_t len)
{
	uint8_t drawn[64];

	if (value != NULL)
		return import_key(value, len);
	assert_true(crypto_random(drawn, len));
	return import_key(drawn, len);
}

unsigned bed_requests(void)
{
	unsigned all = 0;

	for (int call = 0; call < FAKE_CALL_COUNT; call++)
		all += fake_kms_calls(&bed.kms, (enum fake_kms_call)call);
	return all;
}
