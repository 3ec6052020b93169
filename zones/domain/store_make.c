/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/domain/store_make.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/macros.h"
#include "zones/domain/state.h"

enum zone_status zones_store_create(struct zones *zones, struct buffer *ret_text)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;
	struct store *store = zones->store;

	TRY(zones_begin_turn(zones, &held));
	if (store->operations->create != NULL)
		return store->operations->create(store, ret_text);
	buffer_format(ret_text,
		      "store: with backend = %s there is nothing to make: the first project makes "
		      "it\n",
		      store->engine->name);
	return ret_text->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* By what each look begins with. */
static enum zone_status measure(struct store *store, struct buffer *ret_text)
{
	struct store_facts facts;
	int64_t began_us = clock_precise_us();

	TRY(store->operations->look_at(store, &facts));
	buffer_format(ret_text, "store: its head was read in %.1f ms\n",
		      (double)(clock_precise_us() - began_us) / 1000);
	return ZONE_OK;
}

enum zone_status zones_store_check(struct zones *zones, struct buffer *ret_text)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;
	struct store *store = zones->store;

	TRY(zones_begin_turn(zones, &held));
	if (store->operations->examine != NULL)
		TRY(store->operations->examine(store, ret_text));
	TRY(store->operations->describe(store, ret_text));
	TRY(measure(store, ret_text));
	return ret_text->failed ? ZONE_NO_MEMORY : ZONE_OK;
}
