/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Token keys in the store: the page's vectors, what a key is bound to, and what changes it. */
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/live_zones.h"
#include "tests/support/stored_keys.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/retire.h"
#include "zones/domain/rotate.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

/* --- Vectors */

#define VECTOR_KEY(...)
#define VECTOR_RECORD(...)
#define VECTOR_SET(...)
#define VECTOR_DEK(...)

/* A domain of live EZKs, without a store: all that there is to be read is in its index. */
struct domain {
	struct live_zones live;
	struct zones zones;
};

static void domain_begin(struct domain *domain)
{
	live_zones_start(&domain->live, 300);
	domain->zones = (struct zones){
		.clock = &domain->live.clock.clock,
		.registry = domain->live.registry,
		.loaded = true,
		.next_look = INT64_MAX,
	};
	pthread_rwlock_init(&domain->zones.lock, NULL);
}

static void domain_end(struct domain *domain)
{
	index_clear(&domain->zones.index);
	pthread_rwlock_destroy(&domain->zones.lock);
	live_zones_stop(&domain->live);
}

static void show(struct domain *domain, struct entry *entry)
{
	struct store_news news = {0};

	assert_true(store_news_add(&news, entry, false));
	assert_int_equal(index_apply(&domain->zones.index, &news), ZONE_OK);
	store_news_clear(&news);
}

/* A zone of one version with the given numbers, whose EZK is known, in the index. */
static void show_zone(struct domain *domain, uint64_t number, uint32_t version, const uint8_t *key,
		      struct uid project)
{
	struct entry *zone = live_zone(&domain->live, number, 1, ROOT_1, key);
	struct entry *owner = entry_new(ENTRY_PROJECT);
	struct kms_door door = live_door(&domain->live, ROOT_1);
	struct ezk_seal seal = {.identity = {{{0}}, {{0}}, number, version, a_day}, .key = key};

	ezk_version_clear(&zone->of_zone.versions[0]);
	assert_int_equal(ezk_version_seal(&door, &seal, &zone->of_zone.versions[0]), ZONE_OK);
	zone->of_zone.primary = zone->of_zone.raw = version;
	zone->project = owner->project = owner->uid = project;
	show(domain, owner);
	show(domain, zone);
}

static void vectors_of_the_page_open(void **state)
{
	static const struct {
		const char *ezk;
		uint64_t zone, version;
		const char *uid, *project;
		uint64_t key_type, usages;
		const char *attributes, *value, *wrapped;
	} vectors[] = {
#define VECTOR_TOKEN_KEY(...) {__VA_ARGS__},
#include "tests/vectors/format.inc"
	};
	AUTO(buffer_clear) struct buffer scratch = {0}, expected = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		AUTO(entry_releasep) struct entry *key = entry_new(ENTRY_KEY);
		AUTO(secret_freep) uint8_t *secret = NULL;
		struct domain domain;

		domain_begin(&domain);
		memcpy(key->project.bytes, from_hex(&scratch, vectors[i].project).data, UID_SIZE);
		show_zone(&domain, vectors[i].zone, (uint32_t)vectors[i].version,
			  from_hex(&scratch, vectors[i].ezk).data, key->project);
		memcpy(key->uid.bytes, from_hex(&scratch, vectors[i].uid).data, UID_SIZE);
		entry_set_bytes(&key->extra, from_hex(&scratch, vectors[i].attributes));
		entry_set_bytes(&key->of_key.wrapped, from_hex(&scratch, vectors[i].wrapped));
		from_hex(&expected, vectors[i].value);
		key->usages = (uint32_t)vectors[i].usages;
		key->of_key.zone = vectors[i].zone;
		key->of_key.key_type = (uint32_t)vectors[i].key_type;
		key->of_key.value_len = (uint32_t)expected.len;
		assert_int_equal(zones_key_open(&domain.zones, key, &secret, NULL), ZONE_OK);
		assert_memory_equal(secret, expected.data, expected.len);
		domain_end(&domain);
	}
}

static void change_uid(struct entry *key)
{
	key->uid.bytes[UID_SIZE - 1] ^= 1;
}

static void change_project(struct entry *key)
{
	key->project.bytes[0] ^= 1;
}

static void change_key_type(struct entry *key)
{
	key->of_key.key_type = 0x10;
}

static void change_value_len(struct entry *key)
{
	key->of_key.value_len--;
}

static void grow_value_len(struct entry *key)
{
	key->of_key.value_len = UINT32_MAX;
}

static void widen_usages(struct entry *key)
{
	key->usages |= USAGE_ENCRYPT;
}

static void narrow_usages(struct entry *key)
{
	key->usages = 0;
}

static void lengthen_extra(struct entry *key)
{
	assert_true(entry_set_bytes(&key->extra, bytes("x\0", 2)));
}

static void empty_extra(struct entry *key)
{
	assert_true(entry_set_bytes(&key->extra, bytes(NULL, 0)));
}

static void change_zone(struct entry *key)
{
	key->of_key.zone++;
}

/* The two fields before it, or what follows it, say its length: no bytes wander over a border. */
static void move_length_to_extra(struct entry *key)
{
	assert_true(entry_set_bytes(&key->extra, bytes("\0\0\0\1x", 5)));
}

static void what_limits_a_key_is_bound_to_its_value(void **state)
{
	static void (*const changes[])(struct entry *) = {
		change_uid,	change_project, change_key_type, change_value_len,
		grow_value_len, widen_usages,	narrow_usages,	 change_extra,
		lengthen_extra, empty_extra,	change_zone,	 move_length_to_extra,
	};
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);

	assert_int_equal(open_key(f->zones, key), ZONE_OK);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		AUTO(entry_releasep) struct entry *changed = entry_copy(key);

		changes[i](changed);
		assert_int_equal(open_key(f->zones, changed), ZONE_RECORD_CORRUPT);
	}
}

static void what_only_names_a_key_is_not(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *renamed = entry_copy(key);

	entry_set_text(&renamed->label, bytes_of("another"));
	entry_set_bytes(&renamed->id, bytes_of("id"));
	renamed->state = ENTRY_PENDING_DELETION;
	renamed->delete_after_ms = renamed->created_ms = 1;
	renamed->revision++;
	assert_int_equal(open_key(f->zones, renamed), ZONE_OK);
}

static void every_flipped_bit_of_a_stored_key_is_noticed(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *changed = entry_copy(key);
	uint8_t *stored = (uint8_t *)(uintptr_t)changed->of_key.wrapped.data;

	for (size_t bit = 0; bit < 8 * changed->of_key.wrapped.len; bit++) {
		stored[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(open_key(f->zones, changed), ZONE_RECORD_CORRUPT);
		stored[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(open_key(f->zones, changed), ZONE_OK);
	changed->of_key.wrapped.len--;
	assert_int_equal(open_key(f->zones, changed), ZONE_RECORD_CORRUPT);
	changed->of_key.wrapped.len = 0;
	assert_int_equal(open_key(f->zones, changed), ZONE_RECORD_CORRUPT);
}

/* A blob moved to the row of another zone, and its row with it. */
static void a_key_stays_in_its_zone(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *other = make_zone(f, "other");
	AUTO(entry_releasep) struct entry *moved = entry_copy(key);
	uint8_t *stored = (uint8_t *)(uintptr_t)moved->of_key.wrapped.data;

	moved->of_key.zone = other->of_zone.zone;
	assert_int_equal(open_key(f->zones, moved), ZONE_RECORD_CORRUPT);
	put_big_endian(stored + 8, 8, other->of_zone.zone);
	assert_int_equal(open_key(f->zones, moved), ZONE_RECORD_CORRUPT);
	moved->of_key.zone = 12345;
	put_big_endian(stored + 8, 8, 12345);
	assert_int_equal(open_key(f->zones, moved), ZONE_NOT_FOUND);
}

/* docs/format.md, 4.1, put together by hand. */
static struct bytes aad_of(const struct entry *key, struct buffer *out)
{
	buffer_append(out, bytes(key->uid.bytes, UID_SIZE));
	buffer_append(out, bytes(key->project.bytes, UID_SIZE));
	buffer_put_u32(out, 0x1f);
	buffer_put_u32(out, 16);
	buffer_put_u32(out, USAGE_WRAP);
	buffer_put_u32(out, 1);
	buffer_put_text(out, "x");
	return buffer_bytes(out);
}

static void neither_form_opens_the_other(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(f->zones, key->of_key.zone);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	AUTO(secret_freep) uint8_t *secret = secret_new(DEK_MAX);
	AUTO(buffer_clear) struct buffer aad = {0};
	uint8_t stored[16 + DEK_WRAP_OVERHEAD], dek[16 + DEK_WRAP_OVERHEAD];
	struct bytes bound = aad_of(key, &aad);

	assert_int_equal(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	memcpy(stored, key->of_key.wrapped.data, sizeof(stored));
	assert_int_equal(token_key_unwrap(ezk, bytes(stored, sizeof(stored)), bound, secret, NULL),
			 ZONE_OK);
	assert_int_equal(dek_unwrap(ezk, bytes(stored, sizeof(stored)), bound, secret, NULL),
			 ZONE_WRAPPED_KEY_INVALID);
	memcpy(stored, "CDEK", 4);
	assert_int_equal(dek_unwrap(ezk, bytes(stored, sizeof(stored)), bound, secret, NULL),
			 ZONE_WRAPPED_KEY_INVALID);
	assert_int_equal(dek_wrap(ezk, bytes_of(value), bound, dek), ZONE_OK);
	memcpy(dek, "CTKN", 4);
	assert_int_equal(token_key_unwrap(ezk, bytes(dek, sizeof(dek)), bound, secret, NULL),
			 ZONE_WRAPPED_KEY_INVALID);
}

static void a_new_label_needs_no_kms(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *found = NULL;

	zones_reopen(f);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	entry_release(key);
	key = find_entry(f->zones, f->project->uid, ENTRY_KEY, "key");
	assert_int_equal(change(f->zones, key, "new", USAGE_WRAP, "x"), ZONE_OK);
	found = zones_find_uid(f->zones, key->uid);
	assert_string_equal(found->label, "new");
	assert_bytes(found->of_key.wrapped, key->of_key.wrapped);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_OK);
	fake_clock_advance(&f->clock, 10000);
	assert_int_equal(open_key(f->zones, found), ZONE_OK);
}

static void what_limits_a_key_changes_with_its_wrapped_form(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *narrowed = NULL;
	AUTO(entry_releasep) struct entry *changed = NULL;

	assert_int_equal(change(f->zones, key, "key", USAGE_UNWRAP, "x"), ZONE_OK);
	narrowed = zones_find_uid(f->zones, key->uid);
	assert_int_equal(open_key(f->zones, narrowed), ZONE_OK);
	assert_int_equal(change(f->zones, narrowed, "new", USAGE_UNWRAP, "more"), ZONE_OK);
	zones_reopen(f);
	changed = zones_find_uid(f->zones, key->uid);
	assert_int_equal(open_key(f->zones, changed), ZONE_OK);
	assert_string_equal(changed->label, "new");
	assert_int_equal(changed->usages, USAGE_UNWRAP);
	/* Neither form opens under the other's row. */
	entry_set_bytes(&changed->of_key.wrapped, narrowed->of_key.wrapped);
	assert_int_equal(open_key(f->zones, changed), ZONE_RECORD_CORRUPT);
}

static void a_refusal_leaves_the_key_as_it_was(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *found = NULL;

	zones_reopen(f);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_DENIED);
	assert_int_equal(change(f->zones, key, "new", 0, "x"), ZONE_KMS_DENIED);
	found = zones_find_uid(f->zones, key->uid);
	assert_string_equal(found->label, "key");
	assert_int_equal(found->usages, USAGE_WRAP);
	assert_int_equal(found->revision, key->revision);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_OK);
	fake_clock_advance(&f->clock, 10000);
	assert_int_equal(open_key(f->zones, found), ZONE_OK);
}

static void the_second_to_change_a_key_is_told(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *found = NULL;

	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(change(other, key, "key", 0, "x"), ZONE_OK);
	assert_int_equal(change(f->zones, key, "key", USAGE_WRAP, "y"), ZONE_CONFLICT);
	found = zones_find_uid(f->zones, key->uid);
	assert_int_equal(found->usages, 0);
	assert_int_equal(open_key(f->zones, found), ZONE_OK);
	zones_free(other);
}

static void a_changed_row_is_not_changed_further(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *widened = entry_copy(key);

	widen_usages(widened);
	assert_int_equal(change(f->zones, widened, "key", USAGE_DECRYPT, "x"), ZONE_RECORD_CORRUPT);
}

static void an_archived_project_comes_back_with_its_keys(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *new = NULL;
	AUTO(entry_releasep) struct entry *archive = NULL;
	AUTO(entry_releasep) struct entry *back = NULL;
	AUTO(entry_releasep) struct entry *found = NULL;

	assert_int_equal(zones_project_replace(f->zones, f->project, bytes_of("new"), &new),
			 ZONE_OK);
	archive = find_entry(f->zones, new->uid, ENTRY_ARCHIVE, "project");
	assert_int_equal(zones_entry_restore(f->zones, archive, bytes(NULL, 0), &back), ZONE_OK);
	found = zones_find_uid(f->zones, key->uid);
	assert_int_equal(open_key(f->zones, found), ZONE_OK);
}

static void a_restored_zone_has_its_keys_again(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(f->zones, key->of_key.zone);
	AUTO(entry_releasep) struct entry *pending = NULL;
	AUTO(entry_releasep) struct entry *restored = NULL;

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	assert_int_equal(open_key(f->zones, key), ZONE_PENDING_DELETION);
	pending = zones_find_uid(f->zones, zone->uid);
	assert_int_equal(zones_entry_restore(f->zones, pending, bytes(NULL, 0), &restored),
			 ZONE_OK);
	assert_int_equal(open_key(f->zones, key), ZONE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_the_page_open),
		ZONES_TEST(what_limits_a_key_is_bound_to_its_value),
		ZONES_TEST(what_only_names_a_key_is_not),
		ZONES_TEST(every_flipped_bit_of_a_stored_key_is_noticed),
		ZONES_TEST(a_key_stays_in_its_zone),
		ZONES_TEST(neither_form_opens_the_other),
		ZONES_TEST(a_new_label_needs_no_kms),
		ZONES_TEST(what_limits_a_key_changes_with_its_wrapped_form),
		ZONES_TEST(a_refusal_leaves_the_key_as_it_was),
		ZONES_TEST(the_second_to_change_a_key_is_told),
		ZONES_TEST(a_changed_row_is_not_changed_further),
		ZONES_TEST(an_archived_project_comes_back_with_its_keys),
		ZONES_TEST(a_restored_zone_has_its_keys_again),
	};

	return cmocka_run_group_tests_name("token keys", tests, NULL, NULL);
}
