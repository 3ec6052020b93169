/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A call's way through the regions: kms_route_… of kms.h, on what kms_clients_… knows. */
#pragma once

#include "kms/regions.h"

/* kms_route_begin() without the set of clients. */
void route_begin(struct kms_route *route, struct regions *regions, const char *key, bool own_only);
