/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same C_* test program, run on SoftHSM2 and on our module. Where the two answer differently,
 * difference() says so: the one table of them, with reasons, is in same_on_softhsm.c.
 */
#pragma once

#include "harness.h"

/* What the module under test should answer in a case in which SoftHSM2 and ours differ: a CK_RV,
 * a number, or a truth. Fails if the table has no such case. */
CK_ULONG difference(const char *name);

/* The groups: each returns the number of failures. */
int same_life(void);
int same_sessions(void);
int same_objects(void);
int same_search(void);
int same_templates(void);
int same_ciphers(void);
int same_operations(void);
int same_digests(void);
int same_wraps(void);
