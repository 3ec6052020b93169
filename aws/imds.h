/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* EC2's instance metadata service, only version 2: version 1 gives credentials to whoever can make
 * a server on the machine fetch a URL. */
#pragma once

#include "aws/credentials.h"

/*
 * Reads a path under /latest/meta-data/; appended, text. KMS_NOT_FOUND: switched off by
 * AWS_EC2_METADATA_DISABLED (the report stays empty). KMS_UNAVAILABLE: there is no such service
 * here, or it fails; KMS_NO_CREDENTIALS: it refuses. The report (not NULL) says why; nothing is
 * logged.
 */
enum kms_status imds_get(const struct credentials_place *place, const char *path,
			 struct kms_report *report, struct http_answer *ret_answer);
