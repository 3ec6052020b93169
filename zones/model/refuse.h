/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How a rule of zones/ refuses. Only for files of zones/. */
#pragma once

#include "zones/model/status.h"

/* Says why, once, and returns the status. */
enum zone_status refuse(enum zone_status status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
