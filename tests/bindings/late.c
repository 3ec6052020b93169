/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* libcmek as java.sh preloads it: counts the zones that are open, and lets cmek_sealed_size wait,
 * if it is told to, until another thread has closed its client. */
#define _GNU_SOURCE
#include <cmek/cmek.h>

#include <dlfcn.h>
#include <semaphore.h>
#include <stdatomic.h>

static atomic_int open_zones, open_while_it_waited = -1;
static atomic_bool late;
static sem_t inside, closed;

__attribute__((constructor)) static void begin(void)
{
	sem_init(&inside, 0, 0);
	sem_init(&closed, 0, 0);
}

enum cmek_status cmek_zone_open(cmek_client *client, const char *name, cmek_zone **ret_zone,
				cmek_error **ret_error)
{
	enum cmek_status (*real)(cmek_client *, const char *, cmek_zone **, cmek_error **) =
		dlsym(RTLD_NEXT, "cmek_zone_open");
	enum cmek_status status = real(client, name, ret_zone, ret_error);

	open_zones += status == CMEK_OK;
	return status;
}

void cmek_zone_free(cmek_zone *zone)
{
	void (*real)(cmek_zone *) = dlsym(RTLD_NEXT, "cmek_zone_free");

	open_zones--;
	real(zone);
}

size_t cmek_sealed_size(const cmek_zone *zone, size_t len, const struct cmek_seal_options *options)
{
	size_t (*real)(const cmek_zone *, size_t, const struct cmek_seal_options *) =
		dlsym(RTLD_NEXT, "cmek_sealed_size");

	if (late) {
		sem_post(&inside);
		sem_wait(&closed);
		open_while_it_waited = open_zones;
		if (open_zones == 0)
			return 0;
	}
	return real(zone, len, options);
}

int late_zones(void)
{
	return open_zones;
}

/* From now on it waits. */
void late_begin(void)
{
	late = true;
}

/* Returns when somebody is in cmek_sealed_size. */
void late_await(void)
{
	sem_wait(&inside);
}

/* Lets that go on. */
void late_end(void)
{
	sem_post(&closed);
}

/* How many zones were open then. */
int late_found(void)
{
	return open_while_it_waited;
}
