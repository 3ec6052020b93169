/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of an aws client, for the files that make it up. */
#pragma once

#include "aws/credentials/chain.h"
#include "aws/service.h"
#include "kms/aws/aws.h"

struct aws {
	struct aws_settings settings; /* texts are borrowed */
	struct aws_transport transport;
	struct http *own_http; /* unless the transport brings one */
	struct environment environment;
	_Atomic int64_t sts_skew_ms;
	struct credentials_place place;
	struct credentials_chain *chain;
	pthread_mutex_t lock;		 /* of: */
	char region[KMS_REGION_MAX + 1]; /* where this machine is, once known; empty: not asked yet
					  */
};

struct aws_client {
	struct kms_client client;
	struct aws *aws;
	struct service service;
};

void aws_client_free(struct kms_client *client);

/* aws.c */
extern const struct kms_operations aws_operations;
