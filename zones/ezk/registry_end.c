/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What ends live EZKs: time, and what is heard of the root keys above them. */
#include "base/buffer.h"
#include "base/free.h"
#include "base/macros.h"
#include "zones/ezk/registry_private.h"
#include "zones/model/wraps.h"

/* --- News: what is told of leases when no lock is held any more */

struct news {
	struct buffer ezks; /* pointers, held */
};

/* If there is no room, whoever uses the lease next tells it. */
static void collect(struct news *news, struct ezk *ezk)
{
	uint8_t *place;

	if (!lease_has_news(&ezk->lease))
		return;
	place = buffer_extend(&news->ezks, sizeof(ezk));
	if (place == NULL)
		return;
	ezk = ezk_hold(ezk);
	memcpy(place, &ezk, sizeof(ezk));
}

static void tell_all(struct news *news)
{
	struct ezk *ezk;

	for (size_t at = 0; at + sizeof(ezk) <= news->ezks.len; at += sizeof(ezk)) {
		memcpy(&ezk, news->ezks.data + at, sizeof(ezk));
		lease_tell(&ezk->lease);
		ezk_release(ezk);
	}
	buffer_clear(&news->ezks);
}

/* --- Sweeping */

/* It is kept until it recovers, so that the log can call that a recovery. Those of a session's
 * record sets go with the session, since there is no limit to their number. */
static bool is_remembered(const struct live *live, struct ezk *ezk)
{
	return live->realm == EZK_OF_STORE && lease_is_out(&ezk->lease);
}

/* Gives back the versions that nobody needs. */
static void sweep_zone(struct live *live, struct moment now, struct news *news)
{
	struct ezk **at = &live->versions, *ezk, *next;

	while ((ezk = *at) != NULL) {
		bool idle = lease_sweep(&ezk->lease, now) && !is_remembered(live, ezk);

		/* Barred for ever, so there is nothing to remember; or made anew if need be. */
		idle |= live->gone ||
			(live->realm == EZK_OF_SESSION && lease_is_barred(&ezk->lease));
		collect(news, ezk);
		next = ezk->next;
		if (idle && registry_let_go(ezk))
			*at = next;
		else
			at = &ezk->next;
	}
}

static void sweep_all(struct registry *registry, struct news *news)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&registry->lock);
	struct moment now = clock_now(registry->rules.clock);
	struct live **at = &registry->first, *live;

	if (!lease_rules_due(&registry->rules)) /* somebody was faster */
		return;
	lease_rules_reset(&registry->rules);
	while ((live = *at) != NULL) {
		sweep_zone(live, now, news);
		if (live->versions != NULL) {
			at = &live->next;
			continue;
		}
		*at = live->next;
		registry_drop(registry, live);
	}
}

void registry_wipe_ended(struct registry *registry)
{
	struct news news = {0};

	sweep_all(registry, &news);
	tell_all(&news);
}

/* --- Root keys */

/* With the registry's lock held. */
static struct root_lease *find_root(struct registry *registry, struct uid project, const char *arn)
{
	struct root_lease *root;
	struct root_name name;

	root_name_init(&name, project, arn);
	root = map_find(&registry->roots, bytes(name.text, name.len));
	if (root != NULL)
		return root;
	root = root_lease_new(&name);
	if (root == NULL || map_put(&registry->roots, root->name, root))
		return root;
	root_lease_free(root);
	return NULL;
}

/* The wraps that may open it: how many, and the last; whether one of them is by `arn`. */
struct wraps {
	size_t count;
	const struct wrap *last;
	bool has_arn;
};

static struct wraps wraps_of(const struct ezk *ezk, const char *arn)
{
	const struct ezk_version *version =
		entry_bound_version(ezk->entry, ezk->zone, ezk->version);
	struct wraps wraps = {0};

	for (size_t i = 0; version != NULL && i < version->wrap_count; i++) {
		if (version->wraps[i].state == WRAP_REPLACED)
			continue;
		wraps.count++;
		wraps.last = &version->wraps[i];
		wraps.has_arn |= arn != NULL && strcmp(wraps.last->arn, arn) == 0;
	}
	return wraps;
}

/* It moved to other root keys, which can vouch for it only after having opened it. */
static void rest_on_needs(struct ezk *ezk)
{
	for (size_t i = 0; i < SHARE_COUNT; i++)
		ezk_rest_on(ezk, i, ezk->needs[i]);
	lease_ask_itself(&ezk->lease);
}

static void place_under_one(struct registry *registry, struct ezk *ezk)
{
	struct root_lease *rests_on = ezk->rests_on[0], *only = NULL;
	struct wraps wraps = wraps_of(ezk, rests_on == NULL ? NULL : rests_on->arn);
	bool was_both = atomic_exchange(&ezk->both, false);

	if (wraps.count == 1)
		only = find_root(registry, ezk->known_by, wraps.last->arn);
	ezk->needs[0] = only;
	ezk->needs[1] = NULL;
	if (was_both || rests_on == NULL || !wraps.has_arn)
		rest_on_needs(ezk);
}

static void place_under_both(struct registry *registry, struct ezk *ezk,
			     const struct ezk_version *version)
{
	bool same = atomic_exchange(&ezk->both, true);

	for (unsigned i = 0; i < SHARE_COUNT; i++) {
		const struct wrap *wrap = ezk_version_live_share(version, i + 1);

		ezk->needs[i] = wrap == NULL ? NULL : find_root(registry, ezk->known_by, wrap->arn);
		same &= ezk->rests_on[i] != NULL && ezk->rests_on[i] == ezk->needs[i];
	}
	if (!same)
		rest_on_needs(ezk);
}

void registry_place(struct registry *registry, struct ezk *ezk)
{
	const struct ezk_version *version =
		entry_bound_version(ezk->entry, ezk->zone, ezk->version);

	if (version != NULL && version->all_wraps)
		place_under_both(registry, ezk, version);
	else
		place_under_one(registry, ezk);
}

struct root_lease *registry_listen(struct registry *registry, struct uid project, const char *arn,
				   uint64_t *ret_no_count)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&registry->lock);
	struct root_lease *root = find_root(registry, project, arn);

	if (root != NULL)
		*ret_no_count = root_lease_no_count(root);
	return root;
}

/* What each live EZK below the key is told. */
struct word {
	const struct root_lease *root;
	enum zone_status no;
	struct news *news;
};
typedef void hear_word(const struct word *word, struct ezk *ezk);

static bool rests_below(const struct ezk *ezk, const char *arn)
{
	for (size_t i = 0; i < SHARE_COUNT; i++) {
		const struct root_lease *root = ezk->rests_on[i];

		if (root != NULL && strcmp(root->arn, arn) == 0)
			return true;
	}
	return false;
}

/* With the registry's lock held. */
static void tell_below(struct registry *registry, const struct word *word, hear_word *hear)
{
	for (struct live *live = registry->first; live != NULL; live = live->next)
		for (struct ezk *ezk = live->versions; ezk != NULL; ezk = ezk->next)
			if (rests_below(ezk, word->root->arn))
				hear(word, ezk);
}

/* One that other root keys can decrypt too is asked anew; where two owners must both say yes, a no
 * of either is one. */
static void end(const struct word *word, struct ezk *ezk)
{
	lease_end(&ezk->lease, ezk->both || ezk->needs[0] != NULL ? word->no : ZONE_OK);
	collect(word->news, ezk);
}

/* Another project has its own canary. */
static void doubt(const struct word *word, struct ezk *ezk)
{
	if (ezk->rests_on[0] == word->root || ezk->rests_on[1] == word->root)
		lease_doubt(&ezk->lease);
}

/* It is a no in every project that has the key. With the registry's lock held. */
static void end_all(struct registry *registry, const struct root_lease *root, enum zone_status no,
		    struct news *news)
{
	const struct word word = {root, no, news};
	struct map_entry *entry;
	size_t at = 0;

	while ((entry = map_next(&registry->roots, &at)) != NULL) {
		struct root_lease *other = entry->value;

		if (other != root && strcmp(other->arn, root->arn) == 0)
			root_lease_hear(other, &registry->rules, root_lease_no_count(other), no);
	}
	tell_below(registry, &word, end);
}

/* One step, to those who wait for registry_await_noes(). */
static void hear_no(struct registry *registry, struct root_lease *root, uint64_t no_count,
		    enum zone_status no, struct news *news)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&registry->lock);

	root_lease_hear(root, &registry->rules, no_count, no);
	end_all(registry, root, no, news);
}

enum zone_status registry_hear(struct registry *registry, struct root_lease *root,
			       uint64_t no_count, enum zone_status status)
{
	struct news news = {0};

	if (root == NULL)
		return status;
	if (!zone_status_is_no_of_key(status))
		return root_lease_hear(root, &registry->rules, no_count, status);
	hear_no(registry, root, no_count, status, &news);
	tell_all(&news);
	return status;
}

void registry_await_noes(struct registry *registry)
{
	pthread_mutex_lock(&registry->lock);
	pthread_mutex_unlock(&registry->lock);
}

void registry_doubt(struct registry *registry, struct root_lease *root)
{
	const struct word word = {root, ZONE_OK, NULL};
	AUTO(unlockp) pthread_mutex_t *lock = locked(&registry->lock);

	tell_below(registry, &word, doubt);
}
