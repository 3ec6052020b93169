/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where credentials come from in the environment as it is now. */
#include "tests/support/aws_look.h"

#include "tests/support/unit.h"

#include <stdio.h>

void aws_look_init(struct aws_look *look)
{
	static const struct fake_reply nobody[] = {{HTTP_NOT_CONNECTED, 0, NULL, NULL}};

	*look = (struct aws_look){.settings = {.connect_timeout_ms = 2000,
					       .attempt_timeout_ms = 5000,
					       .call_timeout_ms = 15000,
					       .max_attempts = 3}};
	fake_http_init(&look->http);
	fake_http_script(&look->http, nobody, 1);
	look->clock = fake_http_clock(&look->http);
	look->settings.clock = &look->clock;
}

static void remember(struct aws_look *look, const struct credentials *found)
{
	snprintf(look->origin, sizeof(look->origin), "%s", (char *)found->origin.data);
	snprintf(look->identity, sizeof(look->identity), "%s", (char *)found->identity.data);
	snprintf(look->found, sizeof(look->found), "%s %s %s", (char *)found->access_key_id.data,
		 (char *)found->secret_access_key.data, (char *)found->session_token.data);
	look->expires_ms = found->expires_ms;
}

enum kms_status aws_look_now(struct aws_look *look)
{
	struct environment environment;
	struct aws_transport transport = fake_http_transport(&look->http);
	const struct credentials_place place = {.settings = &look->settings,
						.environment = &environment,
						.transport = &transport,
						.sts_skew_ms = &look->sts_skew_ms};
	const struct credentials_wish wish = {
		"us-west-2", moment_after(clock_now(&look->clock), look->settings.call_timeout_ms)};
	struct credentials_chain *chain;
	struct credentials *found;
	enum kms_status status;

	look->report = (struct kms_report){0};
	assert_true(environment_read(&environment));
	chain = credentials_chain_new(&place, credentials_order, credentials_order_count);
	assert_non_null(chain);
	status = credentials_chain_borrow(chain, &wish, &look->report, &found);
	if (status == KMS_OK) {
		remember(look, found);
		credentials_chain_return(chain, found);
	}
	credentials_chain_free(chain);
	environment_clear(&environment);
	return status;
}

void aws_look_finds(struct aws_look *look, const char *origin, const char *found)
{
	enum kms_status status = aws_look_now(look);

	if (status != KMS_OK)
		fail_msg("%s: %s", kms_status_text(status), look->report.message);
	assert_string_equal(look->origin, origin);
	assert_string_equal(look->found, found);
}

void aws_look_fails(struct aws_look *look, enum kms_status status, const char *word)
{
	enum kms_status answered = aws_look_now(look);

	if (answered != status)
		fail_msg("%s (%s), not %s", kms_status_text(answered), look->report.message,
			 kms_status_text(status));
	if (strstr(look->report.message, word) == NULL)
		fail_msg("'%s' does not say '%s'", look->report.message, word);
}

void aws_look_sts_answer(char *text, size_t size, const char *action, int number)
{
	snprintf(text, size,
		 "<%sResponse><%sResult><AssumedRoleUser><Arn>arn</Arn></AssumedRoleUser>"
		 "<Credentials><AccessKeyId>ROLE%d</AccessKeyId><SecretAccessKey>role%d"
		 "</SecretAccessKey><SessionToken>TOKEN%d</SessionToken>"
		 "<Expiration>2025-11-24T17:00:00Z</Expiration></Credentials></%sResult>"
		 "</%sResponse>",
		 action, action, number, number, number, action, action);
}
