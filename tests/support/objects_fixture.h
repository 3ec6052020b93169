/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The fixture for tests of objects/: a store and the embedded KMS in a folder of their own. */
#pragma once

#include "base/file.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "kms/local/provider.h"
#include "mechanisms/mechanism.h"
#include "objects/edit.h"
#include "objects/token.h"
#include "pkcs11/providers.h"
#include "tests/support/sqlite_store.h"
#include "tests/support/unit.h"
#include "zones/domain/zones.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIXTURE_SESSION = 11 };

struct objects_fixture {
	char folder[32];
	struct zones *zones;
	struct objects *objects;
	struct tokens *tokens;
	struct editor editor; /* of a session that may write, in the slot of the project */
	const struct store_engine *engine; /* NULL: a file */
	struct clock clock;
	atomic_uint looks; /* at the clock; at the one of this number … */
	unsigned meanwhile_at;
	void (*meanwhile)(struct objects_fixture *fixture); /* … this happens. NULL: nothing */
};

static inline int64_t objects_fixture_monotonic_ms(void *state)
{
	(void)state;
	return clock_system.monotonic_ms(clock_system.state);
}

static inline int64_t objects_fixture_realtime_ms(void *state)
{
	struct objects_fixture *fixture = state;

	if (atomic_fetch_add(&fixture->looks, 1) + 1 == fixture->meanwhile_at &&
	    fixture->meanwhile != NULL)
		fixture->meanwhile(fixture);
	return clock_system.realtime_ms(clock_system.state);
}

static inline void objects_fixture_open(struct objects_fixture *fixture,
					const struct token_settings *settings)
{
	char *store = path_join(fixture->folder, "store.db");
	char *keys = path_join(fixture->folder, "local.keys");
	struct zones_settings zones_settings = {.lease_seconds = 300,
						.deny_seconds = 5,
						.zone_lease_seconds = 86400,
						.new_zone = {86400, 86400},
						.deletion_window_days = 30,
						.default_root_key = "local:default",
						.clock = &fixture->clock};
	struct kms_local_settings section = {.path = keys};
	struct kms_settings kms_settings = {.providers = module_providers,
					    .sections = {[PROVIDER_LOCAL] = &section},
					    .clock = &clock_system};

	fixture->clock =
		(struct clock){objects_fixture_monotonic_ms, objects_fixture_realtime_ms, fixture};
	assert_int_equal(zones_new(&zones_settings,
				   (fixture->engine == NULL ? &store_sqlite : fixture->engine)
					   ->open(&(struct store_settings){.path = store}),
				   kms_clients_new(&kms_settings), &fixture->zones),
			 ZONE_OK);
	assert_int_equal(objects_new(fixture->zones, &mechanisms_asked, &fixture->objects), CKR_OK);
	assert_int_equal(tokens_new(fixture->objects, settings, &fixture->tokens), CKR_OK);
	fixture->editor.objects = fixture->objects;
	free(store);
	free(keys);
}

static inline void objects_fixture_close(struct objects_fixture *fixture)
{
	tokens_free(fixture->tokens);
	objects_free(fixture->objects);
	zones_free(fixture->zones);
}

/* A project in slot 0, and its editor. */
static inline int objects_fixture_setup_in(const struct store_engine *engine, void **state)
{
	const struct token_settings settings = {.free_slot = true};
	struct objects_fixture *fixture = calloc(1, sizeof(*fixture));
	CK_UTF8CHAR label[32];

	log_configure(LOG_OFF, "stderr");
	if (fixture == NULL || !crypto_start(false))
		return -1;
	fixture->engine = engine;
	strcpy(fixture->folder, "/tmp/cmek-objects.XXXXXX");
	if (mkdtemp(fixture->folder) == NULL)
		return -1;
	objects_fixture_open(fixture, &settings);
	memset(label, ' ', sizeof(label));
	memcpy(label, "first", 5);
	if (tokens_init(fixture->tokens, 0, bytes(NULL, 0), label) != CKR_OK)
		return -1;
	fixture->editor = (struct editor){.objects = fixture->objects,
					  .session = FIXTURE_SESSION,
					  .read_write = true,
					  .private_allowed = true,
					  .so_allowed = true};
	*state = fixture;
	return 0;
}

static inline int objects_fixture_setup(void **state)
{
	return objects_fixture_setup_in(NULL, state);
}

static inline int objects_fixture_teardown(void **state)
{
	struct objects_fixture *fixture = *state;
	char command[64];

	objects_fixture_close(fixture);
	snprintf(command, sizeof(command), "rm -rf %s", fixture->folder);
	free(fixture);
	return system(command);
}

/* As C_Login does it. */
static inline CK_RV tokens_login(struct tokens *tokens, CK_SLOT_ID slot, CK_USER_TYPE user,
				 struct bytes pin)
{
	struct token_login login;

	TRY(tokens_check_login(tokens, slot, user, pin, &login));
	return tokens_log_in(tokens, slot, &login);
}

/* Templates as arrays: ROWS(a, b) gives the array and its length. */
#define ROWS(...)                                                                                  \
	(CK_ATTRIBUTE[]){__VA_ARGS__}, sizeof((CK_ATTRIBUTE[]){__VA_ARGS__}) / sizeof(CK_ATTRIBUTE)
#define BOOL_ROW(type, value)                                                                      \
	{                                                                                          \
		type, &(CK_BBOOL){value}, 1                                                        \
	}
#define NUMBER_ROW(type, value)                                                                    \
	{                                                                                          \
		type, &(CK_ULONG){value}, sizeof(CK_ULONG)                                         \
	}
#define TEXT_ROW(type, text)                                                                       \
	{                                                                                          \
		type, (CK_BYTE[]){text}, sizeof(text) - 1                                          \
	}
