/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How a zone is called in a message: by the name that people gave it, and by its number only where
 * no name is known. */
#pragma once

#include "zones/ezk/ezk.h"

struct index;

/* Use as zone_told(…).text: it lives to the end of the expression. */
struct zone_told {
	char text[LABEL_MAX + PROJECT_LABEL_MAX + 64];
};
/* "zone 'cluster/database' of project 'p'", also of one that awaits deletion; else "zone
 * 3044928755559416890". */
struct zone_told zone_told(struct zones *zones, uint64_t zone);
/* The same by way of a live EZK of any zone. */
struct zone_told zone_told_by(struct ezk *ezk, uint64_t zone);
/* With the index's lock held, or within a transaction. */
struct zone_told zone_told_in(const struct index *index, uint64_t zone);
/* Of what the caller knows; texts may be NULL or empty. */
struct zone_told zone_told_as(const char *label, const char *project, uint64_t zone);
