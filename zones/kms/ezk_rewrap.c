/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* By ReEncrypt, or by Decrypt and Encrypt. */
#include "zones/kms/ezk_rewrap.h"

#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "zones/kms/ezk_shares.h"
#include "zones/model/record.h"
#include "zones/model/title.h"
#include "zones/model/wraps.h"

#include <inttypes.h>
#include <stdlib.h>

/* A version on its way. */
struct move {
	const struct kms_door *door;
	uint64_t zone;
	const struct ezk_version *from;
	struct ezk_identity identity;
	struct ezk_context context; /* the same before and after */
	unsigned share;		    /* what is moved: 0 the EZK, else that share of it */
	struct ezk_version to;
	uint8_t *key; /* that, in locked memory; NULL: nobody had to see it so far */
};

static void move_clear(struct move *move)
{
	ezk_version_clear(&move->to);
	secret_free(move->key);
}

static enum zone_status begin(struct move *move)
{
	move->identity = (struct ezk_identity){.project = move->from->project,
					       .cluster = move->from->cluster,
					       .zone = move->zone,
					       .version = move->from->version};
	if (!limits_get_lease(move->from->limits, &move->identity.lease) ||
	    !ezk_version_fits_policy(kms_clients_providers(move->door->clients), move->from))
		return ZONE_RECORD_CORRUPT;
	ezk_context_init(&move->context, &move->identity);
	return ezk_version_copy_bare(move->from, &move->to);
}

/* From here on that share is moved. */
static void begin_share(struct move *move, unsigned share)
{
	secret_free(move->key);
	move->key = NULL;
	move->share = share;
	move->identity.share = (uint8_t)share;
	ezk_context_init(&move->context, &move->identity);
}

static struct kms_door door_to(const struct move *move, const char *key)
{
	struct kms_door door = *move->door;

	door.key = key;
	door.context = &move->context.context;
	return door;
}

static enum zone_status add(struct move *move, const char *key, const struct buffer *blob,
			    enum wrap_state state)
{
	if (blob->failed || blob->len == 0)
		return ZONE_KMS_BAD_ANSWER;
	TRY(ezk_version_add_wrap(&move->to, key, buffer_bytes(blob)));
	move->to.wraps[move->to.wrap_count - 1].state = state;
	move->to.wraps[move->to.wrap_count - 1].share = (uint8_t)move->share;
	return ZONE_OK;
}

/* --- By the KMS alone */

static bool same_place(const struct move *move, const char *a, const char *b)
{
	const struct kms_provider *const *providers = kms_clients_providers(move->door->clients);
	char provider_a[KMS_PROVIDER_MAX + 1], region_a[KMS_REGION_MAX + 1];
	char provider_b[KMS_PROVIDER_MAX + 1], region_b[KMS_REGION_MAX + 1];

	return kms_name_parse(providers, a, provider_a, region_a) &&
	       kms_name_parse(providers, b, provider_b, region_b) &&
	       strcmp(provider_a, provider_b) == 0 && strcmp(region_a, region_b) == 0;
}

/* Another wrap of the version may still do. */
static bool is_about_wrap(enum zone_status status)
{
	return ezk_wrap_is_bad(status) || zone_status_is_no_of_key(status);
}

static enum zone_status re_encrypt(struct move *move, const struct wrap *wrap, const char *key)
{
	AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};
	struct kms_door door = door_to(move, wrap->arn);

	door.another_way = true;
	TRY(door_re_encrypt(&door, wrap->blob, key, &blob));
	return add(move, key, &blob, WRAP_UNPROVEN);
}

/* From what is proven first. ZONE_KMS_UNSUPPORTED: nothing of it is where the key is. */
static enum zone_status by_kms(struct move *move, const char *key)
{
	static const enum wrap_state order[] = {WRAP_ACTIVE, WRAP_UNPROVEN, WRAP_REPLACED};
	enum zone_status status = ZONE_KMS_UNSUPPORTED;

	for (size_t s = 0; s < COUNT_OF(order); s++)
		for (size_t i = 0; i < move->from->wrap_count; i++) {
			const struct wrap *wrap = &move->from->wraps[i];

			if (wrap->state != order[s] || wrap->share != move->share ||
			    !same_place(move, wrap->arn, key))
				continue;
			status = re_encrypt(move, wrap, key);
			if (!is_about_wrap(status))
				return status;
		}
	return status;
}

/* --- By this process */

/* A share by itself: what is proven first, and no wrap that was replaced. */
static enum zone_status open_share(struct move *move, const struct kms_door *door)
{
	static const enum wrap_state order[] = {WRAP_ACTIVE, WRAP_UNPROVEN};
	enum zone_status status = ZONE_KMS_INCORRECT_KEY;

	for (size_t s = 0; s < COUNT_OF(order); s++)
		for (size_t i = 0; i < move->from->wrap_count; i++) {
			const struct wrap *wrap = &move->from->wraps[i];

			if (wrap->state != order[s] || wrap->share != move->share)
				continue;
			status = ezk_wrap_open(door, move->zone, move->from, wrap, move->key);
			if (!is_about_wrap(status))
				return status;
		}
	return status;
}

static enum zone_status open_here(struct move *move)
{
	struct kms_door door = *move->door;

	if (move->key != NULL)
		return ZONE_OK;
	move->key = secret_new(EZK_SIZE);
	if (move->key == NULL)
		return ZONE_NO_MEMORY;
	door.another_way = true;
	return move->share != 0 ? open_share(move, &door)
				: ezk_version_open(&door, move->zone, move->from, move->key);
}

/* Was the share that is here one that opened the EZK before? */
static bool is_proven(const struct move *move)
{
	for (size_t i = 0; i < move->from->wrap_count; i++)
		if (move->from->wraps[i].share == move->share &&
		    move->from->wraps[i].state == WRAP_ACTIVE)
			return true;
	return false;
}

/* Where this process may not open what it made, somebody else has to prove it. */
static enum zone_status prove_last(struct move *move)
{
	AUTO(secret_freep) uint8_t *opened = secret_new(EZK_SIZE);
	struct wrap *made = &move->to.wraps[move->to.wrap_count - 1];
	struct kms_door door = *move->door;
	enum zone_status status;

	if (opened == NULL)
		return ZONE_NO_MEMORY;
	door.another_way = true;
	status = ezk_wrap_open(&door, move->zone, &move->to, made, opened);
	if (status == ZONE_OK &&
	    !bytes_equal_constant_time(bytes(opened, EZK_SIZE), bytes(move->key, EZK_SIZE)))
		return ZONE_KMS_BAD_ANSWER;
	if (status == ZONE_OK && (move->share == 0 || is_proven(move)))
		made->state = WRAP_ACTIVE;
	return status == ZONE_KMS_DENIED ? ZONE_OK : status;
}

static enum zone_status encrypt_here(struct move *move, const char *key)
{
	AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};
	struct kms_door door = door_to(move, key);

	door.another_way = true;
	TRY(door_encrypt(&door, bytes(move->key, EZK_SIZE), &blob));
	TRY(add(move, key, &blob, WRAP_UNPROVEN));
	return prove_last(move);
}

static enum zone_status by_hand(struct move *move, const char *key)
{
	enum zone_status status = open_here(move);

	return status == ZONE_OK ? encrypt_here(move, key) : status;
}

static enum zone_status refuse_move(const struct move *move, const char *key, bool may_re_encrypt)
{
	log_error("%s, version %" PRIu32 " can't go to %s: access denied to this identity; allow "
		  "it %skms:Decrypt by the old root key and kms:Encrypt by the new one",
		  zone_title_as(move->door->zone, move->door->project, move->zone).text,
		  move->from->version, key,
		  may_re_encrypt ? "kms:ReEncryptFrom the old root key and kms:ReEncryptTo the new "
				   "one, or "
				 : "");
	return ZONE_KMS_DENIED;
}

/* --- Together */

static enum zone_status wrap_by(struct move *move, const char *key)
{
	enum zone_status status = by_kms(move, key);
	bool together = status == ZONE_KMS_DENIED;

	if (status != ZONE_KMS_DENIED && status != ZONE_KMS_UNSUPPORTED)
		return status;
	if (together)
		log_info("%s: kms:ReEncrypt to %s is denied to this identity; it goes on by "
			 "kms:Decrypt and kms:Encrypt",
			 zone_title_as(move->door->zone, move->door->project, move->zone).text,
			 key);
	status = by_hand(move, key);
	return status == ZONE_KMS_DENIED ? refuse_move(move, key, together) : status;
}

/* What was split or joined is opened by what came of it, before anything of the old goes. */
static enum zone_status prove_all(struct move *move)
{
	AUTO(secret_freep) uint8_t *ezk = secret_new(EZK_SIZE);

	if (ezk == NULL)
		return ZONE_NO_MEMORY;
	if (move->to.all_wraps)
		return ezk_version_open(move->door, move->zone, &move->to, ezk);
	for (size_t i = 0; i < move->to.wrap_count; i++)
		TRY(ezk_wrap_open(move->door, move->zone, &move->to, &move->to.wraps[i], ezk));
	return ZONE_OK;
}

static enum zone_status split(struct move *move, const struct ezk_wish *wish)
{
	AUTO(secret_freep) uint8_t *shares = secret_new(SHARES_SIZE);

	if (shares == NULL)
		return ZONE_NO_MEMORY;
	TRY(open_here(move));
	TRY(ezk_shares_split(move->key, false, shares));
	return ezk_shares_wrap(move->door, &move->identity, wish->keys, shares, &move->to);
}

static enum zone_status join(struct move *move, const struct ezk_wish *wish)
{
	move->to.all_wraps = false;
	TRY(open_here(move));
	for (size_t i = 0; i < wish->count; i++) {
		AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};
		struct kms_door door = door_to(move, wish->keys[i]);

		TRY(door_encrypt(&door, bytes(move->key, EZK_SIZE), &blob));
		TRY(add(move, wish->keys[i], &blob, WRAP_ACTIVE));
	}
	return ZONE_OK;
}

/* The policy changes. */
static enum zone_status make_anew(struct move *move, const struct ezk_wish *wish)
{
	enum zone_status status = wish->both ? split(move, wish) : join(move, wish);

	if (status == ZONE_OK)
		status = prove_all(move);
	if (status == ZONE_KMS_DENIED)
		log_error("%s, version %" PRIu32
			  ": between one owner and two its key is opened and "
			  "encrypted anew: allow this identity kms:Decrypt and kms:Encrypt by all "
			  "root "
			  "keys, of before and after",
			  zone_title_as(move->door->zone, move->door->project, move->zone).text,
			  move->from->version);
	return status;
}

/* Until something of the new is proven. */
static enum zone_status keep_old(struct move *move)
{
	for (size_t i = 0; i < move->from->wrap_count; i++) {
		const struct wrap *wrap = &move->from->wraps[i];

		/* What was never proven is worth nothing. */
		if (wrap->state == WRAP_UNPROVEN || ezk_version_has_blob(&move->to, wrap->blob))
			continue;
		TRY(ezk_version_take_wrap(&move->to, wrap, WRAP_REPLACED));
	}
	ezk_version_drop_needless(&move->to);
	return ZONE_OK;
}

static bool is_wished(const struct ezk_wish *wish, const char *arn)
{
	for (size_t i = 0; i < wish->count; i++)
		if (strcmp(wish->keys[i], arn) == 0)
			return true;
	return false;
}

/* The wished keys by the share that each gets. A share's own key keeps it. */
static void assign(const struct move *move, const struct ezk_wish *wish,
		   const char *ret_keys[static SHARE_COUNT])
{
	size_t next = 0;

	for (unsigned i = 0; i < SHARE_COUNT; i++) {
		const struct wrap *wrap = ezk_version_live_share(move->from, i + 1);

		ret_keys[i] = wrap != NULL && is_wished(wish, wrap->arn) ? wrap->arn : NULL;
	}
	for (unsigned i = 0; i < SHARE_COUNT; i++) {
		const char *other = ret_keys[SHARE_COUNT - 1 - i];

		if (ret_keys[i] != NULL)
			continue;
		while (other != NULL && next + 1 < wish->count &&
		       strcmp(wish->keys[next], other) == 0)
			next++;
		ret_keys[i] = wish->keys[next < wish->count ? next++ : 0];
	}
}

static enum zone_status move_shares(struct move *move, const struct ezk_wish *wish)
{
	const char *keys[SHARE_COUNT];

	assign(move, wish, keys);
	TRY(ezk_shares_check_keys(move->door, keys[0], keys[1]));
	for (unsigned i = 0; i < SHARE_COUNT; i++) {
		const struct wrap *there = ezk_version_live_share(move->from, i + 1);
		bool anew = wish->anew && strcmp(keys[i], wish->keys[0]) == 0;

		begin_share(move, i + 1);
		if (!anew && there != NULL && strcmp(there->arn, keys[i]) == 0)
			TRY(ezk_version_take_wrap(&move->to, there, there->state));
		else
			TRY(wrap_by(move, keys[i]));
	}
	return keep_old(move);
}

static enum zone_status move_all(struct move *move, const struct ezk_wish *wish)
{
	if (wish->both != move->from->all_wraps)
		return make_anew(move, wish);
	if (wish->both)
		return move_shares(move, wish);
	for (size_t i = 0; i < wish->count; i++) {
		const struct wrap *there =
			wish->anew ? NULL : ezk_version_live_wrap(move->from, wish->keys[i]);

		if (there != NULL)
			TRY(ezk_version_take_wrap(&move->to, there, there->state));
		else
			TRY(wrap_by(move, wish->keys[i]));
	}
	return keep_old(move);
}

enum zone_status ezk_version_rewrap(const struct kms_door *door, uint64_t zone,
				    const struct ezk_version *version, const struct ezk_wish *wish,
				    struct ezk_version *ret_wrapped)
{
	AUTO(move_clear) struct move move = {.door = door, .zone = zone, .from = version};

	TRY(begin(&move));
	TRY(move_all(&move, wish));
	*ret_wrapped = move.to;
	move.to = (struct ezk_version){0};
	return ZONE_OK;
}

/* --- Proving */

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

static enum zone_status try_each(const struct opening *opening, const struct ezk_version *version,
				 uint8_t *ezk, struct ezk_version *proven)
{
	for (size_t i = 0; i < version->wrap_count; i++) {
		const struct wrap *wrap = &version->wraps[i];
		enum zone_status status;

		if (wrap->state != WRAP_UNPROVEN)
			continue;
		status = ezk_wrap_open(opening->door, opening->zone, version, wrap, ezk);
		if (status == ZONE_OK)
			ezk_version_prove(proven, wrap->blob);
		else if (!ezk_wrap_is_bad(status))
			return status;
	}
	return ZONE_OK;
}

enum zone_status ezk_version_try(const struct kms_door *door, uint64_t zone,
				 const struct ezk_version *version, struct ezk_version *ret_proven)
{
	AUTO(secret_freep) uint8_t *ezk = secret_new(EZK_SIZE);
	AUTO(ezk_version_clear) struct ezk_version proven = {0};
	struct opening opening = {.door = door, .zone = zone};
	struct ezk_opened opened;

	if (ezk == NULL)
		return ZONE_NO_MEMORY;
	TRY(ezk_version_copy(version, &proven));
	/* A share proves nothing by itself. */
	if (!version->all_wraps)
		TRY(try_each(&opening, version, ezk, &proven));
	if (version->all_wraps || ezk_version_count(&proven, WRAP_ACTIVE) == 0) {
		TRY(ezk_version_by_wraps(door, zone, version, open_by, &opening, &opened, ezk));
		for (size_t i = 0; i < opened.count; i++)
			ezk_version_prove(&proven, opened.by[i]->blob);
	}
	*ret_proven = proven;
	proven = (struct ezk_version){0};
	return ZONE_OK;
}
