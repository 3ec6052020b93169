/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What every provider checks before it works: sizes, key names, encryption context. */
#include "kms/context.h"

#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "net/answer.h"

#include <stdlib.h>

enum kms_status check_plaintext(struct bytes plaintext, struct kms_report *report)
{
	if (plaintext.len >= 1 && plaintext.len <= KMS_PLAINTEXT_MAX && plaintext.data != NULL)
		return KMS_OK;
	return kms_fail(KMS_INVALID_REQUEST, report, "ValidationException",
			"a plaintext has 1 to %d bytes, not %zu", KMS_PLAINTEXT_MAX, plaintext.len);
}

enum kms_status check_blob(struct bytes blob, struct kms_report *report)
{
	if (blob.len >= 1 && blob.len <= KMS_BLOB_MAX && blob.data != NULL)
		return KMS_OK;
	return kms_fail(KMS_INVALID_REQUEST, report, "ValidationException",
			"a ciphertext has 1 to %d bytes, not %zu", KMS_BLOB_MAX, blob.len);
}

static bool text_valid(const char *text)
{
	struct bytes b = bytes_of(text);

	return text != NULL && b.len <= UINT16_MAX && utf8_valid(b);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct kms_pair *)a)->name, ((const struct kms_pair *)b)->name);
}

static bool names_unique(const struct kms_pair *sorted, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (strcmp(sorted[i - 1].name, sorted[i].name) == 0)
			return false;
	return true;
}

/* The pairs, checked and sorted; free() them. */
static enum kms_status sort_pairs(const struct kms_context *context, struct kms_report *report,
				  struct kms_pair **ret_pairs)
{
	struct kms_pair *pairs AUTO(freep) = calloc(context->count, sizeof(*pairs));

	if (pairs == NULL)
		return KMS_NO_MEMORY;
	for (size_t i = 0; i < context->count; i++) {
		pairs[i] = context->pairs[i];
		if (!text_valid(pairs[i].name) || !text_valid(pairs[i].value) ||
		    pairs[i].name[0] == 0)
			return kms_fail(KMS_INVALID_REQUEST, report, "ValidationException",
					"encryption context: pair %zu is not a name and a value",
					i + 1);
	}
	qsort(pairs, context->count, sizeof(*pairs), by_name);
	if (!names_unique(pairs, context->count))
		return kms_fail(KMS_INVALID_REQUEST, report, "ValidationException",
				"encryption context: a name stands there twice");
	*ret_pairs = TAKE(pairs);
	return KMS_OK;
}

static bool is_empty(const struct kms_context *context)
{
	return context == NULL || context->count == 0;
}

enum kms_status check_context(const struct kms_context *context, struct kms_report *report)
{
	struct kms_pair *pairs AUTO(freep) = NULL;

	return is_empty(context) ? KMS_OK : sort_pairs(context, report, &pairs);
}

enum kms_status context_append(const struct kms_context *context, struct kms_report *report,
			       struct buffer *out)
{
	struct kms_pair *pairs AUTO(freep) = NULL;
	size_t count = is_empty(context) ? 0 : context->count;

	if (count > UINT16_MAX)
		return kms_fail(KMS_INVALID_REQUEST, report, "ValidationException",
				"encryption context: too many pairs");
	if (count > 0)
		TRY(sort_pairs(context, report, &pairs));
	buffer_put_u16(out, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		buffer_put_sized(out, bytes_of(pairs[i].name));
		buffer_put_sized(out, bytes_of(pairs[i].value));
	}
	return out->failed ? KMS_NO_MEMORY : KMS_OK;
}
