/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root key's canary: a text of ours, encrypted by it when it is added to a project (purpose
 * canary). That the KMS decrypts it shows that the key is enabled and that this identity may use
 * it, for all zones below it at once.
 */
#pragma once

#include "zones/model/entry.h"
#include "zones/model/status.h"

struct kms_clients;

/* For both: `project` is the root key's, for messages; NULL: it is not there any more. */

/* KMS: encrypts and decrypts, which shows both rights; what was encrypted is the canary. The key
 * shows it itself, in its own region: a related one's yes would let one in that is disabled. */
enum zone_status canary_make(struct kms_clients *clients, const struct entry *root_key,
			     const struct entry *project, struct buffer *ret_canary);
/* KMS: decrypts the root key's canary, by `arn`, which names the same key, or, unless it is about
 * this very key, a related multi-Region key. ZONE_NOT_FOUND: it has none. */
enum zone_status canary_ask(struct kms_clients *clients, const struct entry *root_key,
			    const char *arn, const struct entry *project, bool own_region);
