/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The token of a sign-in at IAM Identity Center, as `aws sso login` leaves it in ~/.aws/sso/cache;
 * used, and refreshed there, in the same way. */
#pragma once

#include "aws/credentials.h"

struct sso_session {
	const char *name; /* of the sso-session; NULL: the older form, which is not refreshed */
	const char *start_url, *region;
};

/*
 * A token that is valid now; appended, text. KMS_CREDENTIALS_REFUSED: somebody has to sign in;
 * KMS_UNAVAILABLE, KMS_THROTTLED: it has run out, and no new one can be got now.
 */
enum kms_status sso_token_get(const struct credentials_place *place,
			      const struct sso_session *session, struct kms_report *report,
			      struct buffer *ret_token);
