/* What the store keeps of an object besides label, id and usages: entry.extra, opaque to zones/.
 * Big-endian; later formats only append, and a reader ignores what it does not know:
 *
 *   1  format, 1                                  2+n  start date      2+n  end date
 *   4  flags: enum object_flag                    2+n  allowed mechanisms, 8 bytes each
 *   8  CKA_KEY_GEN_MECHANISM                      2+n  wrap template   2+n  unwrap template
 *                                                 2+n  CKA_CMEK_KMS_KEY
 */
#pragma once

#include "base/buffer.h"
#include "objects/object.h"

void extra_write(const struct object *object, struct buffer *out);
/* Of a root key that is made on demand, by the name that the configuration gives it. */
void extra_write_root_key(const char *kms_key, struct buffer *out);
/* Sets the fields named above in `model`, borrowed from `extra` and, for the mechanisms in this
 * machine's form, from `scratch`. False, and nothing is set: empty, or not what extra_write wrote.
 */
bool extra_read(struct bytes extra, struct object *model, struct buffer *scratch);
