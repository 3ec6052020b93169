/* Where a region's KMS is. */
#include "kms/endpoint.h"

#include <strings.h>

#include "base/macros.h"
#include "kms/name.h"
#include "kms/report.h"

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

/* Finds the address that is set in place of AWS's own; appended to `url`. */
static const char *find_set_address(const struct kms_settings *settings,
				    const struct environment *environment,
				    const struct profile *profile, struct buffer *url)
{
	const struct {
		const char *url;
		const char *source;
	} addresses[] = {
		{environment_get(environment, ENV_ENDPOINT_URL_KMS), "AWS_ENDPOINT_URL_KMS"},
		{environment_get(environment, ENV_ENDPOINT_URL), "AWS_ENDPOINT_URL"},
	};

	if (settings->endpoint_url != NULL) {
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
	if (profile_service_endpoint(profile, "kms", url))
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

/* 127.0.0.0/8, [::1] and localhost: what never leaves the machine. `host` has no port. */
static bool is_loopback(struct bytes host)
{
	return bytes_are(host, "localhost") || bytes_are(host, "[::1]") ||
	       (bytes_begin(host, "127.") && bytes_all_in(host, "0123456789."));
}

/* The host without its port; no bytes if the port is not one. */
static struct bytes host_name(struct bytes host)
{
	const uint8_t *colon = host.len == 0 ? NULL : memrchr(host.data, ':', host.len);
	struct bytes port, name;

	if (colon == NULL || host.data[host.len - 1] == ']')
		return host;
	name = bytes(host.data, (size_t)(colon - host.data));
	port = bytes(colon + 1, host.len - name.len - 1);
	if (port.len == 0 || port.len > 5 || !bytes_all_in(port, "0123456789"))
		return bytes(NULL, 0);
	return name;
}

static bool host_valid(struct bytes name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";
	bool v6 = name.len > 2 && name.data[0] == '[' && name.data[name.len - 1] == ']';

	if (v6)
		return bytes_all_in(bytes(name.data + 1, name.len - 2), "0123456789abcdefABCDEF:.");
	return name.len > 0 && bytes_all_in(name, allowed);
}

/* "https://HOST[:PORT][/PATH]" into its parts. False: something else. */
static bool split_url(const char *url, bool *ret_plain, struct bytes *ret_host,
		      struct bytes *ret_path)
{
	bool plain = strncasecmp(url, "http://", 7) == 0;
	size_t scheme = plain ? 7 : 8, len;

	if (!plain && strncasecmp(url, "https://", 8) != 0)
		return false;
	url += scheme;
	len = strcspn(url, "/?#@");
	*ret_plain = plain;
	*ret_host = bytes(url, len);
	*ret_path = bytes_of(url + len);
	return host_valid(host_name(*ret_host)) &&
	       bytes_all_in(*ret_path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789-._~/");
}

static enum kms_status take_url(struct endpoint *endpoint, struct kms_report *report)
{
	const char *url = buffer_text(&endpoint->url);
	struct bytes host, path;
	bool plain;

	if (url == NULL)
		return KMS_NO_MEMORY;
	if (!split_url(url, &plain, &host, &path))
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"KMS endpoint '%s' (%s) is not https://HOST[:PORT][/PATH]", url,
				endpoint->source);
	if (plain && !is_loopback(host_name(host)))
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"KMS endpoint '%s' (%s): http is only for this machine itself; use "
				"https",
				url, endpoint->source);
	buffer_append(&endpoint->host, host);
	buffer_append(&endpoint->path, path.len == 0 ? bytes_of("/") : path);
	return buffer_text(&endpoint->host) == NULL || buffer_text(&endpoint->path) == NULL
		       ? KMS_NO_MEMORY
		       : KMS_OK;
}

enum kms_status endpoint_find(const struct kms_settings *settings,
			      const struct environment *environment, const struct profile *profile,
			      const char *region, struct kms_report *report,
			      struct endpoint *endpoint)
{
	bool fips = setting(settings->use_fips_endpoint, environment, ENV_USE_FIPS, profile,
			    "use_fips_endpoint");
	bool dual = setting(settings->use_dualstack_endpoint, environment, ENV_USE_DUALSTACK,
			    profile, "use_dualstack_endpoint");
	const struct partition *partition = partition_of(region);

	if (!region_valid(bytes_of(region)))
		return kms_fail(KMS_MISCONFIGURED, report, NULL, "'%s' is not an AWS region",
				region);
	endpoint->source = find_set_address(settings, environment, profile, &endpoint->url);
	if (endpoint->source != NULL && (fips || dual))
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"an endpoint address (%s) can't go together with %s endpoints",
				endpoint->source, fips ? "FIPS" : "dual-stack");
	if (endpoint->source == NULL) {
		endpoint->source = fips ? "region, FIPS" : "region";
		buffer_format(&endpoint->url, "https://kms%s.%s.%s", fips ? "-fips" : "", region,
			      dual ? partition->dualstack_suffix : partition->suffix);
	}
	return take_url(endpoint, report);
}

const char *region_find(const struct kms_settings *settings, const struct environment *environment,
			const struct profile *profile)
{
	const char *region = settings->region;

	if (region == NULL)
		region = environment_get(environment, ENV_REGION);
	if (region == NULL)
		region = profile_get(profile, "region");
	return region;
}
