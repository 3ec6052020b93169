/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which wraps count, and which may go. */
#include "zones/model/wraps.h"

#include "base/macros.h"
#include "kms/kms.h"
#include "zones/model/record.h"

const struct wrap *ezk_version_live_wrap(const struct ezk_version *version, const char *arn)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (wrap_is_live(&version->wraps[i]) && strcmp(version->wraps[i].arn, arn) == 0)
			return &version->wraps[i];
	return NULL;
}

const struct wrap *ezk_version_live_share(const struct ezk_version *version, unsigned share)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (wrap_is_live(&version->wraps[i]) && version->wraps[i].share == share)
			return &version->wraps[i];
	return NULL;
}

static bool is_one_key(const struct kms_provider *const *providers, const char *a, const char *b)
{
	return providers == NULL ? strcmp(a, b) == 0 : kms_same_key(providers, a, b);
}

/* Two wraps of different shares by two keys. */
static bool has_two_owners(const struct kms_provider *const *providers,
			   const struct ezk_version *version)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		for (size_t j = 0; j < i; j++) {
			const struct wrap *a = &version->wraps[i], *b = &version->wraps[j];

			if (a->share != b->share && !is_one_key(providers, a->arn, b->arn))
				return true;
		}
	return false;
}

bool ezk_version_fits_policy(const struct kms_provider *const *providers,
			     const struct ezk_version *version)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (!wrap_fits_policy(version, &version->wraps[i]))
			return false;
	return !version->all_wraps || has_two_owners(providers, version);
}

size_t ezk_version_count(const struct ezk_version *version, enum wrap_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < version->wrap_count; i++)
		count += version->wraps[i].state == state;
	return count;
}

/* The wrap that has this blob; wrap_count: none. */
static size_t index_of(const struct ezk_version *version, struct bytes blob)
{
	size_t at = 0;

	while (at < version->wrap_count && !bytes_equal(version->wraps[at].blob, blob))
		at++;
	return at;
}

bool ezk_version_has_wrap_by(const struct kms_provider *const *providers,
			     const struct ezk_version *version, const char *arn)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (kms_same_key(providers, version->wraps[i].arn, arn))
			return true;
	return false;
}

bool ezk_version_has_blob(const struct ezk_version *version, struct bytes blob)
{
	return index_of(version, blob) < version->wrap_count;
}

bool zone_is_proven(const struct entry *zone)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (ezk_version_count(&zone->of_zone.versions[i], WRAP_UNPROVEN) > 0)
			return false;
	return true;
}

bool zone_is_under(const struct entry *zone, const char *arn)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (ezk_version_live_wrap(&zone->of_zone.versions[i], arn) == NULL)
			return false;
	return true;
}

bool ezk_version_same_wraps(const struct ezk_version *a, const struct ezk_version *b)
{
	bool same = a->wrap_count == b->wrap_count && a->all_wraps == b->all_wraps;

	for (size_t i = 0; same && i < a->wrap_count; i++)
		same = a->wraps[i].state == b->wraps[i].state &&
		       a->wraps[i].share == b->wraps[i].share &&
		       strcmp(a->wraps[i].arn, b->wraps[i].arn) == 0 &&
		       bytes_equal(a->wraps[i].blob, b->wraps[i].blob);
	return same;
}

/* --- Changes */

static void drop_state(struct ezk_version *version, unsigned share, enum wrap_state state)
{
	size_t kept = 0;

	for (size_t i = 0; i < version->wrap_count; i++) {
		struct wrap wrap = version->wraps[i];

		/* Swapped, so that the rest is still there to be freed. */
		if (wrap.state != state || wrap.share != share) {
			version->wraps[i] = version->wraps[kept];
			version->wraps[kept++] = wrap;
		}
	}
	while (version->wrap_count > kept)
		ezk_version_drop_wrap(version);
}

static bool has_active(const struct ezk_version *version, unsigned share)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (version->wraps[i].share == share && version->wraps[i].state == WRAP_ACTIVE)
			return true;
	return false;
}

void ezk_version_drop_needless(struct ezk_version *version)
{
	for (unsigned share = 0; share <= SHARE_COUNT; share++)
		if (has_active(version, share))
			drop_state(version, share, WRAP_REPLACED);
}

/* wrap_count: none. */
static size_t first_active(const struct ezk_version *version, const char *arn)
{
	size_t at = 0;

	while (at < version->wrap_count && (version->wraps[at].state != WRAP_ACTIVE ||
					    strcmp(version->wraps[at].arn, arn) != 0))
		at++;
	return at;
}

void ezk_version_drop_twice(struct ezk_version *version, const char *arn)
{
	size_t first = first_active(version, arn), kept = 0, count = version->wrap_count;

	if (version->all_wraps || first == count)
		return;
	for (size_t i = 0; i < count; i++) {
		struct wrap wrap = version->wraps[i];

		/* Swapped, as above. */
		if (i == first || strcmp(wrap.arn, arn) != 0) {
			version->wraps[i] = version->wraps[kept];
			version->wraps[kept++] = wrap;
		}
	}
	while (version->wrap_count > kept)
		ezk_version_drop_wrap(version);
}

bool ezk_version_prove(struct ezk_version *version, struct bytes blob)
{
	size_t at = index_of(version, blob);
	bool was_replaced;
	unsigned share;

	if (at == version->wrap_count || version->wraps[at].state == WRAP_ACTIVE)
		return false;
	was_replaced = version->wraps[at].state == WRAP_REPLACED;
	share = version->wraps[at].share;
	version->wraps[at].state = WRAP_ACTIVE;
	if (was_replaced)
		drop_state(version, share, WRAP_UNPROVEN);
	ezk_version_drop_needless(version);
	return true;
}

enum zone_status ezk_version_take_wrap(struct ezk_version *version, const struct wrap *wrap,
				       enum wrap_state state)
{
	TRY(ezk_version_add_wrap(version, wrap->arn, wrap->blob));
	version->wraps[version->wrap_count - 1].state = state;
	version->wraps[version->wrap_count - 1].share = wrap->share;
	return ZONE_OK;
}

enum zone_status ezk_version_copy_bare(const struct ezk_version *version,
				       struct ezk_version *ret_copy)
{
	struct ezk_version bare = *version;

	bare.wraps = NULL;
	bare.wrap_count = 0;
	return ezk_version_copy(&bare, ret_copy);
}

enum zone_status ezk_version_set_wraps(struct ezk_version *version, const struct ezk_version *from)
{
	while (version->wrap_count > 0)
		ezk_version_drop_wrap(version);
	version->all_wraps = from->all_wraps;
	for (size_t i = 0; i < from->wrap_count; i++)
		TRY(ezk_version_take_wrap(version, &from->wraps[i], from->wraps[i].state));
	return ZONE_OK;
}

/* --- In words */

static const struct ezk_version *same_version(const struct entry *zone,
					      const struct ezk_version *version)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (zone->of_zone.versions[i].version == version->version &&
		    zone->of_zone.versions[i].record_zone == version->record_zone)
			return &zone->of_zone.versions[i];
	return NULL;
}

static bool has_new_wrap(const struct ezk_version *before, const struct ezk_version *after)
{
	for (size_t i = 0; i < after->wrap_count; i++)
		if (!ezk_version_has_blob(before, after->wraps[i].blob))
			return true;
	return before->all_wraps != after->all_wraps;
}

/* The one that was replaced is what opens it again. */
static bool was_undone(const struct ezk_version *before, const struct ezk_version *after)
{
	for (size_t i = 0; i < before->wrap_count; i++) {
		size_t at = index_of(after, before->wraps[i].blob);

		if (before->wraps[i].state == WRAP_REPLACED && at < after->wrap_count &&
		    after->wraps[at].state == WRAP_ACTIVE)
			return true;
	}
	return false;
}

static bool was_proven(const struct ezk_version *before, const struct ezk_version *after)
{
	return ezk_version_count(before, WRAP_UNPROVEN) > ezk_version_count(after, WRAP_UNPROVEN) &&
	       ezk_version_count(before, WRAP_ACTIVE) < ezk_version_count(after, WRAP_ACTIVE);
}

static const char *change_of(const struct ezk_version *before, const struct ezk_version *after)
{
	if (has_new_wrap(before, after))
		return "rewrapped";
	if (was_undone(before, after))
		return "rewrap undone";
	return was_proven(before, after) ? "proven" : "root keys changed";
}

const char *zone_wraps_change(const struct entry *before, const struct entry *after)
{
	const char *change = NULL;

	for (size_t i = 0; i < after->of_zone.version_count; i++) {
		const struct ezk_version *now = &after->of_zone.versions[i];
		const struct ezk_version *then = same_version(before, now);

		if (then == NULL || ezk_version_same_wraps(then, now))
			continue;
		change = change_of(then, now);
		if (has_new_wrap(then, now))
			return change;
	}
	return change;
}

const char *zone_only_root_key(const struct entry *zone)
{
	const char *only = NULL;

	for (size_t i = 0; i < zone->of_zone.version_count; i++) {
		const struct ezk_version *version = &zone->of_zone.versions[i];

		for (size_t j = 0; j < version->wrap_count; j++) {
			const struct wrap *wrap = &version->wraps[j];

			if (!wrap_is_live(wrap))
				continue;
			if (only != NULL && strcmp(only, wrap->arn) != 0)
				return NULL;
			only = wrap->arn;
		}
	}
	return only;
}
