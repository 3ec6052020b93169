/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/etcd_bed.h"

#include "base/log.h"
#include "crypto/crypto.h"
#include "net/retry.h"
#include "tests/support/etcd_server.h"
#include "zones/store/etcd/etcd.h"

#include <stdlib.h>

enum { TESTS_MAX = 128 };

static bool running;

bool etcd_bed_runs(void)
{
	return running;
}

/* --- Limits of time are for what hangs, not for a machine that is busy: they are longer here,
 * those of a request and those of a call, whose clock is slow */

enum { PATIENCE = 20 };

static int64_t slow_monotonic_ms(void *state)
{
	return clock_system.monotonic_ms(state) / PATIENCE;
}

static int64_t realtime_ms(void *state)
{
	return clock_system.realtime_ms(state);
}

static const struct clock slow_clock = {slow_monotonic_ms, realtime_ms, NULL};

struct patient_http {
	struct http http;
	struct http *real;
};

static enum http_result send_patiently(struct http *http, const struct http_request *request,
				       struct http_answer *answer)
{
	struct http *real = ((struct patient_http *)http)->real;
	struct http_request patient = *request;

	patient.timeout_ms *= PATIENCE;
	patient.connect_timeout_ms *= PATIENCE;
	return real->operations->send(real, &patient, answer);
}

static void abandon_patient(struct http *http)
{
	struct http *real = ((struct patient_http *)http)->real;

	real->operations->abandon(real);
}

static void free_patient(struct http *http)
{
	struct http *real = ((struct patient_http *)http)->real;

	real->operations->free(real);
	free(http);
}

struct store *etcd_bed_open(const char *prefix)
{
	static const struct http_operations operations = {send_patiently, abandon_patient,
							  free_patient};
	const struct store_settings settings = {.endpoint = {etcd_server_endpoint(), NULL},
						.prefix = {prefix, NULL}};
	struct patient_http *http = calloc(1, sizeof(*http));
	struct store *store;

	assert_non_null(http);
	*http = (struct patient_http){{&operations}, http_curl_new(1, false, &clock_system)};
	assert_non_null(http->real);
	store = etcd_new(&settings, &http->http, &slow_clock, retry_sleep, NULL);
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
