/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The set of clients of a process: one per provider and region, made when first needed and kept. */
#include "base/free.h"
#include "base/macros.h"
#include "kms/allowed.h"
#include "kms/kms.h"
#include "kms/provider.h"
#include "kms/replica.h"
#include "kms/route.h"
#include "kms/settings.h"
#include "kms/silence.h"
#include "net/answer.h"

#include <stdio.h>
#include <stdlib.h>

struct entry {
	struct entry *next;
	char provider[KMS_PROVIDER_MAX + 1];
	char region[KMS_REGION_MAX + 1]; /* empty in a replacement: any */
	struct kms_client *client;
	bool owned;
};

/* What the clients of a provider share. */
struct shared {
	struct shared *next;
	const struct kms_provider *provider;
	void *shared;
};

struct kms_clients {
	pthread_mutex_t lock; /* of the list; nothing is asked of the network under it */
	struct kms_settings settings;
	struct entry *entries;
	struct shared *shared; /* made so far */
	struct regions regions;
	struct silences silences;
};

struct kms_clients *kms_clients_new(const struct kms_settings *settings)
{
	struct kms_clients *clients = calloc(1, sizeof(*clients));

	if (clients == NULL)
		return NULL;
	if (!settings_copy(settings, &clients->settings)) {
		free(clients);
		return NULL;
	}
	pthread_mutex_init(&clients->lock, NULL);
	regions_init(&clients->regions, &clients->settings);
	silences_init(&clients->silences, &clients->settings);
	return clients;
}

static void entry_free(struct entry *entry)
{
	if (entry->owned)
		entry->client->operations->free(entry->client);
	free(entry);
}

static void shared_free_all(struct kms_clients *clients)
{
	while (clients->shared != NULL) {
		struct shared *shared = clients->shared;

		clients->shared = shared->next;
		shared->provider->shared_free(shared->shared);
		free(shared);
	}
}

void kms_clients_free(struct kms_clients *clients)
{
	if (clients == NULL)
		return;
	while (clients->entries != NULL) {
		struct entry *entry = clients->entries;

		clients->entries = entry->next;
		entry_free(entry);
	}
	shared_free_all(clients);
	regions_clear(&clients->regions);
	silences_clear(&clients->silences);
	settings_clear(&clients->settings);
	pthread_mutex_destroy(&clients->lock);
	free(clients);
}

void kms_clients_abandon(struct kms_clients *clients)
{
	for (struct shared *shared = clients == NULL ? NULL : clients->shared; shared != NULL;
	     shared = shared->next)
		shared->provider->shared_abandon(shared->shared);
}

/* The lock is held. */
static struct entry *find(const struct kms_clients *clients, const char *provider,
			  const char *region)
{
	for (struct entry *entry = clients->entries; entry != NULL; entry = entry->next)
		if (strcmp(entry->provider, provider) == 0 &&
		    (!entry->owned || strcmp(entry->region, region) == 0))
			return entry;
	return NULL;
}

/* The lock is held. */
static bool add(struct kms_clients *clients, const char *provider, const char *region,
		struct kms_client *client, bool owned)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return false;
	snprintf(entry->provider, sizeof(entry->provider), "%s", provider);
	snprintf(entry->region, sizeof(entry->region), "%s", region);
	entry->client = client;
	entry->owned = owned;
	entry->next = clients->entries;
	clients->entries = entry;
	return true;
}

bool kms_clients_name(const struct kms_clients *clients, const char *arn, size_t index,
		      char ret_arn[static KMS_ARN_MAX + 1])
{
	return replica_name(&clients->settings, arn, index, ret_arn);
}

bool kms_clients_allow(const struct kms_clients *clients, const char *key)
{
	return key_allowed(clients->settings.providers, clients->settings.allowed_root_keys, key);
}

const char *kms_clients_allowed_at(const struct kms_clients *clients)
{
	const char *at = clients->settings.allowed_root_keys_at;

	return at == NULL ? "" : at;
}

unsigned kms_clients_lease(const struct kms_clients *clients)
{
	return clients->settings.lease_seconds;
}

void kms_route_begin(struct kms_route *route, struct kms_clients *clients, const char *key,
		     bool own_only)
{
	route_begin(route, &clients->regions, key, own_only);
}

void kms_clients_heard(struct kms_clients *clients, const char *key, enum kms_status status)
{
	char other[KMS_ARN_MAX + 1];
	struct regions_key *known;

	if (!kms_status_is_no_of_key(status) || !kms_clients_name(clients, key, 1, other))
		return;
	known = regions_key(&clients->regions, key);
	if (known != NULL)
		regions_key_heard(&clients->regions, known, "", true, 0, status);
}

bool kms_clients_answered(struct kms_clients *clients, const char *key,
			  char ret_region[static KMS_REGION_MAX + 1])
{
	return regions_key_answered(&clients->regions, key, ret_region);
}

enum kms_status kms_turn_begin(struct kms_turn *turn, struct kms_clients *clients, const char *key,
			       struct kms_report *report)
{
	return silences_begin(&clients->silences, key, turn, report);
}

void kms_turn_end(const struct kms_turn *turn, struct kms_clients *clients, enum kms_status status,
		  const struct kms_report *report, struct kms_turn_news *ret_news)
{
	silences_end(&clients->silences, turn, status, report, ret_news);
}

enum kms_status kms_clients_silent(struct kms_clients *clients, const char *key)
{
	enum kms_status status = KMS_OK;
	char arn[KMS_ARN_MAX + 1];

	for (size_t i = 0; kms_clients_name(clients, key, i, arn); i++) {
		status = silences_silent(&clients->silences, arn);
		if (status == KMS_OK)
			return KMS_OK;
	}
	return status;
}

bool kms_clients_replace(struct kms_clients *clients, const char *provider,
			 struct kms_client *client)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&clients->lock);

	return add(clients, provider, "", client, false);
}

/* --- Providers */

const struct kms_provider *const *kms_clients_providers(const struct kms_clients *clients)
{
	return clients->settings.providers;
}

const char *kms_clients_usual(const struct kms_clients *clients)
{
	return clients->settings.providers[0]->name;
}

void kms_clients_put_key_names(const struct kms_clients *clients, struct buffer *out)
{
	providers_put(clients->settings.providers, offsetof(struct kms_provider, key_names),
		      ", or ", out);
}

static const struct kms_provider *of_name(const struct kms_clients *clients, const char *name)
{
	return provider_find(clients->settings.providers, name);
}

static const struct kms_provider *of_key(const struct kms_clients *clients, const char *key)
{
	struct bytes region;

	return provider_of_key(clients->settings.providers, key, &region);
}

bool kms_clients_embed(const struct kms_clients *clients, const char *provider)
{
	const struct kms_provider *row = of_name(clients, provider);

	return row != NULL && row->embedded;
}

bool kms_clients_fit_anywhere(const struct kms_clients *clients, const char *provider)
{
	const struct kms_provider *row = of_name(clients, provider);

	return row != NULL && row->only_region != NULL;
}

struct bytes kms_clients_key_id(const struct kms_clients *clients, const char *arn)
{
	const struct kms_provider *row = of_key(clients, arn);
	struct kms_key_fields fields;

	return row != NULL && row->is_own_name(arn) && row->read_fields(arn, &fields)
		       ? fields.id
		       : bytes(NULL, 0);
}

struct bytes kms_clients_label(const struct kms_clients *clients, const char *key)
{
	const struct kms_provider *row = of_key(clients, key);

	return row == NULL ? bytes(NULL, 0) : row->label(key);
}

bool kms_clients_is_own_name(const struct kms_clients *clients, const char *key)
{
	const struct kms_provider *row = of_key(clients, key);

	return row != NULL && row->is_own_name(key);
}

bool kms_clients_may_make(const struct kms_clients *clients, const char *key)
{
	const struct kms_provider *row = of_key(clients, key);

	return row != NULL && row->embedded && row->label(key).len > 0;
}

bool kms_clients_remedy(const struct kms_clients *clients, const char *key, enum kms_status status,
			const char **ret_text)
{
	const struct kms_provider *row = of_key(clients, key);

	for (size_t i = 0; row != NULL && i < row->remedy_count; i++)
		if (row->remedies[i].status == status) {
			*ret_text = row->remedies[i].text;
			return true;
		}
	return false;
}

static enum kms_status need_provider(const struct kms_clients *clients, const char *name,
				     struct kms_report *report,
				     const struct kms_provider **ret_provider)
{
	AUTO(buffer_clear) struct buffer names = {0};

	*ret_provider = of_name(clients, name);
	if (*ret_provider != NULL)
		return KMS_OK;
	providers_put(clients->settings.providers, offsetof(struct kms_provider, name), " or ",
		      &names);
	return kms_fail(KMS_MISCONFIGURED, report, NULL, "'%s' is not a KMS provider: %s", name,
			buffer_text(&names) == NULL ? "" : buffer_text(&names));
}

/* --- What their clients share. What is made once stays as long as the set. */

/* The lock is held. */
static enum kms_status make_shared(struct kms_clients *clients, const struct kms_provider *provider,
				   void **ret_shared)
{
	AUTO(freep) struct shared *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return KMS_NO_MEMORY;
	made->provider = provider;
	made->shared = provider->shared_new(&clients->settings);
	if (made->shared == NULL)
		return KMS_NO_MEMORY;
	*ret_shared = made->shared;
	made->next = clients->shared;
	clients->shared = TAKE(made);
	return KMS_OK;
}

/* The lock is held. */
static enum kms_status need_shared(struct kms_clients *clients, const struct kms_provider *provider,
				   void **ret_shared)
{
	*ret_shared = NULL;
	if (provider->shared_new == NULL)
		return KMS_OK;
	for (const struct shared *shared = clients->shared; shared != NULL; shared = shared->next)
		if (shared->provider == provider) {
			*ret_shared = shared->shared;
			return KMS_OK;
		}
	return make_shared(clients, provider, ret_shared);
}

static enum kms_status find_shared(struct kms_clients *clients, const struct kms_provider *provider,
				   void **ret_shared)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&clients->lock);

	return need_shared(clients, provider, ret_shared);
}

/* --- Finding and making */

/* The region itself, where none was said: an instance's metadata service may be asked, so the lock
 * is not held. */
static enum kms_status settle_region(struct kms_clients *clients,
				     const struct kms_provider *provider, const char *region,
				     struct kms_report *report,
				     char ret_region[static KMS_REGION_MAX + 1])
{
	void *shared;

	if (provider->only_region != NULL)
		region = provider->only_region; /* one client, whatever the cluster's region */
	if (strlen(region) > KMS_REGION_MAX)
		return kms_fail(KMS_MISCONFIGURED, report, NULL, "'%s' is not a region", region);
	strcpy(ret_region, region);
	if (region[0] != 0 || provider->find_region == NULL)
		return KMS_OK;
	TRY(find_shared(clients, provider, &shared));
	return provider->find_region(shared, report, ret_region);
}

/* The lock is held. */
static enum kms_status make(struct kms_clients *clients, const struct kms_provider *provider,
			    const char *region, struct kms_report *report,
			    struct kms_client **ret_client)
{
	void *shared;

	TRY(need_shared(clients, provider, &shared));
	return provider->open(&clients->settings, shared, region, report, ret_client);
}

static struct kms_client *find_locked(struct kms_clients *clients, const char *provider,
				      const char *region)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&clients->lock);
	const struct entry *entry = find(clients, provider, region);

	return entry == NULL ? NULL : entry->client;
}

static enum kms_status find_or_make(struct kms_clients *clients,
				    const struct kms_provider *provider, const char *region,
				    struct kms_report *report, struct kms_client **ret_client)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&clients->lock);
	const struct entry *entry = find(clients, provider->name, region);
	struct kms_client *client = NULL;

	if (entry != NULL) {
		*ret_client = entry->client;
		return KMS_OK;
	}
	TRY(make(clients, provider, region, report, &client));
	if (!add(clients, provider->name, region, client, true)) {
		client->operations->free(client);
		return KMS_NO_MEMORY;
	}
	*ret_client = client;
	return KMS_OK;
}

static void note_caller(const struct kms_clients *clients, const char *provider,
			struct kms_report *report)
{
	const struct kms_provider *row = of_name(clients, provider);

	if (report != NULL && row != NULL && row->note_caller != NULL)
		row->note_caller(&clients->settings, &report->caller);
}

enum kms_status kms_clients_find(struct kms_clients *clients, const char *provider,
				 const char *region, struct kms_report *report,
				 struct kms_client **ret_client)
{
	struct kms_client *client = find_locked(clients, provider, region);
	const struct kms_provider *row;
	char settled[KMS_REGION_MAX + 1];

	note_caller(clients, provider, report);
	if (client != NULL) {
		*ret_client = client;
		return KMS_OK;
	}
	TRY(need_provider(clients, provider, report, &row));
	TRY(settle_region(clients, row, region, report, settled));
	return find_or_make(clients, row, settled, report, ret_client);
}

/* A test's own client, about which there is nothing to report. */
static bool is_replaced(struct kms_clients *clients, const char *provider)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&clients->lock);
	const struct entry *entry = find(clients, provider, "");

	return entry != NULL && !entry->owned;
}

enum kms_status kms_clients_describe(struct kms_clients *clients, const char *provider,
				     const char *region, struct kms_report *report,
				     struct buffer *ret_text)
{
	const struct kms_provider *row;
	char settled[KMS_REGION_MAX + 1];
	void *shared;

	if (is_replaced(clients, provider))
		return KMS_OK;
	TRY(need_provider(clients, provider, report, &row));
	TRY(settle_region(clients, row, region, report, settled));
	TRY(find_shared(clients, row, &shared));
	return row->describe(&clients->settings, shared, settled, report, ret_text);
}
