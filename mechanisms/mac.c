/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* MACs as operations: HMAC and AES-CMAC, each whole and cut to a length (the standard's "general"
 * mechanisms), and AES-GMAC, which is AES-GCM of associated data alone. C_Verify computes the MAC
 * as C_Sign does; session/run.c compares. */
#include "mechanisms/gcm.h"

#include "base/log.h"
#include "base/secret.h"

/* Whoever may call C_Verify can try out a shorter MAC (SP 800-107r1, section 5.3.3). */
enum { MAC_LEN_MIN = 4 };

/* --- Parameters */

static CK_RV read_len(const CK_MECHANISM *given, struct parameter *parameter)
{
	CK_MAC_GENERAL_PARAMS len;

	if (given->ulParameterLen != sizeof(len) || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&len, given->pParameter, sizeof(len));
	if (len < MAC_LEN_MIN || len > MAC_MAX_SIZE)
		return CKR_MECHANISM_PARAM_INVALID;
	parameter->tag_len = len;
	return CKR_OK;
}

/* --- Steps, whatever the MAC is made by */

static CK_RV whole_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)in_len;
	*ret_bound = op->tag_len;
	return CKR_OK;
}

static CK_RV part_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)op;
	(void)in_len;
	*ret_bound = 0;
	return CKR_OK;
}

/* --- HMAC and CMAC */

static CK_RV start(struct operation *op, struct parameter *parameter)
{
	size_t size = mac_size(op->key->mac);

	op->tag_len = parameter->tag_len == 0 ? size : parameter->tag_len;
	if (op->tag_len > size) {
		log_info("mechanism 0x%lx: a MAC has %zu bytes at most, not %zu",
			 op->mechanism->type, size, op->tag_len);
		return CKR_MECHANISM_PARAM_INVALID;
	}
	return mac_start(op->key->mac) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV part(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	(void)out;
	*ret_len = 0;
	return mac_update(op->key->mac, in) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV last(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	uint8_t mac[MAC_MAX_SIZE];
	bool good = mac_finish(op->key->mac, mac);

	(void)in;
	if (good)
		secret_copy(out, mac, op->tag_len);
	wipe(mac, sizeof(mac));
	*ret_len = op->tag_len;
	return good ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	TRY(part(op, in, NULL, ret_len));
	return last(op, bytes(NULL, 0), out, ret_len);
}

static const struct cipher_class mac_class = {
	.start = start,
	.bounds = {whole_bound, part_bound, whole_bound},
	.runs = {once, part, last},
};

static struct mac *keyed_hmac(const struct mechanism *mechanism, struct bytes key)
{
	return mac_new_hmac((enum digest_kind)mechanism->detail, key);
}

static struct mac *keyed_cmac(const struct mechanism *mechanism, struct bytes key)
{
	(void)mechanism;
	return mac_new_cmac(key);
}

#define MAC_OPERATIONS                                                                             \
	{                                                                                          \
		[OPERATION_SIGN] = &mac_class, [OPERATION_VERIFY] = &mac_class                     \
	}
#define LEN_WANTED "CK_MAC_GENERAL_PARAMS: 4 bytes, or more, up to the whole MAC"

const struct behaviour hmac_behaviour = {
	.read = parameter_read_none,
	.wanted = "empty",
	.operations = MAC_OPERATIONS,
	.keyed = keyed_hmac,
	.scheduled = true,
	.takes_generic = true,
};

const struct behaviour hmac_general_behaviour = {
	.read = read_len,
	.wanted = LEN_WANTED,
	.operations = MAC_OPERATIONS,
	.keyed = keyed_hmac,
	.scheduled = true,
	.takes_generic = true,
};

const struct behaviour cmac_behaviour = {
	.read = parameter_read_none,
	.wanted = "empty",
	.operations = MAC_OPERATIONS,
	.keyed = keyed_cmac,
	.scheduled = true,
};

const struct behaviour cmac_general_behaviour = {
	.read = read_len,
	.wanted = LEN_WANTED,
	.operations = MAC_OPERATIONS,
	.keyed = keyed_cmac,
	.scheduled = true,
};

/* --- GMAC */

/* An IV of 12 bytes as it is (2.40), or CK_GCM_PARAMS without associated data, which is what is
 * signed (3.2). */
static CK_RV read_gmac(const CK_MECHANISM *given, struct parameter *parameter)
{
	if (given->ulParameterLen != AES_GCM_IV) {
		TRY(gcm_read(given, parameter));
		return parameter->aad.len == 0 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
	}
	if (given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	parameter->iv = bytes(given->pParameter, AES_GCM_IV);
	parameter->tag_len = AES_GCM_TAG;
	return CKR_OK;
}

static CK_RV gmac_start(struct operation *op, struct parameter *parameter)
{
	const struct aes_message message = {.iv = parameter->iv, .tag_len = parameter->tag_len};

	op->tag_len = parameter->tag_len;
	return aes_start(op->key->aes, &message) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV gmac_part(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	(void)out;
	*ret_len = 0;
	return aes_authenticate(op->key->aes, in) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV gmac_once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	TRY(gmac_part(op, in, NULL, ret_len));
	return aes_last(op, in, out, ret_len);
}

static const struct cipher_class gmac_class = {
	.start = gmac_start,
	.bounds = {whole_bound, part_bound, whole_bound},
	.runs = {gmac_once, gmac_part, aes_last},
};

const struct behaviour gmac_behaviour = {
	.read = read_gmac,
	.wanted = "an IV of 12 bytes, or CK_GCM_PARAMS without associated data",
	.operations = {[OPERATION_SIGN] = &gmac_class, [OPERATION_VERIFY] = &gmac_class},
	.scheduled = true,
};
