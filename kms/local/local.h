/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded KMS: root keys in a file. For trying out, tests and machines with no cloud. */
#pragma once

#include "kms/kms.h"

/* Touches no file. The path is copied, the clock borrowed. KMS_MISCONFIGURED: there is no path. */
enum kms_status local_client_new(const char *path, const struct clock *clock,
				 struct kms_report *report, struct kms_client **ret_client);
