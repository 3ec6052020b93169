/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AWS KMS as a client of kms.h. */
#pragma once

#include "aws/transport.h"
#include "kms/kms.h"

/* What the aws clients of all regions share: environment, credentials, connections. */
struct aws;

/* Reads the environment; touches no file, no network and no curl. The settings are borrowed and
 * have their defaults. NULL: no memory. */
struct aws *aws_new(const struct kms_settings *settings, const struct aws_transport *transport);
void aws_free(struct aws *aws);
/* In a fork's child: closes inherited sockets; all else is leaked. */
void aws_abandon(struct aws *aws);

/* The region for keys named without one. KMS_MISCONFIGURED: none is set anywhere. */
enum kms_status aws_region(struct aws *aws, struct kms_report *report,
			   char ret_region[static KMS_REGION_MAX + 1]);
/* Reads AWS's shared files to find the endpoint; no network. */
enum kms_status aws_client_new(struct aws *aws, const char *region, struct kms_report *report,
			       struct kms_client **ret_client);
/* Region, endpoint and credentials as lines of text. */
enum kms_status aws_describe(struct aws *aws, const char *region, struct kms_report *report,
			     struct buffer *ret_text);
