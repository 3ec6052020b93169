/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* CMEK_Doctor and CMEK_DoctorAtOnce of our own interface (include/cmek.h). */
#pragma once

#include "include/cmek.h"
#include "include/pkcs11.h"

CK_RV doctor_look(const struct CMEK_DOCTOR *request);
CK_RV doctor_look_at_once(const struct CMEK_DOCTOR *request, CMEK_DOCTOR_RUN run);
