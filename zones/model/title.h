/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a zone in messages: its label, or its number where no label is known. */
#pragma once

#include "zones/model/entry.h"

/* Use as zone_title_as(…).text: it lives to the end of the expression. "zone 'cluster/database' of
 * project 'p'"; else "zone 3044928755559416890". */
struct zone_title {
	char text[LABEL_MAX + PROJECT_LABEL_MAX + 64];
};
/* Of what the caller knows; texts may be NULL or empty. */
struct zone_title zone_title_as(const char *label, const char *project, uint64_t zone);
