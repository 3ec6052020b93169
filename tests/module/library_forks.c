/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* libcmek in a fork's child, and by many threads at once. Both say what was not so by counts, for
 * cmocka's assertions are the test's. */
#include "base/free.h"
#include "base/macros.h"
#include "library/zone.h"
#include "tests/support/unit.h"

#include "library.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_SECONDS = 300, THREADS = 8, ROUNDS = 50, OBJECT = 200000 };

/* How a child ends that found all well: leak checkers do not look at it. */
#define WELL SIGKILL

static struct buffer object, message;
static struct bytes object_bytes;
static cmek_range *range;
static cmek_writer *begun;
static struct buffer written;

static bool seals_and_opens(void)
{
	uint8_t sealed[256], plain[64];
	size_t sealed_len, len;

	return cmek_seal(orders, "row", 3, NULL, sealed, sizeof(sealed), &sealed_len, NULL) ==
		       CMEK_OK &&
	       cmek_unseal(client, sealed, sealed_len, NULL, plain, sizeof(plain), &len, NULL) ==
		       CMEK_OK &&
	       len == 3 && memcmp(plain, "row", 3) == 0;
}

static bool reads_range(uint64_t offset)
{
	uint8_t place[300], expected;
	size_t len;

	if (cmek_range_read(range, place, sizeof(place), offset, &len, NULL) != CMEK_OK ||
	    len != sizeof(place))
		return false;
	for (size_t i = 0; i < len; i++) {
		size_t at = (size_t)offset + i;

		expected = (uint8_t)(at * 7 + (at >> 8) * 13 + (at >> 16));
		if (place[i] != expected)
			return false;
	}
	return true;
}

static bool opens_message(void)
{
	uint8_t plain[64];
	size_t len;

	return cmek_unseal(client, message.data, message.len, NULL, plain, sizeof(plain), &len,
			   NULL) == CMEK_OK;
}

static const char *wrong_in_child(void)
{
	if (cmek_writer_put(begun, "x", 1, NULL) != CMEK_FAILED)
		return "the parent's writer writes in the child";
	if (!seals_and_opens())
		return "it neither seals nor opens";
	if (!opens_message())
		return "the parent's message does not open";
	if (!reads_range(70000))
		return "the parent's range does not read";
	cmek_writer_free(begun);
	cmek_range_free(range);
	cmek_zone_free(orders);
	cmek_zone_free(bills);
	cmek_close(client);
	return NULL;
}

/* Whether the child of a fork found all well. */
static bool in_child(const char *(*wrong)(void))
{
	const char *said;
	int status = -1;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		alarm(CHILD_SECONDS);
		said = wrong();
		if (said == NULL)
			kill(getpid(), WELL);
		fprintf(stderr, "# child: %s\n", said == NULL ? "it ends itself" : said);
		_exit(1);
	}
	return waitpid(child, &status, 0) == child && status == WELL;
}

static void begin(void)
{
	buffer_clear(&written);
	seal_stream(orders, OBJECT, &object);
	seal_message(orders, "the parent's", NULL, &message);
	object_bytes = buffer_bytes(&object);
	works(cmek_range_new(client, NULL, pread_from, &object_bytes, object_bytes.len, &range,
			     &why));
	works(cmek_writer_new(orders, NULL, write_to, &written, &begun, &why));
}

static void end(void)
{
	cmek_writer_free(begun);
	cmek_range_free(range);
	buffer_clear(&object);
	buffer_clear(&message);
	buffer_clear(&written);
}

static const char *wrong_in_grandchild(void)
{
	if (!seals_and_opens())
		return "the child does not seal";
	if (!in_child(wrong_in_child))
		return "the grandchild is not well";
	return seals_and_opens() ? NULL : "the child does not seal after its own child";
}

static void a_forks_child_goes_on_and_the_parent_notices_nothing(void **state)
{
	(void)state;
	begin();
	assert_true(in_child(wrong_in_child));
	assert_true(in_child(wrong_in_grandchild));
	assert_true(seals_and_opens());
	assert_true(reads_range(1));
	works(cmek_writer_put(begun, "x", 1, &why));
	works(cmek_writer_finish(begun, &why));
	end();
}

static const char *wrong_if_only_freed(void)
{
	cmek_writer_free(begun);
	cmek_range_free(range);
	cmek_zone_free(orders);
	cmek_zone_free(bills);
	cmek_close(client);
	return NULL;
}

static void a_child_that_only_frees_is_well(void **state)
{
	(void)state;
	begin();
	assert_true(in_child(wrong_if_only_freed));
	end();
}

static const char *wrong_of_range(void)
{
	return reads_range(70000) ? NULL : "the parent's range does not read";
}

static void a_range_needs_its_zone_no_more_also_in_a_forks_child(void **state)
{
	struct cmek_unseal_options options = {.size = sizeof(options)};
	AUTO(freep) uint8_t *other = NULL;
	cmek_zone *zone;

	(void)state;
	seal_stream(orders, OBJECT, &object);
	object_bytes = buffer_bytes(&object);
	works(cmek_zone_open(client, "main/orders", &zone, &why));
	options.zone = zone;
	works(cmek_range_new(client, &options, pread_from, &object_bytes, object_bytes.len, &range,
			     &why));
	cmek_zone_free(zone);
	other = malloc(sizeof(struct cmek_zone)); /* where it was */
	memset(other, 0xff, sizeof(struct cmek_zone));
	assert_true(in_child(wrong_of_range));
	cmek_range_free(range);
	buffer_clear(&object);
}

static const char *wrong_of_another_object(void)
{
	uint8_t place[16];
	size_t len;

	return cmek_range_read(range, place, sizeof(place), 5, &len, &why) == CMEK_DAMAGED &&
			       strstr(cmek_error_text(why), "another object") != NULL
		       ? NULL
		       : "another object is read";
}

static void a_child_reads_no_other_object_than_its_parent_opened(void **state)
{
	AUTO(buffer_clear) struct buffer other = {0};

	(void)state;
	begin();
	seal_stream(orders, OBJECT, &other);
	object_bytes = buffer_bytes(&other);
	assert_true(in_child(wrong_of_another_object));
	end();
}

/* --- Threads --------------------------------------------------------------------------------- */

static atomic_int failures;

static void *use(void *number)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t offset = ((uintptr_t)number * 7919 + i * 4001) % (OBJECT - 300);

		if (!seals_and_opens() || !opens_message() || !reads_range(offset))
			atomic_fetch_add(&failures, 1);
	}
	return NULL;
}

static void *open_and_close(void *unused)
{
	cmek_client *own;
	cmek_zone *zone;

	for (unsigned i = 0; i < ROUNDS / 5; i++) {
		if (cmek_open(NULL, &own, NULL) != CMEK_OK) {
			atomic_fetch_add(&failures, 1);
			continue;
		}
		if (cmek_zone_open(own, "demo:main/bills", &zone, NULL) == CMEK_OK)
			cmek_zone_free(zone);
		else
			atomic_fetch_add(&failures, 1);
		cmek_close(own);
	}
	return unused;
}

static void a_client_a_zone_and_a_range_are_used_by_many_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	begin();
	atomic_store(&failures, 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						i == THREADS - 1 ? open_and_close : use, (void *)i),
				 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&failures), 0);
	end();
}

const struct CMUnitTest library_fork_tests[] = {
	cmocka_unit_test(a_forks_child_goes_on_and_the_parent_notices_nothing),
	cmocka_unit_test(a_child_that_only_frees_is_well),
	cmocka_unit_test(a_range_needs_its_zone_no_more_also_in_a_forks_child),
	cmocka_unit_test(a_child_reads_no_other_object_than_its_parent_opened),
	cmocka_unit_test(a_client_a_zone_and_a_range_are_used_by_many_threads),
};
const size_t library_fork_count = COUNT_OF(library_fork_tests);
