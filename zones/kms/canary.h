/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root key's canary: a text of ours, encrypted by it when it is added to a project (purpose
 * canary). That the KMS decrypts it shows that the key is enabled and that this identity may use
 * it, for all zones below it at once.
 */
#pragma once

#include "zones/domain/state.h"

/* KMS: encrypts and decrypts, which shows both rights; what was encrypted is the canary. The key
 * shows it itself, in its own region: a related one's yes would let one in that is disabled. */
enum zone_status canary_make(struct zones *zones, struct uid project, const char *arn,
			     struct buffer *ret_canary);
/* KMS: decrypts the canary of the project's root key, by that key or, unless it is about this very
 * key, a related multi-Region key. ZONE_NOT_FOUND: it has none. */
enum zone_status canary_ask(struct zones *zones, struct uid project, const char *arn,
			    bool own_region);
