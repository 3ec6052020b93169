/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/etcd_bed.h"

#include "base/log.h"
#include "crypto/crypto.h"
#include "tests/support/etcd_server.h"
#include "zones/store/etcd/engine.h"

#include <stdlib.h>

enum { TESTS_MAX = 128 };

static bool running;

bool etcd_bed_runs(void)
{
	return running;
}

struct store *etcd_bed_open(const char *prefix)
{
	const struct store_settings settings = {.endpoint = {etcd_server_endpoint(), NULL},
						.prefix = {prefix, NULL}};
	struct store *store = store_etcd.open(&settings);

	assert_non_null(store);
	return store;
}

static struct store *open_place(void *place)
{
	return etcd_bed_open(place);
}

int etcd_bed_begin(void **state)
{
	static unsigned number;
	struct etcd_bed *bed = calloc(1, sizeof(*bed));

	snprintf(bed->prefix, sizeof(bed->prefix), "/test/%u", number++);
	bed->bed.open = open_place;
	bed->bed.place = bed->prefix;
	if (running)
		bed->bed.store = etcd_bed_open(bed->prefix);
	*state = bed;
	return 0;
}

int etcd_bed_end(void **state)
{
	struct etcd_bed *bed = *state;

	if (bed->bed.store != NULL)
		bed->bed.store->operations->free(bed->bed.store);
	free(bed);
	return 0;
}

static void without_etcd(void **state)
{
	(void)state;
	NEEDS_ETCD;
}

int etcd_bed_run(const char *name, const char *max_txn_ops, const struct CMUnitTest *own,
		 size_t own_count)
{
	struct CMUnitTest tests[TESTS_MAX];
	size_t count = own_count;
	int failed;

	assert_true(own_count + contract_test_count <= TESTS_MAX);
	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(false))
		return 1;
	running = max_txn_ops == NULL ? etcd_server_start() : etcd_server_start_with(max_txn_ops);
	memcpy(tests, own, own_count * sizeof(*own));
	for (size_t i = 0; i < contract_test_count; i++)
		tests[count++] = (struct CMUnitTest){contract_tests[i].name,
						     running ? contract_tests[i].run : without_etcd,
						     etcd_bed_begin, etcd_bed_end, NULL};
	failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
	etcd_server_stop();
	return failed;
}
