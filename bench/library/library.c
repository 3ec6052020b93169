/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of 1 KiB by libcmek, and the same bytes by libcrypto alone, in slices that take turns:
 * medians, in microseconds. `bench_library ROUNDS` prints a line of JSON; bench/library/run.py has
 * the other languages beside it. `bench_library --file IN OUT` seals a file with all processors;
 * `bench_library --count seal|unseal COUNT` does that again and again, so that another program can
 * count its instructions (tests/sweeps/instructions.py). */
#include <cmek/cmek.h>

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIZE = 1024, SLICE = 200, SEALED = SIZE + 2048 };

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench_library: %s\n", what);
	exit(1);
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *list, size_t count)
{
	qsort(list, count, sizeof(*list), by_size);
	return list[count / 2];
}

static uint8_t plain[SIZE], sealed[SEALED], opened[SIZE];
static size_t sealed_len;
static cmek_client *client;
static cmek_zone *zone;
static EVP_CIPHER_CTX *evp;

static void evp_seal(void)
{
	static const uint8_t nonce[12];
	uint8_t tag[16];
	int len;

	must(EVP_EncryptInit_ex(evp, NULL, NULL, NULL, nonce) == 1 &&
		     EVP_EncryptUpdate(evp, opened, &len, plain, SIZE) == 1 &&
		     EVP_EncryptFinal_ex(evp, opened + len, &len) == 1 &&
		     EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1,
	     "libcrypto");
}

static void seal(void)
{
	must(cmek_seal(zone, plain, SIZE, NULL, sealed, sizeof(sealed), &sealed_len, NULL) ==
		     CMEK_OK,
	     "cmek_seal");
}

static void unseal(void)
{
	size_t len;

	must(cmek_unseal(client, sealed, sealed_len, NULL, opened, sizeof(opened), &len, NULL) ==
		     CMEK_OK,
	     "cmek_unseal");
}

static double slice(void (*work)(void))
{
	double begin = now_us();

	for (int i = 0; i < SLICE; i++)
		work();
	return (now_us() - begin) / SLICE;
}

static void start(void)
{
	must(cmek_open(NULL, &client, NULL) == CMEK_OK &&
		     cmek_zone_open(client, "prod/bench", &zone, NULL) == CMEK_OK,
	     "a zone");
}

static int seal_file(const char *in, const char *result)
{
	const struct cmek_seal_options options = {.size = sizeof(options),
						  .threads = CMEK_ALL_PROCESSORS};

	start();
	must(cmek_seal_file(zone, in, result, true, &options, NULL) == CMEK_OK, "cmek_seal_file");
	cmek_zone_free(zone);
	cmek_close(client);
	return 0;
}

/* What is counted: callgrind knows it by its name, as that of bench/hot.c. */
void hot_run(void (*work)(void), unsigned long count);
__attribute__((noinline)) void hot_run(void (*work)(void), unsigned long count)
{
	while (count-- > 0)
		work();
}

/* The first messages have what is done once, as the data key of a zone. */
static int count_work(const char *name, unsigned long count)
{
	void (*work)(void) = strcmp(name, "seal") == 0 ? seal : unseal;

	start();
	seal();
	for (unsigned long i = 0; i < count; i++)
		work();
	for (int slices = 9; slices > 0; slices--)
		hot_run(work, count);
	cmek_zone_free(zone);
	cmek_close(client);
	return 0;
}

int main(int argc, char **argv)
{
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
	static void (*const works[])(void) = {evp_seal, seal, unseal};
	double *times[3];
	static const uint8_t key[32];

	if (argc == 4 && strcmp(argv[1], "--file") == 0)
		return seal_file(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "--count") == 0)
		return count_work(argv[2], strtoul(argv[3], NULL, 10));
	evp = EVP_CIPHER_CTX_new();
	must(evp != NULL && EVP_EncryptInit_ex(evp, EVP_aes_256_gcm(), NULL, key, NULL) == 1,
	     "libcrypto");
	start();
	for (size_t i = 0; i < 3; i++) {
		times[i] = calloc(rounds, sizeof(double));
		must(times[i] != NULL, "memory");
	}
	seal();
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < 3; i++)
			times[i][round] = slice(works[i]);
	printf("{\"evp\": %.3f, \"seal\": %.3f, \"unseal\": %.3f}\n", median(times[0], rounds),
	       median(times[1], rounds), median(times[2], rounds));
	cmek_zone_free(zone);
	cmek_close(client);
	return 0;
}
