/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CKM_CMEK_MESSAGE: the payload of a message's envelope (docs/format.md, 5.5). What C_DeriveKey by
 * CKM_HKDF_DERIVE and C_Encrypt by CKM_CMEK_CHUNK would give, without an object of the derived key:
 * the ready key has HMAC keyed by the DEK, and one key schedule that is each message's in turn.
 */
#include "base/log.h"
#include "base/secret.h"
#include "mechanisms/gcm.h"
#include "objects/chunk.h"

enum { KEY = 32 };

/* The IV is that of an only chunk (5.3): each key seals one message. */
static CK_RV read(const CK_MECHANISM *given, struct parameter *parameter)
{
	CK_CMEK_MESSAGE_PARAMS message;

	if (given->ulParameterLen != sizeof(message) || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&message, given->pParameter, sizeof(message));
	if (message.ulNumber > UINT32_MAX)
		return CKR_MECHANISM_PARAM_INVALID;
	parameter->number = (uint32_t)message.ulNumber;
	parameter->counter[AES_GCM_IV - 1] = 1;
	parameter->iv = bytes(parameter->counter, AES_GCM_IV);
	parameter->aad = bytes(message.pAAD, message.ulAADLen);
	parameter->tag_len = AES_GCM_TAG;
	return bytes_valid(parameter->aad) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

/* --- The message's key */

/* Begun, so that the next derivation is an update and an end: see derive(). */
static struct mac *keyed(const struct mechanism *mechanism, struct bytes key)
{
	struct mac *mac = mac_new_hmac(DIGEST_SHA256, key);

	(void)mechanism;
	if (mac == NULL || mac_start(mac))
		return mac;
	mac_free(mac);
	return NULL;
}

/* RFC 5869, section 2.3, of one block. HMAC begins anew at once, since the state in which it ended
 * is the key. */
static bool derive(struct mac *mac, uint32_t number, uint8_t ret_key[static KEY])
{
	uint8_t info[] = "cmek/1/message....\1";
	const size_t len = sizeof(info) - 1;
	bool good;

	for (size_t i = 0; i < 4; i++)
		info[len - 2 - i] = (uint8_t)(number >> 8 * i);
	good = mac_update(mac, bytes(info, len)) && mac_finish(mac, ret_key);
	return mac_start(mac) && good;
}

static bool set_key(struct ready_key *ready, struct bytes key)
{
	if (ready->aes != NULL)
		return aes_rekey(ready->aes, key);
	ready->aes = aes_new(AES_GCM, key_uses[ready->use].encrypts, key);
	return ready->aes != NULL;
}

static void forget_key(void *own)
{
	static const uint8_t zeros[KEY];
	struct ready_key *ready = own;

	if (ready->aes != NULL && !aes_rekey(ready->aes, bytes(zeros, sizeof(zeros))))
		ready_key_drop_schedule(ready);
}

static CK_RV start(struct operation *op, struct parameter *parameter)
{
	uint8_t key[KEY];
	bool good;

	op->own = op->key;
	good = derive(op->key->mac, parameter->number, key) &&
	       set_key(op->key, bytes(key, sizeof(key)));
	wipe(key, sizeof(key));
	if (good)
		return gcm_start(op, parameter);
	ready_key_drop_schedule(op->key);
	return CKR_HOST_MEMORY;
}

/* --- Operations */

/* The number is taken whatever comes of it. */
static CK_RV seal_start(struct operation *op, struct parameter *parameter)
{
	struct object *key = op->key->object;

	if (!object_has_messages(key)) {
		log_warning(
			"CKM_CMEK_MESSAGE encrypts by a session's key that C_GenerateKey made, so "
			"that no message was sealed elsewhere");
		return CKR_KEY_FUNCTION_NOT_PERMITTED;
	}
	if (!object_take_message(key, parameter->number)) {
		log_warning("CKM_CMEK_MESSAGE: message %lu, or one after it, was sealed under this "
			    "key",
			    (unsigned long)parameter->number);
		return CKR_MECHANISM_PARAM_INVALID;
	}
	return start(op, parameter);
}

static const struct cipher_class seal_class = {
	.start = seal_start,
	.bounds = {gcm_seal_bound, gcm_text_bound, gcm_tag_bound},
	.runs = {gcm_seal_once, aes_part, aes_last},
	.let_go = forget_key,
};

static const struct cipher_class open_class = {
	.start = start,
	.bounds = {gcm_open_bound, collected_part_bound, collected_last_bound},
	.runs = {gcm_open_once, collected_part, collected_last},
	.let_go = forget_key,
	.authenticates = true,
};

const struct behaviour envelope_message_behaviour = {
	.read = read,
	.wanted = "CK_CMEK_MESSAGE_PARAMS with a number below 2^32",
	.operations = {[OPERATION_ENCRYPT] = &seal_class, [OPERATION_DECRYPT] = &open_class},
	.scheduled = true,
	.keyed = keyed,
	.derives = true,
};
