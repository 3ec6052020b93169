/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The sources of credentials, a file each: what the chain asks, and what a profile may name. */
#pragma once

#include "aws/credentials.h"

extern const struct credentials_source credentials_environment;
extern const struct credentials_source credentials_profile;
extern const struct credentials_source credentials_web_identity;
extern const struct credentials_source credentials_container;
extern const struct credentials_source credentials_imds;

/* The environment's keys, whether or not a profile is configured; KMS_NOT_FOUND: there are none. */
enum kms_status credentials_from_environment(const struct credentials_place *place,
					     struct kms_report *report,
					     struct credentials *ret_credentials);
/* The container's; KMS_NOT_FOUND: no such endpoint is set. */
enum kms_status credentials_from_container(const struct credentials_place *place,
					   struct kms_report *report,
					   struct credentials *ret_credentials);
/* The instance's, when a profile asks for them; KMS_NOT_FOUND: its metadata service is switched
 * off. */
enum kms_status credentials_from_imds(const struct credentials_place *place,
				      struct kms_report *report,
				      struct credentials *ret_credentials);
/* Of the role, by the token in a file. Session name and duration: NULL means the default. */
enum kms_status credentials_from_web_identity(const struct credentials_place *place,
					      const char *role, const char *token_file,
					      const char *session_name, const char *duration,
					      struct kms_report *report,
					      struct credentials *ret_credentials);
/* From the program that a line of text names (profile key credential_process). */
enum kms_status credentials_from_process(const struct credentials_place *place, const char *line,
					 struct kms_report *report,
					 struct credentials *ret_credentials);
/* From IAM Identity Center, as the profile says. */
struct profile;
enum kms_status credentials_from_sso(const struct credentials_place *place,
				     const struct profile *profile, struct kms_report *report,
				     struct credentials *ret_credentials);
