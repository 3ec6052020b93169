/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_WrapKey: a data key by an EZK or by another data key, and a zone by its root key. */
#include "base/log.h"
#include "base/secret.h"
#include "mechanisms/message.h"
#include "mechanisms/wrapping.h"
#include "objects/error.h"
#include "session/keys.h"
#include "session/output.h"
#include "session/state.h"
#include "zones/domain/zone.h"

#include <assert.h>

/* The two-call rule, for something that is no operation. True: answered. */
static bool answer_len(CK_BYTE *out, CK_ULONG *out_len, size_t needed, CK_RV *ret_rv)
{
	if (out != NULL && get_ulong(out_len) >= needed)
		return false;
	put_ulong(out_len, needed);
	*ret_rv = out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	return true;
}

static CK_RV may_leave(const struct object *key)
{
	switch (key->kind) {
	case OBJECT_KEY:
		return (key->flags & OBJECT_EXTRACTABLE) != 0 ? CKR_OK : CKR_KEY_UNEXTRACTABLE;
	case OBJECT_ZONE:
	case OBJECT_ROOT_KEY:
		return CKR_KEY_UNEXTRACTABLE;
	default:
		return CKR_KEY_HANDLE_INVALID;
	}
}

/* A data key stays in its zone. */
static CK_RV same_zone(const struct session *session, const struct object *by,
		       const struct object *key)
{
	uint64_t ours = object_zone(by), its = object_zone(key);

	struct zones *zones = objects_zones(session->objects);

	if (ours == 0 || its == 0 || ours == its)
		return CKR_OK;
	log_warning("a key of %s can't be wrapped by %s: it stays in its own",
		    zone_title(zones, its).text, zone_title(zones, ours).text);
	error_note(CMEK_ERROR_OTHER_ZONE);
	return CKR_KEY_NOT_WRAPPABLE;
}

/* PKCS #11, "C_WrapKey" and the attributes it names. */
static CK_RV may_wrap(const struct session *session, const struct object *by,
		      const struct object *key)
{
	bool no_memory;

	TRY(may_leave(key));
	/* Of keys, only zones are made trusted (objects/change.c). */
	if ((key->flags & OBJECT_WRAP_WITH_TRUSTED) != 0 &&
	    ((by->flags & OBJECT_TRUSTED) == 0 || by->kind != OBJECT_ZONE))
		return CKR_KEY_NOT_WRAPPABLE;
	if (!template_matches(by->wrap_template, key, &no_memory))
		return no_memory ? CKR_HOST_MEMORY : CKR_KEY_HANDLE_INVALID;
	return same_zone(session, by, key);
}

/* From here on both keys belong to one zone, even if it is not known yet which: whoever has the
 * wrapping key can unwrap the other, wherever the two are taken. */
static CK_RV share_zone(struct ready_key *by, struct object *key)
{
	if (by->ezk != NULL)
		return error_of_zone(object_stamp(key, by->ezk), ERROR_WRAP);
	return error_of_zone(object_unite(by->object, key), ERROR_WRAP);
}

enum { WRAPPED_MAX = DEK_MAX + WRAP_OVERHEAD_MAX };

static CK_RV wrap_key(struct session *session, struct ready_key *by,
		      const struct parameter *parameter, struct object *key,
		      uint8_t ret_wrapped[static WRAPPED_MAX])
{
	const struct wrap_method *method = by->mechanism->does->wrap;
	AUTO(secret_freep) uint8_t *value = NULL;

	TRY(ready_key_begin(by, session->objects, session->realtime_ms));
	if (object_ezk(key) != ready_key_lease(by))
		TRY(key_begin(key, ERROR_WRAP));
	TRY(key_value(session->objects, key, ERROR_WRAP, &value));
	TRY(method->wrap(by, parameter, bytes(value, key->value_len), ret_wrapped));
	TRY(ready_key_verified(by, NULL));
	/* This comes only now, so that the key is not bound to a zone that refuses it; and it
	 * comes before a byte is in the application's memory, so that no two zones have the
	 * key, whatever other threads do. */
	return share_zone(by, key);
}

/* May it be wrapped so, and how long is it then? */
static CK_RV find_len(const struct session *session, const struct ready_key *by,
		      const struct parameter *parameter, const struct object *key, size_t *ret_len)
{
	const struct wrap_method *method = by->mechanism->does->wrap;

	TRY(may_wrap(session, by->object, key));
	*ret_len =
		method == NULL ? 0 : method->wrapped_len(by->mechanism, parameter, key->value_len);
	assert(*ret_len <= WRAPPED_MAX);
	return *ret_len == 0 ? CKR_KEY_SIZE_RANGE : CKR_OK;
}

/* `message`: all zero where the parameter names no maker of the IV. A tag that is apart goes to its
 * place, others follow the key. */
static CK_RV wrap_by(struct session *session, struct ready_key *by, const struct message *message,
		     const struct parameter *parameter, struct object *key, CK_BYTE *out,
		     CK_ULONG *out_len)
{
	uint8_t wrapped[WRAPPED_MAX], iv[MESSAGE_IV_MAX];
	size_t len, apart = message->tag == NULL ? 0 : message->tag_len;
	struct parameter with_iv = *parameter;
	CK_RV rv;

	if (message->iv == NULL)
		TRY(message_iv_may_be_given(by->mechanism));
	TRY(find_len(session, by, parameter, key, &len));
	len -= apart;
	if (answer_len(out, out_len, len, &rv))
		return rv;
	if (message->iv != NULL) {
		TRY(message_iv(session->objects, by, message, iv));
		with_iv.iv.data = iv;
	}
	TRY(wrap_key(session, by, &with_iv, key, wrapped));
	memcpy(out, wrapped, len);
	if (apart > 0)
		memcpy(message->tag, wrapped + len, apart);
	message_give_iv(message, iv);
	put_ulong(out_len, len);
	ready_key_wrapped(by, session->objects);
	return CKR_OK;
}

CK_RV session_wrap(struct session *session, const CK_MECHANISM *mechanism,
		   CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key_handle, CK_BYTE *out,
		   CK_ULONG *out_len)
{
	AUTO(parameter_clear) struct parameter parameter = {0};
	AUTO(object_releasep) struct object *key = NULL;
	struct message message = {0};
	CK_MECHANISM given;
	struct ready_key *by;

	if (mechanism == NULL || out_len == NULL)
		return CKR_ARGUMENTS_BAD;
	memcpy(&given, (const void *)mechanism, sizeof(given));
	TRY(session_key(session, KEY_WRAP, given.mechanism, wrapping_key, &by));
	TRY(message_wrap_read(by->mechanism, &given, &message, &parameter));
	TRY(session_object(session, key_handle, CKR_KEY_HANDLE_INVALID, &key));
	if (by->mechanism->does->moves_zones)
		return session_export_zone(session, by, key, out, out_len);
	return wrap_by(session, by, &message, &parameter, key, out, out_len);
}

CK_RV session_wrap_apart(struct session *session, const CK_MECHANISM *mechanism,
			 CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key_handle,
			 struct bytes aad, CK_BYTE *out, CK_ULONG *out_len)
{
	AUTO(object_releasep) struct object *key = NULL;
	struct parameter parameter;
	struct message message;
	CK_MECHANISM given;
	struct ready_key *by;

	if (mechanism == NULL || out_len == NULL || !bytes_valid(aad))
		return CKR_ARGUMENTS_BAD;
	memcpy(&given, (const void *)mechanism, sizeof(given));
	TRY(session_key(session, KEY_WRAP, given.mechanism, wrapping_key, &by));
	TRY(message_wrap_read_apart(by->mechanism, &given, aad, &message, &parameter));
	TRY(session_object(session, key_handle, CKR_KEY_HANDLE_INVALID, &key));
	return wrap_by(session, by, &message, &parameter, key, out, out_len);
}

/* --- A zone, by its root key: its records, as they are stored. Asks no KMS. */

CK_RV session_export_zone(struct session *session, struct ready_key *root, struct object *zone,
			  CK_BYTE *out, CK_ULONG *out_len)
{
	AUTO(buffer_clear) struct buffer records = {0};
	AUTO(entry_releasep) struct entry *entry = NULL;
	struct zones *zones = objects_zones(session->objects);
	CK_RV rv;

	if (zone->kind != OBJECT_ZONE)
		return CKR_KEY_NOT_WRAPPABLE;
	entry = zone->entry != NULL ? entry_hold(zone->entry) : ezk_entry(zone->ezk);
	if (entry == NULL || !zones_zone_is_wrapped_by(zones, entry, root->object->entry))
		return CKR_KEY_NOT_WRAPPABLE;
	TRY(error_of_zone(zones_zone_export(zones, entry, &records), ERROR_WRAP));
	if (answer_len(out, out_len, records.len, &rv))
		return rv;
	memcpy(out, records.data, records.len);
	put_ulong(out_len, records.len);
	return CKR_OK;
}
