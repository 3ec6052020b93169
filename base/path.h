/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as people write them, in cmek.conf, in pReserved and in our environment variables:
 * absolute, or from the home folder by "~/". Shells and other programs give quotes, variables and
 * trailing comments a meaning. Here they would silently name another place, so they are refused.
 */
#pragma once

/* What a path should be like, as the end of "… should be"; NULL: nothing is wrong with it. */
const char *path_fault(const char *written);
/* The path that was meant: "~/" at its beginning becomes HOME. Only for a path without a fault;
 * free() it. NULL: no memory. */
char *path_expand(const char *written);
