/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule for names: of projects, clusters, databases and root keys, by whatever way they are
 * given. Two names that nobody can tell apart, or that steer the terminal they are listed on, are a
 * trap: a database whose name ends in a blank is encrypted into by one person and deleted by the
 * next. That letters of two scripts look alike can't be excluded.
 */
#pragma once

#include "base/bytes.h"

/* Why it can't be a name, as the end of "a name …"; NULL: it can. UTF-8 without a NUL, controls
 * (C0, DEL, C1), and what has no shape of its own (text_unseen); the only blank is the space, and
 * none at the ends. An empty one can. */
const char *name_fault(struct bytes name);

/* How many bytes the character takes that begins here, if it could end a line, steer a terminal,
 * turn the text's direction or has no shape of its own (Unicode's Default_Ignorable_Code_Point); 0:
 * it can be shown. NUL-terminated text, of whatever bytes. */
size_t text_unseen(const char *at);
