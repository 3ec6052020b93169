/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Names of zones in messages. */
#include "zones/model/told.h"
#include "zones/ezk/ezks.h"
#include "zones/domain/state.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_known(const char *text)
{
	return text != NULL && *text != '\0';
}

struct zone_told zone_told_as(const char *label, const char *project, uint64_t zone)
{
	struct zone_told told;

	if (!is_known(label))
		snprintf(told.text, sizeof(told.text), "zone %" PRIu64, zone);
	else if (!is_known(project))
		snprintf(told.text, sizeof(told.text), "zone '%s'", label);
	else
		snprintf(told.text, sizeof(told.text), "zone '%s' of project '%s'", label, project);
	return told;
}

struct zone_told zone_told_in(const struct index *index, uint64_t zone)
{
	const struct entry *entry = index_zone(index, zone);
	const struct entry *project = entry == NULL ? NULL : index_uid(index, entry->project);

	return zone_told_as(entry_label(entry), entry_label(project), zone);
}

struct zone_told zone_told(struct zones *zones, uint64_t zone)
{
	struct zone_told told;

	pthread_rwlock_rdlock(&zones->lock);
	told = zone_told_in(&zones->index, zone);
	pthread_rwlock_unlock(&zones->lock);
	return told;
}

struct zone_told zone_told_by(struct ezk *ezk, uint64_t zone)
{
	return zone_told(ezks_zones(ezk->ezks), zone);
}
