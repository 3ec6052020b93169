/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor over borrowed bytes, the counterpart of buffer_put_*. Remembers that it ran out, so a
 * run of reads needs one look at the end; after that every read gives 0 or no bytes. */
#pragma once

#include "base/bytes.h"

struct reader {
	struct bytes left;
	bool failed;
};

static inline struct reader reader_of(struct bytes bytes)
{
	return (struct reader){.left = bytes};
}

uint8_t reader_u8(struct reader *reader);
uint16_t reader_u16(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
/* The next `len` bytes, borrowed from what is read. */
struct bytes reader_take(struct reader *reader, size_t len);
/* Bytes preceded by their length in 2 bytes. */
struct bytes reader_sized(struct reader *reader);
/* Nothing failed and nothing is left over. */
bool reader_done(const struct reader *reader);
