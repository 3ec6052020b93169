/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of EZKs as a fake KMS seals them. */
#pragma once

#include "tests/support/live_zones.h"

enum { ZONE = 42 };

/* Limits as every record has them behind all others: 3600 s and 7200 s. */
#define OF_LEASES "\4\0\4\0\0\16\20\5\0\4\0\0\34\40"

static const struct ezk_seal plain = {
	.identity = {{{1}}, {{2}}, ZONE, 3, {3600, 7200}},
	.greatest_usages = USAGE_WRAP | USAGE_UNWRAP,
	.created_ms = 1764000000123,
};

static const struct ezk_seal limited = {
	.identity = {{{1}}, {{2}}, ZONE, 3, {3600, 7200}},
	.greatest_usages = USAGE_WRAP | USAGE_UNWRAP,
	.limits = {(const uint8_t *)"\1\0\10\0\0\0\0\0\0\20\207\3\0\1x", 15},
	.created_ms = 1764000000123,
};

static inline int set_up(void **state)
{
	*state = malloc(sizeof(struct live_zones));
	live_zones_start(*state, 300);
	return 0;
}

static inline int tear_down(void **state)
{
	live_zones_stop(*state);
	free(*state);
	return 0;
}

static inline void seal(struct live_zones *live, const struct ezk_seal *seal,
			struct ezk_version *version)
{
	struct kms_door door = live_door(live, ROOT_1);

	assert_int_equal(ezk_version_seal(&door, seal, version), ZONE_OK);
}

static inline enum zone_status open_as(struct live_zones *live, uint64_t zone,
				       const struct ezk_version *version, uint8_t *ret_ezk)
{
	struct kms_door door = live_door(live, NULL);

	return ezk_version_open(&door, zone, version, ret_ezk);
}

/* The same key under the roots 1, 2. */
static inline void seal_twice(struct live_zones *live, struct ezk_version *version)
{
	AUTO(ezk_version_clear) struct ezk_version second = {0};
	struct kms_door door = live_door(live, ROOT_2);
	uint8_t key[EZK_SIZE] = {9};
	struct ezk_seal given = plain;

	given.key = key;
	seal(live, &given, version);
	assert_int_equal(ezk_version_seal(&door, &given, &second), ZONE_OK);
	assert_int_equal(ezk_version_add_wrap(version, second.wraps[0].arn, second.wraps[0].blob),
			 ZONE_OK);
}
