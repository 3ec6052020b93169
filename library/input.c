/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/input.h"

#include <errno.h>
#include <unistd.h>

ssize_t library_input_read(int fd, uint8_t *out, size_t len)
{
	ssize_t count;

	do {
		count = read(fd, out, len);
	} while (count < 0 && errno == EINTR);
	return count;
}
