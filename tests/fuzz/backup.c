/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A backup as it is read before its MAC is known to be good. What is taken is written as it was
 * read. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/fuzz/fuzz.h"
#include "zones/model/backup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(backup_clear) struct backup backup = {0};
	AUTO(buffer_clear) struct buffer out = {0};
	struct bytes mac;

	log_configure(LOG_OFF, "stderr");
	if (backup_decode(bytes(data, size), &backup) != ZONE_OK)
		return 0;
	if (backup_encode(&backup, &out) != ZONE_OK ||
	    !bytes_equal(buffer_bytes(&out), backup_covered(bytes(data, size), &mac)))
		abort();
	return 0;
}
