/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile object of a token (PKCS #11 3.2, "Profile objects"): which profile of the standard
 * the module keeps to. It is CKP_BASELINE_PROVIDER: slots, tokens, mechanisms, sessions, searches
 * and attributes (PKCS #11 Profiles 3.2, "Baseline Provider"). The others ask for key pairs,
 * certificates or PINs. It is in no store and never changes.
 */
#pragma once

#include "objects/object.h"

/* Between the numbers of entries and the handles of sessions' objects. */
#define PROFILE_HANDLE ((CK_OBJECT_HANDLE)1 << 31)

/* Borrows nothing; not counted. */
void profile_model(const struct entry *project, CK_SLOT_ID slot, struct object *ret_model);
