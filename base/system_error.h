/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the operating system (errno), as they are told to people: what it was, and what to do.
 */
#pragma once

/* "No space left on device"; of a pipe where a file is needed (ESPIPE, file_read), that it is one.
 */
const char *system_error_text(int error);
/* The same of a file that is made if it is not there: what is missing then is its folder. */
const char *system_error_making(int error);
/* "make room, or choose another place"; where there is no better advice, where to look for more. */
const char *system_error_remedy(int error);
