/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* encrypt and decrypt: which of their two forms a command line has, one file or many, and the
 * second form. */
#pragma once

#include "cli/cli.h"

/* One file, and where its output goes. */
struct file_pair {
	const char *in, *out;
	char *made; /* owned: an OUT that was not named */
	bool encrypts;
	bool is_two_words; /* IN OUT, as a shell makes of a pattern with two matches, too */
	unsigned threads;  /* that may share the work: --jobs, or as many as processors */
};
void file_pair_clear(struct file_pair *pair); /* for AUTO */

/* Whether there are many files, or a folder for outputs. Else sets the pair: IN OUT, IN and -o OUT,
 * or FILE with FILE.cmek. Reports; an exit code. */
int files_read(const struct arguments *arguments, bool encrypts, bool *ret_many,
	       struct file_pair *ret_pair);
int files_encrypt(const struct arguments *arguments);
int files_decrypt(const struct arguments *arguments);
