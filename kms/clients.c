/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The set of clients of a process: one per provider and region, made when first needed and kept. */
#include "kms/kms.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "kms/allowed.h"
#include "kms/aws/aws.h"
#include "kms/local/local.h"
#include "kms/replica.h"
#include "net/answer.h"
#include "kms/route.h"
#include "kms/settings.h"
#include "kms/silence.h"

struct entry {
	struct entry *next;
	char provider[KMS_PROVIDER_MAX + 1];
	char region[KMS_REGION_MAX + 1]; /* empty in a replacement: any */
	struct kms_client *client;
	bool owned;
};

struct kms_clients {
	pthread_mutex_t lock; /* of the list; nothing is asked of the network under it */
	struct kms_settings settings;
	struct entry *entries;
	struct aws *aws; /* what the aws clients share; NULL: none yet */
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

void kms_clients_free(struct kms_clients *clients)
{
	if (clients == NULL)
		return;
	while (clients->entries != NULL) {
		struct entry *entry = clients->entries;

		clients->entries = entry->next;
		entry_free(entry);
	}
	aws_free(clients->aws);
	regions_clear(&clients->regions);
	silences_clear(&clients->silences);
	settings_clear(&clients->settings);
	pthread_mutex_destroy(&clients->lock);
	free(clients);
}

void kms_clients_abandon(struct kms_clients *clients)
{
	if (clients != NULL && clients->aws != NULL)
		aws_abandon(clients->aws);
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
	return replica_name(clients->settings.multi_region_order, arn, index, ret_arn);
}

bool kms_clients_allow(const struct kms_clients *clients, const char *key)
{
	return key_allowed(clients->settings.allowed_root_keys, key);
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

/* The lock is held. */
static enum kms_status need_aws(struct kms_clients *clients)
{
	if (clients->aws == NULL)
		clients->aws = aws_new(&clients->settings, NULL);
	return clients->aws == NULL ? KMS_NO_MEMORY : KMS_OK;
}

/* What is made once stays as long as the set. */
static enum kms_status find_aws(struct kms_clients *clients, struct aws **ret_aws)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&clients->lock);

	TRY(need_aws(clients));
	*ret_aws = clients->aws;
	return KMS_OK;
}

/* The region itself, where none was said: an instance's metadata service may be asked, so the lock
 * is not held. */
static enum kms_status settle_region(struct kms_clients *clients, const char *provider,
				     const char *region, struct kms_report *report,
				     char ret_region[static KMS_REGION_MAX + 1])
{
	struct aws *aws;

	if (strcmp(provider, "local") == 0)
		region = "local"; /* one client, whatever the cluster's region */
	if (strlen(region) > KMS_REGION_MAX)
		return kms_fail(KMS_MISCONFIGURED, report, NULL, "'%s' is not a region", region);
	strcpy(ret_region, region);
	if (region[0] != 0 || strcmp(provider, "aws") != 0)
		return KMS_OK;
	TRY(find_aws(clients, &aws));
	return aws_region(aws, report, ret_region);
}

/* The lock is held. */
static enum kms_status make(struct kms_clients *clients, const char *provider, const char *region,
			    struct kms_report *report, struct kms_client **ret_client)
{
	if (strcmp(provider, "local") == 0)
		return local_client_new(&clients->settings, report, ret_client);
	if (strcmp(provider, "aws") != 0)
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"'%s' is not a KMS provider: aws or local", provider);
	TRY(need_aws(clients));
	return aws_client_new(clients->aws, region, report, ret_client);
}

static struct kms_client *find_locked(struct kms_clients *clients, const char *provider,
				      const char *region)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&clients->lock);
	const struct entry *entry = find(clients, provider, region);

	return entry == NULL ? NULL : entry->client;
}

static enum kms_status find_or_make(struct kms_clients *clients, const char *provider,
				    const char *region, struct kms_report *report,
				    struct kms_client **ret_client)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&clients->lock);
	const struct entry *entry = find(clients, provider, region);
	struct kms_client *client = NULL;

	if (entry != NULL) {
		*ret_client = entry->client;
		return KMS_OK;
	}
	TRY(make(clients, provider, region, report, &client));
	if (!add(clients, provider, region, client, true)) {
		client->operations->free(client);
		return KMS_NO_MEMORY;
	}
	*ret_client = client;
	return KMS_OK;
}

/* The embedded KMS has no identities: whoever can read its file may use its keys. */
static void note_caller(const struct kms_clients *clients, const char *provider,
			struct kms_report *report)
{
	const char *path = clients->settings.local_path;

	if (report != NULL && path != NULL && strcmp(provider, "local") == 0)
		utf8_cut(path, sizeof(report->caller.identity), report->caller.identity);
}

enum kms_status kms_clients_find(struct kms_clients *clients, const char *provider,
				 const char *region, struct kms_report *report,
				 struct kms_client **ret_client)
{
	struct kms_client *client = find_locked(clients, provider, region);
	char settled[KMS_REGION_MAX + 1];

	note_caller(clients, provider, report);
	if (client != NULL) {
		*ret_client = client;
		return KMS_OK;
	}
	TRY(settle_region(clients, provider, region, report, settled));
	return find_or_make(clients, provider, settled, report, ret_client);
}

/* A test's own client, about which there is nothing to report. */
static bool is_replaced(struct kms_clients *clients, const char *provider)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&clients->lock);
	const struct entry *entry = find(clients, provider, "");

	return entry != NULL && !entry->owned;
}

static enum kms_status describe(struct kms_clients *clients, const char *provider,
				const char *region, struct kms_report *report,
				struct buffer *ret_text)
{
	struct aws *aws;

	if (strcmp(provider, "local") == 0) {
		buffer_format(ret_text, "keys: %s\n",
			      clients->settings.local_path == NULL ? "(no file configured)"
								   : clients->settings.local_path);
		return ret_text->failed ? KMS_NO_MEMORY : KMS_OK;
	}
	if (strcmp(provider, "aws") != 0)
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"'%s' is not a KMS provider: aws or local", provider);
	TRY(find_aws(clients, &aws));
	return aws_describe(aws, region, report, ret_text);
}

enum kms_status kms_clients_describe(struct kms_clients *clients, const char *provider,
				     const char *region, struct kms_report *report,
				     struct buffer *ret_text)
{
	char settled[KMS_REGION_MAX + 1];

	if (is_replaced(clients, provider))
		return KMS_OK;
	TRY(settle_region(clients, provider, region, report, settled));
	return describe(clients, provider, settled, report, ret_text);
}
