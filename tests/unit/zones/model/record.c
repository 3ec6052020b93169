/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* EZK records: the page's vectors, strict reading, and what a changed record comes to. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/digest.h"
#include "tests/support/sealed_versions.h"

/* --- Vectors */

#define VECTOR_KEY(...)
#define VECTOR_RECORD(...)
#define VECTOR_SET(...)
#define VECTOR_DEK(...)
#define VECTOR_TOKEN_KEY(...)

static void keys_are_derived_as_the_page_says(void **state)
{
	static const struct {
		enum ezk_purpose purpose;
		const char *ezk;
		uint64_t zone, version;
		const char *key;
	} vectors[] = {
#undef VECTOR_KEY
#define VECTOR_KEY(...) {__VA_ARGS__},
#include "tests/vectors/format.inc"
#undef VECTOR_KEY
#define VECTOR_KEY(...)
	};
	AUTO(buffer_clear) struct buffer ezk = {0}, expected = {0};
	uint8_t key[EZK_SIZE];

	(void)state;
	/* All but the last, by which nothing is ever written. */
	assert_int_equal(COUNT_OF(vectors), 3 * EZK_MEMORY);
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		from_hex(&ezk, vectors[i].ezk);
		assert_true(ezk_derive(ezk.data, vectors[i].purpose, vectors[i].zone,
				       (uint32_t)vectors[i].version, key));
		assert_bytes(bytes(key, sizeof(key)), from_hex(&expected, vectors[i].key));
	}
}

static void records_are_read_and_written_as_the_page_says(void **state)
{
	static const struct {
		const char *ezk;
		uint64_t zone, version;
		const char *fingerprint, *record;
	} vectors[] = {
#undef VECTOR_RECORD
#define VECTOR_RECORD(...) {__VA_ARGS__},
#include "tests/vectors/format.inc"
#undef VECTOR_RECORD
#define VECTOR_RECORD(...)
	};

	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		AUTO(buffer_clear) struct buffer ezk = {0}, record = {0}, again = {0}, mark = {0};
		AUTO(ezk_version_clear) struct ezk_version version = {0}, sealed = {0};
		struct lease_bounds bounds;
		uint64_t zone;
		bool kept;

		assert_int_equal(
			record_decode(from_hex(&record, vectors[i].record), &zone, &version),
			ZONE_OK);
		assert_int_equal(zone, vectors[i].zone);
		assert_int_equal(version.version, vectors[i].version);
		assert_int_equal(version.wrap_count, 1 + vectors[i].version % 2);
		kept = limits_get_kept(version.limits);
		assert_int_equal(kept, i == 2);
		assert_true(limits_get_lease(version.limits, &bounds));
		assert_int_equal(bounds.max_lease, vectors[i].version);
		assert_int_equal(bounds.max_stale, vectors[i].version / 2);
		assert_int_equal(record_encode(zone, &version, &again), ZONE_OK);
		assert_bytes(buffer_bytes(&again), buffer_bytes(&record));
		seal(*state,
		     &(struct ezk_seal){
			     .identity = {version.project, version.cluster, zone, version.version,
					  bounds},
			     .greatest_usages = version.greatest_usages,
			     .limits = bytes(version.limits.data,
					     version.limits.len - LEASE_LIMITS_SIZE -
						     (kept ? KEPT_LIMIT_SIZE : 0)),
			     .kept = kept,
			     .created_ms = version.created_ms,
			     .key = from_hex(&ezk, vectors[i].ezk).data,
		     },
		     &sealed);
		assert_memory_equal(sealed.mac, version.mac, sizeof(version.mac));
		assert_bytes(bytes(sealed.fingerprint, sizeof(sealed.fingerprint)),
			     from_hex(&mark, vectors[i].fingerprint));
	}
}

static void set_is_read_and_written_as_the_page_says(void **state)
{
	static const struct {
		uint64_t zone, count;
		const char *set;
	} vectors[] = {
#undef VECTOR_SET
#define VECTOR_SET(...) {__VA_ARGS__},
#include "tests/vectors/format.inc"
	};
	AUTO(buffer_clear) struct buffer bytes = {0}, again = {0};
	AUTO(record_set_clear) struct record_set set = {0};

	(void)state;
	assert_int_equal(record_set_decode(from_hex(&bytes, vectors[0].set), &set), ZONE_OK);
	assert_int_equal(set.zone, vectors[0].zone);
	assert_int_equal(set.count, vectors[0].count);
	assert_int_equal(record_set_encode(&set, &again), ZONE_OK);
	assert_bytes(buffer_bytes(&again), buffer_bytes(&bytes));
}

/* --- Strict reading */

static void encode(const struct ezk_version *version, struct buffer *out)
{
	assert_int_equal(record_encode(ZONE, version, out), ZONE_OK);
}

/* Reads and, if it can be read, opens. */
static enum zone_status use(struct live_zones *live, struct bytes record)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];
	uint64_t zone;

	TRY(record_decode(record, &zone, &version));
	return open_as(live, zone, &version, ezk);
}

static void every_flipped_bit_of_a_record_is_noticed(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	AUTO(buffer_clear) struct buffer record = {0};

	seal(*state, &limited, &version);
	encode(&version, &record);
	assert_int_equal(use(*state, buffer_bytes(&record)), ZONE_OK);
	for (size_t bit = 0; bit < 8 * record.len; bit++) {
		record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (use(*state, buffer_bytes(&record)) == ZONE_OK)
			fail_msg("bit %zu of byte %zu does not matter", bit % 8, bit / 8);
		record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void cut_or_lengthened_record_is_malformed(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	AUTO(buffer_clear) struct buffer record = {0};

	seal_twice(*state, &version);
	encode(&version, &record);
	for (size_t len = 0; len < record.len; len++)
		assert_int_equal(use(*state, bytes(record.data, len)), ZONE_INVALID);
	buffer_put_u8(&record, 0);
	assert_int_equal(use(*state, buffer_bytes(&record)), ZONE_INVALID);
	/* … even if it says so itself. */
	record.data[7]++;
	assert_int_equal(use(*state, buffer_bytes(&record)), ZONE_INVALID);
}

static void what_the_format_cannot_hold_is_not_written(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	AUTO(buffer_clear) struct buffer out = {0};
	static const uint8_t blob[KMS_BLOB_MAX];

	seal(*state, &plain, &version);
	assert_int_equal(record_encode(0, &version, &out), ZONE_INVALID);
	assert_int_equal(record_encode(UINT64_C(1) << 63, &version, &out), ZONE_INVALID);
	for (size_t i = 1; i <= WRAPS_MAX; i++)
		assert_int_equal(ezk_version_add_wrap(&version, ROOT_1, bytes(blob, sizeof(blob))),
				 ZONE_OK);
	assert_int_equal(record_encode(ZONE, &version, &out), ZONE_INVALID);
	ezk_version_drop_wrap(&version);
	assert_int_equal(record_encode(ZONE, &version, &out), ZONE_OK);
	assert_int_equal(out.len, 99 + LEASE_LIMITS_SIZE + 4 + strlen(ROOT_1) +
					  version.wraps[0].blob.len +
					  7 * (4 + strlen(ROOT_1) + KMS_BLOB_MAX));
	version.version = 0;
	assert_int_equal(record_encode(ZONE, &version, &out), ZONE_INVALID);
}

/* --- Sets */

static void make_set(struct live_zones *live, uint32_t first, size_t count, struct record_set *set)
{
	set->zone = ZONE;
	set->versions = calloc(count, sizeof(*set->versions));
	for (; set->count < count; set->count++) {
		struct ezk_seal next = plain;

		next.identity.version = first + (uint32_t)set->count;
		seal(live, &next, &set->versions[set->count]);
	}
}

static void single_record_passes_for_a_set(void **state)
{
	AUTO(record_set_clear) struct record_set made = {0}, read = {0};
	AUTO(buffer_clear) struct buffer record = {0};

	make_set(*state, 3, 1, &made);
	encode(&made.versions[0], &record);
	assert_int_equal(record_set_decode(buffer_bytes(&record), &read), ZONE_OK);
	assert_int_equal(read.count, 1);
	assert_int_equal(read.zone, ZONE);
	assert_int_equal(read.versions[0].version, 3);
}

static void set_out_of_order_is_refused(void **state)
{
	AUTO(record_set_clear) struct record_set made = {0}, read = {0};
	AUTO(buffer_clear) struct buffer out = {0};

	make_set(*state, 1, 2, &made);
	made.versions[0].version = 2;
	assert_int_equal(record_set_encode(&made, &out), ZONE_INVALID);
	made.versions[0].version = 3;
	assert_int_equal(record_set_encode(&made, &out), ZONE_INVALID);
	made.versions[0].version = 1;
	made.versions[1].project.bytes[0] ^= 1;
	assert_int_equal(record_set_encode(&made, &out), ZONE_INVALID);
	assert_int_equal(record_set_encode(&read, &out), ZONE_INVALID); /* none at all */
}

static void set_of_two_zones_or_in_pieces_is_refused(void **state)
{
	AUTO(record_set_clear) struct record_set made = {0}, read = {0};
	AUTO(buffer_clear) struct buffer out = {0};
	size_t second;

	make_set(*state, 1, 2, &made);
	assert_int_equal(record_set_encode(&made, &out), ZONE_OK);
	for (size_t len = 0; len < out.len; len++)
		assert_int_equal(record_set_decode(bytes(out.data, len), &read), ZONE_INVALID);
	second = 8 + (out.len - 8) / 2;
	out.data[second + 47] ^= 1; /* the zone id */
	assert_int_equal(record_set_decode(buffer_bytes(&out), &read), ZONE_INVALID);
	out.data[second + 47] ^= 1;
	out.data[second + 51] = 1; /* the version */
	assert_int_equal(record_set_decode(buffer_bytes(&out), &read), ZONE_INVALID);
	out.data[second + 51] = 2;
	assert_int_equal(record_set_decode(buffer_bytes(&out), &read), ZONE_OK);
	buffer_put_u8(&out, 0);
	record_set_clear(&read);
	assert_int_equal(record_set_decode(buffer_bytes(&out), &read), ZONE_INVALID);
	buffer_truncate(&out, out.len - 1);
	out.data[5] = 1; /* must be zero */
	assert_int_equal(record_set_decode(buffer_bytes(&out), &read), ZONE_INVALID);
}

static void every_flipped_bit_of_a_set_is_noticed(void **state)
{
	AUTO(record_set_clear) struct record_set made = {0};
	AUTO(buffer_clear) struct buffer out = {0};

	make_set(*state, 1, 2, &made);
	assert_int_equal(record_set_encode(&made, &out), ZONE_OK);
	for (size_t bit = 0; bit < 8 * out.len; bit++) {
		AUTO(record_set_clear) struct record_set read = {0};
		enum zone_status status;
		uint8_t ezk[EZK_SIZE];

		out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		status = record_set_decode(buffer_bytes(&out), &read);
		for (size_t i = 0; status == ZONE_OK && i < read.count; i++)
			status = open_as(*state, read.zone, &read.versions[i], ezk);
		if (status == ZONE_OK)
			fail_msg("bit %zu of byte %zu does not matter", bit % 8, bit / 8);
		out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(keys_are_derived_as_the_page_says),
		CASE(records_are_read_and_written_as_the_page_says),
		CASE(set_is_read_and_written_as_the_page_says),
		CASE(every_flipped_bit_of_a_record_is_noticed),
		CASE(cut_or_lengthened_record_is_malformed),
		CASE(what_the_format_cannot_hold_is_not_written),
		CASE(single_record_passes_for_a_set),
		CASE(set_out_of_order_is_refused),
		CASE(set_of_two_zones_or_in_pieces_is_refused),
		CASE(every_flipped_bit_of_a_set_is_noticed),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
