/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of kms.h as the clients keep them: own copies, defaults filled in. */
#pragma once

#include "kms/kms.h"

/* False: no memory. The clock itself stays the caller's. */
bool settings_copy(const struct kms_settings *settings, struct kms_settings *ret_copy);
void settings_clear(struct kms_settings *copy);
