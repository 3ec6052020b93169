/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encode.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "zones/store/remote/remote.h"

#include <string.h>

const struct ezk_version *remote_version_like(const struct entry *zone,
					      const struct ezk_version *version)
{
	return entry_bound_version(zone, ezk_version_bound(zone->of_zone.zone, version),
				   version->version);
}

/* Whether a zone goes, or versions of it do, as far as is known. */
static bool destroys_versions(const struct store_change *change)
{
	const struct entry *was = change->before;

	if (change->entry->kind != ENTRY_ZONE)
		return false;
	if (change->remove || was == NULL)
		return true;
	for (size_t i = 0; i < was->of_zone.version_count; i++)
		if (remote_version_like(change->entry, &was->of_zone.versions[i]) == NULL)
			return true;
	return false;
}

bool remote_is_wide(const struct store_change *change)
{
	const struct entry *entry = change->entry;

	return change->from_backup || entry->kind == ENTRY_PROJECT ||
	       entry->kind == ENTRY_ARCHIVE ||
	       (entry->kind == ENTRY_ZONE && entry->revision == 0) || destroys_versions(change);
}

bool remote_needs_all(const struct store_change *change)
{
	return change->from_backup ||
	       (change->entry->kind == ENTRY_PROJECT && change->entry->revision == 0) ||
	       (change->entry->revision != 0 && destroys_versions(change));
}

bool remote_imports(const struct store_change *change)
{
	const struct entry *zone = change->entry;

	if (zone->kind != ENTRY_ZONE || change->remove || change->before == NULL)
		return false;
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (zone->of_zone.versions[i].record_zone != 0 &&
		    remote_version_like(change->before, &zone->of_zone.versions[i]) == NULL)
			return true;
	return false;
}

static bool is_based_on(const struct store_change *change, const struct store_row *now,
			uint64_t revision)
{
	const struct entry *entry = change->entry;

	if (revision == 0)
		return entry->revision == 0 && (!change->remove || change->from_backup);
	if (now->removed)
		return change->from_backup && !change->remove && entry->revision == 0;
	return now->entry != NULL && now->entry->kind == entry->kind &&
	       uid_equal(now->entry->project, entry->project) && revision == entry->revision;
}

/* One value serves one version of one zone. */
static bool has_twins(const struct entry *zone)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		for (size_t j = 0; j < i; j++)
			if (memcmp(zone->of_zone.versions[i].fingerprint,
				   zone->of_zone.versions[j].fingerprint,
				   sizeof(zone->of_zone.versions[i].fingerprint)) == 0)
				return true;
	return false;
}

bool remote_fits(const struct store_change *change, const struct store_row *now, uint64_t revision)
{
	return is_based_on(change, now, revision) &&
	       (change->entry->kind != ENTRY_ZONE || change->remove || !has_twins(change->entry));
}

bool remote_make_digits(char *ret_digits, size_t size)
{
	AUTO(buffer_clear) struct buffer text = {0};
	uint8_t random[ROWS_ID_SIZE / 2];

	if (!crypto_random(random, sizeof(random)))
		return false;
	hex_append(&text, bytes(random, sizeof(random)));
	if (text.failed)
		return false;
	memcpy(ret_digits, text.data, size - 1);
	ret_digits[size - 1] = '\0';
	return true;
}
