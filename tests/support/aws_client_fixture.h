/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A client of kms/aws over a scripted HTTP, for the one test program that includes this. */
#pragma once

#include "kms/aws/aws.h"
#include "kms/settings.h"
#include "pkcs11/providers.h"
#include "tests/support/fake_http.h"

static struct fake_http http;
static struct kms_settings settings;
static struct clock fake_clock;
static struct aws *aws;
static struct kms_client *kms;

/* 0, or a value that cmocka counts as a failure. */
static int client_start(void)
{
	const struct aws_transport transport = fake_http_transport(&http);
	struct kms_settings given = {.providers = module_providers, .clock = &fake_clock};

	fake_http_init(&http);
	fake_clock = fake_http_clock(&http);
	if (!settings_copy(&given, &settings))
		return -1;
	aws = aws_new(&settings, &transport);
	return aws == NULL ? -1 : (int)aws_client_new(aws, "us-west-2", NULL, &kms);
}

static void client_stop(void)
{
	kms->operations->free(kms);
	aws_free(aws);
	settings_clear(&settings);
}
