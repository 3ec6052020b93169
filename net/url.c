/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of services, as settings have them. */
#include "net/url.h"

#include <strings.h>

/* The host without its port; no bytes if the port is not one. */
static struct bytes host_name(struct bytes host)
{
	const uint8_t *colon = host.len == 0 ? NULL : memrchr(host.data, ':', host.len);
	struct bytes port, name;

	if (colon == NULL || host.data[host.len - 1] == ']')
		return host;
	name = bytes(host.data, (size_t)(colon - host.data));
	port = bytes(colon + 1, host.len - name.len - 1);
	if (port.len == 0 || port.len > 5 || !bytes_all_in(port, "0123456789"))
		return bytes(NULL, 0);
	return name;
}

bool url_is_loopback(struct bytes host)
{
	struct bytes name = host_name(host);

	return bytes_are(name, "localhost") || bytes_are(name, "[::1]") ||
	       (bytes_begin(name, "127.") && bytes_all_in(name, "0123456789."));
}

static bool host_valid(struct bytes name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";
	bool v6 = name.len > 2 && name.data[0] == '[' && name.data[name.len - 1] == ']';

	if (v6)
		return bytes_all_in(bytes(name.data + 1, name.len - 2), "0123456789abcdefABCDEF:.");
	return name.len > 0 && bytes_all_in(name, allowed);
}

bool url_split(const char *url, bool *ret_plain, struct bytes *ret_host, struct bytes *ret_path)
{
	bool plain = strncasecmp(url, "http://", 7) == 0;
	size_t scheme = plain ? 7 : 8, len;

	if (!plain && strncasecmp(url, "https://", 8) != 0)
		return false;
	url += scheme;
	len = strcspn(url, "/?#@");
	*ret_plain = plain;
	*ret_host = bytes(url, len);
	*ret_path = bytes_of(url + len);
	return host_valid(host_name(*ret_host)) &&
	       bytes_all_in(*ret_path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789-._~/");
}

const char *url_told(const char *url)
{
	const char *at = strrchr(url, '@');

	return at == NULL ? url : at;
}
