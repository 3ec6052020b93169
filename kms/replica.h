/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Under which ARNs a key is asked; kms_clients_name() of kms.h is this with the clients' settings.
 */
#pragma once

#include "kms/kms.h"

/* More regions of an order than these are not looked at. */
enum { REPLICA_REGIONS_MAX = 31 };

/* The name at `index`: first those of the regions in its provider's order, then the key's own. A
 * key that is not multi-Region has its own alone. False: there are not so many. */
bool replica_name(const struct kms_settings *settings, const char *arn, size_t index,
		  char ret_arn[static KMS_ARN_MAX + 1]);
