/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that a program prints (AWS SDKs and Tools Reference Guide, "Process credential
 * provider"). */
#include "aws/credentials/json.h"
#include "aws/credentials/sources.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "base/process.h"
#include "net/answer.h"

#include <errno.h>
#include <sys/auxv.h>

enum { TIME_MAX_MS = 60 * 1000, OUTPUT_MAX = 8 * 1024 };

static const struct credentials_form form = {
	.id = "AccessKeyId",
	.secret = "SecretAccessKey",
	.token = "SessionToken",
	.expiration = "Expiration",
};

static int64_t time_left(const struct credentials_place *place)
{
	const struct clock *clock = place->settings->clock;
	int64_t left = place->deadline.monotonic_ms - clock->monotonic_ms(clock->state);

	return left < TIME_MAX_MS ? left : TIME_MAX_MS;
}

/* The result, in words that contain nothing of its output. */
static enum kms_status judge(const char *program, enum process_result result, int code,
			     int64_t timeout_ms, struct kms_report *report)
{
	static const char who[] = "credential_process";

	switch (result) {
	case PROCESS_NOT_STARTED:
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL, "%s '%s' can't be started: %s",
				who, program, strerror(errno));
	case PROCESS_TIMED_OUT:
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"%s '%s' did not end within %lld ms (60 s at most, and never "
				"longer than call_timeout_ms)",
				who, program, (long long)timeout_ms);
	case PROCESS_TOO_LONG:
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL, "%s '%s' printed more than 8 KiB",
				who, program);
	case PROCESS_NO_MEMORY:
		return KMS_NO_MEMORY;
	case PROCESS_ENDED:
		break;
	}
	if (code == 0)
		return KMS_OK;
	return kms_fail(KMS_NO_CREDENTIALS, report, NULL, "%s '%s' ended with code %d", who,
			program, code);
}

static enum kms_status run(const struct credentials_place *place, const char *line,
			   struct kms_report *report, struct buffer *output,
			   struct buffer *ret_program)
{
	char *words[PROCESS_WORDS_MAX + 1];
	AUTO(buffer_clear) struct buffer text = {0};
	int64_t timeout_ms = time_left(place);
	enum process_result result;
	int code = 0;

	if (getauxval(AT_SECURE) != 0)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"credential_process is not run in a program with more rights than "
				"its user");
	if (!process_split(line, &text, words))
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"credential_process is not a program and its arguments");
	if (timeout_ms <= 0)
		return kms_fail(KMS_UNAVAILABLE, report, NULL,
				"out of time before credential_process");
	result = process_run(words, timeout_ms, output, &code);
	TRY(judge(words[0], result, code, timeout_ms, report));
	buffer_put_text(ret_program, words[0]);
	return ret_program->failed ? KMS_NO_MEMORY : KMS_OK;
}

enum kms_status credentials_from_process(const struct credentials_place *place, const char *line,
					 struct kms_report *report,
					 struct credentials *ret_credentials)
{
	AUTO(buffer_clear) struct buffer output = {.limit = OUTPUT_MAX}, program = {0};
	AUTO(json_freep) json_t *rest = NULL;
	const char *printed;

	TRY(run(place, line, report, &output, &program));
	printed = credentials_parse(&output, &form, ret_credentials, &rest);
	if (printed != NULL && credentials_lack_memory(ret_credentials))
		return KMS_NO_MEMORY;
	if (json_integer_value(json_object_get(rest, "Version")) != 1)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"credential_process '%s' did not print JSON with \"Version\": 1",
				buffer_text(&program));
	if (printed != NULL)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"credential_process '%s' printed %s", buffer_text(&program),
				printed);
	buffer_format(&ret_credentials->origin, "credential_process %s", buffer_text(&program));
	return KMS_OK;
}
