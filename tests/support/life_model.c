/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/life_model.h"

#include "base/clock.h"
#include "base/macros.h"

#include <string.h>

static const int64_t WINDOW_MS = 30 * 24LL * 60 * 60 * 1000;

/* --- What stands on what */

enum life_place life_key_place(int key)
{
	if (key < LIFE_WEST_KEYS)
		return LIFE_WEST;
	return key < LIFE_KEYS - LIFE_LOCAL_KEYS ? LIFE_EAST : LIFE_LOCAL;
}

static bool is_local(int key)
{
	return life_key_place(key) == LIFE_LOCAL;
}

const struct life_version *life_version(const struct life_zone *zone, uint32_t version)
{
	const struct life_version *found;

	if (version == 0 || version > LIFE_VERSIONS)
		return NULL;
	found = &zone->versions[version - 1];
	return life_is_there(found->state) ? found : NULL;
}

bool life_version_uses(const struct life_version *version, int key)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (version->wraps[i].key == key)
			return true;
	return false;
}

static bool uses_live(const struct life_version *version, int key)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (version->wraps[i].key == key && version->wraps[i].state != WRAP_REPLACED)
			return true;
	return false;
}

size_t life_live_wraps(const struct life_version *version)
{
	size_t count = 0;

	for (size_t i = 0; i < version->wrap_count; i++)
		count += version->wraps[i].state != WRAP_REPLACED;
	return count;
}

size_t life_registered(const struct life *life)
{
	size_t count = 0;

	for (int i = 0; i < LIFE_KEYS; i++)
		count += life_is_there(life->keys[i].state);
	return count;
}

static bool zone_uses(const struct life_zone *zone, int key)
{
	for (uint32_t i = 1; i <= LIFE_VERSIONS; i++)
		if (life_version(zone, i) != NULL && life_version_uses(life_version(zone, i), key))
			return true;
	return false;
}

/* `all`: also what can't be waited for any more. */
static bool zone_counts(const struct life *life, const struct life_zone *zone, bool all)
{
	return zone->state == LIFE_ACTIVE ||
	       (zone->state == LIFE_PENDING && (all || zone->due_ms > life->now_ms));
}

static bool key_is_used(const struct life *life, int key, bool all)
{
	for (int i = 0; i < LIFE_ZONES; i++)
		if (zone_counts(life, &life->zones[i], all) && zone_uses(&life->zones[i], key))
			return true;
	for (int i = 0; i < LIFE_CLUSTERS; i++) {
		const struct life_cluster *cluster = &life->clusters[i];

		if ((cluster->state == LIFE_ACTIVE || (all && cluster->state == LIFE_PENDING)) &&
		    (cluster->key == key || cluster->leaving == key))
			return true;
	}
	return false;
}

static bool cluster_is_used(const struct life *life, int cluster, bool all)
{
	for (int i = 0; i < LIFE_ZONES; i++)
		if (zone_counts(life, &life->zones[i], all) && life->zones[i].cluster == cluster)
			return true;
	return false;
}

static bool token_needs(const struct life *life, int zone, uint32_t version)
{
	for (int i = 0; i < LIFE_TOKENS; i++)
		if (life->tokens[i].state == LIFE_ACTIVE && life->tokens[i].zone == zone &&
		    life->tokens[i].version == version)
			return true;
	return false;
}

bool life_may_open(const struct life_zone *zone, uint32_t version)
{
	const struct life_version *found = life_version(zone, version);

	return zone->state == LIFE_ACTIVE && found != NULL && found->state == LIFE_ACTIVE &&
	       version >= zone->minimum;
}

bool life_kms_opens(const struct life_version *version, const life_answers answers)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (version->wraps[i].state != WRAP_REPLACED &&
		    answers[version->wraps[i].key] == KMS_OK)
			return true;
	return false;
}

static bool all_answer(const struct life_version *version, const life_answers answers)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (answers[version->wraps[i].key] != KMS_OK)
			return false;
	return true;
}

static enum life_wish must_if(bool yes)
{
	return yes ? LIFE_MUST : LIFE_MUST_NOT;
}

static bool zone_label_is_free(const struct life *life, const char *label, int but)
{
	for (int i = 0; i < LIFE_ZONES; i++)
		if (i != but && life->zones[i].state == LIFE_ACTIVE &&
		    strcmp(life->zones[i].label, label) == 0)
			return false;
	return true;
}

static bool cluster_label_is_free(const struct life *life, const char *label, int but)
{
	for (int i = 0; i < LIFE_CLUSTERS; i++)
		if (i != but && life->clusters[i].state == LIFE_ACTIVE &&
		    strcmp(life->clusters[i].label, label) == 0)
			return false;
	return true;
}

/* --- Root keys */

static bool key_may_be_purged(const struct life *life, int key)
{
	return life->keys[key].state == LIFE_PENDING && life->keys[key].due_ms <= life->now_ms &&
	       !key_is_used(life, key, true);
}

static bool has_room(const struct life *life)
{
	size_t count = life_registered(life);

	for (int i = 0; i < LIFE_KEYS; i++)
		count -= key_may_be_purged(life, i);
	return count < ROOT_KEYS_MAX;
}

static enum life_wish expect_key_add(const struct life *life, const life_answers answers,
				     const struct life_step *step)
{
	const struct life_key *key = &life->keys[step->key];

	return must_if(answers[step->key] == KMS_OK && key->state != LIFE_ACTIVE &&
		       (key->state == LIFE_PENDING || has_room(life)));
}

static void apply_key_add(struct life *life, const struct life_step *step)
{
	struct life_key *key = &life->keys[step->key];
	bool full = life_registered(life) >= ROOT_KEYS_MAX;

	for (int i = 0; key->state == LIFE_ABSENT && full && i < LIFE_KEYS; i++)
		if (key_may_be_purged(life, i))
			life->keys[i].state = LIFE_ABSENT;
	key->state = LIFE_ACTIVE;
}

static enum life_wish expect_key_remove(const struct life *life, const life_answers answers,
					const struct life_step *step)
{
	(void)answers;
	return must_if(life->keys[step->key].state == LIFE_PENDING ||
		       !key_is_used(life, step->key, false));
}

static void apply_key_remove(struct life *life, const struct life_step *step)
{
	struct life_key *key = &life->keys[step->key];

	if (key->state == LIFE_ACTIVE)
		key->due_ms = life->now_ms + WINDOW_MS;
	key->state = LIFE_PENDING;
}

static enum life_wish expect_yes(const struct life *life, const life_answers answers,
				 const struct life_step *step)
{
	(void)life, (void)answers, (void)step;
	return LIFE_MUST;
}

static void apply_key_restore(struct life *life, const struct life_step *step)
{
	life->keys[step->key].state = LIFE_ACTIVE;
}

static enum life_wish expect_key_purge(const struct life *life, const life_answers answers,
				       const struct life_step *step)
{
	(void)answers;
	return must_if(life->keys[step->key].state == LIFE_PENDING &&
		       !key_is_used(life, step->key, true));
}

static void apply_key_purge(struct life *life, const struct life_step *step)
{
	life->keys[step->key].state = LIFE_ABSENT;
}

/* --- Clusters */

static enum life_wish expect_cluster_create(const struct life *life, const life_answers answers,
					    const struct life_step *step)
{
	(void)answers;
	return must_if(life->keys[step->key].state == LIFE_ACTIVE &&
		       cluster_label_is_free(life, step->label, LIFE_NONE));
}

static void apply_cluster_create(struct life *life, const struct life_step *step)
{
	struct life_cluster *cluster = &life->clusters[step->cluster];

	*cluster = (struct life_cluster){.state = LIFE_ACTIVE,
					 .key = step->key,
					 .leaving = LIFE_NONE,
					 .local = is_local(step->key),
					 .region = life_key_place(step->key)};
	strcpy(cluster->label, step->label);
}

/* Its zones' names begin with its own. */
static void zone_label(const char *cluster, const char *zone, char ret_label[static 32])
{
	char label[32];

	strcpy(label, cluster);
	strcat(label, strchr(zone, '/'));
	strcpy(ret_label, label);
}

static enum life_wish expect_cluster_rename(const struct life *life, const life_answers answers,
					    const struct life_step *step)
{
	const struct life_cluster *cluster = &life->clusters[step->cluster];

	(void)answers;
	return must_if(cluster->state != LIFE_ACTIVE ||
		       cluster_label_is_free(life, step->label, step->cluster));
}

static void apply_cluster_rename(struct life *life, const struct life_step *step)
{
	for (int i = 0; i < LIFE_ZONES; i++) {
		struct life_zone *zone = &life->zones[i];

		if (life_is_there(zone->state) && zone->cluster == step->cluster)
			zone_label(step->label, zone->label, zone->label);
	}
	strcpy(life->clusters[step->cluster].label, step->label);
}

static enum life_wish expect_cluster_delete(const struct life *life, const life_answers answers,
					    const struct life_step *step)
{
	(void)answers;
	return must_if(life->clusters[step->cluster].state == LIFE_PENDING ||
		       !cluster_is_used(life, step->cluster, false));
}

static void apply_cluster_delete(struct life *life, const struct life_step *step)
{
	struct life_cluster *cluster = &life->clusters[step->cluster];

	if (cluster->state == LIFE_ACTIVE)
		cluster->due_ms = life->now_ms + WINDOW_MS;
	cluster->state = LIFE_PENDING;
}

static enum life_wish expect_cluster_undelete(const struct life *life, const life_answers answers,
					      const struct life_step *step)
{
	const struct life_cluster *cluster = &life->clusters[step->cluster];

	(void)answers;
	return must_if(cluster->state == LIFE_ACTIVE ||
		       (life->keys[cluster->key].state == LIFE_ACTIVE &&
			(cluster->leaving == LIFE_NONE ||
			 life->keys[cluster->leaving].state == LIFE_ACTIVE) &&
			cluster_label_is_free(life, cluster->label, step->cluster)));
}

static void apply_cluster_undelete(struct life *life, const struct life_step *step)
{
	life->clusters[step->cluster].state = LIFE_ACTIVE;
}

static enum life_wish expect_cluster_purge(const struct life *life, const life_answers answers,
					   const struct life_step *step)
{
	(void)answers;
	return must_if(life->clusters[step->cluster].state == LIFE_PENDING &&
		       !cluster_is_used(life, step->cluster, true));
}

static void apply_cluster_purge(struct life *life, const struct life_step *step)
{
	life->clusters[step->cluster].state = LIFE_GONE;
}

static bool fits(int key, const struct life_cluster *cluster)
{
	return is_local(key) == cluster->local &&
	       (is_local(key) || life_key_place(key) == cluster->region);
}

/* What the new key opens may have the one before as a further key. */
static bool version_stays(const struct life_version *version, const struct life_cluster *cluster)
{
	bool is_under = false, has_old = false, is_elsewhere = false;

	for (size_t i = 0; i < version->wrap_count; i++) {
		if (version->wraps[i].state == WRAP_REPLACED)
			continue;
		is_under |= version->wraps[i].key == cluster->key;
		has_old |= version->wraps[i].key == cluster->leaving;
		is_elsewhere |= is_local(version->wraps[i].key) != cluster->local;
	}
	return is_elsewhere || (has_old && !is_under);
}

/* It leaves the key before with the last of its zones. */
static void leave_if_last(struct life *life, int at)
{
	struct life_cluster *cluster = &life->clusters[at];

	for (int i = 0; i < LIFE_ZONES; i++)
		for (uint32_t v = 1; v <= LIFE_VERSIONS; v++)
			if (life_is_there(life->zones[i].state) && life->zones[i].cluster == at &&
			    life_version(&life->zones[i], v) != NULL &&
			    version_stays(life_version(&life->zones[i], v), cluster))
				return;
	cluster->leaving = LIFE_NONE;
}

/* Of a key that is disabled nothing would come; who says nothing, or no, to this identity, is found
 * out later. */
static enum life_wish expect_cluster_rewrap(const struct life *life, const life_answers answers,
					    const struct life_step *step)
{
	const struct life_cluster *cluster = &life->clusters[step->cluster];

	return must_if(cluster->state == LIFE_ACTIVE && answers[step->key] != KMS_DISABLED &&
		       life->keys[step->key].state == LIFE_ACTIVE &&
		       (is_local(step->key) != cluster->local || fits(step->key, cluster)) &&
		       (cluster->leaving == LIFE_NONE || cluster->key == step->key ||
			cluster->leaving == step->key));
}

static void apply_cluster_rewrap(struct life *life, const struct life_step *step)
{
	struct life_cluster *cluster = &life->clusters[step->cluster];

	if (cluster->key != step->key)
		cluster->leaving = cluster->key;
	if (is_local(step->key) != cluster->local && !is_local(step->key))
		cluster->region = life_key_place(step->key);
	cluster->local = is_local(step->key);
	cluster->key = step->key;
	if (cluster->leaving != LIFE_NONE)
		leave_if_last(life, step->cluster);
}

/* --- Zones */

static bool is_label_in(const char *label, const char *cluster)
{
	size_t len = strlen(cluster);

	return strncmp(label, cluster, len) == 0 && label[len] == '/';
}

static enum life_wish expect_zone_create(const struct life *life, const life_answers answers,
					 const struct life_step *step)
{
	const struct life_cluster *cluster = &life->clusters[step->cluster];

	return must_if(cluster->state == LIFE_ACTIVE && answers[cluster->key] == KMS_OK &&
		       is_label_in(step->label, cluster->label) &&
		       zone_label_is_free(life, step->label, LIFE_NONE));
}

static void add_wrap(struct life_version *version, int key, enum wrap_state state)
{
	version->wraps[version->wrap_count++] = (struct life_wrap){key, state};
}

static void apply_zone_create(struct life *life, const struct life_step *step)
{
	struct life_zone *zone = &life->zones[step->zone];

	*zone = (struct life_zone){.state = LIFE_ACTIVE,
				   .cluster = step->cluster,
				   .primary = 1,
				   .raw = 1,
				   .minimum = 1};
	strcpy(zone->label, step->label);
	zone->versions[0].state = LIFE_ACTIVE;
	add_wrap(&zone->versions[0], life->clusters[step->cluster].key, WRAP_ACTIVE);
}

/* What awaits deletion is in nobody's way. */
static enum life_wish expect_zone_rename(const struct life *life, const life_answers answers,
					 const struct life_step *step)
{
	const struct life_zone *zone = &life->zones[step->zone];

	(void)answers;
	return must_if(strcmp(zone->label, step->label) == 0 ||
		       (is_label_in(step->label, life->clusters[zone->cluster].label) &&
			(zone->state != LIFE_ACTIVE ||
			 zone_label_is_free(life, step->label, step->zone))));
}

static void apply_zone_rename(struct life *life, const struct life_step *step)
{
	strcpy(life->zones[step->zone].label, step->label);
}

static void apply_zone_delete(struct life *life, const struct life_step *step)
{
	struct life_zone *zone = &life->zones[step->zone];

	if (zone->state == LIFE_ACTIVE)
		zone->due_ms = life->now_ms + WINDOW_MS;
	zone->state = LIFE_PENDING;
}

/* Each key that it stands on is there. */
static bool stands(const struct life *life, const struct life_zone *zone)
{
	for (int i = 0; i < LIFE_KEYS; i++)
		if (zone_uses(zone, i) && life->keys[i].state != LIFE_ACTIVE)
			return false;
	return life->clusters[zone->cluster].state == LIFE_ACTIVE;
}

/* The label is empty, or the one that it is to have. */
static enum life_wish expect_zone_undelete(const struct life *life, const life_answers answers,
					   const struct life_step *step)
{
	const struct life_zone *zone = &life->zones[step->zone];
	const char *label = step->label[0] == '\0' ? zone->label : step->label;

	(void)answers;
	return must_if(zone->state == LIFE_ACTIVE ||
		       (stands(life, zone) && zone_label_is_free(life, label, step->zone) &&
			is_label_in(label, life->clusters[zone->cluster].label)));
}

static void apply_zone_undelete(struct life *life, const struct life_step *step)
{
	struct life_zone *zone = &life->zones[step->zone];

	if (zone->state == LIFE_PENDING && step->label[0] != '\0')
		strcpy(zone->label, step->label);
	zone->state = LIFE_ACTIVE;
}

static enum life_wish expect_zone_erase(const struct life *life, const life_answers answers,
					const struct life_step *step)
{
	(void)answers;
	return must_if(life->zones[step->zone].state == LIFE_PENDING);
}

static void end_zone(struct life *life, int zone)
{
	life->zones[zone].state = LIFE_GONE;
	for (int i = 0; i < LIFE_TOKENS; i++)
		if (life->tokens[i].state == LIFE_ACTIVE && life->tokens[i].zone == zone)
			life->tokens[i].state = LIFE_GONE;
}

static void apply_zone_erase(struct life *life, const struct life_step *step)
{
	end_zone(life, step->zone);
}

/* --- Versions */

static enum life_wish expect_rotate(const struct life *life, const life_answers answers,
				    const struct life_step *step)
{
	const struct life_zone *zone = &life->zones[step->zone];
	const struct life_version *primary = life_version(zone, zone->primary);

	if (zone->state != LIFE_ACTIVE || step->version != zone->primary + 1)
		return LIFE_MUST_NOT;
	for (size_t i = 0; i < primary->wrap_count; i++)
		if (primary->wraps[i].state != WRAP_REPLACED &&
		    answers[primary->wraps[i].key] != KMS_OK)
			return LIFE_MUST_NOT;
	return LIFE_MUST;
}

static void apply_rotate(struct life *life, const struct life_step *step)
{
	struct life_zone *zone = &life->zones[step->zone];
	const struct life_version *primary = life_version(zone, zone->primary);
	struct life_version *next = &zone->versions[step->version - 1];

	*next = (struct life_version){.state = LIFE_ACTIVE};
	for (size_t i = 0; i < primary->wrap_count; i++)
		if (primary->wraps[i].state != WRAP_REPLACED)
			add_wrap(next, primary->wraps[i].key, WRAP_ACTIVE);
	zone->primary = step->version;
}

static enum life_wish expect_raw(const struct life *life, const life_answers answers,
				 const struct life_step *step)
{
	(void)answers;
	return must_if(life_may_open(&life->zones[step->zone], step->version));
}

static void apply_raw(struct life *life, const struct life_step *step)
{
	life->zones[step->zone].raw = step->version;
}

static enum life_wish expect_minimum(const struct life *life, const life_answers answers,
				     const struct life_step *step)
{
	const struct life_zone *zone = &life->zones[step->zone];

	(void)answers;
	return must_if(zone->state == LIFE_ACTIVE && step->version >= 1 &&
		       step->version <= zone->raw && step->version <= zone->primary);
}

static void apply_minimum(struct life *life, const struct life_step *step)
{
	life->zones[step->zone].minimum = step->version;
}

static enum life_wish expect_retire(const struct life *life, const life_answers answers,
				    const struct life_step *step)
{
	const struct life_zone *zone = &life->zones[step->zone];
	const struct life_version *version = life_version(zone, step->version);

	(void)answers;
	if (zone->state != LIFE_ACTIVE || version == NULL)
		return LIFE_MUST_NOT;
	return must_if(version->state == LIFE_PENDING ||
		       (step->version < zone->minimum && step->version != zone->raw &&
			!token_needs(life, step->zone, step->version)));
}

static void apply_retire(struct life *life, const struct life_step *step)
{
	struct life_version *version = &life->zones[step->zone].versions[step->version - 1];

	if (version->state == LIFE_ACTIVE)
		version->due_ms = life->now_ms + WINDOW_MS;
	version->state = LIFE_PENDING;
}

static enum life_wish expect_unretire(const struct life *life, const life_answers answers,
				      const struct life_step *step)
{
	const struct life_zone *zone = &life->zones[step->zone];

	(void)answers;
	return must_if(zone->state == LIFE_ACTIVE && life_version(zone, step->version) != NULL);
}

static void apply_unretire(struct life *life, const struct life_step *step)
{
	life->zones[step->zone].versions[step->version - 1].state = LIFE_ACTIVE;
}

static enum life_wish expect_version_purge(const struct life *life, const life_answers answers,
					   const struct life_step *step)
{
	const struct life_version *version = life_version(&life->zones[step->zone], step->version);

	(void)answers;
	return must_if(version != NULL && version->state == LIFE_PENDING &&
		       !token_needs(life, step->zone, step->version));
}

static void apply_version_purge(struct life *life, const struct life_step *step)
{
	life->zones[step->zone].versions[step->version - 1].state = LIFE_GONE;
}

/* --- Moves */

static bool all_have(const struct life_zone *zone, int key)
{
	for (uint32_t i = 1; i <= LIFE_VERSIONS; i++)
		if (life_version(zone, i) != NULL && !uses_live(life_version(zone, i), key))
			return false;
	return true;
}

static bool is_proven(const struct life_zone *zone)
{
	for (uint32_t i = 1; i <= LIFE_VERSIONS; i++) {
		const struct life_version *version = life_version(zone, i);

		for (size_t w = 0; version != NULL && w < version->wrap_count; w++)
			if (version->wraps[w].state == WRAP_UNPROVEN)
				return false;
	}
	return true;
}

/* The keys that a version is to have: those that are named, or the one in place of its first. */
static size_t keys_of(const struct life_step *step, const struct life_version *version,
		      int ret_keys[static LIFE_WRAPS])
{
	size_t count = 0;
	bool first = true;

	if (step->kind == LIFE_SET_KEYS) {
		memcpy(ret_keys, step->named, sizeof(step->named));
		return step->named_count;
	}
	ret_keys[count++] = step->key;
	for (size_t i = 0; i < version->wrap_count; i++) {
		if (version->wraps[i].state == WRAP_REPLACED)
			continue;
		if (!first && version->wraps[i].key != step->key)
			ret_keys[count++] = version->wraps[i].key;
		first = false;
	}
	return count;
}

void life_decide(const struct life *life, struct life_step *ret_step)
{
	const struct life_zone *zone;

	if (ret_step->kind != LIFE_REWRAP)
		return;
	zone = &life->zones[ret_step->zone];
	if (!all_have(zone, ret_step->key))
		return;
	ret_step->anew = is_proven(zone);
	ret_step->proves = !ret_step->anew;
}

static bool places_fit(const struct life_zone *zone, const struct life_cluster *cluster,
		       const struct life_step *step)
{
	int keys[LIFE_WRAPS];

	if (!fits(step->kind == LIFE_SET_KEYS ? step->named[0] : step->key, cluster))
		return false;
	for (uint32_t v = 1; v <= LIFE_VERSIONS; v++) {
		const struct life_version *version = life_version(zone, v);
		size_t count = version == NULL ? 0 : keys_of(step, version, keys);

		for (size_t i = 1; i < count; i++)
			if (is_local(keys[i]) != cluster->local)
				return false;
	}
	return true;
}

/* A new wrap takes its own key, and any of those that there are. */
static enum life_wish ask_for(const struct life_zone *zone, const life_answers answers,
			      const struct life_step *step)
{
	enum life_wish wish = LIFE_MUST;
	int keys[LIFE_WRAPS];

	for (uint32_t v = 1; v <= LIFE_VERSIONS; v++) {
		const struct life_version *version = life_version(zone, v);
		size_t count = version == NULL ? 0 : keys_of(step, version, keys);

		for (size_t i = 0; i < count; i++) {
			if (!step->anew && uses_live(version, keys[i]))
				continue;
			if (answers[keys[i]] != KMS_OK)
				return LIFE_MUST_NOT;
			if (!all_answer(version, answers))
				wish = LIFE_MAY;
		}
	}
	return wish;
}

static enum life_wish expect_move(const struct life *life, const life_answers answers,
				  const struct life_step *step)
{
	const struct life_zone *zone = &life->zones[step->zone];
	const struct life_cluster *cluster = &life->clusters[zone->cluster];

	for (uint32_t v = 1; v <= LIFE_VERSIONS; v++)
		if (step->proves && places_fit(zone, cluster, step) &&
		    life_version(zone, v) != NULL && !all_answer(life_version(zone, v), answers))
			return LIFE_MAY;
	if (step->proves)
		return must_if(fits(step->key, cluster));
	return places_fit(zone, cluster, step) ? ask_for(zone, answers, step) : LIFE_MUST_NOT;
}

static enum life_wish expect_rewrap(const struct life *life, const life_answers answers,
				    const struct life_step *step)
{
	return life->keys[step->key].state == LIFE_ACTIVE ? expect_move(life, answers, step)
							  : LIFE_MUST_NOT;
}

static enum life_wish expect_set_keys(const struct life *life, const life_answers answers,
				      const struct life_step *step)
{
	for (size_t i = 0; i < step->named_count; i++) {
		if (life->keys[step->named[i]].state != LIFE_ACTIVE)
			return LIFE_MUST_NOT;
		for (size_t j = 0; j < i; j++)
			if (step->named[i] == step->named[j])
				return LIFE_MUST_NOT;
	}
	return expect_move(life, answers, step);
}

/* Which of the new ones are proven, and what is kept in reserve, the product tells: what is looked
 * at is that something is (life_check() of the test). */
static void move_version(const struct life_step *step, struct life_version *version)
{
	const struct life_version before = *version;
	int keys[LIFE_WRAPS];
	size_t count = keys_of(step, &before, keys);

	version->wrap_count = 0;
	for (size_t i = 0; i < count; i++)
		add_wrap(version, keys[i], WRAP_UNPROVEN);
}

static void apply_move(struct life *life, const struct life_step *step)
{
	struct life_zone *zone = &life->zones[step->zone];

	for (uint32_t v = 1; v <= LIFE_VERSIONS; v++)
		if (!step->proves && life_version(zone, v) != NULL)
			move_version(step, &zone->versions[v - 1]);
	if (life->clusters[zone->cluster].leaving != LIFE_NONE)
		leave_if_last(life, zone->cluster);
}

/* --- Use */

static enum life_wish expect_seal(const struct life *life, const life_answers answers,
				  const struct life_step *step)
{
	const struct life_zone *zone = &life->zones[step->zone];

	if (!life_may_open(zone, zone->primary))
		return LIFE_MUST_NOT;
	/* A lease may run. */
	return life_kms_opens(life_version(zone, zone->primary), answers) ? LIFE_MUST : LIFE_MAY;
}

static void apply_nothing(struct life *life, const struct life_step *step)
{
	(void)life, (void)step;
}

static void apply_token_create(struct life *life, const struct life_step *step)
{
	struct life_token *token = &life->tokens[step->token];

	token->state = LIFE_ACTIVE;
	token->zone = step->zone;
	token->version = life->zones[step->zone].primary;
}

static void apply_token_destroy(struct life *life, const struct life_step *step)
{
	life->tokens[step->token].state = LIFE_GONE;
}

/* --- The end */

struct purge {
	struct life *life;
	bool due; /* not only what was announced */
	bool ripe, went;
};

static bool goes(struct purge *purge, int64_t due_ms)
{
	const struct life *life = purge->life;

	if (due_ms > life->now_ms)
		return false;
	if (purge->due || (life->announced_ms > 0 && due_ms <= life->announced_ms &&
			   life->announced_ms <= life->now_ms - DAY_MS))
		return true;
	purge->ripe = true;
	return false;
}

static void purge_versions(struct purge *purge, int at)
{
	struct life_zone *zone = &purge->life->zones[at];

	for (uint32_t v = 1; v <= LIFE_VERSIONS; v++)
		if (zone->versions[v - 1].state == LIFE_PENDING &&
		    !token_needs(purge->life, at, v) && goes(purge, zone->versions[v - 1].due_ms)) {
			zone->versions[v - 1].state = LIFE_GONE;
			purge->went = true;
		}
}

static void purge_zones(struct purge *purge)
{
	for (int i = 0; i < LIFE_ZONES; i++) {
		struct life_zone *zone = &purge->life->zones[i];

		if (zone->state == LIFE_PENDING && goes(purge, zone->due_ms)) {
			end_zone(purge->life, i);
			purge->went = true;
		} else if (life_is_there(zone->state)) {
			purge_versions(purge, i);
		}
	}
}

static void purge_unused(struct purge *purge)
{
	for (int i = 0; i < LIFE_CLUSTERS; i++)
		if (purge->life->clusters[i].state == LIFE_PENDING &&
		    goes(purge, purge->life->clusters[i].due_ms) &&
		    !cluster_is_used(purge->life, i, true)) {
			purge->life->clusters[i].state = LIFE_GONE;
			purge->went = true;
		}
	for (int i = 0; i < LIFE_KEYS; i++)
		if (purge->life->keys[i].state == LIFE_PENDING &&
		    goes(purge, purge->life->keys[i].due_ms) &&
		    !key_is_used(purge->life, i, true)) {
			purge->life->keys[i].state = LIFE_ABSENT;
			purge->went = true;
		}
}

static void apply_purge(struct life *life, const struct life_step *step)
{
	struct purge purge = {.life = life, .due = step->kind == LIFE_PURGE_DUE, .went = true};
	bool ahead = life->announced_ms > life->now_ms;
	bool over = life->announced_ms <= life->now_ms - DAY_MS;

	while (purge.went) {
		purge.went = purge.ripe = false;
		purge_zones(&purge);
		purge_unused(&purge);
	}
	if (purge.due)
		return;
	if (purge.ripe && (ahead || over))
		life->announced_ms = life->now_ms;
	else if (ahead)
		life->announced_ms = 0;
}

/* --- All of them */

static const struct row {
	enum life_wish (*expect)(const struct life *life, const life_answers answers,
				 const struct life_step *step);
	void (*apply)(struct life *life, const struct life_step *step);
} rows[LIFE_STEP_COUNT] = {
	[LIFE_KEY_ADD] = {expect_key_add, apply_key_add},
	[LIFE_KEY_REMOVE] = {expect_key_remove, apply_key_remove},
	[LIFE_KEY_RESTORE] = {expect_yes, apply_key_restore},
	[LIFE_KEY_PURGE] = {expect_key_purge, apply_key_purge},
	[LIFE_CLUSTER_CREATE] = {expect_cluster_create, apply_cluster_create},
	[LIFE_CLUSTER_RENAME] = {expect_cluster_rename, apply_cluster_rename},
	[LIFE_CLUSTER_DELETE] = {expect_cluster_delete, apply_cluster_delete},
	[LIFE_CLUSTER_UNDELETE] = {expect_cluster_undelete, apply_cluster_undelete},
	[LIFE_CLUSTER_PURGE] = {expect_cluster_purge, apply_cluster_purge},
	[LIFE_CLUSTER_REWRAP] = {expect_cluster_rewrap, apply_cluster_rewrap},
	[LIFE_ZONE_CREATE] = {expect_zone_create, apply_zone_create},
	[LIFE_ZONE_RENAME] = {expect_zone_rename, apply_zone_rename},
	[LIFE_ZONE_DELETE] = {expect_yes, apply_zone_delete},
	[LIFE_ZONE_UNDELETE] = {expect_zone_undelete, apply_zone_undelete},
	[LIFE_ZONE_ERASE] = {expect_zone_erase, apply_zone_erase},
	[LIFE_ROTATE] = {expect_rotate, apply_rotate},
	[LIFE_RAW] = {expect_raw, apply_raw},
	[LIFE_MINIMUM] = {expect_minimum, apply_minimum},
	[LIFE_RETIRE] = {expect_retire, apply_retire},
	[LIFE_UNRETIRE] = {expect_unretire, apply_unretire},
	[LIFE_VERSION_PURGE] = {expect_version_purge, apply_version_purge},
	[LIFE_REWRAP] = {expect_rewrap, apply_move},
	[LIFE_SET_KEYS] = {expect_set_keys, apply_move},
	[LIFE_SEAL] = {expect_seal, apply_nothing},
	[LIFE_TOKEN_CREATE] = {expect_seal, apply_token_create},
	[LIFE_TOKEN_DESTROY] = {expect_yes, apply_token_destroy},
	[LIFE_PURGE] = {expect_yes, apply_purge},
	[LIFE_PURGE_DUE] = {expect_yes, apply_purge},
};

enum life_wish life_expect(const struct life *life, const life_answers answers,
			   const struct life_step *step)
{
	return rows[step->kind].expect(life, answers, step);
}

void life_apply(struct life *life, const struct life_step *step)
{
	rows[step->kind].apply(life, step);
}

/* --- What is worth a try */

static bool only_pending_use(const struct life *life, int key)
{
	struct life without = *life;

	for (int i = 0; i < LIFE_ZONES; i++)
		if (without.zones[i].state == LIFE_PENDING)
			without.zones[i].state = LIFE_GONE;
	return !key_is_used(&without, key, false);
}

static bool no_active_zone(const struct life *life, int cluster)
{
	for (int i = 0; i < LIFE_ZONES; i++)
		if (life->zones[i].state == LIFE_ACTIVE && life->zones[i].cluster == cluster)
			return false;
	return true;
}

bool life_is_near(const struct life *life, const struct life_step *step)
{
	const struct life_zone *zone = &life->zones[step->zone < 0 ? 0 : step->zone];

	switch (step->kind) {
	case LIFE_KEY_REMOVE:
		return life->keys[step->key].state == LIFE_ACTIVE &&
		       only_pending_use(life, step->key);
	case LIFE_KEY_PURGE:
		return life->keys[step->key].state == LIFE_PENDING;
	case LIFE_CLUSTER_DELETE:
		return no_active_zone(life, step->cluster);
	case LIFE_CLUSTER_PURGE:
		return life->clusters[step->cluster].state == LIFE_PENDING;
	case LIFE_ZONE_UNDELETE:
		return zone->state == LIFE_PENDING;
	case LIFE_RETIRE:
		return zone->state == LIFE_ACTIVE && step->version > 0 &&
		       step->version < zone->minimum;
	default:
		return false;
	}
}
