/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapping mechanisms, one method each. */
#include "mechanisms/wrapping.h"

#include "base/macros.h"
#include "objects/error.h"
#include "mechanisms/kw.h"

/* --- AES key wrap, with and without padding */

static size_t kw_len(const struct mechanism *mechanism, const struct parameter *parameter,
		     size_t len)
{
	(void)parameter;
	return kw_wrapped_len(mechanism, len);
}

static size_t kw_max(const struct mechanism *mechanism, const struct parameter *parameter,
		     size_t len)
{
	(void)parameter;
	return kw_unwrapped_max(mechanism, len);
}

static CK_RV wrap_by_kw(struct ready_key *by, const struct parameter *parameter, struct bytes value,
			uint8_t *ret_wrapped)
{
	size_t len;

	(void)parameter;
	return kw_wrap(by->mechanism, by->aes, value, ret_wrapped, &len) ? CKR_OK
									 : CKR_FUNCTION_FAILED;
}

static CK_RV unwrap_by_kw(struct ready_key *by, const struct parameter *parameter,
			  struct bytes wrapped, uint8_t *ret_secret, size_t *ret_len,
			  struct ezk **ret_ezk)
{
	(void)parameter;
	(void)ret_ezk;
	return kw_unwrap(by->mechanism, by->aes, wrapped, ret_secret, ret_len)
		       ? CKR_OK
		       : CKR_WRAPPED_KEY_INVALID;
}

/* --- AES-CBC with padding */

static size_t pad_len(const struct mechanism *mechanism, const struct parameter *parameter,
		      size_t len)
{
	(void)mechanism;
	(void)parameter;
	return len == 0 || len > AES_WRAP_MAX ? 0 : len - len % AES_BLOCK + AES_BLOCK;
}

static size_t pad_max(const struct mechanism *mechanism, const struct parameter *parameter,
		      size_t len)
{
	(void)mechanism;
	(void)parameter;
	return len % AES_BLOCK != 0 || len > AES_WRAP_MAX ? 0 : len;
}

static bool cipher(struct ready_key *by, const struct parameter *parameter, struct bytes in,
		   uint8_t *out, size_t *ret_len)
{
	const struct aes_message message = {parameter->iv, parameter->aad, parameter->tag_len};
	size_t last_len;

	if (!aes_start(by->aes, &message) || !aes_update(by->aes, in, out, ret_len) ||
	    !aes_finish(by->aes, out + *ret_len, &last_len))
		return false;
	*ret_len += last_len;
	return true;
}

static CK_RV wrap_by_cipher(struct ready_key *by, const struct parameter *parameter,
			    struct bytes value, uint8_t *ret_wrapped)
{
	size_t len;

	return cipher(by, parameter, value, ret_wrapped, &len) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV unwrap_by_cbc(struct ready_key *by, const struct parameter *parameter,
			   struct bytes wrapped, uint8_t *ret_secret, size_t *ret_len,
			   struct ezk **ret_ezk)
{
	(void)ret_ezk;
	return cipher(by, parameter, wrapped, ret_secret, ret_len) ? CKR_OK
								   : CKR_WRAPPED_KEY_INVALID;
}

/* --- AES-GCM: the tag follows the key */

static size_t gcm_len(const struct mechanism *mechanism, const struct parameter *parameter,
		      size_t len)
{
	(void)mechanism;
	return len == 0 || len > AES_WRAP_MAX ? 0 : len + parameter->tag_len;
}

static size_t gcm_max(const struct mechanism *mechanism, const struct parameter *parameter,
		      size_t len)
{
	(void)mechanism;
	if (len <= parameter->tag_len || len > AES_WRAP_MAX)
		return 0;
	return len - parameter->tag_len;
}

static CK_RV unwrap_by_gcm(struct ready_key *by, const struct parameter *parameter,
			   struct bytes wrapped, uint8_t *ret_secret, size_t *ret_len,
			   struct ezk **ret_ezk)
{
	const struct aes_message message = {parameter->iv, parameter->aad, parameter->tag_len};
	size_t len = wrapped.len - parameter->tag_len, none;

	(void)ret_ezk;
	if (!aes_start(by->aes, &message) ||
	    !aes_set_tag(by->aes, bytes(wrapped.data + len, parameter->tag_len)) ||
	    !aes_update(by->aes, bytes(wrapped.data, len), ret_secret, ret_len) ||
	    !aes_finish(by->aes, NULL, &none))
		return CKR_WRAPPED_KEY_INVALID;
	return CKR_OK;
}

/* --- CKM_CMEK_DEK_WRAP: the zone's own format, which names zone and version */

static size_t dek_len(const struct mechanism *mechanism, const struct parameter *parameter,
		      size_t len)
{
	(void)mechanism;
	(void)parameter;
	return len == 0 || len > DEK_MAX ? 0 : len + DEK_WRAP_OVERHEAD;
}

static size_t dek_max(const struct mechanism *mechanism, const struct parameter *parameter,
		      size_t len)
{
	(void)mechanism;
	(void)parameter;
	if (len <= DEK_WRAP_OVERHEAD || len > DEK_MAX + DEK_WRAP_OVERHEAD)
		return 0;
	return len - DEK_WRAP_OVERHEAD;
}

static CK_RV wrap_by_zone(struct ready_key *by, const struct parameter *parameter,
			  struct bytes value, uint8_t *ret_wrapped)
{
	return error_of_zone(dek_wrap(by->ezk, value, parameter->aad, ret_wrapped), ERROR_WRAP);
}

static CK_RV unwrap_by_zone(struct ready_key *by, const struct parameter *parameter,
			    struct bytes wrapped, uint8_t *ret_secret, size_t *ret_len,
			    struct ezk **ret_ezk)
{
	TRY(error_of_zone(dek_unwrap(by->ezk, wrapped, parameter->aad, ret_secret, ret_ezk),
			  ERROR_UNWRAP));
	*ret_len = wrapped.len - DEK_WRAP_OVERHEAD;
	return CKR_OK;
}

/* clang-format off */
static const struct wrap_method methods[] = {
	[CIPHER_CBC_PAD]  = {pad_len, pad_max, wrap_by_cipher, unwrap_by_cbc},
	[CIPHER_GCM]      = {gcm_len, gcm_max, wrap_by_cipher, unwrap_by_gcm},
	[CIPHER_KW]       = {kw_len,  kw_max,  wrap_by_kw,     unwrap_by_kw},
	[CIPHER_KWP]      = {kw_len,  kw_max,  wrap_by_kw,     unwrap_by_kw},
	[CIPHER_DEK_WRAP] = {dek_len, dek_max, wrap_by_zone,   unwrap_by_zone},
};
/* clang-format on */

const struct wrap_method *wrap_method_find(const struct mechanism *mechanism)
{
	if (mechanism->cipher >= COUNT_OF(methods) || methods[mechanism->cipher].wrap == NULL)
		return NULL;
	return &methods[mechanism->cipher];
}
