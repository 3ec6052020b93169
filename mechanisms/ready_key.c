/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Keys made ready; see the header. The checks of what a key may be used for are here and nowhere
 * else. */
#include "mechanisms/ready_key.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "mechanisms/wrapping.h"
#include "objects/key_dates.h"
#include "zones/domain/schedule.h"
#include "zones/domain/zones.h"

const struct key_use_facts key_uses[KEY_USE_COUNT] = {
	/* clang-format off */
	[KEY_ENCRYPT] = {CKF_ENCRYPT, USAGE_ENCRYPT, "CKA_ENCRYPT", true,
		CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_SIZE_RANGE, ERROR_INIT},
	[KEY_DECRYPT] = {CKF_DECRYPT, USAGE_DECRYPT, "CKA_DECRYPT", false,
		CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_SIZE_RANGE, ERROR_INIT},
	[KEY_WRAP] = {CKF_WRAP, USAGE_WRAP, "CKA_WRAP", true, CKR_WRAPPING_KEY_HANDLE_INVALID,
		CKR_WRAPPING_KEY_TYPE_INCONSISTENT, CKR_WRAPPING_KEY_SIZE_RANGE, ERROR_WRAP},
	[KEY_UNWRAP] = {CKF_UNWRAP, USAGE_UNWRAP, "CKA_UNWRAP", false, CKR_UNWRAPPING_KEY_HANDLE_INVALID,
		CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, CKR_UNWRAPPING_KEY_SIZE_RANGE,
		ERROR_UNWRAP},
	[KEY_DERIVE] = {CKF_DERIVE, USAGE_DERIVE, "CKA_DERIVE", true,
		CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_SIZE_RANGE, ERROR_WRAP},
	[KEY_MESSAGE_ENCRYPT] = {CKF_MESSAGE_ENCRYPT, USAGE_ENCRYPT, "CKA_ENCRYPT", true,
		CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_SIZE_RANGE, ERROR_INIT},
	[KEY_MESSAGE_DECRYPT] = {CKF_MESSAGE_DECRYPT, USAGE_DECRYPT, "CKA_DECRYPT", false,
		CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_SIZE_RANGE, ERROR_INIT},
	[KEY_SIGN] = {CKF_SIGN, USAGE_SIGN, "CKA_SIGN", true,
		CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_SIZE_RANGE, ERROR_INIT},
	[KEY_VERIFY] = {CKF_VERIFY, USAGE_VERIFY, "CKA_VERIFY", true, /* GMAC makes the tag again */
		CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_SIZE_RANGE, ERROR_INIT},
	/* clang-format on */
};

/* --- What a key may be used for */

CK_RV key_allows(const struct mechanism *mechanism, enum key_use use, const struct object *object)
{
	if (!mechanism_is_allowed(mechanism, object))
		return CKR_MECHANISM_INVALID;
	if ((object->usages & key_uses[use].usage) != 0)
		return CKR_OK;
	log_warning("the key '%.*s' may not be used so: its %s is FALSE", (int)object->label.len,
		    (const char *)object->label.data, key_uses[use].attribute);
	return CKR_KEY_FUNCTION_NOT_PERMITTED;
}

static CK_RV check_dates(const struct object *object)
{
	return key_dates_has(object) ? key_dates_allow(object, clock_now(&clock_system).realtime_ms)
				     : CKR_OK;
}

static CK_RV check_unchecked(const struct mechanism *mechanism, enum key_use use,
			     const struct object *object)
{
	if (mechanism_key_kind(object) == KEY_KIND_ZONE) {
		log_warning("a zone neither wraps nor unwraps keys by mechanism 0x%lx, which "
			    "authenticates nothing: use CKM_CMEK_DEK_WRAP",
			    mechanism->type);
		return key_uses[use].bad_type;
	}
	return use == KEY_UNWRAP ? key_allows(mechanism, KEY_DECRYPT, object) : CKR_OK;
}

/* Of a way of wrapping what holds beside. */
static CK_RV check_wrapping(const struct mechanism *mechanism, enum key_use use,
			    const struct object *object)
{
	const struct wrap_method *method = mechanism->does->wrap;

	if (method == NULL || !method->checks_nothing || (use != KEY_WRAP && use != KEY_UNWRAP))
		return CKR_OK;
	return check_unchecked(mechanism, use, object);
}

/* What C_DeriveKey would ask. A key that says what those derived of it are like gives none that
 * nobody sees. */
static CK_RV check_deriving(const struct mechanism *mechanism, const struct object *object)
{
	if (!mechanism->does->derives)
		return CKR_OK;
	TRY(key_allows(mechanism, KEY_DERIVE, object));
	if (object->derive_template.len == 0)
		return CKR_OK;
	log_warning("mechanism 0x%lx is not for a key with a CKA_DERIVE_TEMPLATE: derive one by "
		    "C_DeriveKey",
		    mechanism->type);
	return CKR_KEY_FUNCTION_NOT_PERMITTED;
}

CK_RV key_check(const struct mechanism *mechanism, enum key_use use, const struct object *object)
{
	if (mechanism_key_kind(object) == KEY_KIND_NONE)
		return key_uses[use].bad_handle;
	if (!mechanism_fits_type(mechanism, object))
		return key_uses[use].bad_type;
	if (!mechanism_fits_size(mechanism, object))
		return key_uses[use].bad_size;
	TRY(key_allows(mechanism, use, object));
	TRY(check_wrapping(mechanism, use, object));
	TRY(check_deriving(mechanism, object));
	return check_dates(object);
}

/* --- A key as what it is */

CK_RV key_begin(struct object *key, enum error_place place)
{
	struct ezk *lease = object_ezk(key);

	return lease == NULL ? CKR_OK : error_of_zone(ezk_begin(lease), place);
}

CK_RV key_value(struct objects *objects, struct object *key, enum error_place place,
		uint8_t **ret_secret)
{
	return error_of_zone(object_read(objects, key, ret_secret), place);
}

/* --- Made ready, and let go */

/* Is it the zone's own format? */
static bool is_of_zone(const struct mechanism *mechanism)
{
	return mechanism->does->wrap != NULL && mechanism->does->wrap->names != NULL;
}

/* Raw mechanisms have no field for a version, so a zone uses the one that rotation leaves alone. */
static CK_RV find_version(struct objects *objects, const struct mechanism *mechanism,
			  enum key_use use, const struct object *object, struct ezk **ret_ezk)
{
	uint32_t version = is_of_zone(mechanism) ? EZK_PRIMARY : EZK_RAW;

	if (object->kind != OBJECT_ZONE)
		return CKR_OK;
	if (object->ezk != NULL) {
		*ret_ezk = ezk_hold(object->ezk);
		return CKR_OK;
	}
	return error_of_zone(
		ezk_find(zones_registry(objects_zones(objects)), object->entry, version, ret_ezk),
		key_uses[use].place);
}

/* Only what wraps in the zone's own format follows the primary, and a session's zone has no store.
 */
static int64_t rotation_due(struct objects *objects, const struct mechanism *mechanism,
			    enum key_use use, const struct object *object)
{
	if (use != KEY_WRAP || object->kind != OBJECT_ZONE || object->entry == NULL ||
	    !is_of_zone(mechanism))
		return INT64_MAX;
	return zones_rotation_due(objects_zones(objects), object->entry);
}

CK_RV ready_key_fill(struct ready_key *place, struct objects *objects,
		     const struct mechanism *mechanism, enum key_use use, struct object **object)
{
	int64_t rotate_at = rotation_due(objects, mechanism, use, *object);
	struct ezk *ezk = NULL;

	TRY(find_version(objects, mechanism, use, *object, &ezk));
	*place = (struct ready_key){.type = mechanism->type,
				    .use = use,
				    .mechanism = mechanism,
				    .begins_itself = is_of_zone(mechanism),
				    .scheduled = mechanism->does->scheduled,
				    .rotate_at_ms = rotate_at,
				    .object = TAKE(*object),
				    .ezk = ezk};
	return CKR_OK;
}

void ready_key_drop_schedule(struct ready_key *key)
{
	aes_free(key->aes);
	mac_free(key->mac);
	key->aes = NULL;
	key->mac = NULL;
}

void ready_key_clear(struct ready_key *key)
{
	if (key->handle == 0)
		return;
	ready_key_drop_schedule(key);
	ezk_release(key->ezk);
	object_release(key->object);
	*key = (struct ready_key){0};
}

void ready_key_done(struct ready_key *key)
{
	if (key->over)
		ready_key_clear(key);
}

/* --- Used */

struct ezk *ready_key_lease(const struct ready_key *key)
{
	if (key->ezk != NULL)
		return key->ezk;
	return object_ezk(key->object);
}

static CK_RV make_schedule(struct ready_key *key, struct bytes value)
{
	const struct mechanism *mechanism = key->mechanism;

	if (mechanism->does->keyed != NULL)
		key->mac = mechanism->does->keyed(mechanism, value);
	else
		key->aes = aes_new((enum aes_mode)mechanism->detail, key_uses[key->use].encrypts,
				   value);
	return ready_key_has_schedule(key) ? CKR_OK : CKR_HOST_MEMORY;
}

static bool is_wrapping(const struct ready_key *key)
{
	return key->use == KEY_WRAP || key->use == KEY_UNWRAP;
}

/* The EZK itself encrypts nothing: each use has a key derived from it. */
static CK_RV schedule_of_zone(struct ready_key *key)
{
	AUTO(secret_freep) uint8_t *value = secret_new(32);
	enum ezk_purpose purpose =
		is_wrapping(key) ? key->mechanism->wrap_purpose : key->mechanism->encrypt_purpose;

	if (value == NULL)
		return CKR_HOST_MEMORY;
	TRY(error_of_zone(ezk_key(key->ezk, purpose, value), key_uses[key->use].place));
	return make_schedule(key, bytes(value, 32));
}

static CK_RV schedule_of_key(struct objects *objects, struct ready_key *key)
{
	AUTO(secret_freep) uint8_t *value = NULL;

	TRY(key_value(objects, key->object, key_uses[key->use].place, &value));
	return make_schedule(key, bytes(value, key->object->value_len));
}

/* A lease that was good when the session was borrowed is good for the call. */
static CK_RV check_lease(struct ready_key *key, int64_t now_ms,
			 enum zone_status (*ask)(struct ezk *), enum error_place where)
{
	struct ezk *lease = ready_key_lease(key);
	enum zone_status status;

	if (lease == NULL || ezk_is_fresh(lease, now_ms))
		return CKR_OK;
	status = ask(lease);
	if (status == ZONE_OK)
		return CKR_OK;
	ready_key_drop_schedule(key);
	return error_of_zone(status, where);
}

CK_RV ready_key_verified(const struct ready_key *key, struct ezk *used)
{
	struct ezk *ezk = used != NULL ? used : key->ezk;

	/* A session's record set never changes, and was verified before it was looked at. */
	if (ezk == NULL || key->object->entry == NULL)
		return CKR_OK;
	return error_of_zone(ezk_verified(ezk, key->object->entry), key_uses[key->use].place);
}

void ready_key_wrapped(struct ready_key *key, struct objects *objects)
{
	if (key->rotate_at_ms != INT64_MAX)
		zones_rotate_when_due(objects_zones(objects), key->object->entry,
				      &key->rotate_at_ms);
}

/* The lease comes first, so that a key that may not be used is not brought into memory. A token
 * key gets its stamp, and with it its lease, when its value comes. */
CK_RV ready_key_begin(struct ready_key *key, struct objects *objects, int64_t now_ms)
{
	TRY(check_dates(key->object));
	if (key->begins_itself)
		return CKR_OK;
	TRY(check_lease(key, now_ms, ezk_begin, key_uses[key->use].place));
	TRY(ready_key_verified(key, NULL));
	if (ready_key_has_schedule(key) || !key->scheduled)
		return CKR_OK;
	return key->ezk != NULL ? schedule_of_zone(key) : schedule_of_key(objects, key);
}

CK_RV ready_key_continue(struct ready_key *key, int64_t now_ms)
{
	return check_lease(key, now_ms, ezk_continue, ERROR_USE);
}
