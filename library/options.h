/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What callers hand in, of any release of <cmek/cmek.h>, is looked at before it is used. */
#pragma once

#include "include/cmek/cmek.h"

struct cmek_error;

/* Options as a caller has them, of any release: the fields that are known here, in `ret_known`
 * (`known` bytes; all 0 for NULL). CMEK_REFUSED: its size is impossible, or a later release's
 * field is set. */
enum cmek_status library_options(const void *given, size_t known, void *ret_known,
				 struct cmek_error *error);
/* What a caller says to be `len` bytes, or room for them, is there. CMEK_REFUSED: it is NULL. */
enum cmek_status library_check_memory(const void *memory, size_t len, struct cmek_error *error);
/* The same of what sealing and opening take; a name that has a length has bytes. */
enum cmek_status library_seal_options(const struct cmek_seal_options *given,
				      struct cmek_seal_options *ret_options,
				      struct cmek_error *error);
enum cmek_status library_unseal_options(const struct cmek_unseal_options *given,
					struct cmek_unseal_options *ret_options,
					struct cmek_error *error);
