/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without a fuzzer: on nothing, on each seed, and on so many changed seeds that
 *are the same in every run. With clang, `-fsanitize=fuzzer` takes this file's place.
 *
 *	fuzz_NAME ROUNDS [SEED-FILE…]
 *
 * $CMEK_FUZZ_ROUNDS goes before ROUNDS, for what makes each of them slow.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 4096 };

static uint64_t state = 0x9e3779b97f4a7c15;

/* xorshift64 (Marsaglia, 2003). */
static size_t draw(size_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (size_t)(state % below);
}

/* On the heap and of the exact size, so that a sanitizer sees each byte beyond. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = calloc(size > 0 ? size : 1, 1);

	if (copy == NULL)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static size_t change(uint8_t *data, size_t size)
{
	static const uint8_t edges[] = {0, 1, 2, 7, 8, 15, 16, 17, 0x7f, 0x80, 0xff, '"', '{', '}'};

	for (size_t times = 1 + draw(4); times > 0; times--) {
		switch (draw(4)) {
		case 0:
			if (size > 0)
				data[draw(size)] ^= (uint8_t)(1 << draw(8));
			break;
		case 1:
			if (size > 0)
				data[draw(size)] = edges[draw(sizeof(edges))];
			break;
		case 2:
			if (size < INPUT_MAX)
				data[size++] = (uint8_t)draw(256);
			break;
		default:
			size = draw(size + 1);
		}
	}
	return size;
}

static size_t read_seed(const char *path, uint8_t *ret_data)
{
	FILE *file = fopen(path, "rb");
	size_t size;

	if (file == NULL) {
		perror(path);
		exit(1);
	}
	size = fread(ret_data, 1, INPUT_MAX, file);
	fclose(file);
	return size;
}

int main(int argc, char **argv)
{
	static uint8_t seed[INPUT_MAX], changed[INPUT_MAX];
	const char *said = getenv("CMEK_FUZZ_ROUNDS");
	long rounds = atol(said != NULL ? said : argc > 1 ? argv[1] : "0");
	size_t size = 0;

	run(seed, 0);
	for (long round = 0; round < rounds; round++) {
		if (argc > 2)
			size = read_seed(argv[2 + draw((size_t)argc - 2)], seed);
		memcpy(changed, seed, size);
		if (round >= argc - 2)
			size = change(changed, size);
		run(changed, size);
		if (argc == 2)
			memcpy(seed, changed, size);
	}
	printf("1..1\nok 1 - %ld inputs did no harm\n", rounds);
	return 0;
}
