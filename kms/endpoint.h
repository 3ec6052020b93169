/* Where a region's KMS is: AWS's host names, and the settings that put another address in place. */
#pragma once

#include "kms/profile.h"

struct endpoint {
	struct buffer url;  /* text, as requests go to it */
	struct buffer host; /* text: the Host header, with the port if the URL names one */
	struct buffer path; /* text: "/" at least */
	const char *source; /* static text, for doctor: "AWS_ENDPOINT_URL_KMS", "region" … */
};
void endpoint_clear(struct endpoint *endpoint);

/*
 * Zero state first. The first of these that is set: the configuration's endpoint_url,
 * AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, the profile's services section, the profile's
 * endpoint_url (AWS SDKs and Tools Reference Guide, "Service-specific endpoints"); else by region,
 * FIPS and dual-stack settings. KMS_MISCONFIGURED: http to a host that is not loopback, FIPS or
 * dual-stack together with an address, a URL that is none, a region that is none.
 */
enum kms_status endpoint_find(const struct kms_settings *settings,
			      const struct environment *environment, const struct profile *profile,
			      const char *region, struct kms_report *report,
			      struct endpoint *endpoint);

/* The region for keys named without one: configuration, AWS_REGION, AWS_DEFAULT_REGION, profile.
 * NULL: none of them. Borrowed. */
const char *region_find(const struct kms_settings *settings, const struct environment *environment,
			const struct profile *profile);
