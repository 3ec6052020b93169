/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What zones/store/store.h promises, of a store that many hosts write: for each engine. */
#pragma once

#include "zones/store/store.h"

/* A store, and more ways to it. */
struct contract_bed {
	struct store *store;
	struct store_cursor cursor; /* how far it was read or written last */
	struct store *(*open)(void *place);
	void *place;
};

struct contract_wish {
	struct store_change *changes;
	size_t count;
	size_t asks, rows; /* how often it was asked, and heard of how many rows */
	void (*meanwhile)(void *state);
	void *meanwhile_state;
};

/* Makes these changes. */
enum zone_status contract_wished(void *state, struct store_news *news,
				 struct store_change **ret_changes, size_t *ret_count);
enum zone_status contract_put_wish(struct contract_bed *bed, struct contract_wish *wish);
/* Releases the entries. */
enum zone_status contract_put(struct contract_bed *bed, struct store_change *changes, size_t count);
enum zone_status contract_put_one(struct contract_bed *bed, struct entry *entry, bool remove);
struct entry *contract_make_entry(enum entry_kind kind, uint32_t number);
/* A project, a root key, a cluster and a zone. */
void contract_fill(struct contract_bed *bed);
/* One more project; its uid. */
struct uid contract_other_project(struct contract_bed *bed);
void contract_read_since(struct contract_bed *bed, const struct store_cursor *since,
			 struct store_news *ret_news);
void contract_read_all(struct contract_bed *bed, struct store_news *ret_news);
struct entry *contract_copy_of(struct contract_bed *bed, enum entry_kind kind, uint32_t number);

/* So many add one to a number, each by a way of its own: none is lost, none done twice. */
void contract_race(struct contract_bed *bed, unsigned writers);

/* Tests; their state is a bed whose store is empty. */
struct contract_test {
	const char *name;
	void (*run)(void **state);
	bool has_rivals; /* who are not locked out, but have a write decided anew */
};
extern const struct contract_test contract_tests[];
extern const size_t contract_test_count;
