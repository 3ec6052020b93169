/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The two key derivations, both over HMAC. */
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/digest.h"

bool kdf_counter(struct bytes key, const char *label, struct bytes context,
		 uint8_t ret_key[static 32])
{
	static const uint8_t counter[4] = {0, 0, 0, 1}, separator[1] = {0}, bits[4] = {0, 0, 1, 0};
	const struct bytes parts[] = {
		{counter, sizeof(counter)},	bytes_of(label),
		{separator, sizeof(separator)}, context,
		{bits, sizeof(bits)},
	};

	return hmac_once(DIGEST_SHA256, key, parts, COUNT_OF(parts), ret_key);
}

static bool hkdf_extract(enum digest_kind kind, struct bytes key, struct bytes salt,
			 uint8_t *ret_prk)
{
	static const uint8_t zeros[DIGEST_MAX_SIZE];

	if (salt.len == 0)
		salt = bytes(zeros, digest_size(kind));
	return hmac_once(kind, salt, &key, 1, ret_prk);
}

/* RFC 5869 section 2.3: T(n) = HMAC(PRK, T(n-1) | info | n). */
static bool hkdf_expand(enum digest_kind kind, struct bytes prk, struct bytes info,
			uint8_t *ret_key, size_t ret_len)
{
	size_t size = digest_size(kind);
	uint8_t block[DIGEST_MAX_SIZE], number = 0;
	bool good = true;

	for (size_t done = 0; good && done < ret_len; done += size) {
		const struct bytes parts[] = {{block, done == 0 ? 0 : size}, info, {&number, 1}};
		size_t left = ret_len - done;

		number++;
		good = hmac_once(kind, prk, parts, COUNT_OF(parts), block);
		if (good)
			secret_copy(ret_key + done, block, left < size ? left : size);
	}
	wipe(block, sizeof(block));
	return good;
}

bool hkdf(enum digest_kind kind, bool extract, bool expand, struct bytes key, struct bytes salt,
	  struct bytes info, uint8_t *ret_key, size_t ret_len)
{
	size_t size = digest_size(kind);
	uint8_t prk[DIGEST_MAX_SIZE];
	bool good = true;

	if ((!extract && !expand) || ret_len == 0 || ret_len > 255 * size ||
	    (!expand && ret_len != size))
		return false;
	if (!extract)
		return hkdf_expand(kind, key, info, ret_key, ret_len);
	good = hkdf_extract(kind, key, salt, prk);
	if (good && expand)
		good = hkdf_expand(kind, bytes(prk, size), info, ret_key, ret_len);
	else if (good)
		secret_copy(ret_key, prk, size);
	wipe(prk, sizeof(prk));
	return good;
}
