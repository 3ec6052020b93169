/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published vectors (tests/vectors/) through the C_* functions, at once and in parts, in both
 * directions. Keys come in by C_CreateObject. Runs on SoftHSM2 as well, for what that supports.
 * Ciphers are in vectors_ciphers.c, key wrap is in vectors_wraps.c, MACs are in vectors_macs.c.
 */
#include "vectors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Reading them: a line a vector, words in hexadecimal, "-" for nothing */

static int nibble(char c)
{
	assert_true(isxdigit((unsigned char)c));
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* In place: bytes never need more room than their digits. The first word may be decimal, which is
 * hexadecimal as well. */
static CK_ULONG decode(char *word)
{
	CK_ULONG len = 0;

	if (strcmp(word, "-") == 0)
		return 0;
	for (char *at = word; at[0] != '\0'; at += 2) {
		assert_int_not_equal(at[1], '\0');
		word[len++] = (char)(nibble(at[0]) << 4 | nibble(at[1]));
	}
	return len;
}

static void split(char *line, int fields, struct vector *v)
{
	char *rest = line, *word;

	for (int i = 0; i < fields; i++) {
		word = strtok_r(rest, " \n", &rest);
		assert_non_null(word);
		v->bytes[i] = (CK_BYTE *)word;
		v->len[i] = decode(word);
	}
	assert_null(strtok_r(rest, " \n", &rest));
}

void from_file(void **state, const char *name, int fields, test_vector *test)
{
	struct vector v = {0};
	char path[4096], *line = NULL;
	size_t size = 0;
	int count = 0;
	FILE *file;

	snprintf(path, sizeof(path), CMEK_VECTORS "/%s", name);
	file = fopen(path, "r");
	assert_non_null(file);
	while (getline(&line, &size, file) > 0) {
		v.line++;
		if (line[0] == '#')
			continue;
		split(line, fields, &v);
		test((CK_SESSION_HANDLE)*state, &v);
		count++;
	}
	free(line);
	fclose(file);
	assert_true(count >= 7);
}

/* --- What all groups use */

void is_output(const struct vector *v, const CK_BYTE *out, CK_ULONG len, const CK_BYTE *expected,
	       CK_ULONG expected_len)
{
	if (len == expected_len && memcmp(out, expected, len) == 0)
		return;
	print_message("# line %d\n", v->line);
	assert_int_equal(len, expected_len);
	assert_memory_equal(out, expected, len);
}

void need(CK_MECHANISM_TYPE type, CK_FLAGS flags)
{
	if (!mechanism_offered(type, flags) && module_is_softhsm())
		skip_because("SoftHSM2 does not offer it");
}

struct template *generic_secret(void)
{
	return with_number(aes_template(), CKA_KEY_TYPE, CKK_GENERIC_SECRET);
}

int main(void)
{
	int failures = 0;

	if (module_is_missing())
		return 0;
	failures += vectors_ciphers() + vectors_wraps() + vectors_digests() + vectors_macs() +
		    vectors_kdfs();
	return failures == 0 ? 0 : 1;
}
