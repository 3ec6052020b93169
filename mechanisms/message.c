/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: what their structures have in common, and who makes their IVs. */
#include "mechanisms/message.h"

#include "base/log.h"
#include "crypto/crypto.h"
#include "mechanisms/wrapping.h"
#include "objects/ivs.h"

enum { COUNTER_BITS_ENOUGH = 32 }; /* IG C.H for FIPS 140-3 */

CK_RV message_parameter_read(const struct mechanism *mechanism, const void *given,
			     CK_ULONG given_len, struct message *ret_message)
{
	const struct message_class *class = mechanism->does->messages;

	if (given != NULL && given_len == class->size && class->read(given, ret_message) &&
	    ret_message->iv != NULL)
		return CKR_OK;
	log_info("mechanism 0x%lx: the parameter of the message is not %s", mechanism->type,
		 class->wanted);
	return CKR_MECHANISM_PARAM_INVALID;
}

CK_RV message_parameter_with_tag(const struct mechanism *mechanism, const void *given,
				 CK_ULONG given_len, struct message *ret_message)
{
	TRY(message_parameter_read(mechanism, given, given_len, ret_message));
	if (ret_message->tag != NULL)
		return CKR_OK;
	log_info("mechanism 0x%lx: the parameter of the message has no room for a tag (NULL)",
		 mechanism->type);
	return CKR_MECHANISM_PARAM_INVALID;
}

CK_RV message_parameter_first(const struct mechanism *mechanism, const CK_MECHANISM *given)
{
	size_t size = mechanism->does->messages->size;

	if (given->ulParameterLen == 0 ||
	    (given->pParameter != NULL && given->ulParameterLen == size))
		return CKR_OK;
	return CKR_MECHANISM_PARAM_INVALID;
}

/* --- By which a key is wrapped */

static struct parameter as_parameter(const struct message *message, struct bytes aad)
{
	return (struct parameter){
		.iv = bytes(message->iv, message->iv_len),
		.aad = aad,
		.tag_len = message->tag_len,
		.data_len = message->data_len,
	};
}

static CK_RV check_accepted(const struct mechanism *mechanism, const struct parameter *parameter)
{
	const struct wrap_method *method = mechanism->does->wrap;

	return method == NULL || method->accepts == NULL ? CKR_OK : method->accepts(parameter);
}

/* The structures of C_Encrypt and of C_WrapKey differ in their size. */
static bool is_for_keys(const struct message_class *class, const CK_MECHANISM *given)
{
	return class != NULL && given->pParameter != NULL &&
	       given->ulParameterLen == class->wrap_size;
}

static CK_RV read_for_keys(const struct mechanism *mechanism, const void *given,
			   struct message *ret_message, struct parameter *ret_parameter)
{
	const struct message_class *class = mechanism->does->messages;
	struct bytes aad;

	if (!class->read_wrap(given, ret_message, &aad) || ret_message->iv == NULL ||
	    !bytes_valid(aad)) {
		log_info("mechanism 0x%lx: the parameter to wrap a key is not %s, with "
			 "associated data in place of the tag",
			 mechanism->type, class->wanted);
		return CKR_MECHANISM_PARAM_INVALID;
	}
	*ret_parameter = as_parameter(ret_message, aad);
	return CKR_OK;
}

CK_RV message_wrap_read(const struct mechanism *mechanism, const CK_MECHANISM *given,
			struct message *ret_message, struct parameter *ret_parameter)
{
	if (is_for_keys(mechanism->does->messages, given))
		TRY(read_for_keys(mechanism, given->pParameter, ret_message, ret_parameter));
	else
		TRY(parameter_read(mechanism, given, ret_parameter));
	return check_accepted(mechanism, ret_parameter);
}

CK_RV message_wrap_read_apart(const struct mechanism *mechanism, const CK_MECHANISM *given,
			      struct bytes aad, struct message *ret_message,
			      struct parameter *ret_parameter)
{
	if (mechanism->does->messages == NULL || mechanism->does->wrap == NULL)
		return CKR_MECHANISM_INVALID;
	TRY(message_parameter_with_tag(mechanism, given->pParameter, given->ulParameterLen,
				       ret_message));
	*ret_parameter = as_parameter(ret_message, aad);
	return check_accepted(mechanism, ret_parameter);
}

/* --- Who makes the IV */

/* CKG_GENERATE leaves it to us: random bits where there is room for enough of them, else a counter
 * if the key may have one. */
static bool find_maker(const struct message *message, const struct made_ivs *ivs,
		       enum iv_maker *ret_maker)
{
	size_t free_bits = 8 * message->iv_len - message->fixed_bits;

	switch (message->generator) {
	case CKG_GENERATE:
		*ret_maker = free_bits < MADE_RANDOM_BITS_ENOUGH && made_ivs_may_count(ivs)
				     ? IV_COUNTER
				     : IV_RANDOM;
		return true;
	case CKG_GENERATE_COUNTER:
		*ret_maker = IV_COUNTER;
		return true;
	case CKG_GENERATE_COUNTER_XOR:
		*ret_maker = IV_COUNTER_XOR;
		return true;
	case CKG_GENERATE_RANDOM:
		*ret_maker = IV_RANDOM;
		return true;
	default:
		return false;
	}
}

static bool is_left_out(const struct message_class *class)
{
	return class != NULL && class->made_with_fips && crypto_is_fips();
}

/* docs/fips.md */
static bool fips_allows(const struct iv_wish *wish)
{
	size_t free_bits = 8 * wish->len - wish->fixed_bits;

	return (wish->maker == IV_RANDOM && free_bits >= MADE_RANDOM_BITS_ENOUGH) ||
	       (wish->maker == IV_COUNTER && free_bits >= COUNTER_BITS_ENOUGH);
}

static CK_RV refuse_for_fips(void)
{
	log_info("with FIPS the IV of a message or a wrapped key is made by the module: by "
		 "CKG_GENERATE or "
		 "CKG_GENERATE_RANDOM with %d bits that are not fixed, or by CKG_GENERATE_COUNTER "
		 "with %d",
		 MADE_RANDOM_BITS_ENOUGH, COUNTER_BITS_ENOUGH);
	return CKR_MECHANISM_PARAM_INVALID;
}

static CK_RV find_ivs(struct objects *objects, const struct ready_key *key,
		      struct made_ivs **ret_ivs)
{
	CK_RV rv = objects_made_ivs(objects, key->object, ret_ivs);

	return rv == CKR_KEY_HANDLE_INVALID ? key_uses[key->use].bad_handle : rv;
}

static bool can_be_made(const struct message_class *class, const struct message *message)
{
	if (message->iv_len <= MADE_IV_MAX && message->fixed_bits < 8 * message->iv_len &&
	    (class->made_len == 0 || class->made_len == message->iv_len))
		return true;
	log_info("no IV of %zu bytes of which %zu bits are fixed is made: for GCM it has 12 bytes, "
		 "for CCM 7 to 13, and some bits that are not fixed",
		 message->iv_len, message->fixed_bits);
	return false;
}

static CK_RV make_iv(struct objects *objects, const struct ready_key *key,
		     const struct message *message, uint8_t *ret_iv)
{
	AUTO(made_ivs_releasep) struct made_ivs *ivs = NULL;
	uint8_t given[MADE_IV_MAX];
	struct iv_wish wish = {.given = given,
			       .len = message->iv_len,
			       .fixed_bits = message->fixed_bits,
			       .mechanism = key->mechanism->type};

	if (!can_be_made(key->mechanism->does->messages, message))
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(given, message->iv, message->iv_len);
	TRY(find_ivs(objects, key, &ivs));
	if (!find_maker(message, ivs, &wish.maker))
		return CKR_MECHANISM_PARAM_INVALID;
	if (is_left_out(key->mechanism->does->messages) && !fips_allows(&wish))
		return refuse_for_fips();
	return made_ivs_take(ivs, &wish, ret_iv);
}

CK_RV message_iv_may_be_given(const struct mechanism *mechanism)
{
	return is_left_out(mechanism->does->messages) ? refuse_for_fips() : CKR_OK;
}

CK_RV message_iv(struct objects *objects, const struct ready_key *key,
		 const struct message *message, uint8_t *ret_iv)
{
	if (message->generator != CKG_NO_GENERATE)
		return make_iv(objects, key, message, ret_iv);
	TRY(message_iv_may_be_given(key->mechanism));
	memcpy(ret_iv, message->iv, message->iv_len);
	return CKR_OK;
}

void message_give_iv(const struct message *message, const uint8_t *iv)
{
	if (message->generator != CKG_NO_GENERATE)
		memcpy(message->iv, iv, message->iv_len);
}
