/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The PINs of a project, as its row has them. */
#include "objects/pin.h"

#include "base/log.h"
#include "base/reader.h"
#include "base/secret.h"
#include "crypto/crypto.h"

#include <string.h>

static const uint8_t magic[] = {'P', 'I', 'N', 1, 0, 2 * 62}; /* format, length */

static void take_fixed(struct reader *reader, uint8_t *ret_data, size_t size)
{
	struct bytes taken = reader_take(reader, size);

	if (taken.len == size)
		memcpy(ret_data, taken.data, size);
}

static struct pin take_pin(struct reader *reader)
{
	struct pin pin = {.algorithm = reader_u8(reader)};

	pin.cost = reader_u32(reader);
	take_fixed(reader, pin.salt, sizeof(pin.salt));
	take_fixed(reader, pin.verifier, sizeof(pin.verifier));
	pin.failures = reader_u8(reader);
	pin.failed_ms = (int64_t)(reader_u64(reader) & INT64_MAX);
	return pin;
}

struct pins pins_read(struct bytes text)
{
	struct reader reader = reader_of(text);
	uint8_t begin[sizeof(magic)] = {0};
	struct pins pins = {0};

	if (text.len == 0)
		return pins;
	take_fixed(&reader, begin, sizeof(begin));
	pins.of[CKU_SO] = take_pin(&reader);
	pins.of[CKU_USER] = take_pin(&reader);
	if (!reader_done(&reader) || memcmp(begin, magic, sizeof(magic)) != 0)
		return (struct pins){.unreadable = true};
	return pins;
}

static void put_pin(struct buffer *out, const struct pin *pin)
{
	buffer_put_u8(out, pin->algorithm);
	buffer_put_u32(out, pin->cost);
	buffer_append(out, bytes(pin->salt, sizeof(pin->salt)));
	buffer_append(out, bytes(pin->verifier, sizeof(pin->verifier)));
	buffer_put_u8(out, pin->failures);
	buffer_put_u64(out, (uint64_t)pin->failed_ms);
}

void pins_write(const struct pins *pins, struct buffer *out)
{
	buffer_append(out, bytes(magic, sizeof(magic)));
	put_pin(out, &pins->of[CKU_SO]);
	put_pin(out, &pins->of[CKU_USER]);
}

CK_RV pin_make(struct bytes text, struct pin *ret_pin)
{
	struct pin pin = {0};

	if (text.len < PIN_MIN || text.len > PIN_MAX) {
		log_warning("a PIN has %d to %d bytes", PIN_MIN, PIN_MAX);
		return CKR_PIN_LEN_RANGE;
	}
	pin.algorithm = (uint8_t)password_algorithm(&pin.cost);
	if (!crypto_random(pin.salt, sizeof(pin.salt)) ||
	    !password_verifier((enum password_algorithm)pin.algorithm, pin.cost, text, pin.salt,
			       pin.verifier))
		return CKR_FUNCTION_FAILED;
	*ret_pin = pin;
	return CKR_OK;
}

CK_RV pin_check(const struct pin *pin, struct bytes text)
{
	uint8_t verifier[PASSWORD_VERIFIER], differs = 0;

	if (text.len < PIN_MIN || text.len > PIN_MAX)
		return CKR_PIN_INCORRECT;
	if (!password_verifier((enum password_algorithm)pin->algorithm, pin->cost, text, pin->salt,
			       verifier))
		return CKR_FUNCTION_FAILED;
	for (size_t i = 0; i < sizeof(verifier); i++)
		differs |= verifier[i] ^ pin->verifier[i];
	wipe(verifier, sizeof(verifier));
	return differs == 0 ? CKR_OK : CKR_PIN_INCORRECT;
}

bool pin_is_locked(const struct pin *pin, CK_USER_TYPE user, int64_t now_ms)
{
	/* Of a clock that was ahead, that one's hour would never come. */
	uint64_t apart = now_ms > pin->failed_ms ? (uint64_t)now_ms - (uint64_t)pin->failed_ms
						 : (uint64_t)pin->failed_ms - (uint64_t)now_ms;

	return pin->failures >= PIN_TRIES && (user != CKU_SO || apart < PIN_SO_WAIT_MS);
}
