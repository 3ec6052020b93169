/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of the tool's commands, by their subject: they are one program, and go on with one
 * store. */
#pragma once

#include <stddef.h>

struct CMUnitTest;
struct command_tests {
	const struct CMUnitTest *tests;
	size_t count;
};
extern const struct command_tests commands_nouns, commands_root_keys, commands_files,
	commands_store, commands_deleted, commands_doctor;
