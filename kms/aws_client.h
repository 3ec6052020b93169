/* The insides of an aws client, for the files that make it up. */
#pragma once

#include "kms/aws.h"
#include "kms/credentials.h"
#include "kms/endpoint.h"
#include "kms/retry.h"
#include "kms/sigv4.h"

struct aws {
	const struct kms_settings *settings;
	struct aws_world world;
	struct http *own_http; /* unless the world brings one */
	struct environment environment;
	struct credentials_chain *chain;
};

struct aws_client {
	struct kms_client client;
	struct aws *aws;
	char region[KMS_REGION_MAX + 1];
	struct endpoint endpoint;
	struct buffer ca_bundle; /* text; empty: the system's */
	struct sigv4_cache signing_key;
	struct retry_bucket bucket;
};

void aws_client_free(struct kms_client *client);

/* aws.c */
extern const struct kms_operations aws_operations;
