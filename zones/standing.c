/* What the store says against the use of a zone. */
#include "zones/standing.h"
#include "base/log.h"
#include "base/macros.h"

#include <inttypes.h>

enum zone_status standing_of(const struct zones *zones, uint64_t id)
{
	const struct index *index = &zones->index;
	const struct entry *zone = index_zone(index, id);

	if (index_zone_is_gone(index, id))
		return ZONE_DELETED;
	if (zone == NULL)
		return ZONE_OK;
	return zone->state == ENTRY_ACTIVE && index_is_visible(index, zone) ? ZONE_OK
									    : ZONE_PENDING_DELETION;
}

enum zone_status standing_now(struct zones *zones, uint64_t id)
{
	enum zone_status why;

	pthread_rwlock_rdlock(&zones->lock);
	why = standing_of(zones, id);
	pthread_rwlock_unlock(&zones->lock);
	return why;
}

/* --- In words */

/* What the index has of a zone, also of one in an archived project. */
struct subject {
	uint64_t id;
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
			" awaits deletion; restore it first: set its CKA_CMEK_STATE to active");
}

void standing_text(struct zones *zones, uint64_t id, enum zone_status why, struct buffer *out)
{
	AUTO(subject_clear) struct subject subject = {.id = id};

	find_subject(zones, &subject);
	put_subject(&subject, out);
	if (why == ZONE_PENDING_DELETION)
		put_pending(&subject, out);
	else
		buffer_put_text(out, " was deleted for good, as the store says: nothing of it "
				     "opens here any more");
}

static bool is_standing(enum zone_status why)
{
	return why == ZONE_PENDING_DELETION || why == ZONE_DELETED;
}

enum zone_status standing_refuse(struct zones *zones, uint64_t id, enum zone_status why)
{
	AUTO(buffer_clear) struct buffer text = {0};

	if (!is_standing(why))
		return why;
	standing_text(zones, id, why, &text);
	log_reason("%s", text.failed ? zone_status_text(why) : buffer_text(&text));
	return why;
}

enum zone_status zones_zone_missing(struct zones *zones, uint64_t id)
{
	enum zone_status why = standing_now(zones, id);

	if (why == ZONE_OK)
		return refuse(ZONE_NOT_FOUND, "there is no zone %" PRIu64, id);
	return standing_refuse(zones, id, why);
}
