/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is common to the credentials of all sources. */
#include "aws/credentials.h"

#include "net/answer.h"

void credentials_clear(struct credentials *credentials)
{
	buffer_clear(&credentials->access_key_id);
	buffer_clear(&credentials->secret_access_key);
	buffer_clear(&credentials->session_token);
	buffer_clear(&credentials->origin);
	buffer_clear(&credentials->identity);
}

bool credentials_equal(const struct credentials *a, const struct credentials *b)
{
	return bytes_equal(buffer_bytes(&a->access_key_id), buffer_bytes(&b->access_key_id)) &&
	       bytes_equal_constant_time(buffer_bytes(&a->secret_access_key),
					 buffer_bytes(&b->secret_access_key)) &&
	       bytes_equal_constant_time(buffer_bytes(&a->session_token),
					 buffer_bytes(&b->session_token));
}

const char credentials_bad_end[] =
	"credentials whose expiration is no time as in 2026-11-24T04:38:06Z";

/* Visible ASCII, whatever the host's locale. */
static bool is_word(const char *text, const char *forbidden)
{
	for (; *text != 0; text++)
		if (*text < '!' || *text > '~' || strchr(forbidden, *text) != NULL)
			return false;
	return true;
}

/* What is wrong with a text that AWS only allows to be a word. */
static const char *strangeness(const char *text)
{
	bool framed = byte_is_blank((uint8_t)text[0]) ||
		      (*text != 0 && byte_is_blank((uint8_t)text[strlen(text) - 1]));

	return framed ? "holds characters that do not belong there: a blank or a line break at its "
			"beginning or end"
		      : "holds characters that do not belong there";
}

static enum kms_status refuse(struct credentials *credentials, const char *what, const char *why,
			      struct kms_report *report)
{
	return kms_fail(KMS_NO_CREDENTIALS, report, NULL, "the AWS %s from %s %s", what,
			(const char *)credentials->origin.data, why);
}

enum kms_status credentials_check(struct credentials *credentials, struct kms_report *report)
{
	const char *id = buffer_text(&credentials->access_key_id);
	const char *secret = buffer_text(&credentials->secret_access_key);
	const char *token = buffer_text(&credentials->session_token);

	if (buffer_text(&credentials->origin) == NULL ||
	    buffer_text(&credentials->identity) == NULL || id == NULL || secret == NULL ||
	    token == NULL)
		return KMS_NO_MEMORY;
	if (*id == 0 || *secret == 0)
		return refuse(credentials, *id == 0 ? "access key id" : "secret access key",
			      "is empty", report);
	if (!is_word(id, ",/"))
		return refuse(credentials, "access key id", strangeness(id), report);
	if (!is_word(secret, ""))
		return refuse(credentials, "secret access key", strangeness(secret), report);
	if (!is_word(token, ""))
		return refuse(credentials, "session token", strangeness(token), report);
	return KMS_OK;
}

/* Statuses that the caller who wanted credentials gets unchanged. */
static const bool outages[KMS_STATUS_COUNT] = {
	[KMS_THROTTLED] = true,
	[KMS_UNAVAILABLE] = true,
	[KMS_NO_MEMORY] = true,
	[KMS_MISCONFIGURED] = true,
};
static const bool refusals[KMS_STATUS_COUNT] = {
	[KMS_DENIED] = true,
	[KMS_CREDENTIALS_REFUSED] = true,
};

enum kms_status credentials_not_given(const char *who, bool by_aws, enum kms_status status,
				      struct kms_report *report)
{
	struct kms_report cause = *report;
	bool stays = outages[status] || (by_aws && refusals[status]);

	return kms_fail(stays ? status : KMS_NO_CREDENTIALS, report, cause.error_type, "%s: %s",
			who, cause.message);
}
