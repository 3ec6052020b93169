/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The tool's commands as functions, in a home folder of their own: for the tests of them. */
#pragma once

#include "base/buffer.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <jansson.h>

extern char home[];
extern struct buffer out, err; /* what the last command has printed */

/* For a group of tests: a store with the project demo, its root key root, its cluster main, and the
 * databases main/orders and main/bills; and a file, plain. */
int tool_start(void **state);
int tool_stop(void **state);

char *in_home(const char *name); /* free() it */
/* Runs "cmek WORD…"; the exit code. */
int run_list(char **words, int count);
/* A line of words with one space between them; "@x" is the file x of the home folder. */
int run(const char *line);
/* It succeeds, and has nothing to say on standard error. */
void done(const char *line);
/* It fails, in one line that has the word. */
void refused(const char *line, int code, const char *word);
void prints(const char *word);
json_t *printed_json(void);
void put(const char *name, const char *text);
void has(const char *name, const char *text);
bool is_there(const char *name);
