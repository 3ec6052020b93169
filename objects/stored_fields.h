/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the store keeps of an object besides label, id and usages: entry.extra, opaque to zones/.
 * docs/format.md, 4.1. A token key is bound to it byte by byte. */
#pragma once

#include "base/buffer.h"
#include "objects/object.h"

void stored_fields_write(const struct object *object, struct buffer *out);
/* For a root key that is made on demand, by the name that the configuration gives it. */
void stored_fields_write_root_key(const char *kms_key, struct buffer *out);
/* Sets the fields named above in `model`, and where that is OBJECT_DATA those of its own, after
 * which it may be OBJECT_CERTIFICATE; borrowed from `extra` and, for the mechanisms in this
 * machine's form, from `scratch`. False, and nothing is set: `extra` is empty, or
 * stored_fields_write has not written it. */
bool stored_fields_read(struct bytes extra, struct object *model, struct buffer *scratch);
