/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What `cmek doctor` says of [zones] pin: a line for each that is about the project. */
#include "base/macros.h"
#include "zones/domain/doctor_report.h"
#include "zones/domain/lookup.h"
#include "zones/domain/state.h"
#include "zones/model/names.h"
#include "zones/model/pins.h"

#include <inttypes.h>

/* The zone under a pinned name, active; NULL: none. A name in the cluster "default" has two
 * spellings. Held. */
static struct entry *hold_pinned(struct zones *zones, struct uid project, const struct pin *pin)
{
	AUTO(buffer_clear) struct buffer label = {0};
	struct entry *zone;

	buffer_format(&label, "%s/%s", pin->cluster, pin->database);
	pthread_rwlock_rdlock(&zones->lock);
	zone = index_label(&zones->index, project, ENTRY_ZONE, buffer_bytes(&label));
	if (zone == NULL && strcmp(pin->cluster, DEFAULT_CLUSTER) == 0)
		zone = index_label(&zones->index, project, ENTRY_ZONE, bytes_of(pin->database));
	if (zone != NULL)
		entry_hold(zone);
	pthread_rwlock_unlock(&zones->lock);
	return zone;
}

/* The name is checked where it is a zone's; here, whether the zone has another name. */
static void check_pin(struct report *report, struct uid project, const struct pin *pin)
{
	AUTO(entry_releasep) struct entry *named = hold_pinned(report->zones, project, pin);
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(report->zones, pin->zone);

	buffer_put_text(report->text, "pin ");
	doctor_put_label(report->text, pin->cluster);
	buffer_put_u8(report->text, '/');
	doctor_put_label(report->text, pin->database);
	buffer_format(report->text, " (zone %" PRIu64 "): ", pin->zone);
	if (named != NULL && named->of_zone.zone == pin->zone) {
		buffer_put_text(report->text, "ok\n");
	} else if (named != NULL) {
		doctor_put_fault(report, ZONE_OTHER_PIN);
		buffer_format(report->text, "the name is that of zone %" PRIu64 "\n",
			      named->of_zone.zone);
	} else if (zone != NULL && zone->state == ENTRY_ACTIVE &&
		   uid_equal(zone->project, project)) {
		doctor_put_fault(report, ZONE_OTHER_PIN);
		buffer_put_text(report->text, "that zone is named ");
		doctor_put_label(report->text, zone->label);
		buffer_put_u8(report->text, '\n');
	} else {
		buffer_put_text(report->text, "no database has that name here\n");
	}
}

void doctor_check_pins(struct report *report, struct uid project_uid)
{
	AUTO(entry_releasep) struct entry *project = zones_find_uid(report->zones, project_uid);
	struct pin pin;

	for (size_t i = 0; project != NULL && pins_at(report->zones->pins, i, &pin); i++)
		if (*pin.project == '\0' || strcmp(pin.project, project->label) == 0)
			check_pin(report, project_uid, &pin);
}
