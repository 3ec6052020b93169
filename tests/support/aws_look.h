/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where credentials come from in the environment as it is now, on an HTTP that answers what a test
 * has written down. */
#pragma once

#include "aws/credentials/chain.h"
#include "tests/support/fake_http.h"

struct aws_look {
	struct fake_http http;
	struct aws_settings settings;
	struct clock clock;
	/* Of the last look: */
	struct kms_report report;
	char origin[512];
	char identity[512];
	char found[1024]; /* "ID SECRET TOKEN" */
	int64_t expires_ms;
	_Atomic int64_t sts_skew_ms;
};

/* An HTTP that never answers; settings with their defaults. */
void aws_look_init(struct aws_look *look);
/* Asks the whole chain, as a client of us-west-2. */
enum kms_status aws_look_now(struct aws_look *look);
/* Asserts which credentials are found. */
void aws_look_finds(struct aws_look *look, const char *origin, const char *found);
/* Asserts that none are found, and that the message has the word. */
void aws_look_fails(struct aws_look *look, enum kms_status status, const char *word);

/* What STS answers to a role: credentials "ROLE<n> role<n> TOKEN<n>" until an hour after the fake
 * time's beginning. `size` bytes of text. */
void aws_look_sts_answer(char *text, size_t size, const char *action, int number);
