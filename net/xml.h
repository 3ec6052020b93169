/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What we need of the XML that AWS's query services answer: the text of an element. This is not a
 * parser: those documents are flat, without comments, CDATA or attributes on the elements that we
 * need. */
#pragma once

#include "base/buffer.h"

/* The text of the first element of that name, its entities resolved; appended. False: there is
 * none, or it holds more than text. */
bool xml_find(struct bytes document, const char *name, struct buffer *ret_text);
