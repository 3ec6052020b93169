/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where a region's services are. */
#include "aws/endpoint.h"

#include "base/arn.h"
#include "base/macros.h"
#include "net/answer.h"
#include "net/url.h"

#include <strings.h>

/* Partitions by the beginning of their regions' names; the first that fits. Source: partitions.json
 * of the AWS SDKs. */
static const struct partition {
	const char *prefix;
	const char *suffix;
	const char *dualstack_suffix;
} partitions[] = {
	/* clang-format off */
	{ "cn-",      "amazonaws.com.cn", "api.amazonwebservices.com.cn" },
	{ "us-gov-",  "amazonaws.com",    "api.aws" },
	{ "us-iso-",  "c2s.ic.gov",       "api.aws.ic.gov" },
	{ "us-isob-", "sc2s.sgov.gov",    "api.aws.scloud" },
	{ "eu-isoe-", "cloud.adc-e.uk",   "api.cloud-aws.adc-e.uk" },
	{ "us-isof-", "csp.hci.ic.gov",   "api.aws.hci.ic.gov" },
	{ "eusc-",    "amazonaws.eu",     "api.amazonwebservices.eu" },
	{ "",         "amazonaws.com",    "api.aws" },
	/* clang-format on */
};

/* Source: the endpoint rules of each service in the AWS SDKs' models. */
static const struct service_row {
	const char *name, *words; /* for signatures; for people */
	const char *host;
	const char *key; /* in a profile's services section */
	enum environment_name variable;
	const char *variable_name;
	bool plain_in_gov; /* GovCloud's FIPS host is the ordinary one */
} services[AWS_SERVICE_COUNT] = {
	/* clang-format off */
	[AWS_KMS]      = { "kms", "KMS", "kms",        "kms",      ENV_ENDPOINT_URL_KMS,      "AWS_ENDPOINT_URL_KMS",      false },
	[AWS_STS]      = { "sts", "STS", "sts",        "sts",      ENV_ENDPOINT_URL_STS,      "AWS_ENDPOINT_URL_STS",      true },
	[AWS_SSO]      = { "sso", "SSO", "portal.sso", "sso",      ENV_ENDPOINT_URL_SSO,      "AWS_ENDPOINT_URL_SSO",      true },
	[AWS_SSO_OIDC] = { "sso-oauth", "SSO OIDC", "oidc", "sso_oidc", ENV_ENDPOINT_URL_SSO_OIDC, "AWS_ENDPOINT_URL_SSO_OIDC", true },
	[AWS_DYNAMODB] = { "dynamodb", "DynamoDB", "dynamodb", "dynamodb", ENV_ENDPOINT_URL_DYNAMODB, "AWS_ENDPOINT_URL_DYNAMODB", true },
	/* clang-format on */
};

const char *aws_service_name(enum aws_service service)
{
	return services[service].name;
}

void endpoint_clear(struct endpoint *endpoint)
{
	buffer_clear(&endpoint->url);
	buffer_clear(&endpoint->host);
	buffer_clear(&endpoint->path);
}

static const struct partition *partition_of(const char *region)
{
	const struct partition *partition = partitions;

	while (!bytes_begin(bytes_of(region), partition->prefix))
		partition++;
	return partition;
}

/* Finds an address that is set in place of AWS's own; appended to `url`. */
static const char *find_set_address(const struct service_row *row,
				    const struct aws_settings *settings,
				    const struct environment *environment,
				    const struct profile *profile, struct buffer *url)
{
	const struct {
		const char *url;
		const char *source;
	} addresses[] = {
		{environment_get(environment, row->variable), row->variable_name},
		{environment_get(environment, ENV_ENDPOINT_URL), "AWS_ENDPOINT_URL"},
	};

	if (row == &services[settings->endpoint_service] && settings->endpoint_url != NULL) {
		buffer_put_text(url, settings->endpoint_url);
		return "configuration";
	}
	if (environment_true(environment, ENV_IGNORE_ENDPOINT_URLS))
		return NULL;
	for (size_t i = 0; i < COUNT_OF(addresses); i++)
		if (addresses[i].url != NULL) {
			buffer_put_text(url, addresses[i].url);
			return addresses[i].source;
		}
	if (profile_service_endpoint(profile, row->key, url))
		return "profile, services";
	if (profile_config(profile, "endpoint_url") == NULL)
		return NULL;
	buffer_put_text(url, profile_config(profile, "endpoint_url"));
	return "profile";
}

static bool setting(bool configured, const struct environment *environment,
		    enum environment_name variable, const struct profile *profile, const char *key)
{
	const char *value = environment_get(environment, variable);

	if (value == NULL)
		value = profile_config(profile, key);
	return configured || (value != NULL && strcasecmp(value, "true") == 0);
}

static bool take_parts(struct endpoint *endpoint, struct bytes host, struct bytes path)
{
	buffer_append(&endpoint->host, host);
	buffer_append(&endpoint->path, path.len == 0 ? bytes_of("/") : path);
	return buffer_text(&endpoint->host) != NULL && buffer_text(&endpoint->path) != NULL;
}

static enum kms_status take_url(const struct service_row *row, struct endpoint *endpoint,
				struct kms_report *report)
{
	const char *url = buffer_text(&endpoint->url);
	struct bytes host, path;
	bool plain;

	if (url == NULL)
		return KMS_NO_MEMORY;
	if (!url_split(url, &plain, &host, &path))
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"%s endpoint '%s' (%s) is not https://HOST[:PORT][/PATH]",
				row->words, url_told(url), endpoint->source);
	if (plain && !url_is_loopback(host))
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"%s endpoint '%s' (%s): http is only for this machine itself; use "
				"https",
				row->words, url, endpoint->source);
	return take_parts(endpoint, host, path) ? KMS_OK : KMS_NO_MEMORY;
}

bool endpoint_take(const char *url, struct endpoint *endpoint)
{
	struct bytes host, path;
	bool plain;

	endpoint->source = "address";
	buffer_put_text(&endpoint->url, url);
	return buffer_text(&endpoint->url) != NULL && url_split(url, &plain, &host, &path) &&
	       take_parts(endpoint, host, path);
}

static void put_own_address(const struct service_row *row, const char *region, bool fips, bool dual,
			    struct endpoint *endpoint)
{
	const struct partition *partition = partition_of(region);
	bool plain = row->plain_in_gov && bytes_begin(bytes_of(region), "us-gov-");

	endpoint->source = fips ? "region, FIPS" : "region";
	buffer_format(&endpoint->url, "https://%s%s.%s.%s", row->host,
		      fips && !plain ? "-fips" : "", region,
		      dual ? partition->dualstack_suffix : partition->suffix);
}

enum kms_status endpoint_find(enum aws_service which, const struct aws_settings *settings,
			      const struct environment *environment, const struct profile *profile,
			      const char *region, struct kms_report *report,
			      struct endpoint *endpoint)
{
	const struct service_row *row = &services[which];
	bool fips = setting(settings->use_fips_endpoint, environment, ENV_USE_FIPS, profile,
			    "use_fips_endpoint");
	bool dual = setting(settings->use_dualstack_endpoint, environment, ENV_USE_DUALSTACK,
			    profile, "use_dualstack_endpoint");

	if (!region_valid(bytes_of(region)))
		return kms_fail(KMS_MISCONFIGURED, report, NULL, "'%s' is not an AWS region",
				region);
	endpoint->source = find_set_address(row, settings, environment, profile, &endpoint->url);
	if (endpoint->source != NULL && (fips || dual))
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"an endpoint address (%s) can't go together with %s endpoints",
				endpoint->source, fips ? "FIPS" : "dual-stack");
	if (endpoint->source == NULL)
		put_own_address(row, region, fips, dual, endpoint);
	return take_url(row, endpoint, report);
}

const char *region_find(const struct aws_settings *settings, const struct environment *environment,
			const struct profile *profile)
{
	const char *region = settings->region;

	if (region == NULL)
		region = environment_get(environment, ENV_REGION);
	if (region == NULL)
		region = profile_get(profile, "region");
	return region;
}
