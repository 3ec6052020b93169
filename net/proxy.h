/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy by which a service is reached, as HTTPS_PROXY and NO_PROXY say. */
#pragma once

#include "base/bytes.h"

/* The texts of the variables; NULL: not set. Borrowed. */
struct proxy_variables {
	const char *https, *all, *no;
};

/*
 * The proxy's URL, borrowed from the variables; NULL: the URL is reached directly. Only https
 * goes by a proxy: HTTPS_PROXY, else ALL_PROXY.
 * NO_PROXY lists, with commas or blanks between, what is reached directly: a host (which stands for
 * its subdomains too, with a dot before it or not), an address, a network (10.0.0.0/8), "*"; each
 * but a network may end in :PORT.
 */
const char *proxy_find(const struct proxy_variables *variables, const char *url);
