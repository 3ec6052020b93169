/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule for names: of projects, clusters, databases and root keys, however they are given. Two
 * names that nobody can tell apart, or that steer the terminal they are listed on, are a trap: a
 * database whose name ends in a blank is encrypted into by one person and deleted by the next. That
 * letters of two scripts look alike can't be excluded.
 */
#pragma once

#include "base/bytes.h"

/* Why a text can't be a name, as the end of "a name …"; NULL: it can. A name is UTF-8 without a
 * NUL, without controls (C0, DEL, C1) and without characters that have no shape of their own
 * (text_unseen); the only blank is the space, and there is none at the ends. An empty text can be a
 * name. */
const char *name_fault(struct bytes name);

/* How many bytes the next character takes, if it could end a line, steer a terminal, turn the
 * text's direction or has no shape of its own (Unicode's Default_Ignorable_Code_Point); 0: it can
 * be shown. The text is NUL-terminated and may be any bytes. */
size_t text_unseen(const char *at);
