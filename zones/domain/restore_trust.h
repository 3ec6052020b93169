/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose backups are believed. A project that is here believes only root keys that it has, and those
 * whose ARN the caller names himself: a file can't vouch for itself by a key of its maker's. Where
 * the project is not here there is nothing to compare with, and [kms] allowed_root_keys alone
 * bounds it.
 */
#pragma once

#include "zones/index/index.h"
#include "zones/model/backup.h"

struct restore_trust {
	char **named; /* ARNs */
	size_t count;
	const char *voucher; /* the root key by which the file's MAC was found good; borrowed */
};
void restore_trust_clear(struct restore_trust *trust); /* accepts zeros */

/* Copies a root key's ARN. A label is no such thing: it is the file that says whose it is. */
enum zone_status restore_trust_name(struct restore_trust *trust, struct bytes arn);
/* Does a project that is here believe this root key? With the index's lock held, as below. */
bool restore_trust_has(const struct restore_trust *trust, const struct index *index,
		       struct uid project, const char *arn);
/* Which of the wraps of the MAC key may vouch. ZONE_ROOT_KEY_REFUSED: none. */
enum zone_status restore_trust_choose(const struct restore_trust *trust, const struct index *index,
				      const struct backup *backup,
				      bool ret_may[static BACKUP_WRAPS_MAX]);
