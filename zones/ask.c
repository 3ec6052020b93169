/* Finds the client, asks, and says once what came of it. */
#include "zones/ask.h"
#include "base/cancel.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/audit.h"
#include "zones/limits.h"
#include "zones/told.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One call under way. */
struct asked {
	const struct ask *ask;
	const char *operation;
	const char *key; /* the name that is asked: ask->key, or a related one's elsewhere */
	struct kms_report report;
	struct kms_client *client;
	int64_t started_us;
	bool leased; /* `lease`, in seconds, is how long a yes is good for */
	uint32_t lease;
	enum kms_status status;
};

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

/* The value of a pair of the encryption context; NULL: there is none. */
static const char *told_kms(const struct ask *ask, const char *name)
{
	for (size_t i = 0; ask->context != NULL && i < ask->context->count; i++)
		if (strcmp(ask->context->pairs[i].name, name) == 0)
			return ask->context->pairs[i].value;
	return NULL;
}

/* What the root key is used for. */
static const char *purpose_of(const struct ask *ask)
{
	return told_kms(ask, "cmek:purpose");
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

/* NULL: the message has it. */
static const char *remedy(const struct ask *ask, enum kms_status status)
{
	if (status == KMS_DISABLED && is_local(ask->key))
		return "enable the key: cmek key enable";
	if (status == KMS_UNAVAILABLE && is_local(ask->key))
		return "it is tried again at the next use";
	if (status == KMS_NOT_FOUND && is_local(ask->key))
		return NULL; /* which file and which names are near is for the KMS to say */
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

/* " for zone 'c/d' of project 'p', version 1", as far as it is known. */
static void put_subject(struct buffer *line, const struct ask *ask)
{
	bool of_zone = ask->zone_id != 0 || is_said(ask->zone);

	if (of_zone)
		buffer_format(line, " for %s",
			      zone_told_as(ask->zone, ask->project, ask->zone_id).text);
	else if (is_said(ask->project))
		buffer_format(line, " of project '%s'", ask->project);
	if (of_zone && ask->version != 0)
		buffer_format(line, ", version %" PRIu32, ask->version);
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

static void log_refusal(const struct asked *asked)
{
	const struct ask *ask = asked->ask;
	AUTO(buffer_clear) struct buffer line = {0};
	const char *todo = remedy(ask, asked->status), *text;

	buffer_format(&line, "KMS %s with key %s", asked->operation, asked->key);
	put_subject(&line, ask);
	buffer_format(&line, ": %s", kms_status_text(asked->status));
	put_report(&line, &asked->report);
	if (todo != NULL)
		buffer_format(&line, "; %s", todo);
	text = buffer_text(&line);
	log_error("%s", text == NULL ? asked->operation : text);
}

static enum zone_status audit(const struct asked *asked)
{
	const struct ask *ask = asked->ask;

	return audit_write(&(struct audit_event){
		.event = "kms",
		.action = asked->operation,
		.outcome = asked->status == KMS_OK ? "ok" : kms_status_text(asked->status),
		.project = ask->project,
		.project_id = ask->project_id,
		.name = ask->zone,
		.zone = ask->zone_id,
		.version = ask->version,
		.root_key = asked->key,
		.purpose = purpose_of(ask),
		.request_id = asked->report.request_id,
		.duration_us = clock_precise_us() - asked->started_us,
		.lease = asked->leased ? &asked->lease : NULL,
		.caller = &asked->report.caller,
	});
}

static enum kms_status find_client(struct asked *asked)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];

	if (!kms_name_parse(asked->key, provider, region))
		return KMS_INVALID_REQUEST;
	return kms_clients_find(asked->ask->clients, provider, region, &asked->report,
				&asked->client);
}

/* The lease that a yes begins, or that of the key it is about: the configured one, unless a zone's
 * record, which the KMS is told of, has less. */
static uint32_t lease_of(const struct ask *ask)
{
	const char *bound = told_kms(ask, "cmek:max-lease");
	uint64_t lease = kms_clients_lease(ask->clients), max_lease;

	if (bound != NULL && decimal_decode(bound, LEASE_BOUND_MAX, &max_lease) &&
	    max_lease < lease)
		lease = max_lease;
	return (uint32_t)lease;
}

static struct asked asking(const struct ask *ask, const char *operation, const char *key)
{
	struct asked asked = {.ask = ask,
			      .operation = operation,
			      .key = key,
			      .started_us = clock_precise_us(),
			      .leased = !is_the_callers(ask),
			      .lease = lease_of(ask),
			      .status = KMS_INVALID_REQUEST};

	if (asked.leased)
		snprintf(asked.report.remark, sizeof(asked.report.remark), "lease/%" PRIu32,
			 asked.lease);
	return asked;
}

static enum zone_status answered(const struct asked *asked)
{
	if (asked->ask->report != NULL)
		*asked->ask->report = asked->report;
	if (asked->status != KMS_OK && !asked->ask->quiet)
		log_refusal(asked);
	return zone_status_of_kms(asked->status);
}

/* --- Keys that may be asked at all */

static void put_place(struct buffer *line, const struct ask *ask)
{
	const char *at = kms_clients_allowed_at(ask->clients);

	if (is_said(at))
		buffer_format(line, " (%s)", at);
}

static enum zone_status refuse_key(const struct ask *ask, const char *key)
{
	AUTO(buffer_clear) struct buffer line = {0};

	buffer_format(&line, "root key %s", key);
	put_subject(&line, ask);
	buffer_put_text(&line, " is not among [kms] allowed_root_keys");
	put_place(&line, ask);
	log_error("%s; allow it there, or use another",
		  buffer_text(&line) == NULL ? key : buffer_text(&line));
	return ZONE_ROOT_KEY_REFUSED;
}

enum zone_status ask_check_allowed(const struct ask *ask, const char *key)
{
	return ask->related || kms_clients_allow(ask->clients, key) ? ZONE_OK
								    : refuse_key(ask, key);
}

/* --- About a key, where it is */

static struct asked ask_here(const struct ask *ask, const char *operation)
{
	struct asked asked = asking(ask, operation, ask->key);

	asked.status = find_client(&asked);
	return asked;
}

static enum zone_status heard(const struct asked *asked)
{
	audit(asked);
	return answered(asked);
}

/* A no counts, with a line or without; what a yes has brought is withheld without. */
static enum zone_status withheld(enum zone_status told, enum zone_status audited)
{
	if (told != ZONE_OK || audited == ZONE_OK)
		return told;
	log_error(
		"what the KMS answered is not used, since the audit log could not tell of it; make "
		"that log writable ([log] audit_required)");
	return audited;
}

/* So that no related key is asked in its place, when it is out of reach later. */
static void remember_no(const struct asked *asked, const struct kms_key *key)
{
	struct kms_clients *clients = asked->ask->clients;

	if (asked->status != KMS_OK)
		kms_clients_heard(clients, asked->ask->key, asked->status);
	else if (key->state != KMS_KEY_ENABLED)
		kms_clients_heard(clients, key->arn, KMS_INVALID_STATE);
}

/* An alias, or a name without a region, says nothing of the key before somebody is asked. */
static bool is_key_arn(const char *name)
{
	return strncmp(name, "arn:", 4) == 0 && strstr(name, ":key/") != NULL;
}

enum zone_status ask_describe(const struct ask *ask, struct kms_key *ret_key)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct kms_client *client;
	enum zone_status audited, status;
	struct asked asked;

	if (is_key_arn(ask->key))
		TRY(ask_check_allowed(ask, ask->key));
	TRY(audit_ready());
	asked = ask_here(ask, "DescribeKey");
	client = asked.client;
	if (asked.status == KMS_OK)
		asked.status =
			client->operations->describe(client, ask->key, &asked.report, ret_key);
	remember_no(&asked, ret_key);
	audited = audit(&asked);
	status = withheld(answered(&asked), audited);
	return status == ZONE_OK ? ask_check_allowed(ask, ret_key->arn) : status;
}

enum zone_status ask_set_state(const struct ask *ask, enum kms_key_state state)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct kms_client *client;
	struct asked asked;

	TRY(audit_ready());
	asked = ask_here(ask, "SetState");
	client = asked.client;
	if (asked.status == KMS_OK && client->operations->set_state == NULL)
		asked.status = KMS_UNSUPPORTED;
	else if (asked.status == KMS_OK)
		asked.status =
			client->operations->set_state(client, ask->key, state, &asked.report);
	return heard(&asked);
}

enum zone_status ask_create(const struct ask *ask, bool registered, bool *ret_made)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct kms_client *client;
	struct asked asked;

	TRY(ask_check_allowed(ask, ask->key));
	TRY(audit_ready());
	asked = ask_here(ask, "CreateKey");
	client = asked.client;
	if (asked.status == KMS_OK && client->operations->create == NULL)
		asked.status = KMS_UNSUPPORTED;
	else if (asked.status == KMS_OK)
		asked.status = client->operations->create(client, ask->key, registered,
							  &asked.report, ret_made);
	return heard(&asked);
}

/* --- By a key, wherever it or a related one answers */

/* What is done by a key; outputs are touched by a yes alone. */
struct work {
	const char *operation;
	enum kms_status (*send)(struct asked *asked, const struct work *work);
	struct bytes in;
	struct buffer *ret_plaintext, *ret_blob;
};

static enum kms_status send_encrypt(struct asked *asked, const struct work *work)
{
	return asked->client->operations->encrypt(asked->client, asked->key, work->in,
						  asked->ask->context, &asked->report,
						  work->ret_blob);
}

static enum kms_status send_decrypt(struct asked *asked, const struct work *work)
{
	return asked->client->operations->decrypt(asked->client, asked->key, work->in,
						  asked->ask->context, &asked->report,
						  work->ret_plaintext);
}

static enum kms_status send_generate(struct asked *asked, const struct work *work)
{
	return asked->client->operations->generate_data_key(asked->client, asked->key,
							    asked->ask->context, &asked->report,
							    work->ret_plaintext, work->ret_blob);
}

static struct asked ask_there(const struct ask *ask, const struct kms_route *route,
			      const struct work *work, enum zone_status *audited)
{
	struct asked asked = asking(ask, work->operation, route->arn);

	asked.report.until = route->until;
	asked.status = find_client(&asked);
	if (asked.status == KMS_OK)
		asked.status = work->send(&asked, work);
	*audited = audit(&asked);
	return asked;
}

/* What is withheld is wiped. */
static enum zone_status give(const struct work *work, enum zone_status status)
{
	if (status == ZONE_AUDIT_UNAVAILABLE && work->ret_plaintext != NULL)
		buffer_clear(work->ret_plaintext);
	if (status == ZONE_AUDIT_UNAVAILABLE && work->ret_blob != NULL)
		buffer_clear(work->ret_blob);
	return status;
}

/* Each region that is asked is a call in the audit log; a refusal is told once, of the region that
 * decided. */
static enum zone_status ask_around(const struct ask *ask, const struct work *work)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct asked answer = asking(ask, work->operation, ask->key), asked;
	enum zone_status audited = ZONE_OK;
	char key[KMS_ARN_MAX + 1];
	struct kms_route route;

	TRY(ask_check_allowed(ask, ask->key));
	TRY(audit_ready());
	kms_route_begin(&route, ask->clients, ask->key, ask->own_region);
	while (kms_route_next(&route)) {
		asked = ask_there(ask, &route, work, &audited);
		if (!kms_route_heard(&route, asked.status, &asked.report))
			continue;
		answer = asked;
		answer.key = strcpy(key, route.arn);
	}
	return give(work, withheld(answered(&answer), audited));
}

enum zone_status ask_encrypt(const struct ask *ask, struct bytes plaintext, struct buffer *ret_blob)
{
	return ask_around(ask, &(struct work){.operation = "Encrypt",
					      .send = send_encrypt,
					      .in = plaintext,
					      .ret_blob = ret_blob});
}

enum zone_status ask_decrypt(const struct ask *ask, struct bytes blob, struct buffer *ret_plaintext)
{
	return ask_around(ask, &(struct work){.operation = "Decrypt",
					      .send = send_decrypt,
					      .in = blob,
					      .ret_plaintext = ret_plaintext});
}

enum zone_status ask_generate(const struct ask *ask, struct buffer *ret_plaintext,
			      struct buffer *ret_blob)
{
	return ask_around(ask, &(struct work){.operation = "GenerateDataKey",
					      .send = send_generate,
					      .ret_plaintext = ret_plaintext,
					      .ret_blob = ret_blob});
}
