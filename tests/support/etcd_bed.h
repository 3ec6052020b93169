/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A store of its own on a real etcd for each test; and all that zones/store/store.h promises,
 * there. Without etcd all are skipped. */
#pragma once

#include "tests/support/store_contract.h"
#include "tests/support/unit.h"

struct etcd_bed {
	struct contract_bed bed; /* without a store where etcd does not run */
	char prefix[64];
};

bool etcd_bed_runs(void);
/* The store that begins there, as another process has it. */
struct store *etcd_bed_open(const char *prefix);

/* An etcd_bed as the state. */
int etcd_bed_begin(void **state);
int etcd_bed_end(void **state);

/* Runs these tests, and those of store_contract.h, with an etcd of which a transaction takes so
 * many operations at most (NULL: as many as usual). What main answers. */
int etcd_bed_run(const char *name, const char *max_txn_ops, const struct CMUnitTest *own,
		 size_t own_count);

#define ETCD_TEST(name) cmocka_unit_test_setup_teardown(name, etcd_bed_begin, etcd_bed_end)

/* In a test: ends it here if there is no etcd. */
#define NEEDS_ETCD                                                                                 \
	do {                                                                                       \
		if (!etcd_bed_runs()) {                                                            \
			print_message("# reason: etcd is not installed (etcd-server)\n");          \
			skip();                                                                    \
		}                                                                                  \
	} while (0)
