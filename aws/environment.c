/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The AWS settings of the process's environment. */
#include "aws/environment.h"

#include <stdlib.h>
#include <strings.h>

/* Where two names mean the same, the first that is set wins. */
static const struct {
	const char *name;
	const char *older;
} variables[ENV_COUNT] = {
	/* clang-format off */
	[ENV_ACCESS_KEY_ID]           = { "AWS_ACCESS_KEY_ID",                       NULL },
	[ENV_SECRET_ACCESS_KEY]       = { "AWS_SECRET_ACCESS_KEY",                   NULL },
	[ENV_SESSION_TOKEN]           = { "AWS_SESSION_TOKEN",                       "AWS_SECURITY_TOKEN" },
	[ENV_CREDENTIAL_EXPIRATION]   = { "AWS_CREDENTIAL_EXPIRATION",               NULL },
	[ENV_WEB_IDENTITY_TOKEN_FILE] = { "AWS_WEB_IDENTITY_TOKEN_FILE",             NULL },
	[ENV_ROLE_ARN]                = { "AWS_ROLE_ARN",                            NULL },
	[ENV_ROLE_SESSION_NAME]       = { "AWS_ROLE_SESSION_NAME",                   NULL },
	[ENV_CONTAINER_RELATIVE_URI]  = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",  NULL },
	[ENV_CONTAINER_FULL_URI]      = { "AWS_CONTAINER_CREDENTIALS_FULL_URI",      NULL },
	[ENV_CONTAINER_TOKEN]         = { "AWS_CONTAINER_AUTHORIZATION_TOKEN",       NULL },
	[ENV_CONTAINER_TOKEN_FILE]    = { "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",  NULL },
	[ENV_IMDS_DISABLED]           = { "AWS_EC2_METADATA_DISABLED",               NULL },
	[ENV_IMDS_ENDPOINT]           = { "AWS_EC2_METADATA_SERVICE_ENDPOINT",       NULL },
	[ENV_IMDS_ENDPOINT_MODE]      = { "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",  NULL },
	[ENV_IMDS_TIMEOUT]            = { "AWS_METADATA_SERVICE_TIMEOUT",            NULL },
	[ENV_IMDS_ATTEMPTS]           = { "AWS_METADATA_SERVICE_NUM_ATTEMPTS",       NULL },
	[ENV_PROFILE]                 = { "AWS_PROFILE",                             "AWS_DEFAULT_PROFILE" },
	[ENV_CONFIG_FILE]             = { "AWS_CONFIG_FILE",                         NULL },
	[ENV_CREDENTIALS_FILE]        = { "AWS_SHARED_CREDENTIALS_FILE",             NULL },
	[ENV_REGION]                  = { "AWS_REGION",                              "AWS_DEFAULT_REGION" },
	[ENV_ENDPOINT_URL_KMS]        = { "AWS_ENDPOINT_URL_KMS",                    NULL },
	[ENV_ENDPOINT_URL_STS]        = { "AWS_ENDPOINT_URL_STS",                    NULL },
	[ENV_ENDPOINT_URL_SSO]        = { "AWS_ENDPOINT_URL_SSO",                    NULL },
	[ENV_ENDPOINT_URL_SSO_OIDC]   = { "AWS_ENDPOINT_URL_SSO_OIDC",               NULL },
	[ENV_ENDPOINT_URL_DYNAMODB]   = { "AWS_ENDPOINT_URL_DYNAMODB",               NULL },
	[ENV_ENDPOINT_URL]            = { "AWS_ENDPOINT_URL",                        NULL },
	[ENV_IGNORE_ENDPOINT_URLS]    = { "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",     NULL },
	[ENV_USE_FIPS]                = { "AWS_USE_FIPS_ENDPOINT",                   NULL },
	[ENV_USE_DUALSTACK]           = { "AWS_USE_DUALSTACK_ENDPOINT",              NULL },
	[ENV_MAX_ATTEMPTS]            = { "AWS_MAX_ATTEMPTS",                        NULL },
	[ENV_RETRY_MODE]              = { "AWS_RETRY_MODE",                          NULL },
	[ENV_CA_BUNDLE]               = { "AWS_CA_BUNDLE",                           NULL },
	[ENV_HTTPS_PROXY]             = { "https_proxy",                             "HTTPS_PROXY" },
	[ENV_ALL_PROXY]               = { "all_proxy",                               "ALL_PROXY" },
	[ENV_NO_PROXY]                = { "no_proxy",                                "NO_PROXY" },
	[ENV_HOME]                    = { "HOME",                                    NULL },
	/* clang-format on */
};

static const char *read_variable(const char *name)
{
	const char *value = name == NULL ? NULL : secure_getenv(name);

	return value == NULL || value[0] == 0 ? NULL : value;
}

bool environment_read(struct environment *ret_environment)
{
	struct environment read = {0};

	for (size_t i = 0; i < ENV_COUNT; i++) {
		const char *value = read_variable(variables[i].name);

		if (value == NULL)
			value = read_variable(variables[i].older);
		if (value == NULL)
			continue;
		buffer_append(&read.values[i], bytes(value, strlen(value) + 1));
		if (read.values[i].failed) {
			environment_clear(&read);
			return false;
		}
	}
	*ret_environment = read;
	return true;
}

void environment_clear(struct environment *environment)
{
	for (size_t i = 0; i < ENV_COUNT; i++)
		buffer_clear(&environment->values[i]);
}

const char *environment_get(const struct environment *environment, enum environment_name name)
{
	const struct buffer *value = &environment->values[name];

	return value->len == 0 ? NULL : (const char *)value->data;
}

bool environment_true(const struct environment *environment, enum environment_name name)
{
	const char *value = environment_get(environment, name);

	return value != NULL && strcasecmp(value, "true") == 0;
}

struct proxy_variables environment_proxy(const struct environment *environment)
{
	return (struct proxy_variables){
		.https = environment_get(environment, ENV_HTTPS_PROXY),
		.all = environment_get(environment, ENV_ALL_PROXY),
		.no = environment_get(environment, ENV_NO_PROXY),
	};
}
