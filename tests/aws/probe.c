/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients of kms/ at the end of a pipe: a command a line on standard input, what came of it a
 * line of JSON on standard output. For tests that bring their own AWS (tests/fake_kms).
 *
 *   describe KEY            encrypt KEY TEXT         decrypt KEY BLOB        generate KEY
 *   reencrypt KEY BLOB KEY  whoami [REGION]          region
 *   threads N M COMMAND…    N threads give the command M times each; how often which status came
 *
 * Blobs, and the values that come back, are base64. PROBE_CONNECT_MS, PROBE_ATTEMPT_MS,
 * PROBE_CALL_MS, PROBE_ATTEMPTS, PROBE_PROFILE, PROBE_REGION are the settings; the log goes to
 * standard error, all of it. "ms" is how long it took, "late" how much of that this process was
 * kept waiting by the machine (heartbeat.h).
 */
#include "base/encode.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "kms/aws/provider.h"
#include "kms/kms.h"
#include "pkcs11/providers.h"
#include "tests/aws/heartbeat.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORDS_MAX = 8, LINE_MAX_BYTES = 64 * 1024 };

static struct kms_clients *clients;

struct outcome {
	enum kms_status status;
	struct kms_report report;
	struct buffer value; /* what came back */
	bool is_text;
};

static void outcome_clear(struct outcome *outcome)
{
	buffer_clear(&outcome->value);
}

static struct kms_client *client_of(const char *key, struct outcome *outcome)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];
	struct kms_client *client = NULL;

	if (key == NULL || !kms_name_parse(module_providers, key, provider, region)) {
		outcome->status = KMS_INVALID_REQUEST;
		return NULL;
	}
	outcome->status = kms_clients_find(clients, provider, region, &outcome->report, &client);
	return outcome->status == KMS_OK ? client : NULL;
}

static void describe(char **words, struct outcome *outcome)
{
	struct kms_client *client = client_of(words[1], outcome);
	struct kms_key key;

	if (client == NULL)
		return;
	outcome->status = client->operations->describe(client, words[1], &outcome->report, &key);
	if (outcome->status == KMS_OK)
		buffer_format(&outcome->value, "%s %s", key.arn, kms_key_state_text(key.state));
	outcome->is_text = true;
}

static void encrypt(char **words, struct outcome *outcome)
{
	struct kms_client *client = client_of(words[1], outcome);

	if (client != NULL)
		outcome->status =
			client->operations->encrypt(client, words[1], bytes_of(words[2]), NULL,
						    &outcome->report, &outcome->value);
}

static void decrypt(char **words, struct outcome *outcome)
{
	struct kms_client *client = client_of(words[1], outcome);
	AUTO(buffer_clear) struct buffer blob = {0};

	if (client != NULL && base64_decode(bytes_of(words[2]), &blob))
		outcome->status =
			client->operations->decrypt(client, words[1], buffer_bytes(&blob), NULL,
						    &outcome->report, &outcome->value);
}

/* Gives the blob and the key it is a blob of, so that one can be held against the other. */
static void generate(char **words, struct outcome *outcome)
{
	struct kms_client *client = client_of(words[1], outcome);
	AUTO(buffer_clear) struct buffer plaintext = {0}, blob = {0};

	if (client == NULL)
		return;
	outcome->status = client->operations->generate_data_key(
		client, words[1], NULL, &outcome->report, &plaintext, &blob);
	if (outcome->status != KMS_OK)
		return;
	base64_append(&outcome->value, buffer_bytes(&plaintext));
	buffer_put_u8(&outcome->value, ' ');
	base64_append(&outcome->value, buffer_bytes(&blob));
	outcome->is_text = true;
}

static void re_encrypt(char **words, struct outcome *outcome)
{
	struct kms_client *client = client_of(words[1], outcome);
	AUTO(buffer_clear) struct buffer blob = {0};

	if (client != NULL && base64_decode(bytes_of(words[2]), &blob))
		outcome->status = client->operations->re_encrypt(
			client, words[1], buffer_bytes(&blob), NULL, words[3], NULL,
			&outcome->report, &outcome->value);
}

static void whoami(char **words, struct outcome *outcome)
{
	outcome->status = kms_clients_describe(clients, "aws", words[1] == NULL ? "" : words[1],
					       &outcome->report, &outcome->value);
	outcome->is_text = true;
}

static const struct {
	const char *name;
	void (*run)(char **words, struct outcome *outcome);
} commands[] = {
	{"describe", describe}, {"encrypt", encrypt},	   {"decrypt", decrypt},
	{"generate", generate}, {"reencrypt", re_encrypt}, {"whoami", whoami},
};

static void run(char **words, struct outcome *outcome)
{
	outcome->status = KMS_INVALID_REQUEST;
	for (size_t i = 0; words[0] != NULL && i < COUNT_OF(commands); i++)
		if (strcmp(commands[i].name, words[0]) == 0)
			commands[i].run(words, outcome);
}

struct stopwatch {
	int64_t ms, late;
};

static struct stopwatch stopwatch_now(void)
{
	return (struct stopwatch){heartbeat_now_ms(), heartbeat_late_ms()};
}

static struct stopwatch since(struct stopwatch begin)
{
	struct stopwatch now = stopwatch_now();

	return (struct stopwatch){now.ms - begin.ms, now.late - begin.late};
}

static void answer(struct outcome *outcome, struct stopwatch took)
{
	AUTO(buffer_clear) struct buffer text = {0};
	json_t *line;

	if (outcome->is_text)
		buffer_append(&text, buffer_bytes(&outcome->value));
	else
		base64_append(&text, buffer_bytes(&outcome->value));
	line = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "status",
			 kms_status_text(outcome->status), "type", outcome->report.error_type,
			 "message", outcome->report.message, "request", outcome->report.request_id,
			 "identity", outcome->report.caller.identity, "access_key",
			 outcome->report.caller.access_key_id, "credentials",
			 outcome->report.caller.credentials, "value", buffer_text(&text), "ms",
			 (json_int_t)took.ms, "late", (json_int_t)took.late);
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

/* Many at once. */
struct storm {
	char **words;
	int rounds;
	_Atomic int statuses[KMS_STATUS_COUNT];
};

static void *blow(void *state)
{
	struct storm *storm = state;

	for (int i = 0; i < storm->rounds; i++) {
		AUTO(outcome_clear) struct outcome outcome = {0};

		run(storm->words, &outcome);
		storm->statuses[outcome.status]++;
	}
	return NULL;
}

static void run_storm(struct storm *storm, int count)
{
	pthread_t *threads = calloc((size_t)count, sizeof(*threads));
	int started = 0;

	while (threads != NULL && started < count &&
	       pthread_create(&threads[started], NULL, blow, storm) == 0)
		started++;
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

static void answer_storm(const struct storm *storm, struct stopwatch took)
{
	json_t *statuses = json_object(), *line;

	for (int i = 0; i < KMS_STATUS_COUNT; i++)
		if (storm->statuses[i] > 0)
			json_object_set_new(statuses, kms_status_text((enum kms_status)i),
					    json_integer(storm->statuses[i]));
	line = json_pack("{s:o, s:I, s:I}", "statuses", statuses, "ms", (json_int_t)took.ms, "late",
			 (json_int_t)took.late);
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

static void obey(char *text)
{
	AUTO(outcome_clear) struct outcome outcome = {0};
	char *words[WORDS_MAX + 1] = {0}, *rest = text;
	struct stopwatch begin = stopwatch_now();

	for (int i = 0; i < WORDS_MAX; i++)
		words[i] = strtok_r(i == 0 ? text : NULL, " \n", &rest);
	if (words[0] != NULL && strcmp(words[0], "threads") == 0 && words[3] != NULL) {
		struct storm storm = {.words = words + 3, .rounds = atoi(words[2])};

		run_storm(&storm, atoi(words[1]));
		answer_storm(&storm, since(begin));
		return;
	}
	run(words, &outcome);
	answer(&outcome, since(begin));
}

static unsigned number(const char *name)
{
	const char *value = getenv(name);

	return value == NULL ? 0 : (unsigned)atoi(value);
}

int main(void)
{
	struct kms_aws_settings section = {
		.aws.profile = getenv("PROBE_PROFILE"),
		.aws.region = getenv("PROBE_REGION"),
		.aws.connect_timeout_ms = number("PROBE_CONNECT_MS"),
		.aws.attempt_timeout_ms = number("PROBE_ATTEMPT_MS"),
		.aws.call_timeout_ms = number("PROBE_CALL_MS"),
		.aws.max_attempts = number("PROBE_ATTEMPTS"),
	};
	const struct kms_settings settings = {
		.providers = module_providers,
		.sections = {[PROVIDER_AWS] = &section},
		.no_threads = number("PROBE_NO_THREADS") != 0,
	};
	static char line[LINE_MAX_BYTES];

	log_configure(LOG_DEBUG, "stderr");
	if (!crypto_start(false))
		return 1;
	heartbeat_start();
	clients = kms_clients_new(&settings);
	while (clients != NULL && fgets(line, sizeof(line), stdin) != NULL)
		obey(line);
	kms_clients_free(clients);
	return clients == NULL;
}
