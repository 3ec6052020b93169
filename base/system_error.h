/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the operating system (errno) in words for people: what it was, and what to do. */
#pragma once

/* "No space left on device"; for a pipe where a file is needed (ESPIPE, file_read), that it is one.
 */
const char *system_error_text(int error);
/* The same for a file that is made if it does not exist: ENOENT then means its folder. */
const char *system_error_making(int error);
/* "make room, or choose another place"; where there is no better advice, where to look for more. */
const char *system_error_remedy(int error);
