/*
 * The limits in an EZK record (docs/format.md, "Limits"): what no use of the EZK may pass, wherever
 * its record is brought. A list of items, under the record's MAC. What the value of an item means
 * is for whoever set it; what is checked here is that each reader knows all of them.
 */
#pragma once

#include "base/buffer.h"
#include "zones/status.h"

enum { LIMITS_MAX = 1024 };

/* Never renumbered. A new one is a row in limits.c, too. */
enum limit {
	LIMIT_MECHANISMS = 1, /* of keys: objects/limits.h knows these three */
	LIMIT_UNWRAP_TEMPLATE = 2,
	LIMIT_WRAP_TEMPLATE = 3,
};

/* Appends an item. The caller goes by ascending tags, which is the only order that can be read. */
void limits_put(struct buffer *limits, enum limit tag, struct bytes value);
/* The value of an item, borrowed; false: there is no such limit. */
bool limits_get(struct bytes limits, enum limit tag, struct bytes *ret_value);

/* ZONE_RECORD_NEWER: there is an item that this release does not know, and which it therefore
 * can't keep to; ZONE_INVALID: malformed, or too long. */
enum zone_status limits_check(struct bytes limits);
