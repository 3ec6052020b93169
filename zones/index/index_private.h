/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the index, for the files of zones/index/ alone. */
#pragma once

#include "zones/index/index.h"

/* The entry goes; number and uid stay, since a handle may have been given out. */
void index_let_go(struct index *index, struct index_node *node);
/* The store has that zone after all. */
void index_drop_absent(struct index *index, uint64_t zone);
void index_forget_absent(struct index *index);
