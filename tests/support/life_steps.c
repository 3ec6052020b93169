/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Each step by the product, and by the model; and what may go wrong beside it. */
#include "tests/support/life_steps.h"

#include "base/macros.h"
#include "tests/support/memory_store.h"
#include "tests/support/unit.h"
#include "zones/domain/cluster.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/purge.h"
#include "zones/domain/retire.h"
#include "zones/domain/rewrap.h"
#include "zones/domain/root_key.h"
#include "zones/domain/rotate.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <inttypes.h>

/* --- A step by the product */

struct act {
	struct life_world *w;
	struct zones *zones;
	const struct life_step *step;
	struct entry *made; /* held */
};

static struct entry *held(struct act *act, struct uid uid)
{
	struct entry *entry = NULL;

	return zones_meet_uid(act->zones, uid, &entry) == ZONE_OK ? entry : NULL;
}

static struct entry *key_of(struct act *act)
{
	return held(act, act->w->life.keys[act->step->key].uid);
}

static struct entry *cluster_of(struct act *act)
{
	return held(act, act->w->life.clusters[act->step->cluster].uid);
}

static struct entry *zone_of(struct act *act)
{
	return held(act, act->w->life.zones[act->step->zone].uid);
}

static enum zone_status do_key_add(struct act *act)
{
	char label[16];
	struct entry_names names;

	snprintf(label, sizeof(label), "k%d", act->step->key);
	names = names_of(label);
	return zones_root_key_add(act->zones, act->w->project,
				  bytes_of(act->w->arns[act->step->key]), &names, &act->made);
}

/* Each of these takes the entry. */
static enum zone_status remove_it(struct act *act, struct entry *entry)
{
	AUTO(entry_releasep) struct entry *taken = entry;

	return taken == NULL ? ZONE_NOT_FOUND : zones_entry_delete(act->zones, taken);
}

static enum zone_status restore_it(struct act *act, struct entry *entry, const char *label)
{
	AUTO(entry_releasep) struct entry *taken = entry;

	return taken == NULL ? ZONE_NOT_FOUND
			     : zones_entry_restore(act->zones, taken, bytes_of(label), &act->made);
}

static enum zone_status purge_it(struct act *act, struct entry *entry)
{
	AUTO(entry_releasep) struct entry *taken = entry;

	return taken == NULL ? ZONE_NOT_FOUND : zones_purge_entry(act->zones, taken);
}

static enum zone_status rename_it(struct act *act, struct entry *entry)
{
	AUTO(entry_releasep) struct entry *taken = entry;
	struct entry_names names = names_of(act->step->label);

	if (taken == NULL)
		return ZONE_NOT_FOUND;
	return zones_entry_rename(act->zones, taken, &names, &act->made);
}

static enum zone_status do_key_remove(struct act *act)
{
	return remove_it(act, key_of(act));
}

static enum zone_status do_key_restore(struct act *act)
{
	return restore_it(act, key_of(act), NULL);
}

static enum zone_status do_key_purge(struct act *act)
{
	return purge_it(act, key_of(act));
}

static enum zone_status do_cluster_create(struct act *act)
{
	struct entry_names names = names_of(act->step->label);

	return zones_cluster_create(act->zones, act->w->project, bytes(NULL, 0), bytes(NULL, 0),
				    act->w->life.keys[act->step->key].uid, &names, &act->made);
}

static enum zone_status do_cluster_rename(struct act *act)
{
	return rename_it(act, cluster_of(act));
}

static enum zone_status do_cluster_delete(struct act *act)
{
	return remove_it(act, cluster_of(act));
}

static enum zone_status do_cluster_undelete(struct act *act)
{
	return restore_it(act, cluster_of(act), NULL);
}

static enum zone_status do_cluster_purge(struct act *act)
{
	return purge_it(act, cluster_of(act));
}

static enum zone_status do_cluster_rewrap(struct act *act)
{
	AUTO(entry_releasep) struct entry *cluster = cluster_of(act);

	if (cluster == NULL)
		return ZONE_NOT_FOUND;
	return zones_cluster_rewrap(act->zones, cluster, bytes_of(act->w->arns[act->step->key]),
				    &act->made);
}

static enum zone_status do_zone_create(struct act *act)
{
	struct entry_names names = names_of(act->step->label);

	return zones_zone_create(act->zones, act->w->project, &names, &act->made);
}

static enum zone_status do_zone_rename(struct act *act)
{
	return rename_it(act, zone_of(act));
}

static enum zone_status do_zone_delete(struct act *act)
{
	return remove_it(act, zone_of(act));
}

static enum zone_status do_zone_undelete(struct act *act)
{
	return restore_it(act, zone_of(act), act->step->label);
}

static enum zone_status do_zone_erase(struct act *act)
{
	return purge_it(act, zone_of(act));
}

static enum zone_status do_rotate(struct act *act)
{
	AUTO(entry_releasep) struct entry *zone = zone_of(act);

	if (zone == NULL)
		return ZONE_NOT_FOUND;
	return zones_zone_rotate(act->zones, zone, act->step->version, &act->made);
}

static enum zone_status mark(struct act *act, enum zone_mark mark)
{
	AUTO(entry_releasep) struct entry *zone = zone_of(act);

	if (zone == NULL)
		return ZONE_NOT_FOUND;
	return zones_zone_mark(act->zones, zone, mark, act->step->version, &act->made);
}

static enum zone_status do_raw(struct act *act)
{
	return mark(act, ZONE_RAW);
}

static enum zone_status do_minimum(struct act *act)
{
	return mark(act, ZONE_MINIMUM);
}

static enum zone_status version_step(struct act *act, enum version_step step)
{
	AUTO(entry_releasep) struct entry *zone = zone_of(act);

	if (zone == NULL)
		return ZONE_NOT_FOUND;
	return zones_version_step(act->zones, zone, act->step->version, step);
}

static enum zone_status do_retire(struct act *act)
{
	return version_step(act, VERSION_RETIRE);
}

static enum zone_status do_unretire(struct act *act)
{
	return version_step(act, VERSION_UNRETIRE);
}

static enum zone_status do_version_purge(struct act *act)
{
	return version_step(act, VERSION_PURGE);
}

static enum zone_status do_rewrap(struct act *act)
{
	AUTO(entry_releasep) struct entry *zone = zone_of(act);

	if (zone == NULL)
		return ZONE_NOT_FOUND;
	return zones_zone_rewrap(act->zones, zone, bytes_of(act->w->arns[act->step->key]),
				 &act->made);
}

static enum zone_status do_set_keys(struct act *act)
{
	AUTO(entry_releasep) struct entry *zone = zone_of(act);
	struct bytes arns[LIFE_NAMED];

	for (size_t i = 0; i < act->step->named_count; i++)
		arns[i] = bytes_of(act->w->arns[act->step->named[i]]);
	if (zone == NULL)
		return ZONE_NOT_FOUND;
	return zones_zone_set_root_keys(act->zones, zone, arns, act->step->named_count, false,
					&act->made);
}

static enum zone_status do_seal(struct act *act)
{
	struct life_world *w = act->w;
	struct life_seal *seal = &w->seals[w->seal_count];
	struct life_record *record = &w->records[act->step->zone];
	AUTO(entry_releasep) struct entry *zone = zone_of(act);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	uint64_t named;

	if (zone == NULL)
		return ZONE_NOT_FOUND;
	for (size_t i = 0; i < LIFE_DEK; i++)
		seal->dek[i] = (uint8_t)life_draw(w);
	TRY(ezk_find(zones_registry(act->zones), zone, EZK_PRIMARY, &ezk));
	TRY(dek_wrap(ezk, bytes(seal->dek, LIFE_DEK), bytes_of("aad"), seal->wrapped));
	seal->zone = zone->of_zone.zone;
	if (!dek_wrap_names(bytes(seal->wrapped, LIFE_WRAPPED), &named, &seal->version))
		fail_msg("a wrapped DEK names no version");
	record->version = zone->of_zone.primary;
	buffer_truncate(&record->file, 0);
	return zones_zone_export(act->zones, zone, &record->file);
}

static enum zone_status do_token_create(struct act *act)
{
	struct life_world *w = act->w;
	struct life_token *token = &w->life.tokens[act->step->token];
	struct entry_names names = names_of("token");

	for (size_t i = 0; i < sizeof(token->value); i++)
		token->value[i] = (uint8_t)life_draw(w);
	return zones_key_create(act->zones, w->project, w->life.zones[act->step->zone].id, 31,
				bytes(token->value, sizeof(token->value)), &names, &act->made);
}

static enum zone_status do_token_destroy(struct act *act)
{
	return remove_it(act, held(act, act->w->life.tokens[act->step->token].uid));
}

static enum zone_status do_purge(struct act *act)
{
	struct purge_report report;

	return zones_purge(act->zones, PURGE_ANNOUNCED, &report);
}

static enum zone_status do_purge_due(struct act *act)
{
	struct purge_report report;

	return zones_purge(act->zones, PURGE_DUE, &report);
}

/* --- What a step may be */

enum {
	OF_KEY = 1,
	OF_CLUSTER = 2,
	OF_ZONE = 4,
	OF_VERSION = 8,
	OF_TOKEN = 16,
	OF_NAMES = 32,
	ASKS = 64,   /* the KMS; all others never */
	RIVAL = 128, /* one that comes between */
	UNSTORED = 256,
};

static const struct row {
	const char *name;
	enum zone_status (*run)(struct act *act);
	unsigned flags;
	int weight;
} rows[LIFE_STEP_COUNT] = {
	[LIFE_KEY_ADD] = {"add root key", do_key_add, ASKS, 8},
	[LIFE_KEY_REMOVE] = {"remove root key", do_key_remove, OF_KEY | RIVAL, 6},
	[LIFE_KEY_RESTORE] = {"restore root key", do_key_restore, OF_KEY | RIVAL, 4},
	[LIFE_KEY_PURGE] = {"purge root key", do_key_purge, OF_KEY, 3},
	[LIFE_CLUSTER_CREATE] = {"create cluster", do_cluster_create, OF_KEY, 4},
	[LIFE_CLUSTER_RENAME] = {"rename cluster", do_cluster_rename, OF_CLUSTER | RIVAL, 3},
	[LIFE_CLUSTER_DELETE] = {"delete cluster", do_cluster_delete, OF_CLUSTER | RIVAL, 4},
	[LIFE_CLUSTER_UNDELETE] = {"undelete cluster", do_cluster_undelete, OF_CLUSTER, 4},
	[LIFE_CLUSTER_PURGE] = {"purge cluster", do_cluster_purge, OF_CLUSTER, 4},
	[LIFE_CLUSTER_REWRAP] = {"rewrap cluster", do_cluster_rewrap,
				 OF_CLUSTER | OF_KEY | ASKS | RIVAL, 8},
	[LIFE_ZONE_CREATE] = {"create zone", do_zone_create, OF_CLUSTER | ASKS, 14},
	[LIFE_ZONE_RENAME] = {"rename zone", do_zone_rename, OF_ZONE | RIVAL, 3},
	[LIFE_ZONE_DELETE] = {"delete zone", do_zone_delete, OF_ZONE | RIVAL, 5},
	[LIFE_ZONE_UNDELETE] = {"undelete zone", do_zone_undelete, OF_ZONE | RIVAL, 9},
	[LIFE_ZONE_ERASE] = {"erase zone", do_zone_erase, OF_ZONE | RIVAL, 3},
	[LIFE_ROTATE] = {"rotate", do_rotate, OF_ZONE | ASKS | RIVAL, 16},
	[LIFE_RAW] = {"raw version", do_raw, OF_VERSION | RIVAL, 12},
	[LIFE_MINIMUM] = {"minimum version", do_minimum, OF_VERSION | RIVAL, 16},
	[LIFE_RETIRE] = {"retire version", do_retire, OF_VERSION | RIVAL, 16},
	[LIFE_UNRETIRE] = {"unretire version", do_unretire, OF_VERSION | RIVAL, 6},
	[LIFE_VERSION_PURGE] = {"purge version", do_version_purge, OF_VERSION, 4},
	[LIFE_REWRAP] = {"rewrap zone", do_rewrap, OF_ZONE | OF_KEY | ASKS | RIVAL, 18},
	[LIFE_SET_KEYS] = {"set keys of zone", do_set_keys, OF_ZONE | OF_NAMES | ASKS | RIVAL, 10},
	[LIFE_SEAL] = {"seal", do_seal, OF_ZONE | ASKS | UNSTORED, 24},
	[LIFE_TOKEN_CREATE] = {"create token key", do_token_create, OF_ZONE | ASKS | UNSTORED, 10},
	[LIFE_TOKEN_DESTROY] = {"destroy token key", do_token_destroy, OF_TOKEN, 4},
	[LIFE_PURGE] = {"maintain", do_purge, 0, 6},
	[LIFE_PURGE_DUE] = {"maintain --now", do_purge_due, 0, 3},
};

/* Any that was made and is in this store, mostly. LIFE_NONE: there is none. */
static int draw_cluster(struct life_world *w)
{
	for (int i = 0; w->next_cluster > 0 && i < 20; i++) {
		int at = life_below(w, w->next_cluster);

		if (w->life.clusters[at].state == LIFE_ACTIVE ||
		    (w->life.clusters[at].state == LIFE_PENDING && i % 2 == 1))
			return at;
	}
	return LIFE_NONE;
}

static int draw_zone(struct life_world *w)
{
	for (int i = 0; w->next_zone > 0 && i < 20; i++) {
		int at = life_below(w, w->next_zone);

		if (w->life.zones[at].state == LIFE_ACTIVE ||
		    (w->life.zones[at].state == LIFE_PENDING && i % 2 == 1))
			return at;
	}
	return LIFE_NONE;
}

static int draw_token(struct life_world *w)
{
	for (int i = 0; w->next_token > 0 && i < 20; i++) {
		int at = life_below(w, w->next_token);

		if (w->life.tokens[at].state == LIFE_ACTIVE)
			return at;
	}
	return LIFE_NONE;
}

static int draw_known_key(struct life_world *w)
{
	for (int i = 0; i < 40; i++) {
		int at = life_draw_key(w);

		if (w->life.keys[at].state != LIFE_ABSENT)
			return at;
	}
	return LIFE_NONE;
}

static bool name_zone(struct life_world *w, struct life_step *step)
{
	const char *cluster = w->life.clusters[step->cluster].label;

	snprintf(step->label, sizeof(step->label), "%s/d%d", cluster, life_below(w, 6));
	return w->next_zone < LIFE_ZONES;
}

/* What is made, or how it is to be called from now on. False: there is no room for more. */
static bool draw_new(struct life_world *w, struct life_step *step)
{
	switch (step->kind) {
	case LIFE_KEY_ADD:
		step->key = life_draw_key(w);
		return true;
	case LIFE_CLUSTER_CREATE:
		step->cluster = w->next_cluster;
		snprintf(step->label, sizeof(step->label), "c%d", life_below(w, 5));
		return w->next_cluster < LIFE_CLUSTERS;
	case LIFE_CLUSTER_RENAME:
		snprintf(step->label, sizeof(step->label), "c%d", life_below(w, 5));
		return true;
	case LIFE_ZONE_CREATE:
		step->zone = w->next_zone;
		return w->life.clusters[step->cluster].state == LIFE_ACTIVE && name_zone(w, step);
	case LIFE_ZONE_RENAME:
		step->cluster = w->life.zones[step->zone].cluster;
		name_zone(w, step);
		return true;
	case LIFE_ZONE_UNDELETE:
		step->cluster = w->life.zones[step->zone].cluster;
		if (life_one_in(w, 3))
			name_zone(w, step);
		return true;
	case LIFE_TOKEN_CREATE:
		step->token = w->next_token;
		return w->next_token < LIFE_TOKENS;
	case LIFE_SEAL:
		return w->seal_count < LIFE_SEALS;
	default:
		return true;
	}
}

static bool draw_version(struct life_world *w, struct life_step *step)
{
	uint32_t primary = w->life.zones[step->zone].primary;

	if (step->kind == LIFE_ROTATE)
		step->version = primary + (life_one_in(w, 10) ? 0 : 1);
	else
		step->version = (uint32_t)life_below(w, (int)primary + 2);
	return step->kind != LIFE_ROTATE || step->version <= LIFE_VERSIONS;
}

/* False: nothing of that kind can be done now. */
static bool draw_args(struct life_world *w, struct life_step *step)
{
	unsigned flags = rows[step->kind].flags;

	step->key = flags & OF_KEY ? draw_known_key(w) : LIFE_NONE;
	step->cluster = flags & OF_CLUSTER ? draw_cluster(w) : LIFE_NONE;
	step->zone = flags & (OF_ZONE | OF_VERSION) ? draw_zone(w) : LIFE_NONE;
	step->token = flags & OF_TOKEN ? draw_token(w) : LIFE_NONE;
	if ((flags & OF_KEY && step->key == LIFE_NONE) ||
	    (flags & OF_CLUSTER && step->cluster == LIFE_NONE) ||
	    (flags & (OF_ZONE | OF_VERSION) && step->zone == LIFE_NONE) ||
	    (flags & OF_TOKEN && step->token == LIFE_NONE))
		return false;
	step->named_count = flags & OF_NAMES ? (size_t)life_below(w, LIFE_NAMED) + 1 : 0;
	for (size_t i = 0; i < step->named_count; i++) {
		step->named[i] = draw_known_key(w);
		if (step->named[i] == LIFE_NONE)
			return false;
	}
	if ((flags & OF_VERSION || step->kind == LIFE_ROTATE) && !draw_version(w, step))
		return false;
	return draw_new(w, step);
}

static enum life_kind draw_kind(struct life_world *w, unsigned wanted)
{
	int sum = 0, chosen, kind = 0;

	for (int i = 0; i < LIFE_STEP_COUNT; i++)
		sum += (rows[i].flags & wanted) == wanted ? rows[i].weight : 0;
	chosen = life_below(w, sum);
	for (;; kind++) {
		if ((rows[kind].flags & wanted) == wanted)
			chosen -= rows[kind].weight;
		if (chosen < 0)
			return (enum life_kind)kind;
	}
}

/* Whether something comes of it, or nearly. */
static bool is_worth_it(const struct life_world *w, const struct life_step *step)
{
	struct life after = w->life;

	if (step->kind == LIFE_SEAL)
		return true;
	if (life_expect(&w->life, w->answers, step) == LIFE_MUST_NOT)
		return life_is_near(&w->life, step);
	life_apply(&after, step);
	return memcmp(&after, &w->life, sizeof(after)) != 0;
}

/* False: nothing of that kind can be done now; `worth`: or changes anything. */
static bool draw_of_kind(struct life_world *w, enum life_kind kind, bool worth,
			 struct life_step *ret_step)
{
	for (int i = 0; i < 15; i++) {
		*ret_step = (struct life_step){.kind = kind};
		if (!draw_args(w, ret_step))
			continue;
		life_decide(&w->life, ret_step);
		if (!worth || is_worth_it(w, ret_step))
			return true;
	}
	return false;
}

/* One whose row has these flags, two times in three one that changes something. Where there is
 * nothing yet, a root key is added. */
static struct life_step draw_step(struct life_world *w, unsigned wanted)
{
	bool worth = !life_one_in(w, 3);
	struct life_step step;

	for (int i = 0; i < 20; i++)
		if (draw_of_kind(w, draw_kind(w, wanted), worth && i < 10, &step))
			return step;
	return (struct life_step){
		.kind = LIFE_KEY_ADD, .cluster = LIFE_NONE, .zone = LIFE_NONE, .token = LIFE_NONE};
}

static void tell_step(struct life_world *w, const char *who, const struct life_step *step)
{
	life_tell(w, "# %s: %s", who, rows[step->kind].name);
	if (step->key != LIFE_NONE)
		life_tell(w, " key %d", step->key);
	if (step->cluster != LIFE_NONE)
		life_tell(w, " cluster %d", step->cluster);
	if (step->zone != LIFE_NONE)
		life_tell(w, " zone %d", step->zone);
	if (step->token != LIFE_NONE)
		life_tell(w, " token %d", step->token);
	if (step->version != 0)
		life_tell(w, " version %" PRIu32, step->version);
	for (size_t i = 0; i < step->named_count; i++)
		life_tell(w, "%s%d", i == 0 ? " by " : ", ", step->named[i]);
	if (step->label[0] != '\0')
		life_tell(w, " '%s'", step->label);
}

void life_tell_figures(const struct life_world *w)
{
	size_t yes = 0, no = 0;

	for (int i = 0; i < LIFE_STEP_COUNT; i++) {
		printf("# %-18s %6zu done %6zu refused\n", rows[i].name, w->yes[i], w->no[i]);
		yes += w->yes[i];
		no += w->no[i];
	}
	printf("# %zu steps were done, %zu refused, %zu came between; %zu backups, %zu restores, "
	       "%zu stores lost; something opened %zu times, and did not %zu times, "
	       "%zu times by a record\n",
	       yes, no, w->rivals, w->backups, w->restores, w->losses, w->opened, w->closed,
	       w->by_records);
}

/* --- A step by both */

/* No key is ever drawn twice. */
static void note_ezk(struct life_world *w, const struct entry *zone, uint32_t number,
		     struct life_version *version)
{
	const struct ezk_version *made = entry_version(zone, number);
	uint8_t ezk[LIFE_EZK];

	LIFE_HOLDS(w, made != NULL && made->wrap_count > 0, "version %" PRIu32 " was not made",
		   number);
	life_blob_key(made->wraps[0].blob, ezk);
	for (int i = 0; i < w->next_zone; i++)
		for (int v = 0; v < LIFE_VERSIONS; v++)
			LIFE_HOLDS(w, memcmp(w->life.zones[i].versions[v].ezk, ezk, LIFE_EZK) != 0,
				   "zone %d has the new key by its version %d", i, v + 1);
	memcpy(version->ezk, ezk, LIFE_EZK);
}

/* The primary, unless another was made meanwhile. */
static void check_version(struct life_world *w, const struct life_zone *zone, uint32_t version)
{
	LIFE_HOLDS(w,
		   version == zone->primary ||
			   (w->rival_came && life_version(zone, version) != NULL),
		   "made by version %" PRIu32 ", which is not the primary", version);
}

static void learn_seal(struct life_world *w, const struct life_zone *zone)
{
	struct life_seal *seal = &w->seals[w->seal_count];

	check_version(w, zone, seal->version);
	memcpy(seal->ezk, zone->versions[seal->version - 1].ezk, LIFE_EZK);
}

static void learn_token(struct life_world *w, struct life_token *token, const struct entry *made)
{
	uint64_t zone;

	LIFE_HOLDS(w, token_key_place(made->of_key.wrapped, &zone, &token->version),
		   "a token key has no version");
	check_version(w, &w->life.zones[token->zone], token->version);
	token->uid = made->uid;
}

/* What was drawn. */
static void learn(struct life_world *w, const struct life_step *step, const struct entry *made)
{
	struct life *life = &w->life;

	switch (step->kind) {
	case LIFE_KEY_ADD:
		life->keys[step->key].uid = made->uid;
		break;
	case LIFE_CLUSTER_CREATE:
		life->clusters[step->cluster].uid = made->uid;
		w->next_cluster++;
		break;
	case LIFE_ZONE_CREATE:
		life->zones[step->zone].uid = made->uid;
		life->zones[step->zone].id = made->of_zone.zone;
		note_ezk(w, made, 1, &life->zones[step->zone].versions[0]);
		w->next_zone++;
		break;
	case LIFE_ROTATE:
		note_ezk(w, made, step->version,
			 &life->zones[step->zone].versions[step->version - 1]);
		break;
	case LIFE_TOKEN_CREATE:
		learn_token(w, &life->tokens[step->token], made);
		w->next_token++;
		break;
	case LIFE_SEAL:
		learn_seal(w, &life->zones[step->zone]);
		w->seal_count++;
		break;
	default:
		break;
	}
}

static void conclude(struct life_world *w, const struct life_step *step, enum life_wish wish,
		     enum zone_status status, struct entry *made)
{
	life_tell(w, " -> %s\n", status == ZONE_OK ? "ok" : zone_status_text(status));
	w->yes[step->kind] += status == ZONE_OK;
	w->no[step->kind] += status != ZONE_OK;
	LIFE_HOLDS(w, wish != LIFE_MUST || status == ZONE_OK, "refused against the rules: %s",
		   zone_status_text(status));
	LIFE_HOLDS(w, wish != LIFE_MUST_NOT || status != ZONE_OK, "done against the rules");
	if (status == ZONE_OK) {
		life_apply(&w->life, step);
		learn(w, step, made);
	}
	entry_release(made);
}

/* In the middle of another's. */
void life_come_between(void *state, enum fake_kms_call call)
{
	struct life_world *w = state;
	struct act act = {.w = w, .zones = w->rival};
	struct life_step step;
	enum life_wish wish;
	enum zone_status status;

	(void)call;
	if (w->rival == NULL)
		return;
	w->rival = NULL;
	w->rival_came = true;
	w->rivals++;
	life_refresh(w, act.zones);
	step = draw_step(w, RIVAL);
	life_tell(w, "\n");
	tell_step(w, "    meanwhile", &step);
	act.step = &step;
	wish = life_expect(&w->life, w->answers, &step);
	status = rows[step.kind].run(&act);
	conclude(w, &step, wish, status, act.made);
}

/* How many calls a step takes that meets nobody; false: that depends. */
static bool price(struct life_world *w, const struct life_step *step, unsigned *ret_encrypts,
		  unsigned *ret_re_encrypts)
{
	const struct life_zone *zone = &w->life.zones[step->zone == LIFE_NONE ? 0 : step->zone];

	*ret_encrypts = *ret_re_encrypts = 0;
	if (step->kind == LIFE_ZONE_CREATE)
		*ret_encrypts = 1;
	else if (step->kind == LIFE_ROTATE)
		*ret_encrypts = (unsigned)life_live_wraps(life_version(zone, zone->primary));
	else if (rows[step->kind].flags & ASKS)
		return false;
	return true;
}

static void check_price(struct life_world *w, const struct life_step *step, const unsigned *before,
			unsigned encrypts, unsigned re_encrypts)
{
	unsigned spent[FAKE_CALL_COUNT];

	for (int i = 0; i < FAKE_CALL_COUNT; i++)
		spent[i] = life_calls(w, (enum fake_kms_call)i) - before[i];
	LIFE_HOLDS(w,
		   spent[FAKE_ENCRYPT] == encrypts && spent[FAKE_RE_ENCRYPT] == re_encrypts &&
			   spent[FAKE_DECRYPT] == 0 && spent[FAKE_DESCRIBE] == 0,
		   "%s took %u Encrypt, %u ReEncrypt, %u Decrypt and %u DescribeKey",
		   rows[step->kind].name, spent[FAKE_ENCRYPT], spent[FAKE_RE_ENCRYPT],
		   spent[FAKE_DECRYPT], spent[FAKE_DESCRIBE]);
}

/* What may go wrong beside the step. */
struct trouble {
	bool stale;    /* its process has not looked into the store */
	bool rival;    /* another comes between */
	bool fault;    /* a call of the KMS fails, once */
	bool no_store; /* it is out of reach from the step's begin on */
};

static struct trouble draw_trouble(struct life_world *w, const struct life_step *step)
{
	unsigned flags = rows[step->kind].flags;
	struct trouble trouble = {0};

	trouble.stale = !(flags & UNSTORED) && life_one_in(w, 8);
	trouble.rival = flags & ASKS && life_one_in(w, 3);
	trouble.fault = flags & ASKS && !trouble.rival && life_one_in(w, 8);
	trouble.no_store = w->f->engine == &memory_store && !(flags & UNSTORED) && !trouble.rival &&
			   life_one_in(w, 12);
	return trouble;
}

static void order_fault(struct life_world *w)
{
	static const enum fake_kms_call kinds[] = {FAKE_ENCRYPT, FAKE_DECRYPT, FAKE_RE_ENCRYPT};
	static const enum kms_status faults[] = {KMS_DENIED, KMS_UNAVAILABLE, KMS_THROTTLED};
	struct fake_kms *kms = life_one_in(w, 4) ? &w->f->local : &w->f->aws;

	fake_kms_fail(kms, kinds[life_below(w, COUNT_OF(kinds))],
		      faults[life_below(w, COUNT_OF(faults))], 1);
}

static void end_faults(struct life_world *w)
{
	for (int i = 0; i < FAKE_CALL_COUNT; i++) {
		fake_kms_fail(&w->f->aws, (enum fake_kms_call)i, KMS_OK, 0);
		fake_kms_fail(&w->f->local, (enum fake_kms_call)i, KMS_OK, 0);
	}
	memory_rows.fault = ZONE_OK;
	w->rival = NULL;
}

void life_take_step(struct life_world *w, int process)
{
	struct life_step step = draw_step(w, 0);
	const struct trouble trouble = draw_trouble(w, &step);
	struct act act = {.w = w, .zones = w->processes[process], .step = &step};
	enum life_wish wish;
	unsigned before[FAKE_CALL_COUNT], encrypts, re_encrypts;
	enum zone_status status;
	bool priced;

	wish = life_expect(&w->life, w->answers, &step);
	if (!trouble.stale)
		life_refresh(w, act.zones);
	tell_step(w, process == 0 ? "one" : "two", &step);
	life_tell(w, "%s%s%s", trouble.stale ? ", stale" : "", trouble.fault ? ", a fault" : "",
		  trouble.no_store ? ", no store" : "");
	priced = price(w, &step, &encrypts, &re_encrypts);
	for (int i = 0; i < FAKE_CALL_COUNT; i++)
		before[i] = life_calls(w, (enum fake_kms_call)i);
	w->rival_came = false;
	w->rival = trouble.rival ? w->processes[1 - process] : NULL;
	if (trouble.fault)
		order_fault(w);
	if (trouble.no_store)
		memory_rows.fault = ZONE_STORE_UNAVAILABLE;
	status = rows[step.kind].run(&act);
	end_faults(w);
	if (w->rival_came) {
		tell_step(w, "    then", &step);
		wish = life_expect(&w->life, w->answers, &step);
	}
	/* Whoever seals has looked into the store a moment ago. */
	if (w->rival_came && step.kind == LIFE_SEAL)
		wish = LIFE_MAY;
	if (wish == LIFE_MUST &&
	    (w->rival_came || trouble.stale || trouble.fault || trouble.no_store))
		wish = LIFE_MAY;
	conclude(w, &step, wish, status, act.made);
	if (priced && status == ZONE_OK && !w->rival_came && !trouble.stale)
		check_price(w, &step, before, encrypts, re_encrypts);
}

/* --- The first */

void life_settle_down(struct life_world *w)
{
	static const struct life_step firsts[] = {
		{.kind = LIFE_KEY_ADD, .key = 0},
		{.kind = LIFE_KEY_ADD, .key = 1},
		{.kind = LIFE_CLUSTER_CREATE, .key = 0, .cluster = 0, .label = "c0"},
		{.kind = LIFE_ZONE_CREATE, .cluster = 0, .zone = 0, .label = "c0/d0"},
		{.kind = LIFE_SEAL, .zone = 0},
		{.kind = LIFE_ZONE_CREATE, .cluster = 0, .zone = 1, .label = "c0/d1"},
		{.kind = LIFE_SEAL, .zone = 1},
		{.kind = LIFE_ROTATE, .zone = 0, .version = 2},
		{.kind = LIFE_SEAL, .zone = 0},
	};

	for (size_t i = 0; i < COUNT_OF(firsts); i++) {
		struct act act = {.w = w, .zones = w->processes[0], .step = &firsts[i]};
		enum life_wish wish = life_expect(&w->life, w->answers, &firsts[i]);
		enum zone_status status = rows[firsts[i].kind].run(&act);

		life_tell(w, "# first: %s", rows[firsts[i].kind].name);
		conclude(w, &firsts[i], wish, status, act.made);
	}
}
