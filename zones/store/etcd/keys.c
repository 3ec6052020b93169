/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, and the parts that bodies of requests are put together from. */
#include "base/encode.h"
#include "base/macros.h"
#include "zones/store/etcd/etcd.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* --- Keys */

void etcd_key(const struct etcd *etcd, struct buffer *out, const char *format, ...)
{
	char text[160]; /* what is longer is appended by its function */
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	out->failed |= len < 0 || (size_t)len >= sizeof(text);
	buffer_truncate(out, 0);
	buffer_put_text(out, etcd->prefix);
	buffer_put_text(out, text);
}

static void append_uid(struct buffer *out, struct uid uid)
{
	hex_append(out, bytes(uid.bytes, UID_SIZE));
}

void etcd_key_uid(const struct etcd *etcd, struct buffer *out, const char *kind, struct uid uid)
{
	etcd_key(etcd, out, "%s/", kind);
	append_uid(out, uid);
}

void etcd_key_version(const struct etcd *etcd, struct buffer *out, uint64_t zone,
		      const struct ezk_version *version)
{
	etcd_key(etcd, out, "version/%016" PRIx64 "/%016" PRIx64 "/%08" PRIx32, zone,
		 version->record_zone, version->version);
}

void etcd_key_label(const struct etcd *etcd, struct buffer *out, struct uid project,
		    enum entry_kind kind, struct bytes label, const struct uid *uid)
{
	etcd_key_uid(etcd, out, "label", project);
	buffer_format(out, "/%d/", (int)kind);
	hex_append(out, label);
	buffer_put_text(out, "/");
	if (uid != NULL)
		append_uid(out, *uid);
}

bool etcd_read_uid(struct bytes text, struct uid *ret_uid)
{
	AUTO(buffer_clear) struct buffer uid = {0};

	if (text.len != (size_t)2 * UID_SIZE || !hex_decode(text, &uid) || uid.len != UID_SIZE)
		return false;
	memcpy(ret_uid->bytes, uid.data, UID_SIZE);
	return true;
}

/* --- Parts of bodies */

static void put_base64(struct buffer *out, const char *name, struct bytes value)
{
	buffer_format(out, "\"%s\":\"", name);
	base64_append(out, value);
	buffer_put_text(out, "\"");
}

void etcd_prefix_end(struct buffer *out, struct bytes key)
{
	out->failed |= key.len == 0; /* for want of memory: each has the store's prefix */
	if (key.len == 0)
		return;
	buffer_append(out, bytes(key.data, key.len - 1));
	buffer_put_u8(out, '/' + 1);
}

static void put_prefix_end(struct buffer *out, struct bytes key)
{
	AUTO(buffer_clear) struct buffer end = {0};

	etcd_prefix_end(&end, key);
	out->failed |= end.failed;
	buffer_put_text(out, ",");
	put_base64(out, "range_end", buffer_bytes(&end));
}

void etcd_put_range(struct buffer *out, const struct etcd_range *range)
{
	buffer_put_text(out, "{");
	put_base64(out, "key", range->key);
	if (range->prefix) {
		put_prefix_end(out, range->key);
	} else if (range->end.len > 0) {
		buffer_put_text(out, ",");
		put_base64(out, "range_end", range->end);
	}
	if (range->revision > 0)
		buffer_format(out, ",\"revision\":\"%" PRIu64 "\"", range->revision);
	if (range->newer_than > 0)
		buffer_format(out, ",\"min_mod_revision\":\"%" PRIu64 "\"", range->newer_than + 1);
	if (range->limit > 0)
		buffer_format(out, ",\"limit\":\"%u\"", range->limit);
	if (range->keys_only)
		buffer_put_text(out, ",\"keys_only\":true");
	if (range->count_only)
		buffer_put_text(out, ",\"count_only\":true");
	buffer_put_text(out, "}");
}

static void begin_op(struct buffer *ops, const char *name)
{
	buffer_format(ops, "%s{\"%s\":", ops->len > 0 ? "," : "", name);
}

void etcd_op_range(struct buffer *ops, const struct etcd_range *range)
{
	begin_op(ops, "request_range");
	etcd_put_range(ops, range);
	buffer_put_text(ops, "}");
}

void etcd_op_put(struct buffer *ops, struct bytes key, struct bytes value)
{
	begin_op(ops, "request_put");
	buffer_put_text(ops, "{");
	put_base64(ops, "key", key);
	buffer_put_text(ops, ",");
	put_base64(ops, "value", value);
	buffer_put_text(ops, "}}");
}

void etcd_op_delete(struct buffer *ops, struct bytes key, bool prefix)
{
	begin_op(ops, "request_delete_range");
	buffer_put_text(ops, "{");
	put_base64(ops, "key", key);
	if (prefix)
		put_prefix_end(ops, key);
	buffer_put_text(ops, "}}");
}

void etcd_op_delete_between(struct buffer *ops, struct bytes from, struct bytes end)
{
	begin_op(ops, "request_delete_range");
	buffer_put_text(ops, "{");
	put_base64(ops, "key", from);
	buffer_put_text(ops, ",");
	put_base64(ops, "range_end", end);
	buffer_put_text(ops, "}}");
}

void etcd_compare(struct buffer *compares, struct bytes key, const char *target, const char *member,
		  const char *result, uint64_t value)
{
	buffer_put_text(compares, compares->len > 0 ? ",{" : "{");
	put_base64(compares, "key", key);
	if (key.len == 0 || key.data[key.len - 1] == '/')
		put_prefix_end(compares, key);
	buffer_format(compares, ",\"target\":\"%s\",\"%s\":\"%" PRIu64 "\",\"result\":\"%s\"}",
		      target, member, value, result);
}
