/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Keys made ready; see the header. The checks of what a key may be used for are here and nowhere
 * else. How they are let go: keyed_end.c. */
#include "session/keyed.h"

#include "base/log.h"
#include "base/secret.h"
#include "session/keyed_private.h"
#include "session/state.h"

/* What the standard says about each use: "C_EncryptInit" … "C_DeriveKey", return values. */
static const struct use_facts {
	CK_FLAGS flag;
	uint32_t usage;
	const char *attribute; /* that allows it */
	bool encrypts;
	CK_RV bad_handle, bad_type, bad_size;
	enum error_place place;
} uses[KEY_USE_COUNT] = {
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
	/* clang-format on */
};

/* The key schedule a cipher works with. */
static const struct schedule {
	bool needed;
	enum aes_mode mode;
} schedules[] = {
	[CIPHER_ECB] = {true, AES_ECB}, [CIPHER_CBC] = {true, AES_CBC},
	[CIPHER_CTR] = {true, AES_CTR}, [CIPHER_CBC_PAD] = {true, AES_CBC_PAD},
	[CIPHER_GCM] = {true, AES_GCM}, [CIPHER_CHUNK] = {true, AES_GCM},
	[CIPHER_KW] = {true, AES_ECB},	[CIPHER_KWP] = {true, AES_ECB},
	[CIPHER_KMS] = {false, 0},	[CIPHER_DEK_WRAP] = {false, 0},
	[CIPHER_DIGEST] = {false, 0},	[CIPHER_HKDF] = {false, 0},
	[CIPHER_GENERATE] = {false, 0},
};

void keyed_drop_schedule(struct keyed *keyed)
{
	aes_free(keyed->aes);
	keyed->aes = NULL;
}

void keyed_clear(struct keyed *keyed)
{
	if (keyed->handle == 0)
		return;
	keyed_drop_schedule(keyed);
	ezk_release(keyed->ezk);
	object_release(keyed->object);
	*keyed = (struct keyed){0};
}

CK_RV key_allows(const struct mechanism *mechanism, enum key_use use, const struct object *object)
{
	if (!mechanism_is_allowed(mechanism, object))
		return CKR_MECHANISM_INVALID;
	if ((object->usages & uses[use].usage) != 0)
		return CKR_OK;
	log_warning("the key '%.*s' may not be used so: its %s is FALSE", (int)object->label.len,
		    (const char *)object->label.data, uses[use].attribute);
	return CKR_KEY_FUNCTION_NOT_PERMITTED;
}

static CK_RV check(const struct mechanism *mechanism, const struct use_facts *use,
		   const struct object *object)
{
	if (mechanism_key_kind(object) == KEY_KIND_NONE)
		return use->bad_handle;
	if (!mechanism_fits_type(mechanism, object))
		return use->bad_type;
	if (!mechanism_fits_size(mechanism, object))
		return use->bad_size;
	return key_allows(mechanism, (enum key_use)(use - uses), object);
}

/* Raw mechanisms have no field for a version, so a zone uses the one that rotation leaves alone. */
static CK_RV find_version(struct objects *objects, const struct mechanism *mechanism,
			  enum key_use use, const struct object *object, struct ezk **ret_ezk)
{
	uint32_t version = mechanism->cipher == CIPHER_DEK_WRAP ? EZK_PRIMARY : EZK_RAW;

	if (object->kind != OBJECT_ZONE)
		return CKR_OK;
	if (object->ezk != NULL) {
		*ret_ezk = ezk_hold(object->ezk);
		return CKR_OK;
	}
	return error_of_zone(ezk_find(objects_zones(objects), object->entry, version, ret_ezk),
			     uses[use].place);
}

static CK_RV fill(struct session *session, struct keyed *place, const struct mechanism *mechanism,
		  enum key_use use, CK_OBJECT_HANDLE handle)
{
	AUTO(object_releasep) struct object *object = NULL;
	struct ezk *ezk = NULL;
	uint64_t generation = objects_generation(session->objects);

	TRY(session_object(session, handle, uses[use].bad_handle, &object));
	TRY(check(mechanism, &uses[use], object));
	TRY(find_version(session->objects, mechanism, use, object, &ezk));
	keyed_clear(place);
	*place = (struct keyed){.handle = handle,
				.type = mechanism->type,
				.use = use,
				.generation = generation,
				.mechanism = mechanism,
				.object = TAKE(object),
				.ezk = ezk};
	return CKR_OK;
}

/* Something has changed since, perhaps not this. */
static bool is_same(struct session *session, struct keyed *place, uint64_t generation)
{
	if (!objects_has(session->objects, place->object))
		return false;
	place->generation = generation;
	return true;
}

/* Still what the handle stands for? */
static bool is_fresh(struct session *session, struct keyed *place)
{
	uint64_t generation = objects_generation(session->objects);

	return place->generation == generation || is_same(session, place, generation);
}

bool keyed_is_busy(const struct session *session, const struct keyed *place)
{
	size_t i;

	for (i = 0; i < OPERATION_KIND_COUNT; i++) {
		if (session->operations[i].keyed == place)
			return true;
	}
	return false;
}

/* The place that was not used for the longest time; there are more places than operations. */
static struct keyed *oldest_place(struct session *session)
{
	struct keyed *oldest = NULL, *place;
	size_t i;

	for (i = 0; i < KEYED_COUNT; i++) {
		place = &session->keyed.places[i];
		if (!keyed_is_busy(session, place) &&
		    (oldest == NULL || place->turn < oldest->turn))
			oldest = place;
	}
	return oldest;
}

static struct keyed *find_place(struct session *session, enum key_use use, CK_MECHANISM_TYPE type,
				CK_OBJECT_HANDLE handle)
{
	struct keyed *place;
	size_t i;

	for (i = 0; i < KEYED_COUNT; i++) {
		place = &session->keyed.places[i];
		if (place->handle == handle && place->type == type && place->use == use &&
		    handle != 0)
			return place;
	}
	return NULL;
}

bool keyed_may_use(struct session *session, const struct object *object)
{
	return (object->flags & OBJECT_PRIVATE) == 0 ||
	       tokens_private_allowed(session->tokens, session->slot);
}

/* --- Keys for a use */

CK_RV session_key(struct session *session, enum key_use use, CK_MECHANISM_TYPE type,
		  CK_OBJECT_HANDLE handle, struct keyed **ret_keyed)
{
	struct keyed *place = find_place(session, use, type, handle);
	const struct mechanism *mechanism;

	if (place == NULL || !is_fresh(session, place)) {
		mechanism = mechanism_find_for(type, uses[use].flag);
		if (mechanism == NULL)
			return CKR_MECHANISM_INVALID;
		if (place == NULL)
			place = oldest_place(session);
		keyed_clear(place);
		TRY(fill(session, place, mechanism, use, handle));
	} else if (!keyed_may_use(session, place->object)) {
		return uses[use].bad_handle;
	}
	place->turn = ++session->keyed.turn;
	*ret_keyed = place;
	return CKR_OK;
}

CK_RV session_second_key(struct session *session, enum key_use use,
			 const struct mechanism *mechanism, CK_OBJECT_HANDLE handle,
			 struct object **ret_object)
{
	AUTO(object_releasep) struct object *object = NULL;

	TRY(session_object(session, handle, uses[use].bad_handle, &object));
	TRY(check(mechanism, &uses[use], object));
	*ret_object = TAKE(object);
	return CKR_OK;
}

struct ezk *keyed_lease(const struct keyed *keyed)
{
	if (keyed->ezk != NULL)
		return keyed->ezk;
	return object_ezk(keyed->object);
}

static CK_RV make_schedule(struct keyed *keyed, struct bytes key)
{
	enum aes_mode mode = schedules[keyed->mechanism->cipher].mode;

	keyed->aes = aes_new(mode, uses[keyed->use].encrypts, key);
	return keyed->aes == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

static bool is_wrapping(const struct keyed *keyed)
{
	return keyed->use == KEY_WRAP || keyed->use == KEY_UNWRAP;
}

/* The EZK itself encrypts nothing: each use has a key derived from it. */
static CK_RV schedule_of_zone(struct keyed *keyed)
{
	AUTO(secret_freep) uint8_t *key = secret_new(32);
	enum ezk_purpose purpose = is_wrapping(keyed) ? keyed->mechanism->wrap_purpose
						      : keyed->mechanism->encrypt_purpose;

	if (key == NULL)
		return CKR_HOST_MEMORY;
	TRY(error_of_zone(ezk_key(keyed->ezk, purpose, key), uses[keyed->use].place));
	return make_schedule(keyed, bytes(key, 32));
}

CK_RV key_begin(struct object *key, enum error_place place)
{
	struct ezk *lease = object_ezk(key);

	return lease == NULL ? CKR_OK : error_of_zone(ezk_begin(lease), place);
}

CK_RV key_value(struct session *session, struct object *key, enum error_place place,
		uint8_t **ret_secret)
{
	return error_of_zone(object_read(session->objects, key, ret_secret), place);
}

static CK_RV schedule_of_key(struct session *session, struct keyed *keyed)
{
	AUTO(secret_freep) uint8_t *value = NULL;

	TRY(key_value(session, keyed->object, uses[keyed->use].place, &value));
	return make_schedule(keyed, bytes(value, keyed->object->value_len));
}

/* A lease that was good when the session was borrowed is good for the call. */
static CK_RV check_lease(const struct session *session, struct keyed *keyed,
			 enum zone_status (*ask)(struct ezk *), enum error_place where)
{
	struct ezk *lease = keyed_lease(keyed);
	enum zone_status status;

	if (lease == NULL || ezk_is_fresh(lease, session->realtime_ms))
		return CKR_OK;
	status = ask(lease);
	if (status == ZONE_OK)
		return CKR_OK;
	keyed_drop_schedule(keyed);
	return error_of_zone(status, where);
}

CK_RV keyed_verified(const struct keyed *keyed, struct ezk *used)
{
	struct ezk *ezk = used != NULL ? used : keyed->ezk;

	/* A session's record set never changes, and was verified before it was looked at. */
	if (ezk == NULL || keyed->object->entry == NULL)
		return CKR_OK;
	return error_of_zone(ezk_verified(ezk, keyed->object->entry), uses[keyed->use].place);
}

/* A lease first, so that a key that may not be used is not brought into memory; and a token key
 * gets its stamp, and thereby its lease, when its value comes. */
CK_RV keyed_begin(struct session *session, struct keyed *keyed)
{
	if (keyed->mechanism->cipher == CIPHER_DEK_WRAP)
		return CKR_OK; /* dek_wrap and dek_unwrap begin by themselves */
	TRY(check_lease(session, keyed, ezk_begin, uses[keyed->use].place));
	TRY(keyed_verified(keyed, NULL));
	if (keyed->aes != NULL || !schedules[keyed->mechanism->cipher].needed)
		return CKR_OK;
	return keyed->ezk != NULL ? schedule_of_zone(keyed) : schedule_of_key(session, keyed);
}

CK_RV keyed_continue(const struct session *session, struct keyed *keyed)
{
	return check_lease(session, keyed, ezk_continue, ERROR_USE);
}
