/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How keys of AWS KMS are named: members of its row (kms/provider.h). */
#pragma once

#include "kms/provider.h"

bool aws_read_name(const char *key, struct bytes *ret_region);
struct bytes aws_label(const char *key);
bool aws_read_fields(const char *key, struct kms_key_fields *ret_fields);
bool aws_read_pattern(const char *text, struct kms_key_fields *ret_fields);
bool aws_is_own_name(const char *key);
bool aws_in_region(const char *arn, struct bytes region, char ret_arn[static KMS_ARN_MAX + 1]);
