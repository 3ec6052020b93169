/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* CKM_CMEK_DEK_WRAP: the page's vectors, and that a wrapped DEK opens only where it belongs. */
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/live_zones.h"
#include "zones/ezk/ezk.h"

enum { ZONE = 42, LEASE_SECONDS = 300 };

static int set_up(void **state)
{
	*state = malloc(sizeof(struct live_zones));
	live_zones_start(*state, LEASE_SECONDS);
	return 0;
}

static int set_up_without_lease(void **state)
{
	*state = malloc(sizeof(struct live_zones));
	live_zones_start(*state, 0);
	return 0;
}

static int tear_down(void **state)
{
	live_zones_stop(*state);
	free(*state);
	return 0;
}

static struct ezk *find(struct live_zones *live, const struct entry *zone, uint32_t version)
{
	struct ezk *ezk = NULL;

	assert_int_equal(ezk_find(live->registry, zone, version, &ezk), ZONE_OK);
	return ezk;
}

static const uint8_t dek[32] = "thirty-two bytes of a data key..";
static const struct bytes aad = {(const uint8_t *)"bucket/object", 13};

struct wrapped {
	uint8_t data[DEK_MAX + DEK_WRAP_OVERHEAD];
	size_t len;
};

static struct wrapped wrap(struct ezk *ezk)
{
	struct wrapped wrapped = {.len = sizeof(dek) + DEK_WRAP_OVERHEAD};

	assert_int_equal(dek_wrap(ezk, bytes(dek, sizeof(dek)), aad, wrapped.data), ZONE_OK);
	return wrapped;
}

static enum zone_status unwrap_with(struct ezk *ezk, struct bytes wrapped, struct bytes with)
{
	AUTO(secret_freep) uint8_t *secret = secret_new(DEK_MAX);
	enum zone_status status = dek_unwrap(ezk, wrapped, with, secret, NULL);
	static const uint8_t zeros[DEK_MAX];

	if (status == ZONE_OK)
		assert_memory_equal(secret, dek, sizeof(dek));
	else
		assert_memory_equal(secret, zeros, DEK_MAX);
	return status;
}

static enum zone_status unwrap(struct ezk *ezk, const struct wrapped *wrapped)
{
	return unwrap_with(ezk, bytes(wrapped->data, wrapped->len), aad);
}

/* --- Vectors */

#define VECTOR_KEY(...)
#define VECTOR_RECORD(...)
#define VECTOR_SET(...)
#define VECTOR_TOKEN_KEY(...)

/* A zone of one version with the given numbers, whose EZK is known. */
static struct entry *known_zone(struct live_zones *live, uint64_t zone, uint32_t version,
				const uint8_t *key)
{
	struct entry *entry = live_zone(live, zone, 1, ROOT_1, key);
	struct kms_door door = live_door(live, ROOT_1);
	struct ezk_seal seal = {.identity = {{{0}}, {{0}}, zone, version, a_day}, .key = key};

	ezk_version_clear(&entry->of_zone.versions[0]);
	assert_int_equal(ezk_version_seal(&door, &seal, &entry->of_zone.versions[0]), ZONE_OK);
	entry->of_zone.primary = entry->of_zone.raw = version;
	return entry;
}

static void vectors_of_the_page_unwrap(void **state)
{
	static const struct {
		const char *ezk;
		uint64_t zone, version;
		const char *aad, *dek, *wrapped;
	} vectors[] = {
#define VECTOR_DEK(...) {__VA_ARGS__},
#include "tests/vectors/format.inc"
	};
	AUTO(buffer_clear) struct buffer key = {0}, with = {0}, expected = {0}, wrapped = {0};

	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		AUTO(secret_freep) uint8_t *secret = secret_new(DEK_MAX);
		AUTO(entry_releasep) struct entry *zone = NULL;
		AUTO(ezk_releasep) struct ezk *ezk = NULL;

		zone = known_zone(*state, vectors[i].zone, (uint32_t)vectors[i].version,
				  from_hex(&key, vectors[i].ezk).data);
		zone->uid.bytes[0] = (uint8_t)(i + 1);
		ezk = find(*state, zone, EZK_PRIMARY);
		assert_int_equal(dek_unwrap(ezk, from_hex(&wrapped, vectors[i].wrapped),
					    from_hex(&with, vectors[i].aad), secret, NULL),
				 ZONE_OK);
		from_hex(&expected, vectors[i].dek);
		assert_int_equal(expected.len, wrapped.len - DEK_WRAP_OVERHEAD);
		assert_memory_equal(secret, expected.data, expected.len);
	}
}

/* --- There and back */

static void dek_of_any_size_comes_back(void **state)
{
	AUTO(entry_releasep) struct entry *zone = live_zone(*state, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(*state, zone, 1);
	AUTO(secret_freep) uint8_t *secret = secret_new(DEK_MAX);
	uint8_t value[DEK_MAX], wrapped[DEK_MAX + DEK_WRAP_OVERHEAD];

	memset(value, 'v', sizeof(value));
	for (size_t len = 1; len <= DEK_MAX; len++) {
		assert_int_equal(dek_wrap(ezk, bytes(value, len), aad, wrapped), ZONE_OK);
		assert_int_equal(
			dek_unwrap(ezk, bytes(wrapped, len + DEK_WRAP_OVERHEAD), aad, secret, NULL),
			ZONE_OK);
		assert_memory_equal(secret, value, len);
	}
	assert_int_equal(dek_wrap(ezk, bytes(value, 0), aad, wrapped), ZONE_INVALID);
	assert_int_equal(dek_wrap(ezk, bytes(value, DEK_MAX + 1), aad, wrapped), ZONE_INVALID);
	assert_int_equal(live_decrypts(*state), 1);
}

static void aad_of_any_size_is_bound(void **state)
{
	static const size_t sizes[] = {0, 1, 463, 464, 465, 5000};
	AUTO(entry_releasep) struct entry *zone = live_zone(*state, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(*state, zone, 1);
	struct wrapped wrapped = {.len = sizeof(dek) + DEK_WRAP_OVERHEAD};
	uint8_t with[5001] = {0};

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct bytes blob = bytes(wrapped.data, wrapped.len);

		assert_int_equal(
			dek_wrap(ezk, bytes(dek, sizeof(dek)), bytes(with, sizes[i]), wrapped.data),
			ZONE_OK);
		assert_int_equal(unwrap_with(ezk, blob, bytes(with, sizes[i])), ZONE_OK);
		assert_int_equal(unwrap_with(ezk, blob, bytes(with, sizes[i] + 1)),
				 ZONE_WRAPPED_KEY_INVALID);
		if (sizes[i] > 0)
			assert_int_equal(unwrap_with(ezk, blob, bytes(with, sizes[i] - 1)),
					 ZONE_WRAPPED_KEY_INVALID);
	}
}

static void each_wrap_is_another(void **state)
{
	AUTO(entry_releasep) struct entry *zone = live_zone(*state, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(*state, zone, 1);
	struct wrapped one = wrap(ezk), two = wrap(ezk);

	assert_memory_equal(one.data, two.data, 20);
	assert_memory_not_equal(one.data + 20, two.data + 20, 16);
	assert_memory_not_equal(one.data + 36, two.data + 36, 12);
	assert_memory_not_equal(one.data + 48, two.data + 48, 32);
}

/* --- Where it belongs */

static void other_zone_is_told(void **state)
{
	AUTO(entry_releasep) struct entry *zone = live_zone(*state, ZONE, 1, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *other = live_zone(*state, ZONE + 1, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(*state, zone, 1), *wrong = find(*state, other, 1);
	struct wrapped wrapped = wrap(ezk);

	assert_int_equal(unwrap(wrong, &wrapped), ZONE_OTHER_ZONE);
	/* Saying that it belongs here does not help. */
	put_big_endian(wrapped.data + 8, 8, ZONE + 1);
	assert_int_equal(unwrap(wrong, &wrapped), ZONE_WRAPPED_KEY_INVALID);
}

static void version_that_the_blob_names_is_used(void **state)
{
	AUTO(entry_releasep) struct entry *zone = live_zone(*state, ZONE, 3, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *first = find(*state, zone, 1);
	AUTO(ezk_releasep) struct ezk *primary = find(*state, zone, EZK_PRIMARY), *used = NULL;
	AUTO(secret_freep) uint8_t *secret = secret_new(sizeof(dek));
	struct wrapped wrapped = wrap(first);

	assert_int_equal(dek_unwrap(primary, bytes(wrapped.data, wrapped.len), aad, secret, &used),
			 ZONE_OK);
	assert_ptr_equal(used, first);
	assert_memory_equal(secret, dek, sizeof(dek));
	put_big_endian(wrapped.data + 16, 4, 2);
	assert_int_equal(unwrap(primary, &wrapped), ZONE_WRAPPED_KEY_INVALID);
	put_big_endian(wrapped.data + 16, 4, 4);
	assert_int_equal(unwrap(primary, &wrapped), ZONE_WRAPPED_KEY_INVALID);
}

static void fenced_version_does_not_unwrap(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 2, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *fenced = live_zone_next(zone);
	AUTO(ezk_releasep) struct ezk *first = find(live, zone, 1), *primary = find(live, zone, 2);
	struct wrapped wrapped = wrap(first);

	fenced->of_zone.minimum = 2;
	registry_changed(live->registry, fenced, ZONE_OK);
	assert_int_equal(unwrap(primary, &wrapped), ZONE_FENCED);
	assert_int_equal(unwrap(first, &wrapped), ZONE_FENCED);
}

static void imported_zone_only_unwraps(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);
	AUTO(entry_releasep) struct entry *imported = live_zone_next(zone);
	struct wrapped wrapped = wrap(ezk);

	imported->of_zone.imported = true;
	registry_changed(live->registry, imported, ZONE_OK);
	assert_int_equal(unwrap(ezk, &wrapped), ZONE_OK);
	assert_int_equal(dek_wrap(ezk, bytes(dek, sizeof(dek)), aad, wrapped.data), ZONE_IMPORTED);
}

static void every_flipped_bit_is_noticed(void **state)
{
	AUTO(entry_releasep) struct entry *zone = live_zone(*state, ZONE, 2, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(*state, zone, 1);
	struct wrapped wrapped = wrap(ezk);

	for (size_t bit = 0; bit < 8 * wrapped.len; bit++) {
		wrapped.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(unwrap(ezk, &wrapped), ZONE_OK);
		wrapped.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(unwrap(ezk, &wrapped), ZONE_OK);
}

static void cut_or_lengthened_blob_is_invalid(void **state)
{
	AUTO(entry_releasep) struct entry *zone = live_zone(*state, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(*state, zone, 1);
	struct wrapped wrapped = wrap(ezk);

	for (size_t len = 0; len < wrapped.len; len++)
		assert_int_equal(unwrap_with(ezk, bytes(wrapped.data, len), aad),
				 ZONE_WRAPPED_KEY_INVALID);
	assert_int_equal(unwrap_with(ezk, bytes(wrapped.data, wrapped.len + 1), aad),
			 ZONE_WRAPPED_KEY_INVALID);
	assert_int_equal(unwrap_with(ezk, bytes(NULL, 0), aad), ZONE_WRAPPED_KEY_INVALID);
}

/* --- Leases */

static void refused_key_neither_wraps_nor_unwraps(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);
	struct wrapped wrapped = wrap(ezk);

	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(unwrap(ezk, &wrapped), ZONE_OK); /* the lease runs */
	fake_clock_advance(&live->clock, LEASE_SECONDS * 1000);
	assert_int_equal(unwrap(ezk, &wrapped), ZONE_KMS_DISABLED);
	assert_int_equal(dek_wrap(ezk, bytes(dek, sizeof(dek)), aad, wrapped.data),
			 ZONE_KMS_DISABLED);
}

static void without_a_lease_each_wrap_and_unwrap_asks_once(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);
	struct wrapped wrapped = wrap(ezk);

	assert_int_equal(unwrap(ezk, &wrapped), ZONE_OK);
	assert_int_equal(unwrap(ezk, &wrapped), ZONE_OK);
	assert_int_equal(live_decrypts(live), 3);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(vectors_of_the_page_unwrap),
		CASE(dek_of_any_size_comes_back),
		CASE(aad_of_any_size_is_bound),
		CASE(each_wrap_is_another),
		CASE(other_zone_is_told),
		CASE(version_that_the_blob_names_is_used),
		CASE(fenced_version_does_not_unwrap),
		CASE(imported_zone_only_unwraps),
		CASE(every_flipped_bit_is_noticed),
		CASE(cut_or_lengthened_blob_is_invalid),
		CASE(refused_key_neither_wraps_nor_unwraps),
		cmocka_unit_test_setup_teardown(without_a_lease_each_wrap_and_unwrap_asks_once,
						set_up_without_lease, tear_down),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests_name("dek wrap", tests, NULL, NULL);
}
