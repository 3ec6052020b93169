/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The state of root keys: what is heard of them by the way, and what the KMS says when it is asked
 * for nothing else. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "zones/domain/lookup.h"
#include "zones/domain/root_key.h"
#include "zones/domain/root_key_private.h"
#include "zones/ezk/registry.h"
#include "zones/index/rules.h"
#include "zones/kms/canary.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/wraps.h"

#include <stdlib.h>

/* An identity without the right to the canary and to this many zones may still have the right
 * to another zone. */
enum { ZONES_TRIED_MAX = 8 };

/* --- What other calls show */

struct root_key_listener root_key_listen(struct zones *zones, const struct entry *root_key)
{
	struct root_key_listener listener = {.zones = zones};

	listener.root = registry_listen(zones->registry, root_key->project,
					root_key->of_root_key.arn, &listener.no_count);
	return listener;
}

void root_key_hear(const struct root_key_listener *listener, enum zone_status status)
{
	if (status != ZONE_KMS_DENIED)
		registry_hear(listener->zones->registry, listener->root, listener->no_count,
			      status);
}

bool zones_root_key_heard(struct zones *zones, const struct entry *root_key,
			  struct root_key_finding *ret_finding)
{
	const struct root_key_listener listener = root_key_listen(zones, root_key);

	return listener.root != NULL && root_lease_heard(listener.root, ret_finding);
}

enum zone_status root_key_meaning(enum kms_key_state state)
{
	return zone_status_of_kms(kms_key_state_status(state));
}

/* --- What it says when it is asked */

/* A root key that is asked about. */
struct question {
	struct zones *zones;
	const struct entry *root_key;
	const struct entry *project; /* NULL: only a session has named the key */
};

static struct kms_door door_about(const struct question *question)
{
	return (struct kms_door){
		.clients = question->zones->clients,
		.key = question->root_key->of_root_key.arn,
		.project = entry_label(question->project),
		.project_id = question->root_key->project,
		.own_region = true,
	};
}

/* A right that is lacking for this purpose, or a canary that is missing or was changed: neither
 * says whether the key opens zones. */
static bool says_nothing(enum zone_status status)
{
	return status == ZONE_KMS_DENIED || status == ZONE_NOT_FOUND ||
	       status == ZONE_KMS_INVALID_CIPHERTEXT || status == ZONE_KMS_INCORRECT_KEY;
}

/* DescribeKey tells the state by its name, and the date. It does not tell whether the caller
 * may use the key; a caller who may not describe it learns no more than before. */
static void describe(const struct question *question, struct root_key_finding *finding)
{
	const struct kms_door door = door_about(question);
	AUTO(freep) char *reason = strdup(log_last()), *request = strdup(log_last_request());
	struct kms_key key = {0};
	enum zone_status status = door_describe(&door, &key);

	if (status == ZONE_OK)
		status = root_key_meaning(key.state);
	if (zone_status_is_no_of_key(status)) {
		*finding = (struct root_key_finding){status, key.deletion_ms};
	} else if (finding->status == ZONE_NOT_FOUND) {
		finding->status = status; /* there is no canary: this is all there is */
	} else if (status != ZONE_OK) {
		log_reason("%s", reason == NULL ? "" : reason);
		log_reason_request(request == NULL ? "" : request);
	}
}

static const struct wrap *wrap_by(const struct kms_provider *const *providers,
				  const struct ezk_version *version, const char *arn)
{
	for (size_t i = 0; version != NULL && i < version->wrap_count; i++)
		if (wrap_is_live(&version->wraps[i]) &&
		    kms_same_key(providers, version->wraps[i].arn, arn))
			return &version->wraps[i];
	return NULL;
}

static enum zone_status open_zone(const struct question *question, const struct entry *zone,
				  const struct wrap *wrap)
{
	AUTO(secret_freep) uint8_t *ezk = secret_new(EZK_SIZE);
	struct kms_door door = door_about(question);

	if (ezk == NULL)
		return ZONE_NO_MEMORY;
	door.zone = zone->label;
	door.zone_id = zone->of_zone.zone;
	door.version = zone->of_zone.primary;
	return ezk_wrap_open(&door, zone->of_zone.zone, entry_version(zone, zone->of_zone.primary),
			     wrap, ezk);
}

/* Until one opens or says something of the key. False: there are more than are tried. */
static bool try_each(const struct question *question, struct entry *const *list, size_t count,
		     struct root_key_finding *finding)
{
	const struct kms_provider *const *providers =
		kms_clients_providers(question->zones->clients);
	const char *arn = question->root_key->of_root_key.arn;
	int tried = 0;

	for (size_t i = 0; i < count; i++) {
		const struct wrap *wrap =
			wrap_by(providers, entry_version(list[i], list[i]->of_zone.primary), arn);
		enum zone_status status;

		if (wrap == NULL)
			continue;
		if (tried++ == ZONES_TRIED_MAX)
			return false;
		status = open_zone(question, list[i], wrap);
		if (status == ZONE_OK || zone_status_is_no_of_key(status) ||
		    zone_status_is_outage(status)) {
			finding->status = status;
			break;
		}
	}
	return true;
}

static bool try_zones(const struct question *question, struct root_key_finding *finding)
{
	struct entry_filter filter = {.project = question->root_key->project};
	struct entry **list = NULL;
	size_t count = 0;
	bool told;

	filter.kinds[ENTRY_ZONE] = true;
	if (zones_list(question->zones, &filter, &list, &count) != ZONE_OK)
		return false;
	told = try_each(question, list, count, finding);
	if (!told)
		log_reason("root key '%s' of project '%s': access is denied to its canary and to "
			   "%d of its zones; the others were not tried",
			   question->root_key->label,
			   question->project == NULL ? "" : question->project->label,
			   ZONES_TRIED_MAX);
	for (size_t i = 0; i < count; i++)
		entry_release(list[i]);
	free(list);
	return told;
}

static struct entry *hold_root_key(struct zones *zones, struct uid project, const char *arn)
{
	struct entry *root_key;

	pthread_rwlock_rdlock(&zones->lock);
	root_key = root_key_same(&zones->index, project, arn);
	if (root_key != NULL)
		entry_hold(root_key);
	pthread_rwlock_unlock(&zones->lock);
	return root_key;
}

enum zone_status root_key_ask_canary(struct zones *zones, struct uid project_uid, const char *arn,
				     bool own_region)
{
	AUTO(entry_releasep) struct entry *root_key = hold_root_key(zones, project_uid, arn);
	AUTO(entry_releasep) struct entry *project = zones_find_uid(zones, project_uid);

	if (root_key == NULL)
		return ZONE_NOT_FOUND;
	return canary_ask(zones->clients, root_key, arn, project, own_region);
}

bool zones_root_key_ask(struct zones *zones, const struct entry *root_key,
			struct root_key_finding *ret_finding)
{
	const struct root_key_listener listener = root_key_listen(zones, root_key);
	AUTO(entry_releasep) struct entry *project = zones_find_uid(zones, root_key->project);
	const struct question question = {zones, root_key, project};
	struct root_key_finding finding = {
		root_key_ask_canary(zones, root_key->project, root_key->of_root_key.arn, true), 0};
	bool told = true;

	if (says_nothing(finding.status) || zone_status_is_no_of_key(finding.status))
		describe(&question, &finding);
	if (says_nothing(finding.status))
		told = try_zones(&question, &finding);
	/* Leases may be renewed in other regions, which this question did not go to. */
	if (!zone_status_is_outage(finding.status))
		root_key_hear(&listener, finding.status);
	if (listener.root != NULL)
		root_lease_found(listener.root, listener.no_count, told ? &finding : NULL);
	*ret_finding = finding;
	return told;
}
