/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How each wrapping mechanism turns the bytes of a key into a wrapped key and back, under a key
 * that was made ready; its parameter is read by message_wrap_read() (message.h). Rules about who
 * may wrap what are in wrap.c and unwrap.c. */
#pragma once

#include "base/macros.h"
#include "mechanisms/parameters.h"
#include "mechanisms/ready_key.h"

/* What wrapping adds at most: CKM_CMEK_DEK_WRAP. */
enum { WRAP_OVERHEAD_MAX = DEK_WRAP_OVERHEAD };

struct wrap_method {
	/* NULL, or whether it wraps and unwraps by this parameter: CKR_MECHANISM_PARAM_INVALID. */
	CK_RV (*accepts)(const struct parameter *parameter);
	/* The length of `len` bytes wrapped; 0: can't be wrapped. */
	size_t (*wrapped_len)(const struct mechanism *mechanism, const struct parameter *parameter,
			      size_t len);
	/* The most that can come out of `len` wrapped bytes; 0: nothing. */
	size_t (*value_max)(const struct mechanism *mechanism, const struct parameter *parameter,
			    size_t len);
	CK_RV(*wrap)
	(struct ready_key *by, const struct parameter *parameter, struct bytes value,
	 uint8_t *ret_wrapped);
	/* CKR_WRAPPED_KEY_INVALID. *ret_ezk: the EZK version that was used, held, where it was
	 * named by what was wrapped. */
	CK_RV(*unwrap)
	(struct ready_key *by, const struct parameter *parameter, struct bytes wrapped,
	 uint8_t *ret_secret, size_t *ret_len, struct ezk **ret_ezk);
	/* NULL, or it is the zone's own format: which zone, and which version of its EZK, what was
	 * wrapped names (false: none). Its wrap and unwrap look at the lease by themselves. */
	bool (*names)(struct bytes wrapped, uint64_t *ret_zone, uint32_t *ret_version);
	/* Any bytes unwrap to some key. So unwrapping is a decryption, which the key must allow
	 * too, and no zone wraps so. */
	bool checks_nothing;
};
