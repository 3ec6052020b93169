/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Projects: a slot each. No KMS. */
#pragma once

#include "base/buffer.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

struct zones;

/* In a slot from zones_free_slot(); ZONE_EXISTS: somebody took it meanwhile. The label is without
 * padding; other projects may have the same. */
enum zone_status zones_project_create(struct zones *zones, uint32_t slot, struct bytes label,
				      struct entry **ret_project);
/* The same, with a text that the layer above keeps with the project (entry.h: extra): its PINs. */
enum zone_status zones_project_create_with(struct zones *zones, uint32_t slot, struct bytes label,
					   struct bytes extra, struct entry **ret_project);
/* Changes that text, in one transaction: `change` makes the new one of the one that is there, and
 * may be asked several times. `action`: what the audit log calls it. */
typedef enum zone_status project_extra_change(void *state, struct bytes now,
					      struct buffer *ret_extra);
enum zone_status zones_project_change_extra(struct zones *zones, struct uid project,
					    const char *action, project_extra_change *change,
					    void *state);
/* Archives `project` whole (restorable for the deletion window, by its archive in the new one) and
 * puts a new empty one into its slot, in one transaction. ZONE_CONFLICT, ZONE_NOT_FOUND: it is not
 * what the caller knows. */
enum zone_status zones_project_replace(struct zones *zones, struct entry *project,
				       struct bytes label, struct entry **ret_project);
/* The same, with a text of the layer above. */
enum zone_status zones_project_replace_with(struct zones *zones, struct entry *project,
					    struct bytes label, struct bytes extra,
					    struct entry **ret_project);
