/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A home for tests of AWS settings: an environment without AWS_ variables, and a folder for the
 * shared files. */
#pragma once

#include <stdbool.h>

/* Takes every AWS_ variable out of the environment and puts HOME into a fresh folder; false:
 * failed. */
bool aws_home_make(void);
void aws_home_remove(void);
/* Writes ~/.aws/NAME, folders in the name too; NULL as text removes it. */
void aws_home_write(const char *name, const char *text);
/* Where that is. */
enum { AWS_HOME_PATH = 256 };
void aws_home_path(const char *name, char ret_path[static AWS_HOME_PATH]);
/* Unsets all AWS_ variables again, removes both files. */
void aws_home_empty(void);
