/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Two shares: made, wrapped, and opened together. */
#include "zones/kms/ezk_shares.h"

#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "zones/model/record.h"
#include "zones/model/refuse.h"
#include "zones/model/title.h"
#include "zones/model/wraps.h"

#include <inttypes.h>

void ezk_shares_combine(const uint8_t first[static EZK_SIZE], const uint8_t second[static EZK_SIZE],
			uint8_t ret_ezk[static EZK_SIZE])
{
	for (size_t i = 0; i < EZK_SIZE; i++)
		ret_ezk[i] = first[i] ^ second[i];
}

enum zone_status ezk_shares_split(const uint8_t ezk[static EZK_SIZE], bool has_first,
				  uint8_t ret_shares[static SHARES_SIZE])
{
	if (!has_first && !crypto_random(ret_shares, EZK_SIZE))
		return ZONE_NOT_STARTED;
	ezk_shares_combine(ezk, ret_shares, ret_shares + EZK_SIZE);
	return ZONE_OK;
}

enum zone_status ezk_shares_check_keys(const struct kms_door *door, const char *first,
				       const char *second)
{
	if (!kms_same_key(kms_clients_providers(door->clients), first, second))
		return ZONE_OK;
	return refuse(ZONE_INVALID,
		      "two owners need two root keys, and %s and %s are one key; name a key of "
		      "another owner",
		      first, second);
}

static enum zone_status wrap_share(const struct kms_door *door, const struct ezk_identity *identity,
				   const char *key, const uint8_t *share,
				   struct ezk_version *version)
{
	AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};
	struct ezk_context context;
	struct kms_door by = *door;

	ezk_context_init(&context, identity);
	by.key = key;
	by.context = &context.context;
	TRY(door_encrypt(&by, bytes(share, EZK_SIZE), &blob));
	if (blob.failed || blob.len == 0)
		return ZONE_KMS_BAD_ANSWER;
	TRY(ezk_version_add_wrap(version, key, buffer_bytes(&blob)));
	version->wraps[version->wrap_count - 1].share = identity->share;
	return ZONE_OK;
}

enum zone_status ezk_shares_wrap(const struct kms_door *door, const struct ezk_identity *identity,
				 const char *const keys[static SHARE_COUNT],
				 const uint8_t shares[static SHARES_SIZE],
				 struct ezk_version *ret_version)
{
	struct ezk_identity of_share = *identity;

	TRY(ezk_shares_check_keys(door, keys[0], keys[1]));
	for (unsigned i = 0; i < SHARE_COUNT; i++) {
		of_share.share = (uint8_t)(i + 1);
		TRY(wrap_share(door, &of_share, keys[i], shares + (size_t)i * EZK_SIZE,
			       ret_version));
	}
	ret_version->all_wraps = true;
	return ZONE_OK;
}

/* --- Opening */

/* One version's wraps, each asked at most once. */
struct opening {
	const struct kms_door *door;
	uint64_t zone;
	const struct ezk_version *version;
	ezk_open_by *open;
	void *state;
	bool asked[WRAPS_MAX];
	enum zone_status status[WRAPS_MAX];
	uint8_t *shares; /* WRAPS_MAX of them, in locked memory */
};

static uint8_t *share_at(const struct opening *opening, size_t at)
{
	return opening->shares + at * EZK_SIZE;
}

static enum zone_status ask(struct opening *opening, size_t at)
{
	if (!opening->asked[at])
		opening->status[at] =
			opening->open(opening->state, opening->version,
				      &opening->version->wraps[at], share_at(opening, at));
	opening->asked[at] = true;
	return opening->status[at];
}

/* The first no ends it; else the second may still say one. */
static enum zone_status ask_both(struct opening *opening, size_t first, size_t second)
{
	enum zone_status a = ask(opening, first), b;

	if (zone_status_is_no(a))
		return a;
	b = ask(opening, second);
	return zone_status_is_no(b) || a == ZONE_OK ? b : a;
}

static enum zone_status try_pair(struct opening *opening, size_t first, size_t second,
				 uint8_t *ret_ezk)
{
	AUTO(secret_freep) uint8_t *ezk = secret_new(EZK_SIZE);

	if (ezk == NULL)
		return ZONE_NO_MEMORY;
	TRY(ask_both(opening, first, second));
	ezk_shares_combine(share_at(opening, first), share_at(opening, second), ezk);
	TRY(ezk_version_check(opening->door, opening->zone, opening->version, NULL, ezk));
	secret_copy(ret_ezk, ezk, EZK_SIZE);
	return ZONE_OK;
}

/* What was replaced counts only where nothing that replaces it was ever proven. */
static bool may_open(const struct ezk_version *version, size_t at, bool also_replaced)
{
	if (wrap_is_live(&version->wraps[at]))
		return true;
	for (size_t i = 0; i < version->wrap_count; i++)
		if (version->wraps[i].share == version->wraps[at].share &&
		    version->wraps[i].state == WRAP_ACTIVE)
			return false;
	return also_replaced;
}

static bool is_pair(const struct opening *opening, size_t first, size_t second, bool also_replaced)
{
	const struct kms_provider *const *providers = kms_clients_providers(opening->door->clients);
	const struct ezk_version *version = opening->version;
	const struct wrap *a = &version->wraps[first], *b = &version->wraps[second];
	bool live = wrap_is_live(a) && wrap_is_live(b);

	return a->share == 1 && b->share == 2 && !kms_same_key(providers, a->arn, b->arn) &&
	       (!also_replaced || !live) && may_open(version, first, also_replaced) &&
	       may_open(version, second, also_replaced);
}

/* Goes on to the next pair only where one turned out not to hold the key. */
static enum zone_status try_pairs(struct opening *opening, bool also_replaced,
				  struct ezk_opened *ret_opened, uint8_t *ret_ezk)
{
	const struct ezk_version *version = opening->version;
	enum zone_status status = ZONE_RECORD_CORRUPT;

	for (size_t i = 0; i < version->wrap_count; i++)
		for (size_t j = 0; j < version->wrap_count; j++) {
			if (!is_pair(opening, i, j, also_replaced))
				continue;
			status = try_pair(opening, i, j, ret_ezk);
			if (status == ZONE_OK)
				*ret_opened = (struct ezk_opened){
					{&version->wraps[i], &version->wraps[j]}, SHARE_COUNT};
			if (!ezk_wrap_is_bad(status))
				return status;
		}
	return status;
}

static enum zone_status open_pairs(struct opening *opening, struct ezk_opened *ret_opened,
				   uint8_t *ret_ezk)
{
	const struct kms_door *door = opening->door;
	enum zone_status status = try_pairs(opening, false, ret_opened, ret_ezk), again;

	if (!ezk_wrap_is_bad(status))
		return status;
	again = try_pairs(opening, true, ret_opened, ret_ezk);
	if (again == ZONE_OK)
		log_error(
			"EZK record of %s, version %" PRIu32 ": what one of its two root keys was "
			"to be replaced by does not open it; the key before is used again: rewrap "
			"it once more",
			zone_title_as(door->zone, door->project, opening->zone).text,
			opening->version->version);
	/* Where there was nothing further to try, the first answer says more. */
	return again == ZONE_RECORD_CORRUPT ? status : again;
}

enum zone_status ezk_shares_open(const struct kms_door *door, uint64_t zone,
				 const struct ezk_version *version, ezk_open_by *open, void *state,
				 struct ezk_opened *ret_opened, uint8_t ret_ezk[static EZK_SIZE])
{
	AUTO(secret_freep) uint8_t *shares = secret_new((size_t)WRAPS_MAX * EZK_SIZE);
	struct opening opening = {.door = door,
				  .zone = zone,
				  .version = version,
				  .open = open,
				  .state = state,
				  .shares = shares};

	if (shares == NULL)
		return ZONE_NO_MEMORY;
	return open_pairs(&opening, ret_opened, ret_ezk);
}
