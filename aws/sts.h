/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AWS STS: a role's credentials in exchange for those of an identity that may assume it, and the
 * name of an identity. Regional endpoints only. */
#pragma once

#include "aws/credentials.h"

struct sts_role {
	const char *arn;
	const char *session_name; /* NULL: cmek-pkcs11-HOST */
	const char *external_id;  /* or NULL */
	const char *duration;	  /* in seconds; or NULL */
};

/* Where an OpenID Connect token comes from; read before each attempt, for tokens are replaced. */
struct sts_token {
	enum kms_status (*read)(const struct sts_token *token, struct kms_report *report,
				struct buffer *ret_token);
	const char *path;
};

/*
 * AssumeRole, signed by `signer`; AssumeRoleWithWebIdentity, by the token. KMS_DENIED: STS said no;
 * KMS_UNAVAILABLE, KMS_THROTTLED: it could not be asked; KMS_CREDENTIALS_REFUSED: the signer's
 * credentials or the token are refused; else KMS_NO_CREDENTIALS or KMS_MISCONFIGURED. A token that
 * STS can't check now (InvalidIdentityToken, IDPCommunicationError) is presented again, after
 * reading it anew.
 */
enum kms_status sts_assume_role(const struct credentials_place *place, const struct sts_role *role,
				const struct credentials *signer, struct kms_report *report,
				struct credentials *ret_credentials);
enum kms_status sts_assume_role_with_web_identity(const struct credentials_place *place,
						  const struct sts_role *role,
						  const struct sts_token *token,
						  struct kms_report *report,
						  struct credentials *ret_credentials);

/* GetCallerIdentity: the ARN, appended. The endpoint's URL is given whenever it is known. */
enum kms_status sts_caller_identity(const struct credentials_place *place,
				    const struct credentials *signer, struct kms_report *report,
				    struct buffer *ret_endpoint, struct buffer *ret_arn);
