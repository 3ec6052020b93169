/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store's functions, its settings, and what it says of itself. */
#include "zones/store/etcd/etcd.h"

#include "base/cancel.h"
#include "base/log.h"
#include "base/macros.h"
#include "net/url.h"
#include "zones/store/etcd/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PREFIX_MAX = 256, IDLE_CONNECTIONS = 1, CLOCK_OFF_S = 60 };

#define DEFAULT_PREFIX "/cmek-pkcs11/"

static struct etcd *own(struct store *store)
{
	return (struct etcd *)store;
}

/* --- Reading and writing */

static enum zone_status end_call(struct etcd *etcd, enum zone_status status)
{
	etcd->store.away = etcd->said.away;
	return status;
}

static enum zone_status read_store(struct store *store, const struct store_cursor *since,
				   struct store_news *ret_news)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct etcd_look look;

	etcd_begin(own(store), ETCD_READ_MS);
	return end_call(own(store), etcd_read_news(own(store), since, &look, ret_news));
}

static enum zone_status read_few(struct store *store, const struct store_cursor *since, size_t most,
				 struct store_news *ret_news)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();

	etcd_begin(own(store), ETCD_READ_MS);
	return end_call(own(store), etcd_read_few(own(store), since, most, ret_news));
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

	etcd_begin(own(store), ETCD_READ_MS);
	return end_call(own(store), etcd_find(own(store), key, ret_news));
}

static enum zone_status list(struct store *store, struct uid project, struct uid *after,
			     struct store_news *ret_news, bool *ret_end)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();

	etcd_begin(own(store), ETCD_READ_MS);
	return end_call(own(store), etcd_list(own(store), project, after, ret_news, ret_end));
}

static enum zone_status write_store(struct store *store, const struct store_cursor *since,
				    store_decide *decide, void *state,
				    struct store_cursor *ret_cursor)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();

	etcd_begin(own(store), ETCD_WRITE_MS);
	return end_call(own(store), etcd_write(own(store), since, decide, state, ret_cursor));
}

/* --- What it says of itself */

static void describe_identity(const struct etcd *etcd, struct buffer *ret_text)
{
	buffer_put_text(ret_text, "store: ");
	if (etcd->user != NULL)
		buffer_format(ret_text, "as user %s", etcd->user);
	if (etcd->client_certificate != NULL)
		buffer_format(ret_text, "%s%s", etcd->user == NULL ? "as " : ", ",
			      etcd->client_certificate);
	buffer_put_text(ret_text,
			etcd->user == NULL && etcd->client_certificate == NULL
				? "as nobody: no [store] user or client_certificate is set\n"
				: "\n");
}

/* No fault: which clock is right nobody here knows. */
static void describe_clock(const struct etcd *etcd, struct buffer *ret_text)
{
	int64_t seconds = etcd->ahead_ms / 1000;

	if (!etcd->dated)
		return;
	if (seconds >= -CLOCK_OFF_S && seconds <= CLOCK_OFF_S)
		buffer_put_text(ret_text, "store: its clock and this host's agree\n");
	else
		buffer_format(
			ret_text,
			"store: warning: its clock is %" PRId64 " seconds %s this host's; set "
			"the one right that is wrong: deletions and rotations go by the clock\n",
			seconds < 0 ? -seconds : seconds, seconds < 0 ? "behind" : "ahead of");
}

static enum zone_status describe_rows(struct etcd *etcd, struct buffer *ret_text)
{
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news all = {0};
	struct etcd_look look;
	bool writable;

	TRY(etcd_read_news(etcd, &nothing, &look, &all));
	TRY(etcd_may_write(etcd, &writable));
	if (!look.exists) {
		buffer_format(ret_text, "store: not made yet; the first project makes it%s\n",
			      writable ? "" : "; this identity may not write it");
		return ZONE_OK;
	}
	buffer_format(ret_text, "store: id %s\n", look.id);
	remote_describe_levels(&look.head, ret_text);
	if (look.limited)
		return ZONE_STORE_NEWER;
	buffer_format(ret_text, "store: revision %" PRIu64 ", %zu rows, %s\n", look.revision,
		      all.count, remote_access(&look.head, writable));
	if (all.unknown > 0)
		buffer_format(ret_text,
			      "store: %zu rows say what only later releases know; they are not "
			      "used\n",
			      all.unknown);
	return ZONE_OK;
}

static enum zone_status describe(struct store *store, struct buffer *ret_text)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct etcd *etcd = own(store);
	enum zone_status status;

	etcd_begin(etcd, ETCD_READ_MS);
	buffer_format(ret_text, "store: %s (etcd)\n", etcd->name);
	describe_identity(etcd, ret_text);
	etcd->said.status = ZONE_OK;
	status = describe_rows(etcd, ret_text);
	describe_clock(etcd, ret_text);
	return status;
}

static enum zone_status look_at(struct store *store, struct store_facts *ret_facts)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct etcd *etcd = own(store);
	struct store_facts facts = {.path = etcd->name, .rights_on = etcd->prefix};
	struct etcd_look look;

	etcd_begin(etcd, ETCD_READ_MS);
	TRY(etcd_look(etcd, &look));
	facts.exists = look.exists;
	snprintf(facts.id, sizeof(facts.id), "%s", look.id);
	if (look.exists) {
		TRY(etcd_may_write(etcd, &facts.writable));
		facts.revision = look.revision;
		facts.head = look.head;
	}
	*ret_facts = facts;
	return ZONE_OK;
}

static enum zone_status bring(struct store *store, unsigned from, unsigned to)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct etcd *etcd = own(store);
	struct etcd_look look;
	enum zone_status status;
	const char *why;

	etcd_begin(etcd, ETCD_READ_MS);
	TRY(etcd_look(etcd, &look));
	if (!look.exists)
		return ZONE_NOT_FOUND;
	status = remote_bring(&look.head, from, to, &why);
	if (status != ZONE_OK)
		etcd_says(etcd, status, "%s", why);
	etcd->said.status = ZONE_OK; /* the next refusal is told too */
	return status;
}

/* --- Settings */

static enum zone_status check_prefix(const struct store_setting *prefix)
{
	size_t len = strlen(prefix->text);

	if (len <= PREFIX_MAX && strcmp(prefix->text, "/") != 0 &&
	    bytes_all_in(bytes_of(prefix->text),
			 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/"))
		return ZONE_OK;
	return remote_refuse(prefix, "prefix", prefix->text,
			     "should be at most 256 letters, digits, '-', '.', '_' and '/'");
}

/* Two that make sense together only. */
static enum zone_status check_pair(const struct store_setting *a, const char *a_name,
				   const struct store_setting *b, const char *b_name)
{
	if (a->text != NULL && b->text == NULL)
		return remote_refuse(a, a_name, NULL, b_name);
	return ZONE_OK;
}

static enum zone_status check(const struct store_settings *settings)
{
	const struct store_setting backend = {settings->backend, settings->backend_at};

	if (settings->endpoint.text == NULL)
		return remote_refuse(&backend, "backend", settings->backend,
				     "needs [store] endpoint = https://HOST:PORT");
	TRY(remote_check_endpoint(&settings->endpoint));
	if (settings->prefix.text != NULL)
		TRY(check_prefix(&settings->prefix));
	TRY(check_pair(&settings->user, "user", &settings->password_file,
		       "needs [store] password_file as well"));
	TRY(check_pair(&settings->password_file, "password_file", &settings->user,
		       "needs [store] user as well"));
	TRY(check_pair(&settings->client_certificate, "client_certificate", &settings->client_key,
		       "needs [store] client_key as well"));
	return check_pair(&settings->client_key, "client_key", &settings->client_certificate,
			  "needs [store] client_certificate as well");
}

/* --- Life */

static void free_store(struct store *store)
{
	struct etcd *etcd = own(store);

	if (etcd->http != NULL)
		etcd->http->operations->free(etcd->http);
	buffer_clear(&etcd->token);
	free(etcd->endpoint);
	free(etcd->prefix);
	free(etcd->name);
	free(etcd->ca_bundle);
	free(etcd->client_certificate);
	free(etcd->client_key);
	free(etcd->user);
	free(etcd->password_file);
	free(etcd);
}

static void abandon(struct store *store)
{
	own(store)->http->operations->abandon(own(store)->http);
}

static const struct store_operations operations = {
	.read = read_store,
	.read_few = read_few,
	.changed = changed,
	.find = find,
	.list = list,
	.write = write_store,
	.describe = describe,
	.look_at = look_at,
	.bring = bring,
	.free = free_store,
	.abandon = abandon,
};

static bool copy(char **field, const struct store_setting *setting)
{
	if (setting->text != NULL)
		*field = strdup(setting->text);
	return setting->text == NULL || *field != NULL;
}

/* The prefix ends with a slash, and the endpoint with none. */
static bool copy_place(struct etcd *etcd, const struct store_settings *settings)
{
	const char *prefix = settings->prefix.text, *endpoint = settings->endpoint.text;
	size_t len = strlen(endpoint);
	struct buffer text = {0};

	if (prefix == NULL)
		prefix = DEFAULT_PREFIX;
	buffer_format(&text, "%s%s", prefix, prefix[strlen(prefix) - 1] == '/' ? "" : "/");
	etcd->prefix = buffer_take_text(&text);
	if (endpoint[len - 1] == '/')
		len--;
	buffer_append(&text, bytes(endpoint, len));
	etcd->endpoint = buffer_take_text(&text);
	buffer_format(&text, "%.*s%s%s", (int)len, endpoint, prefix[0] == '/' ? "" : "/", prefix);
	etcd->name = buffer_take_text(&text);
	buffer_clear(&text);
	return etcd->prefix != NULL && etcd->endpoint != NULL && etcd->name != NULL;
}

static bool copy_settings(struct etcd *etcd, const struct store_settings *settings)
{
	return copy_place(etcd, settings) && copy(&etcd->ca_bundle, &settings->ca_bundle) &&
	       copy(&etcd->client_certificate, &settings->client_certificate) &&
	       copy(&etcd->client_key, &settings->client_key) &&
	       copy(&etcd->user, &settings->user) &&
	       copy(&etcd->password_file, &settings->password_file);
}

struct store *etcd_new(const struct store_settings *settings, struct http *http,
		       const struct clock *clock, void (*sleep)(void *, int64_t), void *sleep_state)
{
	struct etcd *etcd = calloc(1, sizeof(*etcd));

	if (etcd == NULL && http != NULL)
		http->operations->free(http);
	if (etcd == NULL)
		return NULL;
	etcd->store.engine = &store_etcd;
	etcd->store.operations = &operations;
	etcd->clock = clock;
	etcd->sleep = sleep;
	etcd->sleep_state = sleep_state;
	etcd->page = ETCD_PAGE;
	etcd->ops_at_once = ETCD_OPS_AT_ONCE;
	etcd->bucket.tokens = RETRY_BUCKET;
	etcd->http =
		http != NULL ? http : http_curl_new(IDLE_CONNECTIONS, settings->no_threads, clock);
	if (etcd->http != NULL && copy_settings(etcd, settings))
		return &etcd->store;
	free_store(&etcd->store);
	return NULL;
}

static struct store *open_store(const struct store_settings *settings)
{
	return etcd_new(settings, NULL, &clock_system, retry_sleep, NULL);
}

const struct store_engine store_etcd = {
	.name = "etcd",
	.look_every_ms = ETCD_LOOK_MS,
	.waits_ms = ETCD_WAITS_MS,
	.takes = "endpoint prefix ca_bundle client_certificate client_key user password_file "
		 "look_every index_max",
	.check = check,
	.open = open_store,
};
