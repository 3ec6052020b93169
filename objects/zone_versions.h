/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The versions of a zone's EZK as attributes: how they are changed. */
#pragma once

#include "objects/edit.h"
#include "objects/template.h"

/* Whether a template names one of those that are set alone: CKA_CMEK_VERSION, CKA_CMEK_RAW_VERSION,
 * CKA_CMEK_MIN_VERSION, CKA_CMEK_ROTATE_DAYS. */
bool zone_versions_named(const struct template *template);
/* Sets it, of a zone of the token. KMS for CKA_CMEK_VERSION. */
CK_RV zone_versions_change(const struct editor *editor, const struct object *zone,
			   const struct template *template);
