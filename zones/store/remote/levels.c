/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/store/remote/remote.h"

void remote_describe_levels(const struct store_head *head, struct buffer *ret_text)
{
	unsigned known = store_level_understood();

	buffer_format(ret_text,
		      "store: level %u, readers need %u, writers %u; this release knows level %u\n",
		      head->level, head->min_reader, head->min_writer, known);
	if (head->min_writer > known)
		buffer_format(ret_text, "store: it can't be changed from here: install %s\n",
			      head->release);
}

const char *remote_access(const struct store_head *head, bool writable)
{
	if (head->min_writer > store_level_understood())
		return "readable, not to be changed by this release";
	return writable ? "writable" : "read-only";
}

enum zone_status remote_bring(const struct store_head *head, unsigned from, unsigned to,
			      const char **ret_why)
{
	if (head->level != from) {
		*ret_why = "somebody has brought it to another level meanwhile; look again: cmek "
			   "store show";
		return ZONE_CONFLICT;
	}
	*ret_why = "this release knows no way to that level in such a store; see: cmek store show";
	return from == to ? ZONE_OK : ZONE_INVALID;
}
