/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of AWS services. Branches on the type, not on HTTP status codes: AWS's model and the real
 * service differ on these, and throttling comes as 400. The text only tells one no from another. */
#include "aws/status.h"

#include "base/json.h"
#include "base/macros.h"
#include "net/xml.h"

#include <jansson.h>
#include <stdio.h>

/* Sources: AWS KMS API Reference, "Common Errors" and the operations' lists; AWS SDKs for what is
 * retried. In the order of the alphabet within each group. */
static const struct status_rule rules[] = {
	/* clang-format off */
	/* no */
	{ "AccessDenied",                          KMS_DENIED,              RETRY_NO },
	{ "AccessDeniedException",                 KMS_DENIED,              RETRY_NO },
	{ "InvalidGrantTokenException",            KMS_DENIED,              RETRY_NO },
	{ "NotAuthorized",                         KMS_DENIED,              RETRY_NO },
	{ "OptInRequired",                         KMS_DENIED,              RETRY_NO },
	{ "DisabledException",                     KMS_DISABLED,            RETRY_NO },
	{ "CustomKeyStoreInvalidStateException",   KMS_KEY_STORE_UNAVAILABLE, RETRY_NO },
	{ "KMSInvalidStateException",              KMS_INVALID_STATE,       RETRY_NO },
	{ "CustomKeyStoreNotFoundException",       KMS_NOT_FOUND,           RETRY_NO },
	{ "InvalidArnException",                   KMS_NOT_FOUND,           RETRY_NO },
	{ "NotFoundException",                     KMS_NOT_FOUND,           RETRY_NO },
	{ "XksKeyNotFoundException",               KMS_NOT_FOUND,           RETRY_NO },
	/* about what was sent */
	{ "InvalidCiphertextException",            KMS_INVALID_CIPHERTEXT,  RETRY_NO },
	{ "IncorrectKeyException",                 KMS_INCORRECT_KEY,       RETRY_NO },
	{ "InvalidKeyUsageException",              KMS_INVALID_KEY_USAGE,   RETRY_NO },
	{ "SerializationException",                KMS_INVALID_REQUEST,     RETRY_NO },
	{ "ValidationError",                       KMS_INVALID_REQUEST,     RETRY_NO },
	{ "ValidationException",                   KMS_INVALID_REQUEST,     RETRY_NO },
	{ "UnknownOperationException",             KMS_UNSUPPORTED,         RETRY_NO },
	{ "UnsupportedOperationException",         KMS_UNSUPPORTED,         RETRY_NO },
	{ "LimitExceededException",                KMS_LIMIT_EXCEEDED,      RETRY_NO },
	/* throttling */
	{ "BandwidthLimitExceeded",                KMS_THROTTLED,           RETRY_THROTTLED },
	{ "EC2ThrottledException",                 KMS_THROTTLED,           RETRY_THROTTLED },
	{ "ProvisionedThroughputExceededException", KMS_THROTTLED,          RETRY_THROTTLED },
	{ "RequestLimitExceeded",                  KMS_THROTTLED,           RETRY_THROTTLED },
	{ "RequestThrottled",                      KMS_THROTTLED,           RETRY_THROTTLED },
	{ "RequestThrottledException",             KMS_THROTTLED,           RETRY_THROTTLED },
	{ "SlowDown",                              KMS_THROTTLED,           RETRY_THROTTLED },
	{ "ThrottledException",                    KMS_THROTTLED,           RETRY_THROTTLED },
	{ "Throttling",                            KMS_THROTTLED,           RETRY_THROTTLED },
	{ "ThrottlingException",                   KMS_THROTTLED,           RETRY_THROTTLED },
	{ "TooManyRequestsException",              KMS_THROTTLED,           RETRY_THROTTLED },
	{ "TransactionInProgressException",        KMS_THROTTLED,           RETRY_THROTTLED },
	/* outages */
	{ "IDPCommunicationError",                 KMS_UNAVAILABLE,         RETRY_TRANSIENT },
	{ "InternalFailure",                       KMS_UNAVAILABLE,         RETRY_TRANSIENT },
	{ "KMSInternalException",                  KMS_UNAVAILABLE,         RETRY_TRANSIENT },
	{ "PriorRequestNotComplete",               KMS_UNAVAILABLE,         RETRY_TRANSIENT },
	{ "RequestTimeout",                        KMS_UNAVAILABLE,         RETRY_TRANSIENT },
	{ "RequestTimeoutException",               KMS_UNAVAILABLE,         RETRY_TRANSIENT },
	{ "ServiceUnavailable",                    KMS_UNAVAILABLE,         RETRY_TRANSIENT },
	/* outages of what holds the key */
	{ "DependencyTimeoutException",            KMS_KEY_OUT_OF_REACH,    RETRY_TRANSIENT },
	{ "KeyUnavailableException",               KMS_KEY_OUT_OF_REACH,    RETRY_TRANSIENT },
	{ "XksProxyInvalidResponseException",      KMS_KEY_OUT_OF_REACH,    RETRY_TRANSIENT },
	{ "XksProxyUriUnreachableException",       KMS_KEY_OUT_OF_REACH,    RETRY_TRANSIENT },
	/* credentials */
	{ "ExpiredToken",                          KMS_CREDENTIALS_REFUSED, RETRY_RENEWED },
	{ "ExpiredTokenException",                 KMS_CREDENTIALS_REFUSED, RETRY_RENEWED },
	{ "IDPRejectedClaim",                      KMS_CREDENTIALS_REFUSED, RETRY_NO },
	{ "IncompleteSignature",                   KMS_CREDENTIALS_REFUSED, RETRY_NO },
	{ "IncompleteSignatureException",          KMS_CREDENTIALS_REFUSED, RETRY_NO },
	{ "InvalidClientTokenId",                  KMS_CREDENTIALS_REFUSED, RETRY_RENEWED },
	{ "InvalidIdentityToken",                  KMS_CREDENTIALS_REFUSED, RETRY_TRANSIENT },
	{ "InvalidSignatureException",             KMS_CREDENTIALS_REFUSED, RETRY_CLOCK },
	{ "MissingAuthenticationToken",            KMS_CREDENTIALS_REFUSED, RETRY_NO },
	{ "MissingAuthenticationTokenException",   KMS_CREDENTIALS_REFUSED, RETRY_NO },
	{ "RequestExpired",                        KMS_CREDENTIALS_REFUSED, RETRY_CLOCK },
	{ "RequestTimeTooSkewed",                  KMS_CREDENTIALS_REFUSED, RETRY_CLOCK },
	{ "SignatureDoesNotMatch",                 KMS_CREDENTIALS_REFUSED, RETRY_CLOCK },
	{ "UnauthorizedException",                 KMS_CREDENTIALS_REFUSED, RETRY_NO },
	{ "UnrecognizedClientException",           KMS_CREDENTIALS_REFUSED, RETRY_RENEWED },
	/* clang-format on */
};

void status_type_name(const char *type, char *ret_name, size_t size)
{
	const char *hash = strrchr(type, '#');

	if (hash != NULL)
		type = hash + 1;
	snprintf(ret_name, size, "%.*s", (int)strcspn(type, ":"), type);
}

const struct status_rule *status_rules(size_t *ret_count)
{
	*ret_count = COUNT_OF(rules);
	return rules;
}

/* In which state a key is, where the KMS has one type for several states: the words after the key's
 * ARN, which has no spaces, tell. DisabledException may also come for a key that is pending
 * deletion (AWS KMS Developer Guide, "Key states"). */
static const struct {
	const char *text;
	enum kms_status status;
} states[] = {
	{" pending deletion", KMS_PENDING_DELETION},
	{" pending replica deletion", KMS_PENDING_DELETION},
	{" pending import", KMS_PENDING_IMPORT},
	{" unavailable", KMS_KEY_STORE_UNAVAILABLE},
};

static enum kms_status with_state(enum kms_status status, const char *message)
{
	if (status != KMS_INVALID_STATE && status != KMS_DISABLED)
		return status;
	for (size_t i = 0; i < COUNT_OF(states); i++)
		if (strstr(message, states[i].text) != NULL)
			return states[i].status;
	return status;
}

/* 501 and those from 505 on mean that the next attempt would fail in the same way. */
static struct status_rule judge_http(unsigned http_status, bool typed)
{
	bool passes = http_status <= 504 && http_status != 501;

	if (http_status == 429)
		return (struct status_rule){"", KMS_THROTTLED, RETRY_THROTTLED};
	if (http_status >= 500)
		return (struct status_rule){"", KMS_UNAVAILABLE,
					    passes ? RETRY_TRANSIENT : RETRY_NO};
	return (struct status_rule){"", typed ? KMS_INVALID_REQUEST : KMS_BAD_ANSWER, RETRY_NO};
}

struct status_rule status_find(const char *type, unsigned http_status)
{
	char name[64];

	status_type_name(type, name, sizeof(name));
	for (size_t i = 0; i < COUNT_OF(rules); i++)
		if (strcmp(rules[i].type, name) == 0)
			return rules[i];
	return judge_http(http_status, name[0] != 0);
}

static bool read_json(const struct http_answer *answer, struct kms_report *report,
		      bool *ret_no_memory)
{
	json_t *root = json_read(buffer_bytes(&answer->body), 0, ret_no_memory);
	const char *type = json_string_value(json_object_get(root, "__type"));
	const char *message = json_string_value(json_object_get(root, "message"));

	if (message == NULL)
		message = json_string_value(json_object_get(root, "Message"));
	if (type != NULL)
		status_type_name(type, report->error_type, sizeof(report->error_type));
	if (message != NULL)
		snprintf(report->message, sizeof(report->message), "%s", message);
	json_decref(root);
	return type != NULL;
}

/* Into a text of limited size; empty if there is no such element. */
static bool read_element(const struct http_answer *answer, const char *name, char *ret_text,
			 size_t size)
{
	AUTO(buffer_clear) struct buffer text = {0};

	if (!xml_find(buffer_bytes(&answer->body), name, &text))
		return false;
	snprintf(ret_text, size, "%.*s", (int)text.len, text.len == 0 ? "" : (char *)text.data);
	return true;
}

static bool read_xml(const struct http_answer *answer, struct kms_report *report)
{
	if (!read_element(answer, "Code", report->error_type, sizeof(report->error_type)))
		return false;
	read_element(answer, "Message", report->message, sizeof(report->message));
	return true;
}

bool status_read_error(const struct http_answer *answer, struct kms_report *report)
{
	bool no_memory;
	struct bytes header = http_answer_header(answer, "x-amzn-ErrorType");
	char type[128];

	report->error_type[0] = 0;
	report->message[0] = 0;
	if (!read_json(answer, report, &no_memory) && !read_xml(answer, report)) {
		snprintf(type, sizeof(type), "%.*s", (int)header.len,
			 header.len == 0 ? "" : (const char *)header.data);
		status_type_name(type, report->error_type, sizeof(report->error_type));
	}
	if (report->message[0] == 0 && report->error_type[0] != 0)
		snprintf(report->message, sizeof(report->message), "AWS gives no details");
	else if (report->message[0] == 0)
		snprintf(report->message, sizeof(report->message), "HTTP status %u",
			 answer->status);
	return !no_memory;
}

/* Failures on the way: none of them is a no. */
static const struct {
	enum kms_status status;
	enum retry_kind retry;
} ways[] = {
	[HTTP_NOT_CONNECTED] = {KMS_UNAVAILABLE, RETRY_TRANSIENT},
	[HTTP_BROKEN] = {KMS_UNAVAILABLE, RETRY_TRANSIENT},
	[HTTP_TIMED_OUT] = {KMS_UNAVAILABLE, RETRY_TRANSIENT},
	[HTTP_TOO_LONG] = {KMS_BAD_ANSWER, RETRY_NO},
	[HTTP_REFUSED] = {KMS_UNAVAILABLE, RETRY_NO},
	[HTTP_UNTRUSTED] = {KMS_UNAVAILABLE, RETRY_NO},
	[HTTP_UNUSABLE] = {KMS_MISCONFIGURED, RETRY_NO},
	[HTTP_NO_MEMORY] = {KMS_NO_MEMORY, RETRY_NO},
};

static void read_request_id(const struct http_answer *answer, struct kms_report *report)
{
	struct bytes id = http_answer_header(answer, "x-amzn-RequestId");

	snprintf(report->request_id, sizeof(report->request_id), "%.*s", (int)id.len,
		 id.len == 0 ? "" : (const char *)id.data);
}

struct status_rule status_judge(enum http_result result, const struct http_answer *answer,
				struct kms_report *report)
{
	struct status_rule rule;

	if (result != HTTP_ANSWERED) {
		snprintf(report->message, sizeof(report->message), "%s", answer->error);
		return (struct status_rule){"", ways[result].status, ways[result].retry};
	}
	read_request_id(answer, report);
	if (answer->status == 200)
		return (struct status_rule){"", KMS_OK, RETRY_NO};
	if (!status_read_error(answer, report)) /* a no, or none: nobody can tell */
		return (struct status_rule){"", KMS_NO_MEMORY, RETRY_NO};
	rule = status_find(report->error_type, answer->status);
	rule.status = with_state(rule.status, report->message);
	return rule;
}
