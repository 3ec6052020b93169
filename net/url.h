/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of services, as settings have them. */
#pragma once

#include "base/bytes.h"

/* "https://HOST[:PORT][/PATH]", or with http (`ret_plain`), into its parts, which are borrowed; the
 * host has its port. False: something else. */
bool url_split(const char *url, bool *ret_plain, struct bytes *ret_host, struct bytes *ret_path);
/* 127.0.0.0/8, [::1] or localhost: what never leaves the machine. `host` may have a port. */
bool url_is_loopback(struct bytes host);
/* An invalid address as it may be shown: without the part before '@', which may be a password. */
const char *url_told(const char *url);
