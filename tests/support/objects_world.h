/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The fixture for tests of objects/: a store and the embedded KMS in a folder of their own. */
#pragma once

#include "tests/support/unit.h"
#include "pkcs11/providers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "mechanisms/mechanism.h"
#include "objects/edit.h"
#include "objects/token.h"
#include "tests/support/sqlite_store.h"
#include "zones/domain/zones.h"

enum { WORLD_SESSION = 11 };

struct world {
	char folder[32];
	struct zones *zones;
	struct objects *objects;
	struct tokens *tokens;
	struct editor editor; /* of a session that may write, in the slot of the project */
};

static inline void world_open(struct world *world, const struct token_settings *settings)
{
	char *store = path_join(world->folder, "store.db");
	char *keys = path_join(world->folder, "local.keys");
	struct zones_settings zones_settings = {.lease_seconds = 300,
						.deny_seconds = 5,
						.zone_lease_seconds = 86400,
						.new_zone = {86400, 86400},
						.deletion_window_days = 30,
						.default_root_key = "local:default",
						.clock = &clock_system};
	struct kms_settings kms_settings = {
		.providers = module_providers, .local_path = keys, .clock = &clock_system};

	assert_int_equal(zones_new(&zones_settings, store_sqlite_new(store),
				   kms_clients_new(&kms_settings), &world->zones),
			 ZONE_OK);
	assert_int_equal(objects_new(world->zones, &mechanisms_asked, &world->objects), CKR_OK);
	assert_int_equal(tokens_new(world->objects, settings, &world->tokens), CKR_OK);
	world->editor.objects = world->objects;
	free(store);
	free(keys);
}

static inline void world_close(struct world *world)
{
	tokens_free(world->tokens);
	objects_free(world->objects);
	zones_free(world->zones);
}

/* A project in slot 0, and its editor. */
static inline int world_setup(void **state)
{
	const struct token_settings settings = {.free_slot = true};
	struct world *world = calloc(1, sizeof(*world));
	CK_UTF8CHAR label[32];

	log_configure(LOG_OFF, "stderr");
	if (world == NULL || !crypto_start(false))
		return -1;
	strcpy(world->folder, "/tmp/cmek-objects.XXXXXX");
	if (mkdtemp(world->folder) == NULL)
		return -1;
	world_open(world, &settings);
	memset(label, ' ', sizeof(label));
	memcpy(label, "first", 5);
	if (tokens_init(world->tokens, 0, bytes(NULL, 0), label) != CKR_OK)
		return -1;
	world->editor = (struct editor){.objects = world->objects,
					.session = WORLD_SESSION,
					.read_write = true,
					.private_allowed = true};
	*state = world;
	return 0;
}

static inline int world_teardown(void **state)
{
	struct world *world = *state;
	char command[64];

	world_close(world);
	snprintf(command, sizeof(command), "rm -rf %s", world->folder);
	free(world);
	return system(command);
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
