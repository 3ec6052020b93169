/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where a region's services are: AWS's host names, and the settings that replace them. */
#pragma once

#include "aws/profile.h"

/* As signatures name it: "kms". */
const char *aws_service_name(enum aws_service service);

struct endpoint {
	struct buffer url;  /* text, as requests go to it */
	struct buffer host; /* text: the Host header, with the port if the URL names one */
	struct buffer path; /* text: "/" at least */
	const char *source; /* static text, for doctor: "AWS_ENDPOINT_URL_KMS", "region" … */
};
void endpoint_clear(struct endpoint *endpoint);

/*
 * Zero state first. The first of these that is set: the configuration's endpoint_url (of the
 * service that it is for), AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the profile's services
 * section, the profile's endpoint_url (AWS SDKs and Tools Reference Guide, "Service-specific
 * endpoints"); else by region, FIPS and dual-stack settings. KMS_MISCONFIGURED: http to a host that
 * is not loopback, FIPS or dual-stack together with an address, an invalid URL, an invalid region.
 */
enum kms_status endpoint_find(enum aws_service service, const struct aws_settings *settings,
			      const struct environment *environment, const struct profile *profile,
			      const char *region, struct kms_report *report,
			      struct endpoint *endpoint);

/* The address of something that is not an AWS service: http://… or https://… of any host. False:
 * invalid. */
bool endpoint_take(const char *url, struct endpoint *endpoint);

/* The region for keys named without one: configuration, AWS_REGION, AWS_DEFAULT_REGION, profile.
 * NULL: none of them. Borrowed. */
const char *region_find(const struct aws_settings *settings, const struct environment *environment,
			const struct profile *profile);
