/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a project, with its keys and with the store. */
#pragma once

#include "base/buffer.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

struct zones;

/* For `doctor`: configuration of the store, its state, and for each root key and zone of a project
 * what a check says, as text; and which statuses are behind its faults. KMS. */
struct doctor_faults {
	bool met[ZONE_STATUS_COUNT];
};
enum zone_status zones_doctor(struct zones *zones, struct uid project, struct buffer *ret_text,
			      struct doctor_faults *ret_faults);
