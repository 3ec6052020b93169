/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/opener.h"

#include "base/macros.h"
#include "envelope/message_keys.h"

#include <stdio.h>

void message_opener_init(struct message_opener *opener, struct envelope_token *token, uint64_t zone)
{
	*opener = (struct message_opener){.token = token, .zone = zone};
}

static void forget(struct message_opener *opener, size_t place)
{
	if (opener->keys[place].dek != CK_INVALID_HANDLE)
		opener->token->functions->C_DestroyObject(opener->token->session,
							  opener->keys[place].dek);
	opener->keys[place].dek = CK_INVALID_HANDLE;
	opener->keys[place].used = 0;
}

void message_opener_clear(struct message_opener *opener)
{
	for (size_t i = 0; opener->token != NULL && i < MESSAGE_KEYS_MAX; i++)
		forget(opener, i);
	opener->token = NULL;
}

static enum envelope_status damaged(struct envelope_error *error, const char *what)
{
	snprintf(error->text, sizeof(error->text), "message: %s", what);
	return ENVELOPE_DAMAGED;
}

/* --- Data keys ------------------------------------------------------------------------------- */

/* The place of the message's key; if it is not there, the one to put it: an empty one, or the one
 * not used for longest. All its names have to be the same, so a changed one finds nothing. */
static size_t place_of(const struct message_opener *opener, const struct message *message,
		       bool *ret_there)
{
	size_t oldest = 0;

	for (size_t i = 0; i < MESSAGE_KEYS_MAX; i++) {
		*ret_there = opener->keys[i].dek != CK_INVALID_HANDLE &&
			     bytes_equal(bytes(opener->keys[i].names, MESSAGE_DEK), message->dek);
		if (*ret_there)
			return i;
		if (opener->keys[i].used < opener->keys[oldest].used)
			oldest = i;
	}
	return oldest;
}

/* The record names the key that the message names, and is one that may travel. */
static enum envelope_status check_record(struct envelope_token *token,
					 const struct message *message, CK_OBJECT_HANDLE zone,
					 struct envelope_error *error)
{
	struct envelope_record record;
	bool kept = false;

	if (message->record.len == 0)
		return ENVELOPE_OK;
	if (!envelope_record_decode(message->record, &record))
		return damaged(error, "the key record is malformed");
	if (record.zone != message->zone || record.version != message->version)
		return damaged(error, "the key record is another key's");
	if (zone != CK_INVALID_HANDLE)
		TRY(envelope_zone_is_kept(token, zone, &kept, error));
	if (record.kept || kept)
		return damaged(error, "the key record is one that must stay in its store");
	return ENVELOPE_OK;
}

static enum envelope_status find_ezk(struct envelope_token *token, const struct message *message,
				     CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error)
{
	TRY(envelope_opener_find(token, message->zone, ret_ezk, error));
	TRY(check_record(token, message, *ret_ezk, error));
	if (message->record.len > 0)
		TRY(envelope_zone_drop_older(token, message->zone, message->version, ret_ezk,
					     error));
	if (*ret_ezk != CK_INVALID_HANDLE)
		return ENVELOPE_OK;
	if (message->record.len > 0)
		return envelope_record_open(token, message->record, ret_ezk, error);
	snprintf(error->text, sizeof(error->text), "zone %llu, key version %lu",
		 (unsigned long long)message->zone, (unsigned long)message->version);
	return ENVELOPE_ZONE_UNKNOWN;
}

/* Its id is made of the key, so a key with another id is another key. */
static enum envelope_status check_id(struct envelope_token *token, CK_OBJECT_HANDLE dek,
				     const struct message *message, struct envelope_error *error)
{
	uint8_t id[32];

	TRY(envelope_derive_public(token, dek, "cmek/1/dek-id", bytes(NULL, 0), id, error));
	if (memcmp(id, message->dek_id, MESSAGE_DEK_ID) == 0)
		return ENVELOPE_OK;
	return damaged(error, "the data key is not the one it was sealed with");
}

static enum envelope_status unwrap(struct message_opener *opener, const struct message *message,
				   CK_OBJECT_HANDLE *ret_dek, struct envelope_error *error)
{
	uint8_t wrapped[ENVELOPE_WRAPPED], aad[MESSAGE_DEK_AAD];
	struct envelope_token *token = opener->token;
	CK_OBJECT_HANDLE ezk, dek;
	enum envelope_status status;

	TRY(find_ezk(token, message, &ezk, error));
	message_wrapped(message, wrapped);
	message_dek_aad(message->dek_id, aad);
	TRY(message_dek_unwrap(token, bytes(wrapped, sizeof(wrapped)), ezk, bytes(aad, sizeof(aad)),
			       &dek, error));
	status = check_id(token, dek, message, error);
	if (status != ENVELOPE_OK)
		token->functions->C_DestroyObject(token->session, dek);
	else
		*ret_dek = dek;
	opener->unwrapped += status == ENVELOPE_OK;
	return status;
}

static enum envelope_status have_key(struct message_opener *opener, const struct message *message,
				     size_t *ret_place, struct envelope_error *error)
{
	CK_OBJECT_HANDLE dek = CK_INVALID_HANDLE;
	bool there;
	size_t place = place_of(opener, message, &there);

	if (opener->zone != 0 && opener->zone != message->zone)
		return ENVELOPE_OTHER_ZONE;
	if (!there) {
		TRY(unwrap(opener, message, &dek, error));
		forget(opener, place);
		opener->keys[place].dek = dek;
		memcpy(opener->keys[place].names, message->dek.data, MESSAGE_DEK);
	}
	opener->keys[place].used = ++opener->turn;
	*ret_place = place;
	return ENVELOPE_OK;
}

enum envelope_status message_unlock(struct message_opener *opener, const struct message *message,
				    struct envelope_error *error)
{
	size_t place;

	return have_key(opener, message, &place, error);
}

/* --- A message ------------------------------------------------------------------------------- */

static enum envelope_status open_payload(struct message_opener *opener, CK_OBJECT_HANDLE dek,
					 const struct message *message, struct bytes bound_to,
					 uint8_t *out, struct envelope_error *error)
{
	const struct message_payload payload = {dek, message->number, message->header, bound_to};
	enum envelope_status status =
		message_payload_open(opener->token, &payload, message->sealed, out, error);

	if (status == ENVELOPE_DAMAGED)
		return damaged(
			error,
			message->bound
				? "changed, or bound to another name than given: look at the name"
				: "changed");
	return status;
}

static enum envelope_status check_bound(const struct message *message, struct bytes bound_to)
{
	if (message->bound == (bound_to.len > 0))
		return ENVELOPE_OK;
	return message->bound ? ENVELOPE_NAME_NEEDED : ENVELOPE_NOT_BOUND;
}

enum envelope_status message_open(struct message_opener *opener, const struct message *message,
				  struct bytes bound_to, struct buffer *out,
				  struct envelope_error *error)
{
	size_t before = out->len, place;
	enum envelope_status status;
	uint8_t *payload;

	TRY(check_bound(message, bound_to));
	TRY(have_key(opener, message, &place, error));
	/* The module may use the room of the tag, too. */
	payload = buffer_extend(out, message->sealed.len);
	if (payload == NULL)
		return ENVELOPE_NO_MEMORY;
	status = open_payload(opener, opener->keys[place].dek, message, bound_to, payload, error);
	buffer_truncate(out, status == ENVELOPE_OK ? before + message->payload_len : before);
	if (status == ENVELOPE_MODULE)
		forget(opener, place);
	return status;
}
