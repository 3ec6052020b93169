/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller sets for the services of AWS; what is not set here, the environment and AWS's
 * shared files may say. */
#pragma once

#include "base/clock.h"

enum aws_service { AWS_KMS, AWS_STS, AWS_SSO, AWS_SSO_OIDC, AWS_DYNAMODB, AWS_SERVICE_COUNT };

/* Texts are borrowed; NULL: not set. Numbers are set, but max_attempts. */
struct aws_settings {
	const char *profile; /* names an identity: then the environment's keys are not looked at */
	const char *region;  /* for keys named without one */
	const char *endpoint_url; /* of this service alone; wins over the environment's: */
	enum aws_service endpoint_service;
	const char *ca_bundle;
	bool use_fips_endpoint;
	bool use_dualstack_endpoint;
	unsigned connect_timeout_ms;
	unsigned attempt_timeout_ms;
	unsigned call_timeout_ms;
	unsigned max_attempts; /* 0: AWS_MAX_ATTEMPTS, the profile's, 3 */
	unsigned max_idle_connections;
	bool no_threads; /* libcurl starts none: names are looked up by the caller */
	const struct clock *clock;
};
