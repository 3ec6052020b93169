/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Token keys: data keys, and data, that the store keeps, wrapped by the EZK of their zone. */
#include "zones/domain/token_key.h"

#include "base/macros.h"
#include "base/secret.h"
#include "zones/domain/key_place.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/index/rules.h"
#include "zones/model/entry_make.h"
#include "zones/model/names.h"
#include "zones/model/refuse.h"

#include <inttypes.h>

/* Id 0: its maker names none. */
static enum zone_status find_zone(struct zones *zones, struct uid project, uint64_t id,
				  struct bytes label, struct entry **ret_zone)
{
	AUTO(entry_releasep) struct entry *zone = NULL;

	if (id == 0)
		return zones_key_place(zones, project, label, ret_zone);
	TRY(zones_meet_zone(zones, id, &zone));
	if (zone == NULL)
		return zones_zone_missing(zones, id);
	if (!uid_equal(zone->project, project))
		return refuse(ZONE_OTHER_ZONE, "%s is not a zone of this project",
			      zone_title(zones, id).text);
	*ret_zone = TAKE(zone);
	return ZONE_OK;
}

/* --- Wrapping */

/* What a key's wrapped form is bound to: all that limits it. docs/format.md, 4.1. */
static bool write_aad(const struct entry *key, struct buffer *out)
{
	buffer_append(out, bytes(key->uid.bytes, UID_SIZE));
	buffer_append(out, bytes(key->project.bytes, UID_SIZE));
	buffer_put_u32(out, key->of_key.key_type);
	buffer_put_u32(out, key->of_key.value_len);
	buffer_put_u32(out, key->usages);
	buffer_put_u32(out, (uint32_t)key->extra.len);
	buffer_append(out, key->extra);
	return !out->failed;
}

static enum zone_status check_len(enum stored_form form, size_t len)
{
	if (form == STORED_DATA)
		return len <= DATA_MAX ? ZONE_OK
				       : refuse(ZONE_INVALID,
						"data that is kept has at most %d bytes", DATA_MAX);
	return len > 0 && len <= DEK_MAX
		       ? ZONE_OK
		       : refuse(ZONE_INVALID, "a key that is kept has 1 to %d bytes", DEK_MAX);
}

/* The value's length is the entry's from here on. */
static enum zone_status wrap(struct zones *zones, const struct entry *zone, enum stored_form form,
			     struct bytes value, struct entry *key)
{
	AUTO(buffer_clear) struct buffer wrapped = {0}, aad = {0};
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	uint8_t *at;

	TRY(check_len(form, value.len));
	at = buffer_extend(&wrapped, value.len + DEK_WRAP_OVERHEAD);
	key->of_key.value_len = (uint32_t)value.len;
	if (at == NULL || !write_aad(key, &aad))
		return ZONE_NO_MEMORY;
	TRY(ezk_find(zones->registry, zone, EZK_PRIMARY, &ezk));
	TRY(token_key_wrap(ezk, form, value, buffer_bytes(&aad), at));
	return entry_set_bytes(&key->of_key.wrapped, buffer_bytes(&wrapped)) ? ZONE_OK
									     : ZONE_NO_MEMORY;
}

/* --- Opening */

static enum zone_status refuse_changed(struct zones *zones, const struct entry *key)
{
	AUTO(entry_releasep) struct entry *project = zones_find_uid(zones, key->project);

	return refuse(ZONE_RECORD_CORRUPT,
		      "the stored key '%s' of project '%s' does not match its attributes: the "
		      "store was changed by other hands; restore it from a backup",
		      key->label, project == NULL ? "" : project->label);
}

/* Do the row and what it holds say the same, as far as that can be seen from outside? */
static bool is_consistent(const struct entry *key)
{
	uint32_t version;
	uint64_t zone;

	return key->of_key.value_len <= DATA_MAX &&
	       key->of_key.wrapped.len == key->of_key.value_len + DEK_WRAP_OVERHEAD &&
	       token_key_place(key->of_key.wrapped, &zone, &version) && zone == key->of_key.zone;
}

static enum zone_status zone_of(struct zones *zones, const struct entry *key,
				struct entry **ret_zone)
{
	TRY(zones_meet_zone(zones, key->of_key.zone, ret_zone));
	return *ret_zone != NULL ? ZONE_OK : zones_zone_missing(zones, key->of_key.zone);
}

/* Its zone may have been rotated since it was last looked at. */
static enum zone_status zone_with_version(struct zones *zones, const struct entry *key,
					  struct entry **ret_zone)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	uint32_t version;
	uint64_t id;

	TRY(zone_of(zones, key, &zone));
	if (token_key_place(key->of_key.wrapped, &id, &version) &&
	    entry_version(zone, version) == NULL) {
		TRY(zones_look_for_version(zones, key->of_key.zone, version));
		return zone_of(zones, key, ret_zone);
	}
	*ret_zone = TAKE(zone);
	return ZONE_OK;
}

static enum zone_status unwrap(struct zones *zones, const struct entry *key, uint8_t *secret,
			       struct ezk **ret_ezk)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(buffer_clear) struct buffer aad = {0};
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(zone_with_version(zones, key, &zone));
	if (!write_aad(key, &aad))
		return ZONE_NO_MEMORY;
	TRY(ezk_find(zones->registry, zone, EZK_PRIMARY, &ezk));
	return token_key_unwrap(ezk, key->of_key.wrapped, buffer_bytes(&aad), secret, ret_ezk);
}

enum zone_status zones_key_open(struct zones *zones, const struct entry *key, uint8_t **ret_secret,
				struct ezk **ret_ezk)
{
	AUTO(secret_freep) uint8_t *secret = NULL;
	enum zone_status status;

	if (!is_consistent(key))
		return refuse_changed(zones, key);
	secret = secret_new(key->of_key.value_len);
	if (secret == NULL)
		return ZONE_NO_MEMORY;
	status = unwrap(zones, key, secret, ret_ezk);
	if (status == ZONE_WRAPPED_KEY_INVALID)
		return refuse_changed(zones, key);
	if (status == ZONE_OK)
		*ret_secret = TAKE(secret);
	return status;
}

/* --- Making and changing */

bool token_key_has_version(const struct entry *zone, const struct entry *key)
{
	const struct ezk_version *found = NULL;
	uint32_t version;
	uint64_t id;

	if (token_key_place(key->of_key.wrapped, &id, &version))
		found = entry_version(zone, version);
	return found != NULL && !found->retired;
}

/* Nor may its version have been retired since it was used to wrap. */
enum zone_status token_key_check_version(const struct index *index, const struct entry *key)
{
	const struct entry *zone = index_zone(index, key->of_key.zone);

	if (zone == NULL || token_key_has_version(zone, key))
		return ZONE_OK;
	return refuse(ZONE_CONFLICT,
		      "the version of zone '%s' that wrapped key '%s' was retired meanwhile; try "
		      "again",
		      zone->label, key->label);
}

/* The rules look at the key, if it is there already, and at its zone. */
static enum zone_status change_key(struct zones *zones, const struct uid *uid, uint64_t zone,
				   changes_decide *decide_it, void *state)
{
	struct store_key keys[2] = {{.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = zone},
				    {.by = STORE_BY_UID}};

	if (uid != NULL)
		keys[1].uid = *uid;
	return zones_change_known(zones, keys, uid == NULL ? 1 : 2, decide_it, state);
}

/* The zone may have gone while the KMS was asked. */
static enum zone_status decide(struct changes *changes, void *state)
{
	const struct index *index = &changes->zones->index;
	struct entry *key = state;
	const struct entry *zone = index_zone(index, key->of_key.zone);

	TRY(project_check(index, key->project));
	if (zone == NULL)
		return refuse(ZONE_NOT_FOUND, "%s is not there any more",
			      zone_title_in(index, key->of_key.zone).text);
	if (zone->state != ENTRY_ACTIVE)
		return refuse(ZONE_PENDING_DELETION, "zone '%s' awaits deletion", zone->label);
	TRY(token_key_check_version(index, key));
	return changes_put(changes, key);
}

enum zone_status zones_key_create(struct zones *zones, struct uid project, uint64_t zone_id,
				  uint32_t key_type, struct bytes value,
				  const struct entry_names *names, struct entry **ret_key)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *key = NULL;
	int64_t due;

	TRY(find_zone(zones, project, zone_id, names->label, &zone));
	TRY(entry_make(ENTRY_KEY, project, zones_now_ms(zones), &key));
	TRY(entry_take_names(key, names));
	key->of_key.zone = zone->of_zone.zone;
	key->of_key.key_type = key_type;
	TRY(wrap(zones, zone, names->data ? STORED_DATA : STORED_KEY, value, key));
	TRY(change_key(zones, NULL, key->of_key.zone, decide, key));
	*ret_key = TAKE(key);
	due = zones_rotation_due(zones, zone);
	zones_rotate_when_due(zones, zone, &due);
	return ZONE_OK;
}

bool token_key_limits_change(const struct entry *key, const struct entry_names *names)
{
	return key->usages != names->usages || !bytes_equal(key->extra, names->extra);
}

enum zone_status token_key_wrap_value(struct zones *zones, const struct entry *key,
				      const struct entry_names *names, struct bytes value,
				      struct entry **ret_changed)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *changed = entry_copy(key);

	if (changed == NULL)
		return ZONE_NO_MEMORY;
	if (names != NULL)
		TRY(entry_take_names(changed, names));
	TRY(zone_of(zones, key, &zone));
	TRY(wrap(zones, zone, token_key_form(key->of_key.wrapped), value, changed));
	*ret_changed = TAKE(changed);
	return ZONE_OK;
}

enum zone_status token_key_wrap_anew(struct zones *zones, const struct entry *key,
				     const struct entry_names *names, struct entry **ret_changed)
{
	AUTO(secret_freep) uint8_t *value = NULL;

	TRY(zones_key_open(zones, key, &value, NULL));
	return token_key_wrap_value(zones, key, names, bytes(value, key->of_key.value_len),
				    ret_changed);
}

/* --- By the zone's primary version */

uint32_t zones_key_version(const struct entry *key)
{
	uint32_t version;
	uint64_t zone;

	return token_key_place(key->of_key.wrapped, &zone, &version) ? version : 0;
}

bool zones_key_is_data(const struct entry *key)
{
	return token_key_form(key->of_key.wrapped) == STORED_DATA;
}

static enum zone_status check_primary(const struct entry *zone, const struct entry *key,
				      uint32_t version)
{
	if (version == zone->of_zone.primary)
		return ZONE_OK;
	return refuse(ZONE_INVALID,
		      "token key '%s' of zone '%s' is wrapped by its primary version, %" PRIu32
		      ", and not by %" PRIu32,
		      key->label, zone->label, zone->of_zone.primary, version);
}

/* What two owners had to open does not go to where one can. */
static enum zone_status check_owners(const struct entry *zone, const struct entry *key,
				     uint32_t version)
{
	const struct ezk_version *from = entry_version(zone, zones_key_version(key));
	const struct ezk_version *to = entry_version(zone, version);

	if (from == NULL || !from->all_wraps || to == NULL || to->all_wraps)
		return ZONE_OK;
	return refuse(ZONE_INVALID,
		      "token key '%s' of zone '%s' is kept by the root keys of two owners, and the "
		      "newest version needs one; set the zone's root keys first",
		      key->label, zone->label);
}

struct rewrapping {
	const struct entry *key; /* as the caller knows it */
	struct entry *made;
};

/* The key may have been changed or destroyed, and its zone gone, while the value was opened. */
static enum zone_status decide_rewrap(struct changes *changes, void *state)
{
	const struct rewrapping *rewrapping = state;
	struct entry *current;

	TRY(entry_check_current(&changes->zones->index, rewrapping->key, &current));
	changes->action = "rewrapped";
	return decide(changes, rewrapping->made);
}

enum zone_status zones_key_rewrap(struct zones *zones, const struct entry *key, uint32_t version)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *made = NULL;
	struct rewrapping rewrapping = {.key = key};

	TRY(zones_refresh(zones, true));
	TRY(zone_of(zones, key, &zone));
	TRY(check_primary(zone, key, version));
	if (zones_key_version(key) == version)
		return ZONE_OK;
	TRY(check_owners(zone, key, version));
	TRY(token_key_wrap_anew(zones, key, NULL, &made));
	rewrapping.made = made;
	return change_key(zones, &key->uid, key->of_key.zone, decide_rewrap, &rewrapping);
}

/* --- To another zone, in a restore under another name */

static enum zone_status refuse_foreign(const struct entry *key)
{
	return refuse(ZONE_RECORD_CORRUPT,
		      "the stored key '%s' of the backup does not match its attributes: whoever "
		      "made the backup, or its store, changed them; use another backup",
		      key->label);
}

static enum zone_status open_bare(const struct entry *key, const uint8_t *ezk, uint8_t *ret_secret)
{
	AUTO(buffer_clear) struct buffer aad = {0};
	enum zone_status status;

	if (!write_aad(key, &aad))
		return ZONE_NO_MEMORY;
	status = token_key_unwrap_bare(ezk, key->of_key.wrapped, buffer_bytes(&aad), ret_secret);
	return status == ZONE_WRAPPED_KEY_INVALID ? refuse_foreign(key) : status;
}

enum zone_status token_key_take_along(const struct entry *from, const uint8_t *ezk_from,
				      struct entry *to, const uint8_t *ezk_to, uint32_t version)
{
	const enum stored_form form = token_key_form(from->of_key.wrapped);
	AUTO(buffer_clear) struct buffer wrapped = {0}, aad = {0};
	AUTO(secret_freep) uint8_t *secret = NULL;
	uint8_t *at;

	if (!is_consistent(from))
		return refuse_foreign(from);
	secret = secret_new(from->of_key.value_len);
	at = buffer_extend(&wrapped, from->of_key.wrapped.len);
	if (secret == NULL || at == NULL || !write_aad(to, &aad))
		return ZONE_NO_MEMORY;
	TRY(open_bare(from, ezk_from, secret));
	TRY(token_key_wrap_bare(ezk_to, to->of_key.zone, version, form,
				bytes(secret, from->of_key.value_len), buffer_bytes(&aad), at));
	return entry_set_bytes(&to->of_key.wrapped, buffer_bytes(&wrapped)) ? ZONE_OK
									    : ZONE_NO_MEMORY;
}
