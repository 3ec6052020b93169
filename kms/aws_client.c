/* The life of aws clients: what they share, where they go. */
#include "kms/aws_client.h"

#include <stdlib.h>

#include "base/macros.h"
#include "kms/report.h"

struct aws *aws_new(const struct kms_settings *settings, const struct aws_world *world)
{
	struct aws *aws = calloc(1, sizeof(*aws));
	struct credentials_place place;

	if (aws == NULL)
		return NULL;
	aws->settings = settings;
	aws->world = world == NULL ? (struct aws_world){0} : *world;
	if (aws->world.sleep == NULL)
		aws->world.sleep = retry_sleep;
	if (aws->world.http == NULL)
		aws->world.http = aws->own_http = http_curl_new(settings->max_idle_connections);
	place = (struct credentials_place){settings, &aws->environment, aws->world.http};
	aws->chain = credentials_chain_new(&place, settings->clock, credentials_order,
					   credentials_order_count);
	if (aws->world.http == NULL || aws->chain == NULL || !environment_read(&aws->environment)) {
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
	free(aws);
}

void aws_abandon(struct aws *aws)
{
	aws->world.http->operations->abandon(aws->world.http);
}

enum kms_status aws_region(struct aws *aws, struct kms_report *report,
			   char ret_region[static KMS_REGION_MAX + 1])
{
	AUTO(profile_clear) struct profile profile = {0};
	const char *region;

	TRY(profile_load(aws->settings, &aws->environment, report, &profile));
	region = region_find(aws->settings, &aws->environment, &profile);
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

	endpoint_clear(&client->endpoint);
	buffer_clear(&client->ca_bundle);
	sigv4_cache_clear(&client->signing_key);
	pthread_mutex_destroy(&client->signing_key.lock);
	free(client);
}

static bool find_ca_bundle(struct aws_client *client, const struct profile *profile)
{
	const char *path = client->aws->settings->ca_bundle;

	if (path == NULL)
		path = environment_get(&client->aws->environment, ENV_CA_BUNDLE);
	if (path == NULL)
		path = profile_config(profile, "ca_bundle");
	if (path == NULL)
		return true;
	buffer_put_text(&client->ca_bundle, path);
	return buffer_text(&client->ca_bundle) != NULL;
}

static enum kms_status find_place(struct aws_client *client, struct kms_report *report)
{
	AUTO(profile_clear) struct profile profile = {0};
	const struct aws *aws = client->aws;

	TRY(profile_load(aws->settings, &aws->environment, report, &profile));
	if (!find_ca_bundle(client, &profile))
		return KMS_NO_MEMORY;
	return endpoint_find(aws->settings, &aws->environment, &profile, client->region, report,
			     &client->endpoint);
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
	memcpy(client->region, region, strlen(region) + 1);
	client->bucket.tokens = RETRY_BUCKET;
	pthread_mutex_init(&client->signing_key.lock, NULL);
	status = find_place(client, report);
	if (status != KMS_OK) {
		aws_client_free(&client->client);
		return status;
	}
	*ret_client = &client->client;
	return KMS_OK;
}

static void put_identity(const struct credentials *credentials, struct buffer *out)
{
	buffer_format(out, "credentials: %s, access key %s%s\n", credentials->source,
		      (const char *)credentials->access_key_id.data,
		      credentials->session_token.len > 0 ? ", with a session token" : "");
}

enum kms_status aws_describe(struct aws *aws, const char *region, struct kms_report *report,
			     struct buffer *ret_text)
{
	struct credentials *credentials;
	struct kms_client *base;
	struct endpoint *endpoint;

	TRY(aws_client_new(aws, region, report, &base));
	endpoint = &((struct aws_client *)base)->endpoint;
	buffer_format(ret_text, "region: %s\nendpoint: %s (%s)\n", region,
		      (const char *)endpoint->url.data, endpoint->source);
	aws_client_free(base);
	TRY(credentials_chain_borrow(aws->chain, report, &credentials));
	put_identity(credentials, ret_text);
	credentials_chain_return(aws->chain, credentials);
	return ret_text->failed ? KMS_NO_MEMORY : KMS_OK;
}
