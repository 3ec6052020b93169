/* Finds the client, asks, and says once what came of it. */
#include "zones/ask.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/audit.h"

#include <inttypes.h>

/* What to do about an answer; the others say it themselves. */
static const struct {
	enum kms_status status;
	const char *text;
} remedies[] = {
	{KMS_DENIED, "allow this to this identity: in its policy and in the key's, or, where STS "
		     "refused, in the role's trust policy"},
	{KMS_DISABLED, "enable the key"},
	{KMS_PENDING_DELETION, "cancel its deletion while there is time, and enable the key"},
	{KMS_PENDING_IMPORT, "import its key material"},
	{KMS_KEY_STORE_UNAVAILABLE, "connect the custom key store that holds the key"},
	{KMS_INVALID_STATE, "look at the key's state in the KMS"},
	{KMS_NOT_FOUND, "check the key's name, account and region"},
	{KMS_INVALID_CIPHERTEXT, "the stored record was changed or belongs to something else; "
				 "restore it from a backup"},
	{KMS_INCORRECT_KEY, "the stored record belongs to another root key"},
	{KMS_INVALID_KEY_USAGE, "a root key must be symmetric, for encryption and decryption"},
	{KMS_UNSUPPORTED, "for a key in a cloud this is done there"},
	{KMS_THROTTLED, "ask for a higher request quota, or lengthen lease_seconds"},
	{KMS_UNAVAILABLE, "check network, endpoint and proxy; it is tried again at the next use"},
	{KMS_NO_CREDENTIALS, "set credentials up; 'cmek doctor' shows where they are looked for"},
	{KMS_CREDENTIALS_REFUSED, "renew the credentials; 'cmek doctor' shows which are used"},
	{KMS_MISCONFIGURED, "'cmek doctor' walks the configuration"},
};

/* The context pair that says what the root key is used for. */
static const char *purpose_of(const struct ask *ask)
{
	for (size_t i = 0; ask->context != NULL && i < ask->context->count; i++)
		if (strcmp(ask->context->pairs[i].name, "cmek:purpose") == 0)
			return ask->context->pairs[i].value;
	return NULL;
}

/* The record of a zone is ours; what C_Decrypt and C_UnwrapKey bring is the caller's. */
static bool is_the_callers(const struct ask *ask)
{
	const char *purpose = purpose_of(ask);

	return purpose != NULL && (strcmp(purpose, "data") == 0 || strcmp(purpose, "import") == 0);
}

static bool is_local(const char *key)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];

	return kms_name_parse(key, provider, region) && strcmp(provider, "local") == 0;
}

static const char *remedy(const struct ask *ask, enum kms_status status)
{
	if (status == KMS_DISABLED && is_local(ask->key))
		return "enable the key: cmek key enable";
	if (status == KMS_INVALID_CIPHERTEXT && is_the_callers(ask))
		return "give what this key encrypted, and the same encryption context";
	for (size_t i = 0; i < COUNT_OF(remedies); i++)
		if (remedies[i].status == status)
			return remedies[i].text;
	return "see the message";
}

static bool is_said(const char *text)
{
	return text != NULL && *text != '\0';
}

/* " for zone 'c/d' (id 1, version 1) of project 'p'", as far as it is known. */
static void put_subject(struct buffer *line, const struct ask *ask)
{
	if (ask->zone_id != 0 || is_said(ask->zone))
		buffer_put_text(line, " for zone");
	if (is_said(ask->zone))
		buffer_format(line, " '%s'", ask->zone);
	if (ask->zone_id != 0)
		buffer_format(line, " (id %" PRIu64 ", version %" PRIu32 ")", ask->zone_id,
			      ask->version);
	if (is_said(ask->project))
		buffer_format(line, " of project '%s'", ask->project);
}

/* ": what the KMS said [its name for that, request id]". */
static void put_report(struct buffer *line, const struct kms_report *report)
{
	if (is_said(report->message))
		buffer_format(line, ": %s", report->message);
	if (is_said(report->error_type))
		buffer_format(line, " [%s]", report->error_type);
	if (is_said(report->request_id))
		buffer_format(line, " (request %s)", report->request_id);
}

static void log_refusal(const struct ask *ask, const char *operation, enum kms_status status,
			const struct kms_report *report)
{
	AUTO(buffer_clear) struct buffer line = {0};
	const char *text;

	buffer_format(&line, "KMS %s with key %s", operation, ask->key);
	put_subject(&line, ask);
	buffer_format(&line, ": %s", kms_status_text(status));
	put_report(&line, report);
	text = buffer_text(&line);
	log_error("%s; %s", text == NULL ? operation : text, remedy(ask, status));
}

/* One call under way. */
struct asked {
	const struct ask *ask;
	const char *operation;
	struct kms_report report;
	struct kms_client *client;
	int64_t started_us;
	enum kms_status status;
};

static void audit(const struct asked *asked)
{
	const struct ask *ask = asked->ask;

	audit_write(&(struct audit_event){
		.event = "kms",
		.action = asked->operation,
		.outcome = asked->status == KMS_OK ? "ok" : kms_status_text(asked->status),
		.project = ask->project,
		.project_id = ask->project_id,
		.name = ask->zone,
		.zone = ask->zone_id,
		.version = ask->version,
		.root_key = ask->key,
		.purpose = purpose_of(ask),
		.request_id = asked->report.request_id,
		.duration_us = clock_precise_us() - asked->started_us,
	});
}

static enum zone_status answered(struct asked *asked)
{
	if (asked->ask->report != NULL)
		*asked->ask->report = asked->report;
	if (asked->status != KMS_OK)
		log_refusal(asked->ask, asked->operation, asked->status, &asked->report);
	audit(asked);
	return zone_status_of_kms(asked->status);
}

static enum kms_status find_client(struct asked *asked)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];

	if (!kms_name_parse(asked->ask->key, provider, region))
		return KMS_INVALID_REQUEST;
	return kms_clients_find(asked->ask->clients, provider, region, &asked->report,
				&asked->client);
}

static struct asked asking(const struct ask *ask, const char *operation)
{
	struct asked asked = {.ask = ask, .operation = operation, .started_us = clock_precise_us()};

	asked.status = find_client(&asked);
	return asked;
}

enum zone_status ask_describe(const struct ask *ask, struct kms_key *ret_key)
{
	struct asked asked = asking(ask, "DescribeKey");
	struct kms_client *client = asked.client;

	if (asked.status == KMS_OK)
		asked.status =
			client->operations->describe(client, ask->key, &asked.report, ret_key);
	return answered(&asked);
}

enum zone_status ask_encrypt(const struct ask *ask, struct bytes plaintext, struct buffer *ret_blob)
{
	struct asked asked = asking(ask, "Encrypt");
	struct kms_client *client = asked.client;

	if (asked.status == KMS_OK)
		asked.status = client->operations->encrypt(client, ask->key, plaintext,
							   ask->context, &asked.report, ret_blob);
	return answered(&asked);
}

static enum zone_status decrypt_here(const struct ask *ask, struct bytes blob,
				     struct buffer *ret_plaintext)
{
	struct asked asked = asking(ask, "Decrypt");
	struct kms_client *client = asked.client;

	if (asked.status == KMS_OK)
		asked.status = client->operations->decrypt(client, ask->key, blob, ask->context,
							   &asked.report, ret_plaintext);
	return answered(&asked);
}

/* Is there more to learn by asking a related key elsewhere? Not after a yes or a no; but a region
 * that has no such replica says nothing of the key. */
static bool is_settled(enum zone_status status, bool own)
{
	return !zone_status_is_outage(status) && (own || status != ZONE_KMS_NOT_FOUND);
}

enum zone_status ask_decrypt(const struct ask *ask, struct bytes blob, struct buffer *ret_plaintext)
{
	enum zone_status status = ZONE_INVALID, answer;
	char arn[KMS_ARN_MAX + 1];

	for (size_t i = 0; kms_clients_name(ask->clients, ask->key, i, arn); i++) {
		bool own = strcmp(arn, ask->key) == 0;
		struct ask here = *ask;

		here.key = arn;
		answer = decrypt_here(&here, blob, ret_plaintext);
		if (own || answer != ZONE_KMS_NOT_FOUND)
			status = answer;
		if (is_settled(answer, own))
			break;
	}
	return status;
}

enum zone_status ask_generate(const struct ask *ask, struct buffer *ret_plaintext,
			      struct buffer *ret_blob)
{
	struct asked asked = asking(ask, "GenerateDataKey");
	struct kms_client *client = asked.client;

	if (asked.status == KMS_OK)
		asked.status = client->operations->generate_data_key(
			client, ask->key, ask->context, &asked.report, ret_plaintext, ret_blob);
	return answered(&asked);
}

enum zone_status ask_set_state(const struct ask *ask, enum kms_key_state state)
{
	struct asked asked = asking(ask, "SetState");
	struct kms_client *client = asked.client;

	if (asked.status == KMS_OK && client->operations->set_state == NULL)
		asked.status = KMS_UNSUPPORTED;
	else if (asked.status == KMS_OK)
		asked.status =
			client->operations->set_state(client, ask->key, state, &asked.report);
	return answered(&asked);
}

enum zone_status ask_create(const struct ask *ask, bool registered)
{
	struct asked asked = asking(ask, "CreateKey");
	struct kms_client *client = asked.client;

	if (asked.status == KMS_OK && client->operations->create == NULL)
		asked.status = KMS_UNSUPPORTED;
	else if (asked.status == KMS_OK)
		asked.status =
			client->operations->create(client, ask->key, registered, &asked.report);
	return answered(&asked);
}
