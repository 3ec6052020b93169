/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a progress line: how much is done of how much, how fast, and how long it may take.
 */
#pragma once

#include <stdint.h>

enum { METER_SIZE = 80 };

struct meter {
	uint64_t files, total_files; /* both 0: one file; total 0: not known */
	uint64_t bytes, total_bytes; /* total 0: not known */
	int64_t elapsed_ms;
};

/* "12 of 200 files, 45.2 of 300.0 MiB, 120.3 MiB/s, 0:02 left" */
void meter_text(const struct meter *meter, char ret_text[static METER_SIZE]);
