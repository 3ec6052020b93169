/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* CKM_CMEK_DEK_WRAP: the zone's own format, which names zone and version. */
#include "base/macros.h"
#include "mechanisms/wrapping.h"
#include "objects/error.h"

static CK_RV read_aad(const CK_MECHANISM *given, struct parameter *parameter)
{
	parameter->aad = bytes(given->pParameter, given->ulParameterLen);
	return bytes_valid(parameter->aad) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

static size_t wrapped_len(const struct mechanism *mechanism, const struct parameter *parameter,
			  size_t len)
{
	(void)mechanism;
	(void)parameter;
	return len == 0 || len > DEK_MAX ? 0 : len + DEK_WRAP_OVERHEAD;
}

static size_t value_max(const struct mechanism *mechanism, const struct parameter *parameter,
			size_t len)
{
	(void)mechanism;
	(void)parameter;
	if (len <= DEK_WRAP_OVERHEAD || len > DEK_MAX + DEK_WRAP_OVERHEAD)
		return 0;
	return len - DEK_WRAP_OVERHEAD;
}

static CK_RV wrap(struct ready_key *by, const struct parameter *parameter, struct bytes value,
		  uint8_t *ret_wrapped)
{
	return error_of_zone(dek_wrap(by->ezk, value, parameter->aad, ret_wrapped), ERROR_WRAP);
}

static CK_RV unwrap(struct ready_key *by, const struct parameter *parameter, struct bytes wrapped,
		    uint8_t *ret_secret, size_t *ret_len, struct ezk **ret_ezk)
{
	TRY(error_of_zone(dek_unwrap(by->ezk, wrapped, parameter->aad, ret_secret, ret_ezk),
			  ERROR_UNWRAP));
	*ret_len = wrapped.len - DEK_WRAP_OVERHEAD;
	return CKR_OK;
}

static const struct wrap_method dek_wrap_method = {
	.wrapped_len = wrapped_len,
	.value_max = value_max,
	.wrap = wrap,
	.unwrap = unwrap,
	.names = dek_wrap_names,
};

const struct behaviour dek_wrap_behaviour = {
	.read = read_aad,
	.wanted = "empty or bytes",
	.wrap = &dek_wrap_method,
};
