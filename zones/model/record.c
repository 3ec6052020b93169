/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* EZK records, written and read. */
#include "zones/model/record.h"

#include "base/encode.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/reader.h"
#include "zones/model/limits.h"
#include "zones/model/title.h"
#include "zones/model/wraps.h"

#include <inttypes.h>

enum {
	FORMAT = RECORD_FORMAT,
	RECORD_SIZE_MAX = 65535,
	MIN_SIZE = 99,
};

void record_put_bound(uint64_t zone, const struct ezk_version *version, struct buffer *out)
{
	buffer_append(out, bytes(version->project.bytes, UID_SIZE));
	buffer_append(out, bytes(version->cluster.bytes, UID_SIZE));
	buffer_put_u64(out, zone);
	buffer_put_u32(out, version->version);
	buffer_put_u64(out, (uint64_t)version->created_ms);
	buffer_put_u32(out, version->greatest_usages);
}

bool record_same_bound(const struct ezk_version *a, const struct ezk_version *b)
{
	return uid_equal(a->project, b->project) && uid_equal(a->cluster, b->cluster) &&
	       a->version == b->version && a->created_ms == b->created_ms &&
	       a->greatest_usages == b->greatest_usages && bytes_equal(a->limits, b->limits) &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

static bool room_for_wrap(struct ezk_version *version)
{
	size_t size = (version->wrap_count + 1) * sizeof(*version->wraps);
	struct wrap *wraps = realloc(version->wraps, size);

	if (wraps != NULL)
		version->wraps = wraps;
	return wraps != NULL;
}

enum zone_status ezk_version_add_wrap(struct ezk_version *version, const char *arn,
				      struct bytes blob)
{
	AUTO(freep) uint8_t *copy = malloc(blob.len);
	AUTO(freep) char *name = strdup(arn);

	if (copy == NULL || name == NULL || !room_for_wrap(version))
		return ZONE_NO_MEMORY;
	memcpy(copy, blob.data, blob.len);
	version->wraps[version->wrap_count++] = (struct wrap){
		.arn = TAKE(name),
		.blob = bytes(TAKE(copy), blob.len),
	};
	return ZONE_OK;
}

void ezk_version_drop_wrap(struct ezk_version *version)
{
	struct wrap *wrap = &version->wraps[--version->wrap_count];

	free(wrap->arn);
	free((void *)(uintptr_t)wrap->blob.data);
}

/* A related multi-Region key is asked where it is registered here. Without memory the other name
 * still does. */
static void take_name(struct wrap *wrap, const char *arn)
{
	char *name = strcmp(wrap->arn, arn) == 0 ? NULL : strdup(arn);

	if (name == NULL)
		return;
	free(wrap->arn);
	wrap->arn = name;
}

/* Drops the wraps that do not stay. */
static void keep(struct ezk_version *version, ezk_knows_key *stays, void *state)
{
	size_t kept = 0;

	for (size_t i = 0; i < version->wrap_count; i++) {
		struct wrap wrap = version->wraps[i];

		/* Swapped, so that the rest is still there to be freed. */
		if (stays(state, wrap.arn)) {
			version->wraps[i] = version->wraps[kept];
			version->wraps[kept++] = wrap;
		}
	}
	while (version->wrap_count > kept)
		ezk_version_drop_wrap(version);
}

/* A root key, and by whom else shares are to be trusted. */
struct owners {
	const struct kms_provider *const *providers;
	const char *arn;
	ezk_knows_key *knows;
	void *state;
};

static bool is_same_key(void *state, const char *arn)
{
	const struct owners *owners = state;

	return kms_same_key(owners->providers, arn, owners->arn);
}

static bool is_of_owner(void *state, const char *arn)
{
	const struct owners *owners = state;

	return is_same_key(state, arn) || owners->knows(owners->state, arn);
}

void ezk_version_keep_wraps(const struct kms_provider *const *providers,
			    struct ezk_version *version, const char *arn)
{
	struct owners owners = {.providers = providers, .arn = arn};

	keep(version, is_same_key, &owners);
	for (size_t i = 0; i < version->wrap_count; i++)
		take_name(&version->wraps[i], arn);
}

void ezk_version_keep_shares(const struct kms_provider *const *providers,
			     struct ezk_version *version, const char *arn, ezk_knows_key *knows,
			     void *state)
{
	struct owners owners = {providers, arn, knows, state};
	bool is_one = false;

	keep(version, is_of_owner, &owners);
	for (size_t i = 0; i < version->wrap_count; i++) {
		if (!is_same_key(&owners, version->wraps[i].arn))
			continue;
		take_name(&version->wraps[i], arn);
		is_one = true;
	}
	while (!is_one && version->wrap_count > 0)
		ezk_version_drop_wrap(version);
}

/* --- A zone's versions */

int ezk_version_order(const struct ezk_version *a, const struct ezk_version *b)
{
	if (a->record_zone != b->record_zone)
		return a->record_zone < b->record_zone ? -1 : 1;
	return a->version == b->version ? 0 : a->version < b->version ? -1 : 1;
}

/* Mostly it is the last. */
enum zone_status zone_take_version(struct entry *zone, struct ezk_version *version)
{
	size_t at = zone->of_zone.version_count;
	struct ezk_version *versions =
		realloc(zone->of_zone.versions, (at + 1) * sizeof(*versions));

	if (versions == NULL) {
		ezk_version_clear(version);
		return ZONE_NO_MEMORY;
	}
	for (; at > 0 && ezk_version_order(&versions[at - 1], version) > 0; at--)
		versions[at] = versions[at - 1];
	versions[at] = *version;
	*version = (struct ezk_version){0};
	zone->of_zone.versions = versions;
	zone->of_zone.version_count++;
	return ZONE_OK;
}

void zone_drop_version(struct entry *zone, size_t at)
{
	struct ezk_version *versions = zone->of_zone.versions;

	ezk_version_clear(&versions[at]);
	zone->of_zone.version_count--;
	for (; at < zone->of_zone.version_count; at++)
		versions[at] = versions[at + 1];
}

void ezk_version_clear(struct ezk_version *version)
{
	while (version->wrap_count > 0)
		ezk_version_drop_wrap(version);
	free(version->wraps);
	free((void *)(uintptr_t)version->limits.data);
	*version = (struct ezk_version){0};
}

enum zone_status ezk_version_copy(const struct ezk_version *version, struct ezk_version *ret_copy)
{
	AUTO(ezk_version_clear) struct ezk_version copy = *version;

	copy.wraps = NULL;
	copy.wrap_count = 0;
	copy.limits = (struct bytes){0};
	if (!entry_set_bytes(&copy.limits, version->limits))
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < version->wrap_count; i++) {
		TRY(ezk_version_add_wrap(&copy, version->wraps[i].arn, version->wraps[i].blob));
		copy.wraps[i].state = version->wraps[i].state;
		copy.wraps[i].share = version->wraps[i].share;
	}
	*ret_copy = copy;
	copy = (struct ezk_version){0};
	return ZONE_OK;
}

bool ezk_version_same(const struct ezk_version *a, const struct ezk_version *b)
{
	return record_same_bound(a, b) && a->record_zone == b->record_zone &&
	       a->retired == b->retired && a->delete_after_ms == b->delete_after_ms &&
	       a->all_wraps == b->all_wraps &&
	       memcmp(a->fingerprint, b->fingerprint, sizeof(a->fingerprint)) == 0 &&
	       ezk_version_same_wraps(a, b);
}

static bool can_be_written(uint64_t zone, const struct ezk_version *version)
{
	return zone > 0 && zone <= ZONE_ID_MAX && version->version > 0 &&
	       version->created_ms >= 0 && version->wrap_count > 0 &&
	       version->wrap_count <= WRAPS_MAX && ezk_version_fits_policy(NULL, version);
}

static size_t record_size(const struct ezk_version *version)
{
	size_t size = MIN_SIZE + version->limits.len;

	for (size_t i = 0; i < version->wrap_count; i++)
		size += 4 + version->all_wraps + strlen(version->wraps[i].arn) +
			version->wraps[i].blob.len;
	return size;
}

enum zone_status record_encode(uint64_t zone, const struct ezk_version *version, struct buffer *out)
{
	size_t size = record_size(version);
	struct lease_bounds bounds;

	if (!can_be_written(zone, version) || size > RECORD_SIZE_MAX)
		return ZONE_INVALID;
	TRY(limits_check(version->limits));
	if (!limits_get_lease(version->limits, &bounds))
		return ZONE_INVALID;
	buffer_put_text(out, RECORD_MAGIC);
	buffer_put_u8(out, FORMAT);
	buffer_put_u8(out, version->all_wraps);
	buffer_put_u16(out, (uint16_t)size);
	record_put_bound(zone, version, out);
	buffer_append(out, bytes(version->mac, sizeof(version->mac)));
	buffer_put_sized(out, version->limits);
	buffer_put_u8(out, (uint8_t)version->wrap_count);
	for (size_t i = 0; i < version->wrap_count; i++) {
		if (version->all_wraps)
			buffer_put_u8(out, version->wraps[i].share);
		buffer_put_sized(out, bytes_of(version->wraps[i].arn));
		buffer_put_sized(out, version->wraps[i].blob);
	}
	return out->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

static bool take_magic(struct reader *reader, const char *magic)
{
	return bytes_equal(reader_take(reader, 4), bytes_of(magic)) && reader_u8(reader) == FORMAT;
}

static void take_into(struct reader *reader, void *out, size_t len)
{
	struct bytes taken = reader_take(reader, len);

	if (taken.len == len)
		memcpy(out, taken.data, len);
}

static enum zone_status read_wrap(struct reader *reader, struct ezk_version *version)
{
	uint8_t share = version->all_wraps ? reader_u8(reader) : 0;
	struct bytes arn = reader_sized(reader), blob = reader_sized(reader);
	char text[KMS_ARN_MAX + 1];

	if (reader->failed || arn.len == 0 || arn.len > KMS_ARN_MAX || !utf8_valid(arn) ||
	    blob.len == 0 || blob.len > KMS_BLOB_MAX)
		return ZONE_INVALID;
	memcpy(text, arn.data, arn.len);
	text[arn.len] = '\0';
	TRY(ezk_version_add_wrap(version, text, blob));
	version->wraps[version->wrap_count - 1].share = share;
	return ZONE_OK;
}

enum zone_status record_is_newer(const char *zone, uint32_t version)
{
	log_error("EZK record of %s, version %" PRIu32 " has a limit that this release does not "
		  "know, and so can't keep to: use a later release",
		  zone, version);
	return ZONE_RECORD_NEWER;
}

static enum zone_status read_limits(struct bytes limits, uint64_t zone, struct ezk_version *version)
{
	enum zone_status status = limits_check(limits);
	struct lease_bounds bounds;

	if (status == ZONE_RECORD_NEWER)
		return record_is_newer(zone_title_as(NULL, NULL, zone).text, version->version);
	TRY(status);
	if (!limits_get_lease(limits, &bounds))
		return ZONE_INVALID;
	return entry_set_bytes(&version->limits, limits) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* What the MAC covers, and the MAC. */
static enum zone_status read_bound(struct reader *reader, uint64_t *ret_zone,
				   struct ezk_version *version)
{
	struct bytes limits;
	uint64_t created;

	take_into(reader, version->project.bytes, UID_SIZE);
	take_into(reader, version->cluster.bytes, UID_SIZE);
	*ret_zone = reader_u64(reader);
	version->version = reader_u32(reader);
	created = reader_u64(reader);
	version->greatest_usages = reader_u32(reader);
	take_into(reader, version->mac, sizeof(version->mac));
	limits = reader_sized(reader);
	if (reader->failed || *ret_zone == 0 || *ret_zone > ZONE_ID_MAX || version->version == 0 ||
	    created > INT64_MAX)
		return ZONE_INVALID;
	version->created_ms = (int64_t)created;
	return read_limits(limits, *ret_zone, version);
}

enum zone_status record_decode(struct bytes record, uint64_t *ret_zone,
			       struct ezk_version *ret_version)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	struct reader reader = reader_of(record);
	uint8_t policy, wrap_count;
	uint64_t zone;

	if (!take_magic(&reader, RECORD_MAGIC) || (policy = reader_u8(&reader)) > 1 ||
	    reader_u16(&reader) != record.len)
		return ZONE_INVALID;
	version.all_wraps = policy == 1;
	TRY(read_bound(&reader, &zone, &version));
	wrap_count = reader_u8(&reader);
	if (reader.failed || wrap_count == 0 || wrap_count > WRAPS_MAX)
		return ZONE_INVALID;
	while (version.wrap_count < wrap_count)
		TRY(read_wrap(&reader, &version));
	if (!reader_done(&reader) || !ezk_version_fits_policy(NULL, &version))
		return ZONE_INVALID;
	*ret_zone = zone;
	*ret_version = version;
	version = (struct ezk_version){0};
	return ZONE_OK;
}
