/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored is bound to the EZK by the encryption context and by a MAC. */
#include "zones/kms/ezk_version.h"

#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "zones/kms/ezk_shares.h"
#include "zones/model/record.h"
#include "zones/model/title.h"
#include "zones/model/wraps.h"

#include <inttypes.h>
#include <stdio.h>

static void put_hex(const struct uid *uid, char *ret_text)
{
	for (size_t i = 0; i < UID_SIZE; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", uid->bytes[i]);
}

/* By their number; of the whole EZK there is no such pair. */
static const char *const share_words[SHARE_COUNT + 1] = {NULL, "1/2", "2/2"};

void ezk_context_init(struct ezk_context *ret_context, const struct ezk_identity *identity)
{
	struct ezk_context *c = ret_context;

	put_hex(&identity->project, c->project);
	put_hex(&identity->cluster, c->cluster);
	snprintf(c->zone, sizeof(c->zone), "%" PRIu64, identity->zone);
	snprintf(c->version, sizeof(c->version), "%" PRIu32, identity->version);
	snprintf(c->max_lease, sizeof(c->max_lease), "%" PRIu32, identity->lease.max_lease);
	snprintf(c->max_stale, sizeof(c->max_stale), "%" PRIu32, identity->lease.max_stale);
	c->pairs[0] = (struct kms_pair){"cmek:purpose", "ezk"};
	c->pairs[1] = (struct kms_pair){"cmek:project", c->project};
	c->pairs[2] = (struct kms_pair){"cmek:cluster", c->cluster};
	c->pairs[3] = (struct kms_pair){"cmek:zone", c->zone};
	c->pairs[4] = (struct kms_pair){"cmek:version", c->version};
	c->pairs[5] = (struct kms_pair){"cmek:max-lease", c->max_lease};
	c->pairs[6] = (struct kms_pair){"cmek:max-stale", c->max_stale};
	c->pairs[7] = (struct kms_pair){"cmek:share", share_words[identity->share]};
	c->context = (struct kms_context){c->pairs, COUNT_OF(c->pairs) - (identity->share == 0)};
}

static bool record_mac(const uint8_t *ezk, uint64_t zone, const struct ezk_version *version,
		       uint8_t ret_mac[static SHA256_SIZE])
{
	AUTO(buffer_clear) struct buffer covered = {0};
	uint8_t key[EZK_SIZE];
	struct bytes part;
	bool done;

	buffer_put_text(&covered, RECORD_MAGIC);
	buffer_put_u8(&covered, RECORD_FORMAT);
	record_put_bound(zone, version, &covered);
	buffer_put_sized(&covered, version->limits);
	part = buffer_bytes(&covered);
	done = !covered.failed && ezk_derive(ezk, EZK_RECORD, zone, version->version, key) &&
	       hmac_once(DIGEST_SHA256, bytes(key, sizeof(key)), &part, 1, ret_mac);
	wipe(key, sizeof(key));
	return done;
}

/* 32 bytes that the KMS draws, and their blob. */
static enum zone_status draw_by_kms(const struct kms_door *door, uint8_t *ret_key,
				    struct buffer *ret_blob)
{
	AUTO(buffer_clear) struct buffer drawn = {0};

	TRY(door_generate(door, &drawn, ret_blob));
	if (drawn.len != EZK_SIZE)
		return ZONE_KMS_BAD_ANSWER;
	secret_copy(ret_key, drawn.data, EZK_SIZE);
	return ZONE_OK;
}

static enum zone_status take_or_draw(const struct ezk_seal *seal, uint8_t *ezk)
{
	if (seal->key != NULL)
		secret_copy(ezk, seal->key, EZK_SIZE);
	else if (!crypto_random(ezk, EZK_SIZE))
		return ZONE_NOT_STARTED;
	return ZONE_OK;
}

/* The EZK and its blob, from wherever it is to come. */
static enum zone_status make_key(const struct kms_door *door, const struct ezk_seal *seal,
				 uint8_t *ezk, struct buffer *ret_blob)
{
	if (seal->key == NULL && seal->from_kms)
		return draw_by_kms(door, ezk, ret_blob);
	TRY(take_or_draw(seal, ezk));
	return door_encrypt(door, bytes(ezk, EZK_SIZE), ret_blob);
}

static enum zone_status identify(const uint8_t *ezk, uint64_t zone, struct ezk_version *version)
{
	if (record_mac(ezk, zone, version, version->mac) &&
	    ezk_fingerprint(ezk, version->fingerprint))
		return ZONE_OK;
	return ZONE_NO_MEMORY;
}

/* What the record keeps: what is asked for, and what every record has. */
static enum zone_status set_limits(const struct ezk_seal *seal, struct ezk_version *version)
{
	AUTO(buffer_clear) struct buffer limits = {0};

	buffer_append(&limits, seal->limits);
	limits_put_lease(&limits, &seal->identity.lease);
	if (seal->kept)
		limits_put_kept(&limits);
	if (limits.failed)
		return ZONE_NO_MEMORY;
	TRY(limits_check(buffer_bytes(&limits)));
	return entry_set_bytes(&version->limits, buffer_bytes(&limits)) ? ZONE_OK : ZONE_NO_MEMORY;
}

static enum zone_status refuse_unbounded(uint64_t zone, const struct ezk_version *version)
{
	log_error("EZK record of zone %" PRIu64 ", version %" PRIu32
		  " lacks its greatest lease; it "
		  "was changed: restore it from a backup",
		  zone, version->version);
	return ZONE_RECORD_CORRUPT;
}

static enum zone_status refuse_policy(const struct kms_door *door, uint64_t zone,
				      const struct ezk_version *version)
{
	log_error("EZK record of %s, version %" PRIu32 ": its wraps are not what its policy says; "
		  "the record was changed: restore it from a backup",
		  zone_title_as(door->zone, door->project, zone).text, version->version);
	return ZONE_RECORD_CORRUPT;
}

/* What a version takes over from the one that it follows. */
static enum zone_status follow(const struct kms_door *door, const struct ezk_version *like,
			       struct ezk_seal *seal, struct ezk_version *version)
{
	if (!ezk_version_fits_policy(kms_clients_providers(door->clients), like))
		return refuse_policy(door, seal->identity.zone, like);
	version->project = like->project;
	version->cluster = like->cluster;
	version->greatest_usages = like->greatest_usages;
	seal->identity.project = like->project;
	seal->identity.cluster = like->cluster;
	if (!limits_get_lease(like->limits, &seal->identity.lease))
		return refuse_unbounded(seal->identity.zone, like);
	TRY(limits_check(like->limits));
	return entry_set_bytes(&version->limits, like->limits) ? ZONE_OK : ZONE_NO_MEMORY;
}

static enum zone_status add_wrap_by(const struct kms_door *door, const char *arn,
				    const uint8_t *ezk, struct ezk_version *version)
{
	AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};
	struct kms_door by = *door;

	by.key = arn;
	TRY(door_encrypt(&by, bytes(ezk, EZK_SIZE), &blob));
	if (blob.failed || blob.len == 0)
		return ZONE_KMS_BAD_ANSWER;
	return ezk_version_add_wrap(version, arn, buffer_bytes(&blob));
}

/* Wraps an EZK as another version is wrapped: by each root key that is in use there. A wrap that
 * `version` has already stays. `door` has the context. */
static enum zone_status wrap_like(const struct kms_door *door, const struct ezk_version *like,
				  const uint8_t *ezk, struct ezk_version *version)
{
	for (size_t i = 0; i < like->wrap_count; i++) {
		const char *arn = like->wraps[i].arn;

		if (wrap_is_live(&like->wraps[i]) && ezk_version_live_wrap(version, arn) == NULL)
			TRY(add_wrap_by(door, arn, ezk, version));
	}
	return ZONE_OK;
}

/* NULL: nothing wraps it. */
static const char *first_root_key(const struct ezk_version *version)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (wrap_is_live(&version->wraps[i]))
			return version->wraps[i].arn;
	return NULL;
}

static enum zone_status seal_key(const struct kms_door *door, const struct ezk_seal *seal,
				 uint8_t *ezk, struct ezk_version *version)
{
	AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};

	TRY(make_key(door, seal, ezk, &blob));
	if (blob.failed || blob.len == 0)
		return ZONE_KMS_BAD_ANSWER;
	TRY(identify(ezk, seal->identity.zone, version));
	TRY(ezk_version_add_wrap(version, door->key, buffer_bytes(&blob)));
	return seal->like == NULL ? ZONE_OK : wrap_like(door, seal->like, ezk, version);
}

/* The root keys of two owners: those of the version that this one follows, or of the seal. */
static bool find_owners(const struct kms_door *door, const struct ezk_seal *seal,
			const char *ret_keys[static SHARE_COUNT])
{
	ret_keys[0] = door->key;
	ret_keys[1] = seal->second;
	for (unsigned i = 0; seal->like != NULL && i < SHARE_COUNT; i++) {
		const struct wrap *wrap = ezk_version_live_share(seal->like, i + 1);

		ret_keys[i] = wrap == NULL ? NULL : wrap->arn;
	}
	return ret_keys[0] != NULL && ret_keys[1] != NULL;
}

/* Where the KMS is to draw, it draws share 1: no KMS ever sees the whole. */
static enum zone_status draw_share(const struct kms_door *door, const struct ezk_identity *identity,
				   const char *key, uint8_t *ret_share)
{
	AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};
	struct ezk_identity of_share = *identity;
	struct kms_door by = *door;
	struct ezk_context context;

	of_share.share = 1;
	ezk_context_init(&context, &of_share);
	by.key = key;
	by.context = &context.context;
	return draw_by_kms(&by, ret_share, &blob);
}

static enum zone_status seal_shares(const struct kms_door *door, const struct ezk_seal *seal,
				    uint8_t *ezk, struct ezk_version *version)
{
	AUTO(secret_freep) uint8_t *shares = secret_new(SHARES_SIZE);
	const char *keys[SHARE_COUNT];

	if (shares == NULL)
		return ZONE_NO_MEMORY;
	if (!find_owners(door, seal, keys))
		return ZONE_KMS_INCORRECT_KEY;
	TRY(ezk_shares_check_keys(door, keys[0], keys[1]));
	if (seal->from_kms)
		TRY(draw_share(door, &seal->identity, keys[0], shares));
	TRY(take_or_draw(seal, ezk));
	TRY(ezk_shares_split(ezk, seal->from_kms, shares));
	TRY(identify(ezk, seal->identity.zone, version));
	return ezk_shares_wrap(door, &seal->identity, keys, shares, version);
}

static bool has_owners(const struct ezk_seal *seal)
{
	return seal->like == NULL ? seal->second != NULL : seal->like->all_wraps;
}

enum zone_status ezk_version_seal(const struct kms_door *door, const struct ezk_seal *seal,
				  struct ezk_version *ret_version)
{
	AUTO(ezk_version_clear)
	struct ezk_version version = {
		.version = seal->identity.version,
		.created_ms = seal->created_ms,
		.greatest_usages = seal->greatest_usages,
		.project = seal->identity.project,
		.cluster = seal->identity.cluster,
	};
	AUTO(secret_freep) uint8_t *ezk = secret_new(EZK_SIZE);
	struct ezk_seal followed = *seal;
	struct ezk_context context;
	struct kms_door bound = *door;

	if (ezk == NULL)
		return ZONE_NO_MEMORY;
	if (seal->like == NULL)
		TRY(set_limits(seal, &version));
	else
		TRY(follow(door, seal->like, &followed, &version));
	if (seal->like != NULL)
		bound.key = first_root_key(seal->like);
	if (bound.key == NULL)
		return ZONE_KMS_INCORRECT_KEY;
	ezk_context_init(&context, &followed.identity);
	bound.context = &context.context;
	if (has_owners(seal))
		TRY(seal_shares(&bound, &followed, ezk, &version));
	else
		TRY(seal_key(&bound, &followed, ezk, &version));
	*ret_version = version;
	version = (struct ezk_version){0};
	return ZONE_OK;
}

static bool all_zero(const uint8_t *memory, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= memory[i];
	return any == 0;
}

/* Is it the key that the record is about? */
static enum zone_status check_key(const uint8_t *ezk, uint64_t zone,
				  const struct ezk_version *version)
{
	struct ezk_version found = *version;
	bool right;

	TRY(identify(ezk, zone, &found));
	right = bytes_equal_constant_time(bytes(found.mac, sizeof(found.mac)),
					  bytes(version->mac, sizeof(version->mac)));
	if (!all_zero(version->fingerprint, sizeof(version->fingerprint)))
		right &= memcmp(found.fingerprint, version->fingerprint,
				sizeof(found.fingerprint)) == 0;
	if (!right)
		return ZONE_RECORD_CORRUPT;
	/* Only now is it known that they are what was written. */
	return limits_check(version->limits);
}

enum zone_status ezk_version_check(const struct kms_door *door, uint64_t zone,
				   const struct ezk_version *version, const char *by,
				   const uint8_t ezk[static EZK_SIZE])
{
	enum zone_status status = check_key(ezk, zone, version);

	if (status == ZONE_RECORD_CORRUPT)
		log_error("EZK record of %s, version %" PRIu32 ": what %s %s is not this key; "
			  "the record was changed: restore it from a backup",
			  zone_title_as(door->zone, door->project, zone).text, version->version,
			  by == NULL ? "its two root keys" : by,
			  by == NULL ? "decrypt" : "decrypts");
	if (status == ZONE_RECORD_NEWER)
		record_is_newer(zone_title_as(door->zone, door->project, zone).text,
				version->version);
	return status;
}

static enum zone_status refuse_length(const struct kms_door *door, uint64_t zone,
				      const struct ezk_version *version, const struct wrap *wrap)
{
	log_error("EZK record of %s, version %" PRIu32
		  ": what %s decrypts is not a key; the record "
		  "was changed: restore it from a backup",
		  zone_title_as(door->zone, door->project, zone).text, version->version, wrap->arn);
	return ZONE_RECORD_CORRUPT;
}

enum zone_status ezk_wrap_open(const struct kms_door *door, uint64_t zone,
			       const struct ezk_version *version, const struct wrap *wrap,
			       uint8_t ret_ezk[static EZK_SIZE])
{
	struct ezk_identity identity = {.project = version->project,
					.cluster = version->cluster,
					.zone = zone,
					.version = version->version,
					.share = wrap->share};
	AUTO(buffer_clear) struct buffer plaintext = {0};
	struct ezk_context context;
	struct kms_door by_wrap = *door;

	if (!wrap_fits_policy(version, wrap))
		return refuse_policy(door, zone, version);
	if (!limits_get_lease(version->limits, &identity.lease))
		return refuse_unbounded(zone, version);
	ezk_context_init(&context, &identity);
	by_wrap.context = &context.context;
	by_wrap.key = wrap->arn;
	TRY(door_decrypt(&by_wrap, wrap->blob, &plaintext));
	if (plaintext.len != EZK_SIZE)
		return refuse_length(door, zone, version, wrap);
	if (wrap->share == 0)
		TRY(ezk_version_check(door, zone, version, wrap->arn, plaintext.data));
	secret_copy(ret_ezk, plaintext.data, EZK_SIZE);
	return ZONE_OK;
}

bool ezk_wrap_is_bad(enum zone_status status)
{
	return status == ZONE_RECORD_CORRUPT || status == ZONE_KMS_INVALID_CIPHERTEXT ||
	       status == ZONE_KMS_INCORRECT_KEY;
}

/* One wrap after the other, until it opens; what only bad ones stand for may have another way. */
struct attempt {
	ezk_open_by *open;
	void *state;
	const struct ezk_version *version;
	uint8_t *ret_ezk;
	const struct wrap *opened;
	enum zone_status answer; /* a no, if there was one */
	bool all_bad;		 /* and none was ever proven */
};

static bool opens(struct attempt *attempt, const struct wrap *wrap)
{
	enum zone_status status =
		attempt->open(attempt->state, attempt->version, wrap, attempt->ret_ezk);

	attempt->all_bad &= wrap->state == WRAP_UNPROVEN && ezk_wrap_is_bad(status);
	if (status == ZONE_OK || !zone_status_is_no(attempt->answer))
		attempt->answer = status;
	if (status == ZONE_OK)
		attempt->opened = wrap;
	return status == ZONE_OK;
}

static bool any_opens(struct attempt *attempt, bool live)
{
	for (size_t i = 0; i < attempt->version->wrap_count; i++) {
		const struct wrap *wrap = &attempt->version->wraps[i];

		if (wrap_is_live(wrap) == live && opens(attempt, wrap))
			return true;
	}
	return false;
}

/* So that what the KMS was to have moved, and did not, is not lost. A no never leads here. */
static void go_back(const struct kms_door *door, uint64_t zone, struct attempt *attempt)
{
	if (!any_opens(attempt, false))
		return;
	log_error("EZK record of %s, version %" PRIu32 ": what its root key was to be replaced by "
		  "does not open it; the key before is used again: rewrap it once more",
		  zone_title_as(door->zone, door->project, zone).text, attempt->version->version);
}

enum zone_status ezk_version_by_wraps(const struct kms_door *door, uint64_t zone,
				      const struct ezk_version *version, ezk_open_by *open,
				      void *state, struct ezk_opened *ret_opened,
				      uint8_t ret_ezk[static EZK_SIZE])
{
	struct attempt attempt = {.open = open,
				  .state = state,
				  .version = version,
				  .ret_ezk = ret_ezk,
				  .answer = ZONE_KMS_INCORRECT_KEY, /* there may be no wrap */
				  .all_bad = true};

	if (!ezk_version_fits_policy(kms_clients_providers(door->clients), version) ||
	    (version->all_wraps && version->wrap_count > WRAPS_MAX))
		return refuse_policy(door, zone, version);
	if (version->all_wraps)
		return ezk_shares_open(door, zone, version, open, state, ret_opened, ret_ezk);
	if (!any_opens(&attempt, true) && attempt.all_bad)
		go_back(door, zone, &attempt);
	if (attempt.answer == ZONE_OK)
		*ret_opened = (struct ezk_opened){{attempt.opened}, 1};
	return attempt.answer;
}

struct opening {
	const struct kms_door *door;
	uint64_t zone;
};

static enum zone_status open_by(void *state, const struct ezk_version *version,
				const struct wrap *wrap, uint8_t ret_ezk[static EZK_SIZE])
{
	const struct opening *opening = state;

	return ezk_wrap_open(opening->door, opening->zone, version, wrap, ret_ezk);
}

enum zone_status ezk_version_open(const struct kms_door *door, uint64_t zone,
				  const struct ezk_version *version,
				  uint8_t ret_ezk[static EZK_SIZE])
{
	struct opening opening = {door, zone};
	struct ezk_opened opened;

	return ezk_version_by_wraps(door, zone, version, open_by, &opening, &opened, ret_ezk);
}
