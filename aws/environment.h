/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The AWS settings of the process's environment: read once, since a host may change its environment
 * while another thread reads. An empty variable counts as unset. */
#pragma once

#include "base/buffer.h"
#include "net/proxy.h"

enum environment_name {
	ENV_ACCESS_KEY_ID,
	ENV_SECRET_ACCESS_KEY,
	ENV_SESSION_TOKEN,
	ENV_CREDENTIAL_EXPIRATION,
	ENV_WEB_IDENTITY_TOKEN_FILE,
	ENV_ROLE_ARN,
	ENV_ROLE_SESSION_NAME,
	ENV_CONTAINER_RELATIVE_URI,
	ENV_CONTAINER_FULL_URI,
	ENV_CONTAINER_TOKEN,
	ENV_CONTAINER_TOKEN_FILE,
	ENV_IMDS_DISABLED,
	ENV_IMDS_ENDPOINT,
	ENV_IMDS_ENDPOINT_MODE,
	ENV_IMDS_TIMEOUT,
	ENV_IMDS_ATTEMPTS,
	ENV_PROFILE,
	ENV_CONFIG_FILE,
	ENV_CREDENTIALS_FILE,
	ENV_REGION,
	ENV_ENDPOINT_URL_KMS,
	ENV_ENDPOINT_URL_STS,
	ENV_ENDPOINT_URL_SSO,
	ENV_ENDPOINT_URL_SSO_OIDC,
	ENV_ENDPOINT_URL_DYNAMODB,
	ENV_ENDPOINT_URL,
	ENV_IGNORE_ENDPOINT_URLS,
	ENV_USE_FIPS,
	ENV_USE_DUALSTACK,
	ENV_MAX_ATTEMPTS,
	ENV_RETRY_MODE,
	ENV_CA_BUNDLE,
	ENV_HTTPS_PROXY,
	ENV_ALL_PROXY,
	ENV_NO_PROXY,
	ENV_HOME,
	ENV_COUNT
};

struct environment {
	struct buffer values[ENV_COUNT]; /* wiped: among them are secrets */
};

/* False: no memory. */
bool environment_read(struct environment *ret_environment);
void environment_clear(struct environment *environment);

/* NULL: not set. Borrowed. */
const char *environment_get(const struct environment *environment, enum environment_name name);
/* "true", in any case. */
bool environment_true(const struct environment *environment, enum environment_name name);
/* For proxy_find(); the names in small letters win, as for curl. */
struct proxy_variables environment_proxy(const struct environment *environment);
