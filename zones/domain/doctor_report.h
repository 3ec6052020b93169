/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the doctor's report share. */
#pragma once

#include "base/buffer.h"
#include "zones/domain/doctor.h"

/* The report under way. */
struct report {
	struct zones *zones;
	struct buffer *text;
	struct doctor_faults *faults;
};

/* A fault's line goes on after this. */
void doctor_put_fault(struct report *report, enum zone_status status);
/* Anybody may choose a label: control characters and colons in it are replaced. */
void doctor_put_label(struct buffer *text, const char *label);
void doctor_check_pins(struct report *report, struct uid project);
