/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/versions.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/print.h"

#include <stdlib.h>

/* --- What the module says of them */

static json_t *read_versions(const struct token *token, CK_OBJECT_HANDLE zone)
{
	AUTO(freep) char *text = object_text(token, zone, CKA_CMEK_VERSIONS);

	return text == NULL ? NULL : json_loads(text, 0, NULL);
}

static bool is_so(const json_t *version, const char *name)
{
	return json_is_true(json_object_get(version, name));
}

/* "primary, raw": what it is used for. */
static const char *use_of(const json_t *version)
{
	static const char *const uses[] = {"opens", "opens, raw", "wraps, opens",
					   "wraps, opens, raw"};

	if (strcmp(member_text(version, "state"), "active") != 0)
		return "";
	return uses[2 * is_so(version, "primary") + is_so(version, "raw")];
}

static char *root_keys_of(const json_t *version)
{
	const json_t *arns = json_object_get(version, "root_keys");
	struct buffer text = {0};

	if (is_so(version, "both"))
		buffer_put_text(&text, BOTH_OF);
	for (size_t i = 0; i < json_array_size(arns); i++)
		buffer_format(&text, "%s%s", i == 0 ? "" : ", ",
			      json_string_value(json_array_get(arns, i)));
	return buffer_take_text(&text);
}

int versions_print(const struct token *token, CK_OBJECT_HANDLE zone)
{
	json_t *versions = read_versions(token, zone);
	struct printer printer = {0};

	puts("");
	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *version = json_array_get(versions, i);

		print_row(&printer);
		print_number(&printer, "version",
			     (uint64_t)json_integer_value(json_object_get(version, "version")));
		print_text(&printer, "created", member_text(version, "created"));
		print_text(&printer, "state", member_text(version, "state"));
		print_text(&printer, "use", use_of(version));
		print_text(&printer, "imported_from", member_text(version, "imported_from"));
		print_take(&printer, "root_keys", root_keys_of(version));
	}
	json_decref(versions);
	return print_end(&printer);
}

int64_t versions_primary_made(const struct token *token, CK_OBJECT_HANDLE zone)
{
	json_t *versions = read_versions(token, zone);
	int64_t made = 0;

	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *version = json_array_get(versions, i);

		if (is_so(version, "primary"))
			clock_read_extended(member_text(version, "created"), &made);
	}
	json_decref(versions);
	return made;
}

/* --- What is stored under older ones */

enum { LABELS_MAX = 5 };

static CK_RV find_keys(const struct token *token, uint64_t zone, struct buffer *found)
{
	uint8_t id[8];
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE template[] = {{CKA_TOKEN, &yes, sizeof(yes)}, {CKA_CMEK_ZONE, id, sizeof(id)}};
	CK_OBJECT_HANDLE keys[64];
	CK_ULONG count = 0;
	CK_RV rv;

	put_big_endian(id, sizeof(id), zone);
	rv = token->functions->C_FindObjectsInit(token->session, template, COUNT_OF(template));
	do {
		if (rv == CKR_OK)
			rv = token->functions->C_FindObjects(token->session, keys, COUNT_OF(keys),
							     &count);
		if (rv == CKR_OK)
			buffer_append(found, bytes(keys, count * sizeof(*keys)));
	} while (rv == CKR_OK && count > 0);
	return rv == CKR_OK ? token->functions->C_FindObjectsFinal(token->session) : rv;
}

static void put_label(const struct token *token, CK_OBJECT_HANDLE key, size_t before,
		      struct buffer *labels)
{
	AUTO(freep) char *label = object_text(token, key, CKA_LABEL);

	if (before < LABELS_MAX)
		buffer_format(labels, "%s'%s'", before == 0 ? "" : ", ",
			      label == NULL ? "" : plain_text(label));
	else if (before == LABELS_MAX)
		buffer_put_text(labels, ", ...");
}

int versions_stored(const struct token *token, uint64_t zone, struct buffer *ret_handles)
{
	CK_RV rv = find_keys(token, zone, ret_handles);

	if (rv != CKR_OK)
		return module_failed(rv, "listing the stored keys of project %s", token->project);
	return ret_handles->failed ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
}

int versions_stored_below(const struct token *token, uint64_t zone, uint64_t version,
			  size_t *ret_count, char **ret_labels)
{
	AUTO(buffer_clear) struct buffer found = {0};
	struct buffer labels = {0};
	CK_OBJECT_HANDLE key;
	size_t count = 0;

	TRY(versions_stored(token, zone, &found));
	for (size_t at = 0; at + sizeof(key) <= found.len; at += sizeof(key)) {
		CK_ULONG by;

		memcpy(&key, found.data + at, sizeof(key));
		by = object_number(token, key, CKA_CMEK_WRAP_VERSION); /* 0: the zone itself */
		if (by != 0 && by < version)
			put_label(token, key, count++, &labels);
	}
	if (labels.failed)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	*ret_count = count;
	*ret_labels = buffer_take_text(&labels);
	return CMEK_EXIT_OK;
}
