/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* By ReEncrypt, or by Decrypt and Encrypt. */
#include "zones/kms/ezk_rewrap.h"

#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "zones/kms/ezk_version.h"
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
	struct ezk_context context; /* the same before and after */
	struct ezk_version to;
	uint8_t *ezk; /* in locked memory; NULL: nobody had to see it so far */
};

static void move_clear(struct move *move)
{
	ezk_version_clear(&move->to);
	secret_free(move->ezk);
}

static enum zone_status begin(struct move *move)
{
	struct ezk_identity identity = {
		move->from->project, move->from->cluster, move->zone, move->from->version, {0}};

	if (!limits_get_lease(move->from->limits, &identity.lease))
		return ZONE_RECORD_CORRUPT;
	ezk_context_init(&move->context, &identity);
	return ezk_version_copy_bare(move->from, &move->to);
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

			if (wrap->state != order[s] || !same_place(move, wrap->arn, key))
				continue;
			status = re_encrypt(move, wrap, key);
			if (!is_about_wrap(status))
				return status;
		}
	return status;
}

/* --- By this process */

static enum zone_status open_here(struct move *move)
{
	struct kms_door door = *move->door;

	if (move->ezk != NULL)
		return ZONE_OK;
	move->ezk = secret_new(EZK_SIZE);
	if (move->ezk == NULL)
		return ZONE_NO_MEMORY;
	door.another_way = true;
	return ezk_version_open(&door, move->zone, move->from, move->ezk);
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
	if (status == ZONE_OK)
		made->state = WRAP_ACTIVE;
	return status == ZONE_KMS_DENIED ? ZONE_OK : status;
}

static enum zone_status encrypt_here(struct move *move, const char *key)
{
	AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};
	struct kms_door door = door_to(move, key);

	door.another_way = true;
	TRY(door_encrypt(&door, bytes(move->ezk, EZK_SIZE), &blob));
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

static enum zone_status move_all(struct move *move, const struct ezk_wish *wish)
{
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
	struct bytes opened; /* the blob that did */
};

static enum zone_status open_by(void *state, const struct ezk_version *version,
				const struct wrap *wrap, uint8_t ret_ezk[static EZK_SIZE])
{
	struct opening *opening = state;

	TRY(ezk_wrap_open(opening->door, opening->zone, version, wrap, ret_ezk));
	opening->opened = wrap->blob;
	return ZONE_OK;
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

	if (ezk == NULL)
		return ZONE_NO_MEMORY;
	TRY(ezk_version_copy(version, &proven));
	TRY(try_each(&opening, version, ezk, &proven));
	if (ezk_version_count(&proven, WRAP_ACTIVE) == 0) {
		TRY(ezk_version_by_any(door, zone, version, open_by, &opening, ezk));
		ezk_version_prove(&proven, opening.opened);
	}
	*ret_proven = proven;
	proven = (struct ezk_version){0};
	return ZONE_OK;
}
