/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the store says against the use of a zone. */
#include "zones/domain/standing.h"

#include "base/log.h"
#include "base/macros.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/zones.h"
#include "zones/model/pins.h"
#include "zones/model/refuse.h"
#include "zones/model/wraps.h"

#include <inttypes.h>

/* The zone to which its name is pinned; 0: to none. */
static uint64_t pin_of(const struct zones *zones, const struct entry *zone,
		       const struct entry *project)
{
	return zones->pins == NULL ? 0 : pins_find(zones->pins, project->label, zone->label);
}

/* Whose the id is: another project's row that has it is damage, and what only the news have told is
 * to be asked for. */
static enum zone_status check_id(const struct index *index, const struct entry *zone)
{
	const struct entry *owner = index_zone(index, zone->of_zone.zone);

	if (owner == NULL)
		return index_zone_is_unknown(index, zone->of_zone.zone) ? ZONE_STORE_UNAVAILABLE
									: ZONE_OK;
	return uid_equal(owner->project, zone->project) ? ZONE_OK : ZONE_STORE_CORRUPT;
}

static enum zone_status of_entry(const struct zones *zones, const struct entry *zone)
{
	const struct index *index = &zones->index;
	const struct store_unread *unread = index_unread(index, zone->project);
	uint64_t id = zone->of_zone.zone, pin;

	if (index_zone_is_gone(index, id))
		return ZONE_DELETED;
	/* What waits is as good as a store that is out of reach; what is damaged is not. */
	if (unread != NULL && !zone_status_is_store_outage(unread->why))
		return unread->why;
	TRY(check_id(index, zone));
	if (zone->state != ENTRY_ACTIVE || !index_is_visible(index, zone))
		return ZONE_PENDING_DELETION;
	pin = pin_of(zones, zone, index_uid(index, zone->project));
	return pin == 0 || pin == id ? ZONE_OK : ZONE_OTHER_PIN;
}

enum zone_status standing_of(const struct zones *zones, uint64_t id)
{
	const struct entry *zone = index_zone(&zones->index, id);

	if (zone != NULL)
		return of_entry(zones, zone);
	if (index_zone_is_withheld(&zones->index, id))
		return ZONE_PENDING_DELETION;
	if (index_zone_is_gone(&zones->index, id))
		return ZONE_DELETED;
	/* Whoever asks has made it known before, so the store is out of reach. */
	return index_zone_is_unknown(&zones->index, id) ? ZONE_STORE_UNAVAILABLE : ZONE_OK;
}

enum zone_status standing_of_version(const struct zones *zones, uint64_t id, uint32_t version)
{
	const struct entry *zone = index_zone(&zones->index, id);
	const struct ezk_version *found;

	TRY(standing_of(zones, id));
	if (zone == NULL)
		return ZONE_OK;
	if (entry_version_is_gone(zone, version))
		return ZONE_DELETED;
	found = entry_version(zone, version);
	if (found != NULL && found->retired)
		return ZONE_PENDING_DELETION;
	return version < zone->of_zone.minimum ? ZONE_FENCED : ZONE_OK;
}

enum zone_status standing_of_row(const struct zones *zones, const struct entry *row)
{
	const struct entry *zone = index_uid(&zones->index, row->uid);

	return zone != NULL && zone->kind == ENTRY_ZONE ? of_entry(zones, zone)
							: standing_of(zones, row->of_zone.zone);
}

enum zone_status standing_now(struct zones *zones, uint64_t id)
{
	enum zone_status why;

	pthread_rwlock_rdlock(&zones->lock);
	why = standing_of(zones, id);
	pthread_rwlock_unlock(&zones->lock);
	return why;
}

enum zone_status standing_of_version_now(struct zones *zones, uint64_t id, uint32_t version)
{
	enum zone_status why;

	pthread_rwlock_rdlock(&zones->lock);
	why = standing_of_version(zones, id, version);
	pthread_rwlock_unlock(&zones->lock);
	return why;
}

enum zone_status standing_of_row_now(struct zones *zones, const struct entry *row)
{
	enum zone_status why;

	pthread_rwlock_rdlock(&zones->lock);
	why = standing_of_row(zones, row);
	pthread_rwlock_unlock(&zones->lock);
	return why;
}

/* --- In words */

/* What the index has of a zone, also of one in an archived project. */
struct subject {
	uint64_t id;
	uint32_t version;	      /* what is said is about that version; 0: about the zone */
	struct entry *zone, *project; /* held; NULL: not there */
};

static void subject_clear(struct subject *subject)
{
	entry_release(subject->zone);
	entry_release(subject->project);
}

static void find_subject(struct zones *zones, struct subject *subject)
{
	pthread_rwlock_rdlock(&zones->lock);
	if (standing_of(zones, subject->id) != ZONE_OK)
		subject->version = 0;
	subject->zone = index_zone(&zones->index, subject->id);
	if (subject->zone != NULL) {
		entry_hold(subject->zone);
		subject->project = index_uid(&zones->index, subject->zone->project);
	}
	if (subject->project != NULL)
		entry_hold(subject->project);
	pthread_rwlock_unlock(&zones->lock);
}

/* "database 'c/d' (zone 1) of project 'p'", as far as it is known. */
static void put_subject(const struct subject *subject, struct buffer *out)
{
	if (subject->version != 0)
		buffer_format(out, "version %" PRIu32 " of ", subject->version);
	if (subject->zone == NULL) {
		buffer_format(out, "zone %" PRIu64, subject->id);
		return;
	}
	buffer_format(out, "database '%s' (zone %" PRIu64 ")", subject->zone->label, subject->id);
	if (subject->project != NULL)
		buffer_format(out, " of project '%s'", subject->project->label);
}

static void put_pending(const struct subject *subject, struct buffer *out)
{
	if (subject->zone != NULL && subject->zone->state == ENTRY_ACTIVE) {
		buffer_put_text(out, ": the project was archived; restore it first ('cmek project "
				     "restore', with the project that took its slot)");
		return;
	}
	buffer_put_text(out,
			" awaits deletion; restore it first ('cmek database undelete', or set its "
			"CKA_CMEK_STATE to active)");
}

static void put_retired(const struct subject *subject, struct buffer *out)
{
	buffer_format(
		out,
		" is retired, and what it encrypted does not open; bring it back first ('cmek "
		"database unretire --version %" PRIu32 "')",
		subject->version);
}

/* "[zones] pin (FILE line 3)" */
static void put_pin_place(const struct zones *zones, struct buffer *out)
{
	const char *at = zones->settings.pins_at;

	buffer_format(out, "[zones] pin%s%s%s", at == NULL ? "" : " (", at == NULL ? "" : at,
		      at == NULL ? "" : ")");
}

static void put_pin(const struct zones *zones, const struct subject *subject, struct buffer *out)
{
	uint64_t pin = subject->zone == NULL || subject->project == NULL
			       ? 0
			       : pin_of(zones, subject->zone, subject->project);

	if (pin == 0 || pin == subject->id) {
		buffer_put_text(out, ": the store has it twice, once under a name that is pinned "
				     "to another zone; see who changed the store");
		return;
	}
	buffer_put_text(out, ": its name is pinned by ");
	put_pin_place(zones, out);
	buffer_format(out, " to zone %" PRIu64 "; see who changed the store, or change the pin",
		      pin);
}

static const char *refused_root_key(const struct zones *zones, const struct entry *zone)
{
	for (size_t i = 0; zone != NULL && i < zone->of_zone.version_count; i++) {
		const struct ezk_version *version = &zone->of_zone.versions[i];

		for (size_t j = 0; j < version->wrap_count; j++)
			if (wrap_is_live(&version->wraps[j]) &&
			    !kms_clients_allow(zones->clients, version->wraps[j].arn))
				return version->wraps[j].arn;
	}
	return "";
}

static void put_root_key(const struct zones *zones, const struct subject *subject,
			 struct buffer *out)
{
	const char *at = kms_clients_allowed_at(zones->clients);

	buffer_format(out,
		      ": its root key %s is not among [kms] allowed_root_keys%s%s%s; allow it "
		      "there, or see who changed the store",
		      refused_root_key(zones, subject->zone), *at == '\0' ? "" : " (", at,
		      *at == '\0' ? "" : ")");
}

static bool is_of_version(enum zone_status why)
{
	return why == ZONE_PENDING_DELETION || why == ZONE_DELETED;
}

void standing_text(struct zones *zones, uint64_t id, uint32_t version, enum zone_status why,
		   struct buffer *out)
{
	AUTO(subject_clear)
	struct subject subject = {.id = id, .version = is_of_version(why) ? version : 0};

	find_subject(zones, &subject);
	put_subject(&subject, out);
	if (why == ZONE_PENDING_DELETION && subject.version != 0)
		put_retired(&subject, out);
	else if (why == ZONE_PENDING_DELETION)
		put_pending(&subject, out);
	else if (why == ZONE_OTHER_PIN)
		put_pin(zones, &subject, out);
	else if (why == ZONE_ROOT_KEY_REFUSED)
		put_root_key(zones, &subject, out);
	else
		buffer_put_text(out, " was deleted for good, as the store says: nothing of it "
				     "opens here any more");
}

bool standing_is(enum zone_status why)
{
	return why == ZONE_PENDING_DELETION || why == ZONE_DELETED || why == ZONE_OTHER_PIN ||
	       why == ZONE_ROOT_KEY_REFUSED;
}

/* Of a zone in a project that can't be read. */
static enum zone_status tell_unread(struct zones *zones, uint64_t id, enum zone_status why)
{
	const struct store_unread *unread = NULL;
	const struct entry *zone;

	pthread_rwlock_rdlock(&zones->lock);
	zone = index_zone(&zones->index, id);
	if (zone != NULL)
		unread = index_unread(&zones->index, zone->project);
	if (unread != NULL)
		log_reason("%s", unread->text);
	pthread_rwlock_unlock(&zones->lock);
	return why;
}

enum zone_status standing_refuse(struct zones *zones, uint64_t id, uint32_t version,
				 enum zone_status why)
{
	AUTO(buffer_clear) struct buffer text = {0};

	if (why == ZONE_STORE_CORRUPT)
		return tell_unread(zones, id, why);
	if (!standing_is(why))
		return why;
	standing_text(zones, id, version, why, &text);
	log_reason("%s", text.failed ? zone_status_text(why) : buffer_text(&text));
	return why;
}

enum zone_status zones_zone_missing(struct zones *zones, uint64_t id)
{
	const struct store_key key = {.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = id};
	enum zone_status why;

	TRY(zones_know_zone(zones, id));
	why = standing_now(zones, id);
	if (why == ZONE_OK && !zones_are_whole(zones))
		return ZONE_NO_MEMORY;
	/* That there is none is the store's to say, and not what was read of it before. */
	if (why == ZONE_OK)
		TRY(zones_look_for(zones, &key));
	if (why == ZONE_OK)
		return refuse(ZONE_NOT_FOUND, "there is no zone %" PRIu64, id);
	return standing_refuse(zones, id, 0, why);
}

enum zone_status standing_check_name(const struct zones *zones, const struct entry *zone)
{
	const struct entry *project = index_uid(&zones->index, zone->project);
	AUTO(buffer_clear) struct buffer setting = {0};
	uint64_t pin = project == NULL ? 0 : pin_of(zones, zone, project);

	if (pin == 0 || pin == zone->of_zone.zone)
		return ZONE_OK;
	put_pin_place(zones, &setting);
	return refuse(ZONE_OTHER_PIN,
		      "the name '%s' in project '%s' is pinned to zone %" PRIu64
		      " by %s; choose another name, or change the pin",
		      zone->label, project->label, pin,
		      setting.failed ? "[zones] pin" : buffer_text(&setting));
}
