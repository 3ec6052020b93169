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

/* --- Imported versions */

enum { OTHER = 77 };

/* The zone with the versions of another imported, as a store would have it. */
static struct entry *with_imports(struct entry *zone, const struct entry *from)
{
	size_t own = zone->of_zone.version_count, more = from->of_zone.version_count;

	zone->of_zone.versions =
		realloc(zone->of_zone.versions, (own + more) * sizeof(*zone->of_zone.versions));
	assert_non_null(zone->of_zone.versions);
	for (size_t i = 0; i < more; i++) {
		struct ezk_version *version = &zone->of_zone.versions[own + i];

		*version = (struct ezk_version){0};
		assert_int_equal(ezk_version_copy(&from->of_zone.versions[i], version), ZONE_OK);
		version->record_zone = from->of_zone.zone;
		zone->of_zone.version_count++;
	}
	return zone;
}

struct importing {
	struct entry *from, *zone;
	struct ezk *primary, *origin; /* the zone's own; the other's own */
	struct wrapped wrapped;	      /* by the other's first version */
};

static void importing_begin(struct live_zones *live, struct importing *i)
{
	i->from = live_zone(live, OTHER, 2, ROOT_1, NULL);
	i->zone = with_imports(live_zone(live, ZONE, 1, ROOT_2, NULL), i->from);
	i->origin = find(live, i->from, 1);
	i->primary = find(live, i->zone, EZK_PRIMARY);
	i->wrapped = wrap(i->origin);
}

static void importing_end(struct importing *i)
{
	ezk_release(i->origin);
	ezk_release(i->primary);
	entry_release(i->from);
	entry_release(i->zone);
}

static void what_another_zone_wrapped_opens_where_that_was_imported(void **state)
{
	AUTO(secret_freep) uint8_t *secret = secret_new(DEK_MAX);
	AUTO(ezk_releasep) struct ezk *used = NULL;
	struct importing i;

	importing_begin(*state, &i);
	/* Both have a version 1, and each opens what is its own. */
	assert_int_equal(
		dek_unwrap(i.primary, bytes(i.wrapped.data, i.wrapped.len), aad, secret, &used),
		ZONE_OK);
	assert_memory_equal(secret, dek, sizeof(dek));
	assert_int_equal(ezk_zone(used), OTHER);
	assert_int_equal(ezk_version_number(used), 1);
	assert_true(ezk_is_imported(used));
	assert_false(ezk_is_imported(i.primary));
	assert_int_equal(ezk_verified(used, i.zone), ZONE_OK);
	/* The zone's own blob with the other's id, and the other way round. */
	put_big_endian(i.wrapped.data + 8, 8, ZONE);
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_WRAPPED_KEY_INVALID);
	i.wrapped = wrap(i.primary);
	put_big_endian(i.wrapped.data + 8, 8, OTHER);
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_WRAPPED_KEY_INVALID);
	assert_int_equal(unwrap(i.origin, &i.wrapped), ZONE_WRAPPED_KEY_INVALID);
	importing_end(&i);
}

static void an_imported_version_wraps_nothing(void **state)
{
	AUTO(secret_freep) uint8_t *secret = secret_new(DEK_MAX);
	AUTO(ezk_releasep) struct ezk *used = NULL;
	uint8_t again[sizeof(dek) + DEK_WRAP_OVERHEAD];
	struct importing i;

	importing_begin(*state, &i);
	assert_int_equal(
		dek_unwrap(i.primary, bytes(i.wrapped.data, i.wrapped.len), aad, secret, &used),
		ZONE_OK);
	assert_int_equal(dek_wrap(used, bytes(dek, sizeof(dek)), aad, again), ZONE_IMPORTED);
	assert_int_equal(token_key_wrap(used, STORED_KEY, bytes(dek, sizeof(dek)), aad, again),
			 ZONE_IMPORTED);
	i.wrapped = wrap(i.primary);
	assert_int_equal(unwrap(i.origin, &i.wrapped), ZONE_OTHER_ZONE);
	importing_end(&i);
}

/* What the store keeps was wrapped anew when it was imported. */
static void a_stored_key_of_another_zone_opens_by_no_import(void **state)
{
	AUTO(secret_freep) uint8_t *secret = secret_new(DEK_MAX);
	uint8_t stored[sizeof(dek) + DEK_WRAP_OVERHEAD];
	struct importing i;

	importing_begin(*state, &i);
	assert_int_equal(token_key_wrap(i.origin, STORED_KEY, bytes(dek, sizeof(dek)), aad, stored),
			 ZONE_OK);
	assert_int_equal(
		token_key_unwrap(i.primary, bytes(stored, sizeof(stored)), aad, secret, NULL),
		ZONE_OTHER_ZONE);
	importing_end(&i);
}

static void an_import_needs_the_yes_of_its_root_key(void **state)
{
	struct live_zones *live = *state;
	struct importing i;

	importing_begin(live, &i);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_KMS_DISABLED);
	i.wrapped = wrap(i.primary);
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_OK);
	importing_end(&i);
}

static void import_that_was_changed_does_not_open(void **state)
{
	struct live_zones *live = *state;
	struct importing i;

	importing_begin(live, &i);
	/* Its record is bound to the zone that it comes from. */
	entry_release(i.from);
	i.from = live_zone(live, OTHER + 1, 1, ROOT_1, NULL);
	i.zone->of_zone.versions[1].record_zone = OTHER + 1;
	put_big_endian(i.wrapped.data + 8, 8, OTHER + 1);
	assert_int_not_equal(unwrap(i.primary, &i.wrapped), ZONE_OK);
	importing_end(&i);
}

static void what_was_deleted_does_not_open_by_an_import(void **state)
{
	struct live_zones *live = *state;
	AUTO(buffer_clear) struct buffer ended = {0};
	struct importing i;

	importing_begin(live, &i);
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_OK);
	live->standing_of = OTHER;
	live->standing = ZONE_DELETED;
	registry_changed_records(live->registry, live_standing, live, &ended);
	assert_int_equal(ended.len, sizeof(uint64_t));
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_DELETED);
	/* The zone itself goes on. */
	registry_changed(live->registry, i.zone, ZONE_OK);
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_DELETED);
	live->standing = ZONE_OK;
	registry_changed_records(live->registry, live_standing, live, &ended);
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_OK);
	live->standing = ZONE_PENDING_DELETION;
	live->standing_of = ZONE;
	registry_changed(live->registry, i.zone, ZONE_PENDING_DELETION);
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_PENDING_DELETION);
	importing_end(&i);
}

static void import_that_the_zone_has_no_more_opens_nothing(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *next = NULL;
	struct importing i;

	importing_begin(live, &i);
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_OK);
	next = live_zone_next(i.zone);
	while (next->of_zone.version_count > 1)
		ezk_version_clear(&next->of_zone.versions[--next->of_zone.version_count]);
	registry_changed(live->registry, next, ZONE_OK);
	assert_int_equal(unwrap(i.primary, &i.wrapped), ZONE_OTHER_ZONE);
	importing_end(&i);
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
		CASE(what_another_zone_wrapped_opens_where_that_was_imported),
		CASE(an_imported_version_wraps_nothing),
		CASE(a_stored_key_of_another_zone_opens_by_no_import),
		CASE(an_import_needs_the_yes_of_its_root_key),
		CASE(import_that_was_changed_does_not_open),
		CASE(what_was_deleted_does_not_open_by_an_import),
		CASE(import_that_the_zone_has_no_more_opens_nothing),
		cmocka_unit_test_setup_teardown(without_a_lease_each_wrap_and_unwrap_asks_once,
						set_up_without_lease, tear_down),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests_name("dek wrap", tests, NULL, NULL);
}
