/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of key names; kms_name_parse and kms_arn_same_key of kms.h are built on it. */
#pragma once

#include "base/bytes.h"

/* arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE; the parts are borrowed from the text. */
struct arn {
	struct bytes partition, service, region, account, resource;
};

bool arn_parse(const char *text, struct arn *ret_arn);
/* "key/…" and "alias/…": what follows; no bytes if the resource is of another kind. */
struct bytes arn_key_id(const struct arn *arn);

/* 8-4-4-4-12 hexadecimal digits. */
bool uuid_valid(struct bytes text);
/* A region as part of a host name: small letters, digits and hyphens, at most KMS_REGION_MAX. */
bool region_valid(struct bytes region);
/* A name of the embedded KMS's keys: docs/format-local-kms.md. */
bool local_name_valid(struct bytes name);

bool bytes_are(struct bytes bytes, const char *text);
bool bytes_begin(struct bytes bytes, const char *prefix);
/* All characters are among these. */
bool bytes_all_in(struct bytes bytes, const char *characters);
