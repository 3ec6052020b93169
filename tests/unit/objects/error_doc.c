/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/errors.md says what the three tables say (aws/status.c, net/statuses.h, objects/error.c).
 * CMEK_WRITE_DOCS=1 writes its tables anew.
 */
#include "aws/status.h"
#include "base/file.h"
#include "base/macros.h"
#include "objects/error.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const statuses[KMS_STATUS_COUNT] = {
	[KMS_OK] = "KMS_OK",
#define KMS_STATUS(name, ...) [KMS_##name] = "KMS_" #name,
	KMS_STATUSES(KMS_STATUS)
#undef KMS_STATUS
		[KMS_NO_MEMORY] = "KMS_NO_MEMORY",
};

static const char *const again[] = {
	[RETRY_NO] = "no",
	[RETRY_TRANSIENT] = "after up to 50 ms, doubled each time",
	[RETRY_THROTTLED] = "after up to 1 s, doubled each time",
	[RETRY_RENEWED] = "once, with fresh credentials",
	[RETRY_CLOCK] = "once, for the server's time",
};

#define NAME(value)                                                                                \
	{                                                                                          \
		value, #value                                                                      \
	}
static const struct {
	CK_RV rv;
	const char *name;
} values[] = {
	NAME(CKR_OK),
	NAME(CKR_HOST_MEMORY),
	NAME(CKR_GENERAL_ERROR),
	NAME(CKR_FUNCTION_FAILED),
	NAME(CKR_DEVICE_ERROR),
	NAME(CKR_KEY_FUNCTION_NOT_PERMITTED),
	NAME(CKR_ENCRYPTED_DATA_INVALID),
	NAME(CKR_WRAPPED_KEY_INVALID),
	NAME(CKR_ATTRIBUTE_VALUE_INVALID),
	NAME(CKR_ATTRIBUTE_READ_ONLY),
	NAME(CKR_TEMPLATE_INCONSISTENT),
};

static const char *const places[ERROR_PLACE_COUNT] = {
	[ERROR_INIT] = "C_*Init",	   [ERROR_USE] = "use",
	[ERROR_KMS] = "use of a root key", [ERROR_WRAP] = "wrap, derive",
	[ERROR_UNWRAP] = "unwrap",	   [ERROR_IMPORT] = "unwrap by a root key",
	[ERROR_OBJECT] = "make, change",   [ERROR_DESTROY] = "destroy",
	[ERROR_TOKEN] = "find, tokens",
};

static const char *name_of(CK_RV rv)
{
	for (size_t i = 0; i < COUNT_OF(values); i++)
		if (values[i].rv == rv)
			return values[i].name + 4; /* without CKR_ */
	fail_msg("0x%lx has no name here", rv);
	return "";
}

static void put_rule(struct buffer *out, const char *what, struct status_rule rule)
{
	buffer_format(out, "| %s | %s | %s |\n", what, statuses[rule.status], again[rule.retry]);
}

/* What comes without a word of AWS's. */
static void put_ways(struct buffer *out)
{
	static const struct {
		enum http_result result;
		unsigned status;
		const char *what;
	} rows[] = {
		{HTTP_NOT_CONNECTED, 0, "*no connection: name, network, TLS handshake, proxy*"},
		{HTTP_BROKEN, 0, "*connection lost, answer cut or not HTTP*"},
		{HTTP_TIMED_OUT, 0, "*no whole answer in time*"},
		{HTTP_REFUSED, 0, "*refused by the proxy (403, 407)*"},
		{HTTP_UNTRUSTED, 0, "*certificate not trusted*"},
		{HTTP_TOO_LONG, 0, "*answer over 64 KiB, head over 16 KiB*"},
		{HTTP_UNUSABLE, 0, "*libcurl can't be used*"},
		{HTTP_ANSWERED, 429, "*status 429 without a type*"},
		{HTTP_ANSWERED, 503, "*status 500, 502, 503, 504 without a known type*"},
		{HTTP_ANSWERED, 501, "*status 501, 505 and above without a known type*"},
		{HTTP_ANSWERED, 403, "*any other status without a type*"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct http_answer answer = {.status = rows[i].status};
		struct kms_report report = {0};

		put_rule(out, rows[i].what, status_judge(rows[i].result, &answer, &report));
	}
	put_rule(out, "*any other type, status below 500*", status_find("Unheard", 400));
}

static void put_aws(struct buffer *out)
{
	const struct status_rule *rules;
	size_t count;

	rules = status_rules(&count);
	buffer_put_text(out, "| AWS, or the way there | status | tried again |\n|---|---|---|\n");
	for (size_t i = 0; i < count; i++)
		put_rule(out, rules[i].type, rules[i]);
	put_ways(out);
}

static void put_status(struct buffer *out, enum kms_status status)
{
	enum zone_status zone = zone_status_of_kms(status);

	buffer_format(out, "| %s | %s |", statuses[status], kms_status_is_no(status) ? "no" : "");
	for (int place = 0; place < ERROR_PLACE_COUNT; place++)
		buffer_format(out, " %s |", name_of(error_of_zone(zone, (enum error_place)place)));
	buffer_format(out, " %lu |\n", error_take_reason());
}

static void put_pkcs11(struct buffer *out)
{
	buffer_put_text(out, "| status | a no |");
	for (int place = 0; place < ERROR_PLACE_COUNT; place++)
		buffer_format(out, " %s |", places[place]);
	buffer_put_text(out, " ulDeviceError |\n|---|---|");
	for (int place = 0; place < ERROR_PLACE_COUNT; place++)
		buffer_put_text(out, "---|");
	buffer_put_text(out, "---|\n");
	for (int status = 1; status < KMS_STATUS_COUNT; status++)
		put_status(out, (enum kms_status)status);
}

/* Where a table stands in the text: after a line with its mark, up to an empty line. */
static char *find_table(const char *text, const char *mark, size_t *ret_len)
{
	char *begin = strstr(text, mark);

	if (begin == NULL || strchr(begin, '\n') == NULL)
		fail_msg("%s is not in docs/errors.md", mark);
	begin = strchr(begin, '\n') + 1;
	*ret_len = strstr(begin, "\n\n") == NULL ? strlen(begin)
						 : (size_t)(strstr(begin, "\n\n") + 1 - begin);
	return begin;
}

static void write_doc(const char *path, const char *text, const char *at, size_t len,
		      const char *table)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fprintf(file, "%.*s%s%s", (int)(at - text), text, table, at + len);
	fclose(file);
}

static void compare(const char *mark, void (*put)(struct buffer *out))
{
	const char *path = source_file("docs/errors.md");
	AUTO(buffer_clear) struct buffer text = {0}, table = {0};
	size_t len;
	char *at;

	assert_true(file_read(path, 1 << 20, &text));
	put(&table);
	assert_non_null(buffer_text(&text));
	at = find_table((const char *)text.data, mark, &len);
	if (len == strlen(buffer_text(&table)) && memcmp(at, table.data, len) == 0)
		return;
	if (getenv("CMEK_WRITE_DOCS") == NULL)
		fail_msg("docs/errors.md is out of date; CMEK_WRITE_DOCS=1 writes it:\n%s",
			 buffer_text(&table));
	write_doc(path, (const char *)text.data, at, len, buffer_text(&table));
}

static void docs_name_every_error_of_aws(void **state)
{
	(void)state;
	compare("<!-- from aws/status.c -->", put_aws);
}

static void docs_name_every_value_and_number(void **state)
{
	(void)state;
	compare("<!-- from zones/model/status.c, objects/error.c -->", put_pkcs11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(docs_name_every_error_of_aws),
		cmocka_unit_test(docs_name_every_value_and_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
