/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the client, asks, and says once what came of it. */
#include "zones/kms/door.h"

#include "base/cancel.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/kms/audit.h"
#include "zones/kms/door_log.h"
#include "zones/model/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static enum kms_status find_client(struct asked *asked)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];

	if (!kms_name_parse(kms_clients_providers(asked->door->clients), asked->key, provider,
			    region))
		return KMS_INVALID_REQUEST;
	return kms_clients_find(asked->door->clients, provider, region, &asked->report,
				&asked->client);
}

/* The lease that a yes to this call begins, for the zone or for the key: the configured one,
 * unless the record of the zone, which the KMS is told of, has less. */
static uint32_t lease_of(const struct kms_door *door)
{
	const char *bound = asked_context(door, "cmek:max-lease");
	uint32_t configured = kms_clients_lease(door->clients);
	uint64_t max_lease;

	if (bound == NULL || !decimal_decode(bound, LEASE_BOUND_MAX, &max_lease))
		return configured;
	return lease_in_force(configured, (uint32_t)max_lease);
}

static struct asked asking(const struct kms_door *door, const char *operation, const char *key)
{
	struct asked asked = {.door = door,
			      .operation = operation,
			      .key = key,
			      .started_us = clock_precise_us(),
			      .leased = asked_is_leased(door),
			      .lease = lease_of(door),
			      .status = KMS_INVALID_REQUEST};

	if (asked.leased)
		snprintf(asked.report.remark, sizeof(asked.report.remark), "lease/%" PRIu32,
			 asked.lease);
	return asked;
}

/* By the caller. */
static bool is_told_elsewhere(const struct asked *asked)
{
	return asked->door->quiet || (asked->door->another_way && asked->status == KMS_DENIED);
}

static enum zone_status answered(const struct asked *asked)
{
	if (asked->door->report != NULL)
		*asked->door->report = asked->report;
	if (asked->status != KMS_OK && !is_told_elsewhere(asked))
		asked_log(asked);
	return zone_status_of_kms(asked->status);
}

/* --- Turns: a KMS that does not answer is asked by one caller at a time */

/* False: silence lasts, and the KMS is not asked. */
static bool begin_turn(struct asked *asked, struct kms_turn *turn)
{
	asked->status = kms_turn_begin(turn, asked->door->clients, asked->key, &asked->report);
	asked->refused = asked->status != KMS_OK;
	asked->report.once = kms_turn_is_for_all(turn);
	turn->quiet = asked->door->quiet;
	if (!asked->refused)
		asked->status = find_client(asked);
	return !asked->refused;
}

/* An outage has one line in each log for its cause, and one when it is over. */
static enum zone_status end_turn(struct asked *asked, const struct kms_turn *turn)
{
	enum zone_status audited = ZONE_OK;
	struct kms_turn_news news;

	kms_turn_end(turn, asked->door->clients, asked->status, &asked->report, &news);
	asked->is_new = news.is_new;
	if (news.ended)
		asked_tell_end(asked, &news);
	if (asked->status == KMS_OK || news.is_new)
		audited = asked_audit(asked);
	return audited;
}

/* --- Keys that may be asked at all */

static void put_place(struct buffer *line, const struct kms_door *door)
{
	const char *at = kms_clients_allowed_at(door->clients);

	if (at != NULL && at[0] != '\0')
		buffer_format(line, " (%s)", at);
}

static enum zone_status refuse_key(const struct kms_door *door, const char *key)
{
	AUTO(buffer_clear) struct buffer line = {0};

	buffer_format(&line, "root key %s", key);
	asked_put_subject(&line, door);
	buffer_put_text(&line, " is not among [kms] allowed_root_keys");
	put_place(&line, door);
	log_error("%s; allow it there, or use another",
		  buffer_text(&line) == NULL ? key : buffer_text(&line));
	return ZONE_ROOT_KEY_REFUSED;
}

enum zone_status door_check_allowed(const struct kms_door *door, const char *key)
{
	return door->related || kms_clients_allow(door->clients, key) ? ZONE_OK
								      : refuse_key(door, key);
}

/* --- About a key, where it is */

/* Only for the embedded KMS, which is never silent. */
static struct asked ask_here(const struct kms_door *door, const char *operation)
{
	struct asked asked = asking(door, operation, door->key);

	asked.status = find_client(&asked);
	asked.is_new = true;
	return asked;
}

static enum zone_status heard(const struct asked *asked)
{
	asked_audit(asked);
	return answered(asked);
}

/* A no counts even where the audit log could not tell of it; what a yes has brought is then
 * withheld. */
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
	struct kms_clients *clients = asked->door->clients;

	if (asked->status != KMS_OK)
		kms_clients_heard(clients, asked->door->key, asked->status);
	else if (key->state != KMS_KEY_ENABLED)
		kms_clients_heard(clients, key->arn, KMS_INVALID_STATE);
}

enum zone_status door_describe(const struct kms_door *door, struct kms_key *ret_key)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct asked asked = asking(door, "DescribeKey", door->key);
	enum zone_status audited, status;
	struct kms_turn turn;

	if (kms_clients_is_own_name(door->clients, door->key))
		TRY(door_check_allowed(door, door->key));
	TRY(audit_ready());
	if (!begin_turn(&asked, &turn))
		return answered(&asked);
	if (asked.status == KMS_OK)
		asked.status = asked.client->operations->describe(asked.client, door->key,
								  &asked.report, ret_key);
	remember_no(&asked, ret_key);
	audited = end_turn(&asked, &turn);
	status = withheld(answered(&asked), audited);
	return status == ZONE_OK ? door_check_allowed(door, ret_key->arn) : status;
}

enum zone_status door_last_usage(const struct kms_door *door, struct kms_last_usage *ret_usage)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct asked asked = asking(door, "GetKeyLastUsage", door->key);
	enum zone_status audited;
	struct kms_turn turn;

	TRY(door_check_allowed(door, door->key));
	TRY(audit_ready());
	if (!begin_turn(&asked, &turn))
		return answered(&asked);
	if (asked.status == KMS_OK && asked.client->operations->last_usage == NULL)
		asked.status = KMS_UNSUPPORTED;
	else if (asked.status == KMS_OK)
		asked.status = asked.client->operations->last_usage(asked.client, door->key,
								    &asked.report, ret_usage);
	audited = end_turn(&asked, &turn);
	return withheld(answered(&asked), audited);
}

/* As AWS KMS calls the change. */
static const char *const state_operations[] = {
	[KMS_KEY_ENABLED] = "EnableKey",
	[KMS_KEY_DISABLED] = "DisableKey",
	[KMS_KEY_PENDING_DELETION] = "ScheduleKeyDeletion",
};

static const char *state_operation(enum kms_key_state state)
{
	bool named = state < COUNT_OF(state_operations);

	return named ? state_operations[state] : "SetState"; /* no KMS does that */
}

enum zone_status door_set_state(const struct kms_door *door, enum kms_key_state state)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct kms_client *client;
	struct asked asked;

	TRY(audit_ready());
	asked = ask_here(door, state_operation(state));
	client = asked.client;
	if (asked.status == KMS_OK && client->operations->set_state == NULL)
		asked.status = KMS_UNSUPPORTED;
	else if (asked.status == KMS_OK)
		asked.status =
			client->operations->set_state(client, door->key, state, &asked.report);
	return heard(&asked);
}

enum zone_status door_create(const struct kms_door *door, bool registered, bool *ret_made)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct kms_client *client;
	struct asked asked;

	TRY(door_check_allowed(door, door->key));
	TRY(audit_ready());
	asked = ask_here(door, "CreateKey");
	client = asked.client;
	if (asked.status == KMS_OK && client->operations->create == NULL)
		asked.status = KMS_UNSUPPORTED;
	else if (asked.status == KMS_OK)
		asked.status = client->operations->create(client, door->key, registered,
							  &asked.report, ret_made);
	return heard(&asked);
}

/* --- By a key, wherever it or a related one answers */

/* What a key does; only a yes touches the outputs. */
struct work {
	const char *operation;
	enum kms_status (*send)(struct asked *asked, const struct work *work);
	struct bytes in;
	const char *new_key; /* of ReEncrypt */
	struct buffer *ret_plaintext, *ret_blob;
};

static enum kms_status send_encrypt(struct asked *asked, const struct work *work)
{
	return asked->client->operations->encrypt(asked->client, asked->key, work->in,
						  asked->door->context, &asked->report,
						  work->ret_blob);
}

static enum kms_status send_decrypt(struct asked *asked, const struct work *work)
{
	return asked->client->operations->decrypt(asked->client, asked->key, work->in,
						  asked->door->context, &asked->report,
						  work->ret_plaintext);
}

static enum kms_status send_generate(struct asked *asked, const struct work *work)
{
	return asked->client->operations->generate_data_key(asked->client, asked->key,
							    asked->door->context, &asked->report,
							    work->ret_plaintext, work->ret_blob);
}

static enum kms_status send_re_encrypt(struct asked *asked, const struct work *work)
{
	const struct kms_context *context = asked->door->context;

	return asked->client->operations->re_encrypt(asked->client, asked->key, work->in, context,
						     work->new_key, context, &asked->report,
						     work->ret_blob);
}

static struct asked ask_there(const struct kms_door *door, const struct kms_route *route,
			      const struct work *work, enum zone_status *audited)
{
	struct asked asked = asking(door, work->operation, route->arn);
	struct kms_turn turn;

	asked.report.until = route->until;
	asked.new_key = work->new_key;
	if (!begin_turn(&asked, &turn))
		return asked;
	if (asked.status == KMS_OK)
		asked.status = work->send(&asked, work);
	*audited = end_turn(&asked, &turn);
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
static enum zone_status ask_around(const struct kms_door *door, const struct work *work)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct asked answer = asking(door, work->operation, door->key), asked;
	enum zone_status audited = ZONE_OK;
	char key[KMS_ARN_MAX + 1];
	struct kms_route route;
	bool is_new = false;

	TRY(door_check_allowed(door, door->key));
	TRY(audit_ready());
	kms_route_begin(&route, door->clients, door->key, door->own_region);
	while (kms_route_next(&route)) {
		asked = ask_there(door, &route, work, &audited);
		is_new |= asked.is_new;
		if (!kms_route_heard(&route, asked.status, &asked.report))
			continue;
		answer = asked;
		answer.key = strcpy(key, route.arn);
	}
	answer.is_new = is_new;
	return give(work, withheld(answered(&answer), audited));
}

enum zone_status door_encrypt(const struct kms_door *door, struct bytes plaintext,
			      struct buffer *ret_blob)
{
	return ask_around(door, &(struct work){.operation = "Encrypt",
					       .send = send_encrypt,
					       .in = plaintext,
					       .ret_blob = ret_blob});
}

enum zone_status door_decrypt(const struct kms_door *door, struct bytes blob,
			      struct buffer *ret_plaintext)
{
	return ask_around(door, &(struct work){.operation = "Decrypt",
					       .send = send_decrypt,
					       .in = blob,
					       .ret_plaintext = ret_plaintext});
}

enum zone_status door_generate(const struct kms_door *door, struct buffer *ret_plaintext,
			       struct buffer *ret_blob)
{
	return ask_around(door, &(struct work){.operation = "GenerateDataKey",
					       .send = send_generate,
					       .ret_plaintext = ret_plaintext,
					       .ret_blob = ret_blob});
}

enum zone_status door_re_encrypt(const struct kms_door *door, struct bytes blob,
				 const char *new_key, struct buffer *ret_blob)
{
	struct kms_door here = *door;

	here.own_region = true;
	TRY(door_check_allowed(door, new_key));
	return ask_around(&here, &(struct work){.operation = "ReEncrypt",
						.send = send_re_encrypt,
						.in = blob,
						.new_key = new_key,
						.ret_blob = ret_blob});
}

enum zone_status door_silent(struct kms_clients *clients, const char *key)
{
	return zone_status_of_kms(kms_clients_silent(clients, key));
}
