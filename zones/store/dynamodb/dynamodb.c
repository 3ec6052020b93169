/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store's functions, its life, and what it says of itself. */
#include "zones/store/dynamodb/dynamodb.h"

#include "aws/sts.h"
#include "base/cancel.h"
#include "base/macros.h"
#include "zones/store/dynamodb/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { IDLE_CONNECTIONS = 1, IDENTITY_MS = 3000 };

static struct dynamodb *own(struct store *store)
{
	return (struct dynamodb *)store;
}

/* --- Reading and writing */

static enum zone_status end_call(struct dynamodb *dynamodb, enum zone_status status)
{
	dynamodb->store.away = dynamodb->said.away;
	return status;
}

static enum zone_status read_store(struct store *store, const struct store_cursor *since,
				   struct store_news *ret_news)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(dynamodb_look_clear) struct dynamodb_look look = {0};

	dynamodb_begin(own(store), DYNAMODB_READ_MS);
	return end_call(own(store),
			dynamodb_read_news(own(store), since, SIZE_MAX, &look, ret_news));
}

static enum zone_status read_few(struct store *store, const struct store_cursor *since, size_t most,
				 struct store_news *ret_news)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(dynamodb_look_clear) struct dynamodb_look look = {0};

	dynamodb_begin(own(store), DYNAMODB_READ_MS);
	return end_call(own(store), dynamodb_read_news(own(store), since, most, &look, ret_news));
}

/* To know, it would have to ask. */
static bool changed(struct store *store)
{
	(void)store;
	return true;
}

static enum zone_status find(struct store *store, const struct store_key *key,
			     struct store_news *ret_news)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();

	dynamodb_begin(own(store), DYNAMODB_READ_MS);
	return end_call(own(store), dynamodb_find(own(store), key, ret_news));
}

static enum zone_status list(struct store *store, struct uid project, struct uid *after,
			     struct store_news *ret_news, bool *ret_end)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();

	dynamodb_begin(own(store), DYNAMODB_READ_MS);
	return end_call(own(store), dynamodb_list(own(store), project, after, ret_news, ret_end));
}

static enum zone_status write_store(struct store *store, const struct store_cursor *since,
				    store_decide *decide, void *state,
				    struct store_cursor *ret_cursor)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();

	dynamodb_begin(own(store), DYNAMODB_WRITE_MS);
	return end_call(own(store), dynamodb_write(own(store), since, decide, state, ret_cursor));
}

/* --- What it says of itself */

static void describe_identity(struct dynamodb *dynamodb, struct buffer *ret_text)
{
	const struct credentials_wish wish = {dynamodb->service.region, dynamodb->deadline};
	AUTO(buffer_clear) struct buffer endpoint = {0};
	AUTO(buffer_clear) struct buffer arn = {0};
	struct credentials_place place = dynamodb->place;
	struct credentials *credentials;
	struct kms_report report = {0};

	if (credentials_chain_borrow(dynamodb->chain, &wish, &report, &credentials) != KMS_OK)
		return;
	place.region = wish.region;
	place.deadline = moment_after(clock_now(dynamodb->aws.clock), IDENTITY_MS);
	if (sts_caller_identity(&place, credentials, &report, &endpoint, &arn) == KMS_OK &&
	    buffer_text(&arn) != NULL)
		buffer_format(ret_text, "store: as %s\n", buffer_text(&arn));
	else
		buffer_format(ret_text, "store: as access key %s; identity not known, since %s\n",
			      (const char *)credentials->access_key_id.data, report.message);
	credentials_chain_return(dynamodb->chain, credentials);
}

static enum zone_status describe_rows(struct dynamodb *dynamodb, struct buffer *ret_text)
{
	const struct store_cursor nothing = {0};
	AUTO(dynamodb_look_clear) struct dynamodb_look look = {0};
	AUTO(store_news_clear) struct store_news all = {0};
	bool writable;

	TRY(dynamodb_read_news(dynamodb, &nothing, SIZE_MAX, &look, &all));
	buffer_format(ret_text, "store: region %s, endpoint %s (%s)\n", dynamodb->service.region,
		      (const char *)dynamodb->service.endpoint.url.data,
		      dynamodb->service.endpoint.source);
	describe_identity(dynamodb, ret_text);
	dynamodb_begin(dynamodb, DYNAMODB_READ_MS);
	TRY(dynamodb_may_write(dynamodb, &writable));
	if (!look.exists) {
		buffer_format(ret_text, "store: not made yet; the first project makes it%s\n",
			      writable ? "" : "; this identity may not write it");
		return ZONE_OK;
	}
	buffer_format(ret_text, "store: id %s\n", look.id);
	remote_describe_levels(&look.head, ret_text);
	if (look.limited)
		return ZONE_STORE_NEWER;
	buffer_format(ret_text, "store: %zu projects, %zu rows, %s\n", look.at.count, all.count,
		      remote_access(&look.head, writable));
	if (all.unknown > 0)
		buffer_format(ret_text,
			      "store: %zu rows say what only later releases know; they are not "
			      "used\n",
			      all.unknown);
	for (size_t i = 0; i < all.unread_count; i++)
		buffer_format(ret_text, "store: %s\n", all.unread[i].text);
	return all.unread_count > 0 ? all.unread[0].why : ZONE_OK;
}

static enum zone_status describe(struct store *store, struct buffer *ret_text)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct dynamodb *dynamodb = own(store);

	dynamodb_begin(dynamodb, DYNAMODB_READ_MS);
	buffer_format(ret_text, "store: %s (dynamodb)\n", dynamodb->name);
	dynamodb->said.status = ZONE_OK;
	return describe_rows(dynamodb, ret_text);
}

static enum zone_status look_at(struct store *store, struct store_facts *ret_facts)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(dynamodb_look_clear) struct dynamodb_look look = {0};
	struct dynamodb *dynamodb = own(store);
	struct store_facts facts = {.path = dynamodb->name, .rights_on = dynamodb->place_text};

	dynamodb_begin(dynamodb, DYNAMODB_READ_MS);
	TRY(dynamodb_look(dynamodb, &look));
	snprintf(dynamodb->place_text, sizeof(dynamodb->place_text), "%s/%s",
		 dynamodb->service.region, dynamodb->table);
	facts.exists = look.exists;
	snprintf(facts.id, sizeof(facts.id), "%s", look.id);
	if (look.exists) {
		TRY(dynamodb_may_write(dynamodb, &facts.writable));
		/* Each project counts its own writes. */
		for (size_t i = 0; i < look.at.count; i++)
			facts.revision += look.at.list[i].rev;
		facts.head = look.head;
	}
	*ret_facts = facts;
	return ZONE_OK;
}

static enum zone_status bring(struct store *store, unsigned from, unsigned to)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(dynamodb_look_clear) struct dynamodb_look look = {0};
	struct dynamodb *dynamodb = own(store);
	enum zone_status status;
	const char *why;

	dynamodb_begin(dynamodb, DYNAMODB_READ_MS);
	TRY(dynamodb_look_at_head(dynamodb, &look));
	if (!look.exists)
		return ZONE_NOT_FOUND;
	status = remote_bring(&look.head, from, to, &why);
	if (status != ZONE_OK)
		dynamodb_says(dynamodb, status, "%s", why);
	dynamodb->said.status = ZONE_OK; /* the next refusal is told too */
	return status;
}

/* --- The table */

static enum zone_status create(struct store *store, struct buffer *ret_text)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();

	own(store)->said.status = ZONE_OK;
	return dynamodb_create(own(store), ret_text);
}

static enum zone_status examine(struct store *store, struct buffer *ret_text)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();

	own(store)->said.status = ZONE_OK;
	return dynamodb_examine(own(store), ret_text);
}

/* --- Life */

static void free_store(struct store *store)
{
	struct dynamodb *dynamodb = own(store);

	for (size_t i = 0; i < DYNAMODB_KNOWN; i++)
		free(dynamodb->known[i].list);
	if (dynamodb->ready)
		service_clear(&dynamodb->service);
	credentials_chain_free(dynamodb->chain);
	if (dynamodb->transport.http != NULL)
		dynamodb->transport.http->operations->free(dynamodb->transport.http);
	environment_clear(&dynamodb->environment);
	free(dynamodb->unread);
	free(dynamodb->table);
	free(dynamodb->endpoint);
	free(dynamodb->profile);
	free(dynamodb->region);
	free(dynamodb->ca_bundle);
	free(dynamodb->name);
	free(dynamodb);
}

static void abandon(struct store *store)
{
	struct http *http = own(store)->transport.http;

	http->operations->abandon(http);
}

static const struct store_operations operations = {
	.read = read_store,
	.read_few = read_few,
	.changed = changed,
	.find = find,
	.list = list,
	.write = write_store,
	.create = create,
	.examine = examine,
	.describe = describe,
	.look_at = look_at,
	.bring = bring,
	.free = free_store,
	.abandon = abandon,
};

static bool copy(char **field, const char *text)
{
	if (text != NULL)
		*field = strdup(text);
	return text == NULL || *field != NULL;
}

static bool copy_settings(struct dynamodb *dynamodb, const struct store_settings *settings)
{
	static const struct aws_settings none = {0};
	const struct aws_settings *aws = settings->aws == NULL ? &none : settings->aws;
	const char *region = settings->region.text;
	struct buffer name = {0};

	buffer_format(&name, "dynamodb:%s", settings->table.text);
	dynamodb->name = buffer_take_text(&name);
	return dynamodb->name != NULL && copy(&dynamodb->table, settings->table.text) &&
	       copy(&dynamodb->endpoint, settings->endpoint.text) &&
	       copy(&dynamodb->profile, aws->profile) &&
	       copy(&dynamodb->region, region == NULL ? aws->region : region) &&
	       copy(&dynamodb->ca_bundle, aws->ca_bundle);
}

/* [aws], as far as it is not about the KMS; with the store's own times. */
static void set_aws(struct dynamodb *dynamodb, const struct store_settings *settings,
		    const struct clock *clock)
{
	const struct aws_settings *aws = settings->aws;

	dynamodb->aws = (struct aws_settings){
		.profile = dynamodb->profile,
		.region = dynamodb->region,
		.endpoint_url = dynamodb->endpoint,
		.endpoint_service = AWS_DYNAMODB,
		.ca_bundle = dynamodb->ca_bundle,
		.use_fips_endpoint = aws != NULL && aws->use_fips_endpoint,
		.use_dualstack_endpoint = aws != NULL && aws->use_dualstack_endpoint,
		.connect_timeout_ms = DYNAMODB_CONNECT_MS,
		.attempt_timeout_ms = DYNAMODB_ATTEMPT_MS,
		.call_timeout_ms = DYNAMODB_READ_MS,
		.max_idle_connections = IDLE_CONNECTIONS,
		.no_threads = settings->no_threads,
		.clock = clock,
	};
	dynamodb->place = (struct credentials_place){
		.settings = &dynamodb->aws,
		.environment = &dynamodb->environment,
		.transport = &dynamodb->transport,
		.sts_skew_ms = &dynamodb->sts_skew_ms,
	};
}

struct store *dynamodb_new(const struct store_settings *settings,
			   const struct aws_transport *transport, const struct clock *clock)
{
	struct dynamodb *dynamodb = calloc(1, sizeof(*dynamodb));

	if (dynamodb == NULL)
		return NULL;
	dynamodb->store.engine = &store_dynamodb;
	dynamodb->store.operations = &operations;
	dynamodb->at_once = DYNAMODB_KEYS_MAX;
	if (transport != NULL)
		dynamodb->transport = *transport;
	if (dynamodb->transport.sleep == NULL)
		dynamodb->transport.sleep = retry_sleep;
	if (dynamodb->transport.http == NULL)
		dynamodb->transport.http =
			http_curl_new(IDLE_CONNECTIONS, settings->no_threads, clock);
	if (copy_settings(dynamodb, settings) && environment_read(&dynamodb->environment)) {
		set_aws(dynamodb, settings, clock);
		dynamodb->chain = credentials_chain_new(&dynamodb->place, credentials_order,
							credentials_order_count);
	}
	if (dynamodb->transport.http != NULL && dynamodb->chain != NULL)
		return &dynamodb->store;
	free_store(&dynamodb->store);
	return NULL;
}

static struct store *open_store(const struct store_settings *settings)
{
	return dynamodb_new(settings, NULL, &clock_system);
}

const struct store_engine store_dynamodb = {
	.name = "dynamodb",
	.look_every_ms = DYNAMODB_LOOK_MS,
	.waits_ms = DYNAMODB_WAITS_MS,
	.takes = "table region endpoint look_every index_max",
	.check = dynamodb_check,
	.open = open_store,
};
