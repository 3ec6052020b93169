/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Forms as browsers post them (application/x-www-form-urlencoded), and parts of URLs. */
#pragma once

#include "base/buffer.h"

/* Appends "name=value", after an '&' if there is something already. */
void form_put(struct buffer *form, const char *name, const char *value);
void form_put_bytes(struct buffer *form, const char *name, struct bytes value);
/* All but the unreserved characters of RFC 3986 as %XX. */
void percent_put(struct buffer *out, struct bytes text);
