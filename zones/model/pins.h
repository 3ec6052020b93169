/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins ([zones] pin): names of databases that must mean one zone and no other, whatever the store
 * says. Names can't be authenticated, or people without the right to decrypt could not rename;
 * whoever relies on a name pins it where a store writer can't change it.
 *
 * The text: pairs NAME = ZONE-ID with commas or line breaks between. NAME is cluster/database, or
 * database (in the cluster "default"), in every project; or that after "PROJECT:". The first colon
 * ends the project, so a name that has one itself follows one; the last equals sign ends the name.
 * No comma can be in it. The pin for a project goes before the one for all.
 */
#pragma once

#include "base/bytes.h"

struct pins;

/* Whether a text is that; ret_bad: the pair that is not, or that pins a name to a second zone;
 * *ret_no_memory: unknown for lack of memory. */
bool pins_valid(const char *text, struct bytes *ret_bad, bool *ret_no_memory);
/* NULL, also of NULL: no pins; and with no memory, then *ret_failed is set. Of a text that is not
 * valid, the pairs that are good before the first that is not. */
struct pins *pins_new(const char *text, bool *ret_failed);
void pins_free(struct pins *pins); /* accepts NULL */

/* The zone to which a name is pinned in a project; 0: none. Of NULL: 0. `label`: of a zone. */
uint64_t pins_find(const struct pins *pins, const char *project, const char *label);
/* For listing them: the text of pair `index` and its parts; false: there are no more. Project ""
 * means every project. */
struct pin {
	const char *project, *cluster, *database;
	uint64_t zone;
};
bool pins_at(const struct pins *pins, size_t index, struct pin *ret_pin);
