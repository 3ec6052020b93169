/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Key derivation of SP 800-108r1 in its three modes, from pieces that the caller puts together
 * (PKCS #11 3.0, "SP 800-108 Key Derivation"). */
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/mac.h"
#include "mechanisms/deriving.h"
#include "mechanisms/parameters.h"

/* --- Parameters */

static bool width_valid(CK_ULONG bits)
{
	return bits >= 8 && bits <= 64 && bits % 8 == 0;
}

static bool read_counter(const CK_PRF_DATA_PARAM *given, struct kdf_piece *ret_piece)
{
	CK_SP800_108_COUNTER_FORMAT format;

	if (given->pValue == NULL || given->ulValueLen != sizeof(format))
		return false;
	memcpy(&format, given->pValue, sizeof(format));
	ret_piece->little_endian = format.bLittleEndian != CK_FALSE;
	ret_piece->width = format.ulWidthInBits / 8;
	return width_valid(format.ulWidthInBits);
}

static bool read_dkm_len(const CK_PRF_DATA_PARAM *given, struct kdf_piece *ret_piece)
{
	CK_SP800_108_DKM_LENGTH_FORMAT format;

	if (given->pValue == NULL || given->ulValueLen != sizeof(format))
		return false;
	memcpy(&format, given->pValue, sizeof(format));
	ret_piece->little_endian = format.bLittleEndian != CK_FALSE;
	ret_piece->width = format.ulWidthInBits / 8;
	ret_piece->of_segments = format.dkmLengthMethod == CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS;
	return width_valid(format.ulWidthInBits) &&
	       (ret_piece->of_segments ||
		format.dkmLengthMethod == CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS);
}

/* The iteration variable is the counter in counter mode, else what the block before it gave. */
static bool read_piece(int mode, const CK_PRF_DATA_PARAM *given, struct kdf_piece *ret_piece)
{
	*ret_piece = (struct kdf_piece){.type = given->type};
	switch (given->type) {
	case CK_SP800_108_ITERATION_VARIABLE:
		if (mode == COUNTER_KDF)
			return read_counter(given, ret_piece);
		return given->ulValueLen == 0;
	case CK_SP800_108_OPTIONAL_COUNTER:
		return mode != COUNTER_KDF && read_counter(given, ret_piece);
	case CK_SP800_108_DKM_LENGTH:
		return read_dkm_len(given, ret_piece);
	case CK_SP800_108_BYTE_ARRAY:
		ret_piece->value = bytes(given->pValue, given->ulValueLen);
		return bytes_valid(ret_piece->value);
	default:
		return false; /* another key's value is not taken in */
	}
}

/* One iteration variable, and no number twice. */
static bool pieces_valid(const struct deriving *deriving)
{
	size_t counts[CK_SP800_108_KEY_HANDLE + 1] = {0};

	for (size_t i = 0; i < deriving->count; i++)
		counts[deriving->pieces[i].type]++;
	return counts[CK_SP800_108_ITERATION_VARIABLE] == 1 &&
	       counts[CK_SP800_108_OPTIONAL_COUNTER] <= 1 && counts[CK_SP800_108_DKM_LENGTH] <= 1;
}

static bool read_pieces(const CK_PRF_DATA_PARAM *given, CK_ULONG count, int mode,
			struct deriving *deriving)
{
	if (given == NULL || count > KDF_PIECES_MAX)
		return false;
	for (CK_ULONG i = 0; i < count; i++) {
		CK_PRF_DATA_PARAM one;

		memcpy(&one, (const uint8_t *)given + i * sizeof(one), sizeof(one));
		if (!read_piece(mode, &one, &deriving->pieces[i]))
			return false;
	}
	deriving->count = count;
	return pieces_valid(deriving);
}

static bool find_prf(CK_MECHANISM_TYPE type, struct deriving *deriving)
{
	deriving->prf = mechanism_find(type);
	return deriving->prf != NULL &&
	       (deriving->prf->does == &hmac_behaviour || deriving->prf->does == &cmac_behaviour);
}

static CK_RV read(const CK_MECHANISM *given, struct deriving *ret_deriving)
{
	int mode = ret_deriving->mechanism->detail;
	CK_SP800_108_FEEDBACK_KDF_PARAMS feedback = {0};
	CK_SP800_108_KDF_PARAMS other = {0};
	bool has_iv = mode == FEEDBACK_KDF;

	if (given->pParameter == NULL ||
	    given->ulParameterLen != (has_iv ? sizeof(feedback) : sizeof(other)))
		return CKR_MECHANISM_PARAM_INVALID;
	if (has_iv) {
		memcpy(&feedback, given->pParameter, sizeof(feedback));
		other = (CK_SP800_108_KDF_PARAMS){feedback.prfType, feedback.ulNumberOfDataParams,
						  feedback.pDataParams,
						  feedback.ulAdditionalDerivedKeys, NULL};
	} else {
		memcpy(&other, given->pParameter, sizeof(other));
	}
	ret_deriving->iv = bytes(feedback.pIV, feedback.ulIVLen);
	return other.ulAdditionalDerivedKeys == 0 && bytes_valid(ret_deriving->iv) &&
			       find_prf(other.prfType, ret_deriving) &&
			       read_pieces(other.pDataParams, other.ulNumberOfDataParams, mode,
					   ret_deriving)
		       ? CKR_OK
		       : CKR_MECHANISM_PARAM_INVALID;
}

/* --- Which key, how long */

static size_t prf_size(const struct deriving *deriving)
{
	return deriving->prf->does == &cmac_behaviour
		       ? CMAC_SIZE
		       : digest_size((enum digest_kind)deriving->prf->detail);
}

static CK_RV fit(const struct object *base, size_t wanted_len, struct deriving *deriving)
{
	if (deriving->prf->does == &cmac_behaviour && base->key_type != CKK_AES)
		return CKR_KEY_TYPE_INCONSISTENT;
	if (wanted_len == 0)
		return CKR_TEMPLATE_INCOMPLETE;
	deriving->len = wanted_len;
	return wanted_len <= DEK_MAX ? CKR_OK : CKR_KEY_SIZE_RANGE;
}

/* --- The blocks */

/* DEK_MAX bytes are few blocks: each number fits 8 bits, each length in bits 16. */
_Static_assert(DEK_MAX / CMAC_SIZE < 256 && 8 * (DEK_MAX + MAC_MAX_SIZE) < 65536,
	       "numbers of blocks and lengths fit");

static bool feed_number(struct mac *mac, const struct kdf_piece *piece, uint64_t number)
{
	uint8_t bytes_[8];

	for (size_t i = 0; i < piece->width; i++)
		bytes_[piece->little_endian ? i : piece->width - 1 - i] =
			(uint8_t)(number >> (8 * i));
	return mac_update(mac, bytes(bytes_, piece->width));
}

static uint64_t dkm_bits(const struct deriving *deriving, const struct kdf_piece *piece)
{
	size_t size = prf_size(deriving);
	size_t segments = (deriving->len + size - 1) / size * size;

	return 8 * (uint64_t)(piece->of_segments ? segments : deriving->len);
}

static bool feed(struct mac *mac, const struct deriving *deriving, const struct kdf_piece *piece,
		 uint64_t number, struct bytes iteration)
{
	switch (piece->type) {
	case CK_SP800_108_ITERATION_VARIABLE:
		if (deriving->mechanism->detail != COUNTER_KDF)
			return mac_update(mac, iteration);
		return feed_number(mac, piece, number);
	case CK_SP800_108_OPTIONAL_COUNTER:
		return feed_number(mac, piece, number);
	case CK_SP800_108_DKM_LENGTH:
		return feed_number(mac, piece, dkm_bits(deriving, piece));
	default:
		return mac_update(mac, piece->value);
	}
}

/* A block: of all pieces, in their order. */
static bool make_block(struct mac *mac, const struct deriving *deriving, uint64_t number,
		       struct bytes iteration, uint8_t *ret_block)
{
	bool good = mac_start(mac);

	for (size_t i = 0; good && i < deriving->count; i++)
		good = feed(mac, deriving, &deriving->pieces[i], number, iteration);
	return good && mac_finish(mac, ret_block);
}

/* SP 800-108r1, section 4.3: A(i) of A(i - 1), the first of the fixed pieces. */
static bool make_next_a(struct mac *mac, const struct deriving *deriving, uint64_t number,
			uint8_t a[static MAC_MAX_SIZE])
{
	bool good = mac_start(mac);

	if (number > 1)
		return good && mac_update(mac, bytes(a, prf_size(deriving))) && mac_finish(mac, a);
	for (size_t i = 0; good && i < deriving->count; i++) {
		const struct kdf_piece *piece = &deriving->pieces[i];

		if (piece->type == CK_SP800_108_DKM_LENGTH ||
		    piece->type == CK_SP800_108_BYTE_ARRAY)
			good = feed(mac, deriving, piece, number, bytes(NULL, 0));
	}
	return good && mac_finish(mac, a);
}

static bool make_blocks(struct mac *mac, const struct deriving *deriving, uint8_t *ret_value,
			uint8_t block[static MAC_MAX_SIZE], uint8_t a[static MAC_MAX_SIZE])
{
	size_t size = prf_size(deriving), done = 0;
	bool is_pipeline = deriving->mechanism->detail == PIPELINE_KDF;
	struct bytes iteration = deriving->iv;

	for (uint64_t number = 1; done < deriving->len; number++) {
		size_t left = deriving->len - done, part = left < size ? left : size;

		if (is_pipeline && !make_next_a(mac, deriving, number, a))
			return false;
		if (is_pipeline)
			iteration = bytes(a, size);
		if (!make_block(mac, deriving, number, iteration, block))
			return false;
		secret_copy(ret_value + done, block, part);
		iteration = bytes(block, size);
		done += part;
	}
	return true;
}

static bool run(const struct deriving *deriving, struct bytes base, uint8_t *ret_value)
{
	struct mac *mac = deriving->prf->does->keyed(deriving->prf, base);
	uint8_t block[MAC_MAX_SIZE], a[MAC_MAX_SIZE];
	bool good = mac != NULL && make_blocks(mac, deriving, ret_value, block, a);

	mac_free(mac);
	wipe(block, sizeof(block));
	wipe(a, sizeof(a));
	return good;
}

static CK_RV read_not(const CK_MECHANISM *given, struct parameter *parameter)
{
	(void)given;
	(void)parameter;
	return CKR_MECHANISM_PARAM_INVALID;
}

static const struct derive_method method = {read, fit, run};

const struct behaviour kdf_behaviour = {
	.read = read_not,
	.wanted = "the structure of its mode, with a MAC and pieces that fit it",
	.derive = &method,
};
