/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key wrap. 0x2109 is RFC 3394; 0x210B is RFC 5649. 0x210A means two things: RFC 5649 to SoftHSM
 * and OpenSC, RFC 3394 after a padding by PKCS #5 to Java. We wrap as the first and tell, when
 * unwrapping, by the integrity check value that comes out: the two can't be taken for one another.
 * Who names the initial value of RFC 3394 means the second.
 */
#include "mechanisms/key_wrap.h"

#include "base/secret.h"
#include "mechanisms/cipher.h"

enum { HALF = 8 }; /* the unit of RFC 3394, in bytes */

static bool is_padded(const struct mechanism *mechanism)
{
	return mechanism->does == &kwp_behaviour;
}

size_t kw_wrapped_len(const struct mechanism *mechanism, size_t len)
{
	if (len < 1 || len > AES_WRAP_MAX)
		return 0;
	if (is_padded(mechanism))
		return (len + HALF - 1) / HALF * HALF + HALF;
	return len >= 2 * HALF && len % HALF == 0 ? len + HALF : 0;
}

size_t kw_unwrapped_max(const struct mechanism *mechanism, size_t wrapped_len)
{
	size_t least = is_padded(mechanism) ? 2 * HALF : 3 * HALF;

	if (wrapped_len < least || wrapped_len % HALF != 0 || wrapped_len > AES_WRAP_MAX + HALF)
		return 0;
	return wrapped_len - HALF;
}

bool kw_wrap(const struct mechanism *mechanism, struct aes *ecb, struct bytes in, uint8_t *ret,
	     size_t *ret_len)
{
	if (is_padded(mechanism))
		return aes_kwp_wrap(ecb, in, ret, ret_len);
	return aes_kw_wrap(ecb, bytes(NULL, 0), in, ret, ret_len);
}

/* RFC 8018 section 6.1.1, step 4, with blocks of 8. */
static bool unpad(const uint8_t *text, size_t len, size_t *ret_len)
{
	size_t pad = text[len - 1], i;

	if (pad < 1 || pad > HALF || pad > len)
		return false;
	for (i = 0; i < pad; i++) {
		if (text[len - 1 - i] != pad)
			return false;
	}
	*ret_len = len - pad;
	return true;
}

static bool unwrap_padded(struct aes *ecb, struct bytes in, uint8_t *ret, size_t *ret_len)
{
	size_t len;

	return in.len >= 3 * HALF && aes_kw_unwrap(ecb, bytes(NULL, 0), in, ret, &len) &&
	       unpad(ret, len, ret_len);
}

bool kw_unwrap(const struct mechanism *mechanism, struct aes *ecb, struct bytes in, uint8_t *ret,
	       size_t *ret_len)
{
	if (!is_padded(mechanism))
		return aes_kw_unwrap(ecb, bytes(NULL, 0), in, ret, ret_len);
	if (aes_kwp_unwrap(ecb, in, ret, ret_len))
		return true;
	return mechanism->type == CKM_AES_KEY_WRAP_PAD && unwrap_padded(ecb, in, ret, ret_len);
}

/* --- As Java means 0x210A */

static size_t pkcs5_len(size_t len)
{
	return len - len % HALF + HALF;
}

static size_t pkcs5_wrapped_len(size_t len)
{
	return len < HALF || len > AES_WRAP_MAX - HALF ? 0 : pkcs5_len(len) + HALF;
}

static bool pkcs5_wrap(struct aes *ecb, struct bytes in, uint8_t *ret, size_t *ret_len)
{
	uint8_t padded[AES_WRAP_MAX];
	size_t len = pkcs5_len(in.len);
	bool good;

	secret_copy(padded, in.data, in.len);
	memset(padded + in.len, (int)(len - in.len), len - in.len);
	good = aes_kw_wrap(ecb, bytes(NULL, 0), bytes(padded, len), ret, ret_len);
	wipe(padded, len);
	return good;
}

/* --- Parameters */

/* Java names the standard's own initial values: RFC 3394 section 2.2.3.1, RFC 5649 section 3. */
static CK_RV read_standard_iv(const CK_MECHANISM *given, struct bytes standard)
{
	if (given->ulParameterLen == 0)
		return CKR_OK;
	if (given->pParameter == NULL ||
	    !bytes_equal(bytes(given->pParameter, given->ulParameterLen), standard))
		return CKR_MECHANISM_PARAM_INVALID;
	return CKR_OK;
}

static const uint8_t kw_iv[8] = {0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6};

static CK_RV read_kw_iv(const CK_MECHANISM *given, struct parameter *parameter)
{
	(void)parameter;
	return read_standard_iv(given, bytes(kw_iv, sizeof(kw_iv)));
}

static CK_RV read_kwp_iv(const CK_MECHANISM *given, struct parameter *parameter)
{
	static const uint8_t standard[4] = {0xA6, 0x59, 0x59, 0xA6};

	if (given->mechanism == CKM_AES_KEY_WRAP_PAD && given->ulParameterLen == sizeof(kw_iv)) {
		parameter->iv = bytes(kw_iv, sizeof(kw_iv));
		return read_standard_iv(given, parameter->iv);
	}
	return read_standard_iv(given, bytes(standard, sizeof(standard)));
}

/* Does the parameter say that Java's padding is meant? */
static bool is_pkcs5(const struct parameter *parameter)
{
	return parameter->iv.len > 0;
}

/* --- As a cipher for data, which Java does. Under an EZK this runs by the key for data, so it
 * opens no wrapped key. */

static CK_RV start(struct operation *op, struct parameter *parameter)
{
	op->pkcs5 = is_pkcs5(parameter);
	op->collected_max = AES_WRAP_MAX + KW_OVERHEAD_MAX;
	return CKR_OK;
}

static CK_RV encrypt_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = op->pkcs5 ? pkcs5_wrapped_len(in_len) : kw_wrapped_len(op->mechanism, in_len);
	return *ret_bound > 0 ? CKR_OK : len_range(op);
}

static CK_RV encrypt(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	bool good = op->pkcs5 ? pkcs5_wrap(op->key->aes, in, out, ret_len)
			      : kw_wrap(op->mechanism, op->key->aes, in, out, ret_len);

	return good ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV decrypt_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = kw_unwrapped_max(op->mechanism, in_len);
	return *ret_bound > 0 ? CKR_OK : len_range(op);
}

static CK_RV decrypt(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	return kw_unwrap(op->mechanism, op->key->aes, in, out, ret_len)
		       ? CKR_OK
		       : CKR_ENCRYPTED_DATA_INVALID;
}

static const struct cipher_class encrypt_class = {
	.start = start,
	.bounds = {encrypt_bound, collected_part_bound, collected_last_bound},
	.runs = {encrypt, collected_part, collected_last},
};

static const struct cipher_class decrypt_class = {
	.start = start,
	.bounds = {decrypt_bound, collected_part_bound, collected_last_bound},
	.runs = {decrypt, collected_part, collected_last},
	.inexact = true,
};

/* --- As a way of wrapping */

static size_t wrapped_len(const struct mechanism *mechanism, const struct parameter *parameter,
			  size_t len)
{
	return is_pkcs5(parameter) ? pkcs5_wrapped_len(len) : kw_wrapped_len(mechanism, len);
}

static size_t value_max(const struct mechanism *mechanism, const struct parameter *parameter,
			size_t len)
{
	(void)parameter;
	return kw_unwrapped_max(mechanism, len);
}

static CK_RV wrap(struct ready_key *by, const struct parameter *parameter, struct bytes value,
		  uint8_t *ret_wrapped)
{
	size_t len;
	bool good = is_pkcs5(parameter) ? pkcs5_wrap(by->aes, value, ret_wrapped, &len)
					: kw_wrap(by->mechanism, by->aes, value, ret_wrapped, &len);

	return good ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV unwrap(struct ready_key *by, const struct parameter *parameter, struct bytes wrapped,
		    uint8_t *ret_secret, size_t *ret_len, struct ezk **ret_ezk)
{
	(void)parameter;
	(void)ret_ezk;
	return kw_unwrap(by->mechanism, by->aes, wrapped, ret_secret, ret_len)
		       ? CKR_OK
		       : CKR_WRAPPED_KEY_INVALID;
}

static const struct wrap_method kw_wrap_method = {
	.wrapped_len = wrapped_len,
	.value_max = value_max,
	.wrap = wrap,
	.unwrap = unwrap,
};

const struct behaviour kw_behaviour = {
	.read = read_kw_iv,
	.wanted = "empty or the standard's initial value",
	.operations = {[OPERATION_ENCRYPT] = &encrypt_class, [OPERATION_DECRYPT] = &decrypt_class},
	.wrap = &kw_wrap_method,
	.scheduled = true,
};

const struct behaviour kwp_behaviour = {
	.read = read_kwp_iv,
	.wanted = "empty or a standard's initial value",
	.operations = {[OPERATION_ENCRYPT] = &encrypt_class, [OPERATION_DECRYPT] = &decrypt_class},
	.wrap = &kw_wrap_method,
	.scheduled = true,
};
