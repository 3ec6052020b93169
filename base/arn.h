/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the form that keys of AWS and of the embedded KMS have ("Amazon Resource Names", AWS
 * General Reference): their parts, and what these may contain. Checks the text only. */
#pragma once

#include "base/bytes.h"

enum { REGION_TEXT_MAX = 63 };

/* arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE; the parts are borrowed from the text. */
struct arn {
	struct bytes partition, service, region, account, resource;
};

bool arn_parse(const char *text, struct arn *ret_arn);
/* What follows "key/"; no bytes if the resource is of another kind. */
struct bytes arn_key_id(const struct arn *arn);

/* 8-4-4-4-12 hexadecimal digits. */
bool uuid_valid(struct bytes text);
/* A region as part of a host name: small letters, digits and, between these, hyphens; at most
 * REGION_TEXT_MAX. */
bool region_valid(struct bytes region);
