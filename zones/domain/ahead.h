/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions that were made by a clock that was ahead. The next rotation of a database is counted
 * from its primary version; if that says that it was made in years to come, the rotation is put off
 * as long. It is only told: which clock is right nobody here knows, and two that differ would
 * rotate against each other. No KMS.
 */
#pragma once

#include "zones/model/entry.h"

struct zones;

/* Whether the primary version of a zone says that it was made more than a day after now, by this
 * clock. Not of what awaits deletion or was imported: that is rotated nowhere, or elsewhere. */
bool zone_is_ahead(const struct zones *zones, const struct entry *zone);
/* A line in the log, if such zones are to be rotated by their days: the first, and how many more.
 * Takes the index's lock. */
void zones_tell_ahead(struct zones *zones);
