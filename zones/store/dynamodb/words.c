/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What DynamoDB's errors mean for the store. Source: Amazon DynamoDB Developer Guide, "Error
 * handling with DynamoDB", and the API Reference, "Common Errors". What every service of AWS may
 * say stands in aws/status.c. */
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

const struct dynamodb_word dynamodb_words[] = {
	/* clang-format off */
	/* of a transaction */
	{ "TransactionCanceledException",         ZONE_CONFLICT,             DYNAMODB_CANCELED, RETRY_NO, "" },
	{ "TransactionInProgressException",       ZONE_STORE_UNAVAILABLE,    DYNAMODB_UNKNOWN,  RETRY_TRANSIENT, "it is still at work on that" },
	{ "IdempotentParameterMismatchException", ZONE_STORE_UNAVAILABLE,    DYNAMODB_UNKNOWN,  RETRY_NO, "look before it is tried again" },
	/* what it does not take */
	{ "ItemCollectionSizeLimitExceededException", ZONE_STORE_FULL,       DYNAMODB_ANSWERED, RETRY_NO, "a project takes 10 GB at most: remove keys that nobody needs" },
	{ "LimitExceededException",               ZONE_STORE_THROTTLED,      DYNAMODB_ANSWERED, RETRY_THROTTLED, "try again later" },
	{ "ValidationException",                  ZONE_STORE_UNAVAILABLE,    DYNAMODB_UNFIT,    RETRY_NO, "was the table made by cmek store create?" },
	{ "UnknownOperationException",            ZONE_STORE_UNAVAILABLE,    DYNAMODB_ANSWERED, RETRY_NO, "look at [store] endpoint: is it DynamoDB?" },
	/* the table */
	{ "ResourceNotFoundException",            ZONE_STORE_UNAVAILABLE,    DYNAMODB_NO_TABLE, RETRY_NO, "look at [store] table and region, or make it: cmek store create" },
	{ "TableNotFoundException",               ZONE_STORE_UNAVAILABLE,    DYNAMODB_NO_TABLE, RETRY_NO, "look at [store] table and region, or make it: cmek store create" },
	{ "ResourceInUseException",               ZONE_EXISTS,               DYNAMODB_ANSWERED, RETRY_NO, "it is there, or is being made" },
	{ "ContinuousBackupsUnavailableException", ZONE_STORE_UNAVAILABLE,   DYNAMODB_ANSWERED, RETRY_NO, "try again in a minute" },
	/* outages */
	{ "InternalServerError",                  ZONE_STORE_UNAVAILABLE,    DYNAMODB_UNKNOWN,  RETRY_TRANSIENT, "try again later" },
	{ NULL, ZONE_OK, DYNAMODB_ANSWERED, RETRY_NO, NULL },
	/* clang-format on */
};

/* By what is wrong with any service of AWS. */
static const struct {
	enum kms_status from;
	struct dynamodb_word to;
} others[] = {
	/* clang-format off */
	{ KMS_DENIED,              { NULL, ZONE_STORE_DENIED,         DYNAMODB_ANSWERED, RETRY_NO, "allow it in the policies of this identity (docs/store-dynamodb.md)" } },
	{ KMS_THROTTLED,           { NULL, ZONE_STORE_THROTTLED,      DYNAMODB_ANSWERED, RETRY_NO, "try again later, or raise the table's throughput" } },
	{ KMS_NO_CREDENTIALS,      { NULL, ZONE_STORE_NO_CREDENTIALS, DYNAMODB_ANSWERED, RETRY_NO, "set credentials up (docs/aws.md)" } },
	{ KMS_CREDENTIALS_REFUSED, { NULL, ZONE_STORE_NO_CREDENTIALS, DYNAMODB_ANSWERED, RETRY_NO, "renew the credentials (docs/aws.md)" } },
	{ KMS_MISCONFIGURED,       { NULL, ZONE_STORE_UNAVAILABLE,    DYNAMODB_ANSWERED, RETRY_NO, "look at [store] and [aws]" } },
	{ KMS_INVALID_REQUEST,     { NULL, ZONE_STORE_UNAVAILABLE,    DYNAMODB_ANSWERED, RETRY_NO, "look at [store] endpoint: is it DynamoDB?" } },
	{ KMS_BAD_ANSWER,          { NULL, ZONE_STORE_UNAVAILABLE,    DYNAMODB_UNKNOWN,  RETRY_NO, "look at [store] endpoint: is it DynamoDB?" } },
	{ KMS_NO_MEMORY,           { NULL, ZONE_NO_MEMORY,            DYNAMODB_UNKNOWN,  RETRY_NO, "" } },
	/* clang-format on */
};

struct dynamodb_word dynamodb_word_of(const char *type, const struct status_rule *rule)
{
	struct dynamodb_word word = {NULL, ZONE_STORE_UNAVAILABLE, DYNAMODB_UNKNOWN, RETRY_NO,
				     "check network, endpoint and proxy"};

	for (const struct dynamodb_word *own = dynamodb_words; own->type != NULL; own++)
		if (strcmp(own->type, type) == 0)
			return *own;
	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (others[i].from == rule->status)
			word = others[i].to;
	word.retry = rule->retry;
	return word;
}
