/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what is to be sealed or opened. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* As read(2), through interruptions: what a struct envelope_io needs. */
ssize_t library_input_read(int fd, uint8_t *out, size_t len);
