/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* libcmek as java.sh preloads it: counts the zones that are open, and lets cmek_sealed_size and
 * cmek_unseal wait, if they are told to, until another thread has closed a client. */
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

/* Whether the zones that there were are still open, and may be read. */
static bool wait_if_told(void)
{
	int before = open_zones;

	if (!late)
		return true;
	sem_post(&inside);
	sem_wait(&closed);
	open_while_it_waited = open_zones;
	return open_zones == before;
}

size_t cmek_sealed_size(const cmek_zone *zone, size_t len, const struct cmek_seal_options *options)
{
	size_t (*real)(const cmek_zone *, size_t, const struct cmek_seal_options *) =
		dlsym(RTLD_NEXT, "cmek_sealed_size");

	return wait_if_told() ? real(zone, len, options) : 0;
}

enum cmek_status cmek_unseal(cmek_client *client, const void *sealed, size_t sealed_len,
			     const struct cmek_unseal_options *options, void *out, size_t room,
			     size_t *ret_len, cmek_error **ret_error)
{
	enum cmek_status (*real)(cmek_client *, const void *, size_t,
				 const struct cmek_unseal_options *, void *, size_t, size_t *,
				 cmek_error **) = dlsym(RTLD_NEXT, "cmek_unseal");

	return wait_if_told()
		       ? real(client, sealed, sealed_len, options, out, room, ret_len, ret_error)
		       : CMEK_FAILED;
}

int late_zones(void)
{
	return open_zones;
}

/* From now on they wait. */
void late_begin(void)
{
	late = true;
}

/* Returns when somebody is in one of them. */
void late_await(void)
{
	sem_wait(&inside);
}

/* Lets that go on, and those that come wait no more. */
void late_end(void)
{
	late = false;
	sem_post(&closed);
}

/* How many zones were open then. */
int late_found(void)
{
	return open_while_it_waited;
}
