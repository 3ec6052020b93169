/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The life of aws clients: what they share, where they go. */
#include "kms/aws/client.h"

#include "aws/imds.h"
#include "aws/sts.h"
#include "base/arn.h"
#include "base/free.h"
#include "base/macros.h"
#include "kms/aws/provider.h"
#include "net/answer.h"

#include <stdlib.h>

static bool set_transport(struct aws *aws, const struct aws_transport *transport)
{
	aws->transport = transport == NULL ? (struct aws_transport){0} : *transport;
	if (aws->transport.sleep == NULL)
		aws->transport.sleep = retry_sleep;
	if (aws->transport.http == NULL)
		aws->transport.http = aws->own_http =
			http_curl_new(aws->settings.max_idle_connections, aws->settings.no_threads,
				      aws->settings.clock);
	return aws->transport.http != NULL;
}

/* What aws/ reads: [aws], and what holds for all of kms/. */
static struct aws_settings half_of(const struct kms_settings *settings)
{
	const struct kms_aws_settings *section = provider_section(settings, &kms_aws);
	struct aws_settings half = section->aws;

	half.no_threads = settings->no_threads;
	half.clock = settings->clock;
	return half;
}

struct aws *aws_new(const struct kms_settings *settings, const struct aws_transport *transport)
{
	struct aws *aws = calloc(1, sizeof(*aws));

	if (aws == NULL)
		return NULL;
	pthread_mutex_init(&aws->lock, NULL);
	aws->settings = half_of(settings);
	aws->place = (struct credentials_place){
		.settings = &aws->settings,
		.environment = &aws->environment,
		.transport = &aws->transport,
		.sts_skew_ms = &aws->sts_skew_ms,
	};
	aws->chain = credentials_chain_new(&aws->place, credentials_order, credentials_order_count);
	if (!set_transport(aws, transport) || aws->chain == NULL ||
	    !environment_read(&aws->environment)) {
		aws_free(aws);
		return NULL;
	}
	return aws;
}

void aws_free(struct aws *aws)
{
	if (aws == NULL)
		return;
	credentials_chain_free(aws->chain);
	if (aws->own_http != NULL)
		aws->own_http->operations->free(aws->own_http);
	environment_clear(&aws->environment);
	pthread_mutex_destroy(&aws->lock);
	free(aws);
}

void aws_abandon(struct aws *aws)
{
	aws->transport.http->operations->abandon(aws->transport.http);
}

/* A deadline for what is asked beside a call: as long as a call may take. */
static struct credentials_place place_of(const struct aws *aws, const char *region)
{
	struct credentials_place place = aws->place;

	place.region = region;
	place.deadline =
		moment_after(clock_now(aws->settings.clock), aws->settings.call_timeout_ms);
	return place;
}

static bool known_region(struct aws *aws, char ret_region[static KMS_REGION_MAX + 1])
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&aws->lock);

	strcpy(ret_region, aws->region);
	return aws->region[0] != 0;
}

/* Where this machine is, if it is an EC2 instance; asked once. */
static enum kms_status ask_region(struct aws *aws, struct kms_report *report,
				  char ret_region[static KMS_REGION_MAX + 1])
{
	const struct credentials_place place = place_of(aws, NULL);
	AUTO(http_answer_clear) struct http_answer answer = {0};
	struct bytes body;

	if (known_region(aws, ret_region))
		return KMS_OK;
	TRY(imds_get(&place, "placement/region", report, &answer));
	body = buffer_bytes(&answer.body);
	if (!region_valid(body))
		return KMS_NOT_FOUND;
	pthread_mutex_lock(&aws->lock);
	memcpy(aws->region, body.data, body.len);
	strcpy(ret_region, aws->region);
	pthread_mutex_unlock(&aws->lock);
	return KMS_OK;
}

enum kms_status aws_region(struct aws *aws, struct kms_report *report,
			   char ret_region[static KMS_REGION_MAX + 1])
{
	AUTO(profile_clear) struct profile profile = {0};
	struct kms_report silent = {0};
	const char *region;

	TRY(profile_load(&aws->settings, &aws->environment, report, &profile));
	region = region_find(&aws->settings, &aws->environment, &profile);
	if (region == NULL && ask_region(aws, &silent, ret_region) == KMS_OK)
		return KMS_OK;
	if (region == NULL)
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"no AWS region for a key named without one: set region in [aws], "
				"or AWS_REGION, or name the key by its ARN");
	if (strlen(region) > KMS_REGION_MAX)
		return kms_fail(KMS_MISCONFIGURED, report, NULL, "'%s' is not an AWS region",
				region);
	strcpy(ret_region, region);
	return KMS_OK;
}

void aws_client_free(struct kms_client *base)
{
	struct aws_client *client = (struct aws_client *)base;

	service_clear(&client->service);
	free(client);
}

static enum kms_status open_kms(struct aws_client *client, const char *region,
				struct kms_report *report)
{
	AUTO(profile_clear) struct profile profile = {0};
	const struct aws *aws = client->aws;

	TRY(profile_load(&aws->settings, &aws->environment, report, &profile));
	return service_init(&client->service, AWS_KMS, region, &aws->settings, &aws->environment,
			    &profile, report);
}

enum kms_status aws_client_new(struct aws *aws, const char *region, struct kms_report *report,
			       struct kms_client **ret_client)
{
	struct aws_client *client = calloc(1, sizeof(*client));
	enum kms_status status;

	if (client == NULL)
		return KMS_NO_MEMORY;
	client->client.operations = &aws_operations;
	client->aws = aws;
	status = open_kms(client, region, report);
	if (status != KMS_OK) {
		aws_client_free(&client->client);
		return status;
	}
	*ret_client = &client->client;
	return KMS_OK;
}

static enum kms_status put_endpoint(struct aws *aws, const char *region, struct kms_report *report,
				    struct buffer *out)
{
	const struct endpoint *endpoint;
	struct kms_client *base;

	TRY(aws_client_new(aws, region, report, &base));
	endpoint = &((struct aws_client *)base)->service.endpoint;
	buffer_format(out, "region: %s\nendpoint: %s (%s)\n", region,
		      (const char *)endpoint->url.data, endpoint->source);
	aws_client_free(base);
	return KMS_OK;
}

static void put_credentials(const struct credentials *credentials, struct buffer *out)
{
	char end[25];

	buffer_format(out, "credentials: %s, access key %s%s",
		      (const char *)credentials->origin.data,
		      (const char *)credentials->access_key_id.data,
		      credentials->session_token.len > 0 ? ", with a session token" : "");
	clock_extended_utc(credentials->expires_ms, end);
	buffer_format(out, credentials->expires_ms == 0 ? "\n" : ", until %.19sZ\n", end);
}

/* If STS can't be asked, that is no fault of the KMS: it is reported, and that is all. */
static void put_identity(const struct credentials_place *place,
			 const struct credentials *credentials, struct buffer *out)
{
	AUTO(buffer_clear) struct buffer endpoint = {0}, arn = {0};
	struct kms_report report = {0};
	enum kms_status status = sts_caller_identity(place, credentials, &report, &endpoint, &arn);

	if (status == KMS_OK && buffer_text(&arn) != NULL && buffer_text(&endpoint) != NULL)
		buffer_format(out, "identity: %s (by %s)\n", buffer_text(&arn),
			      buffer_text(&endpoint));
	else
		buffer_format(out, "identity: not known, since %s\n", report.message);
}

enum kms_status aws_describe(struct aws *aws, const char *region, struct kms_report *report,
			     struct buffer *ret_text)
{
	const struct credentials_place place = place_of(aws, region);
	const struct credentials_wish wish = {region, place.deadline};
	struct credentials *credentials;

	TRY(put_endpoint(aws, region, report, ret_text));
	TRY(credentials_chain_borrow(aws->chain, &wish, report, &credentials));
	put_credentials(credentials, ret_text);
	put_identity(&place, credentials, ret_text);
	credentials_chain_return(aws->chain, credentials);
	return ret_text->failed ? KMS_NO_MEMORY : KMS_OK;
}
