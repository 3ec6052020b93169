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
static void check_pin(struct report *report, const struct pin *pin)
{
	struct uid project = report->project->uid;
	AUTO(entry_releasep) struct entry *named = hold_pinned(report->zones, project, pin);
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(report->zones, pin->zone);
	struct doctor_row row = ROW("pin");

	doctor_label(&row.which, pin->cluster);
	buffer_put_u8(&row.which, '/');
	doctor_label(&row.which, pin->database);
	buffer_format(&row.details, "zone %" PRIu64, pin->zone);
	if (named != NULL && named->of_zone.zone == pin->zone) {
		buffer_put_text(&row.said, "ok");
	} else if (named != NULL) {
		row_fault(&row, ZONE_OTHER_PIN);
		buffer_format(&row.said, "the name is that of zone %" PRIu64, named->of_zone.zone);
	} else if (zone != NULL && zone->state == ENTRY_ACTIVE &&
		   uid_equal(zone->project, project)) {
		row_fault(&row, ZONE_OTHER_PIN);
		buffer_put_text(&row.said, "that zone is named ");
		doctor_label(&row.said, zone->label);
	} else {
		buffer_put_text(&row.said, "no database has that name here");
	}
	row_put(report, &row);
}

void doctor_check_pins(struct report *report)
{
	struct pin pin;

	for (size_t i = 0; pins_at(report->zones->pins, i, &pin); i++)
		if (*pin.project == '\0' || strcmp(pin.project, report->project->label) == 0)
			check_pin(report, &pin);
}
