/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The words of rows, for the files of zones/store/rows/ alone. Each list ends with NULL. */
#pragma once

#include "zones/store/rows/rows.h"

extern const char *const rows_kind_words[];  /* by enum entry_kind */
extern const char *const rows_state_words[]; /* active, and not */
extern const char *const rows_wrap_words[];  /* by enum wrap_state */
