/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy by which a service is reached. Chosen here, not by libcurl, whose rules differ from
 * release to release, and which would read the environment while the host may be changing it. */
#include "net/proxy.h"

#include "base/encode.h"

#include <arpa/inet.h>
#include <strings.h>

enum { HOST_MAX = 255, PORT_MAX = 5 };

struct place {
	char host[HOST_MAX + 1]; /* without brackets and without a dot at its end */
	char port[PORT_MAX + 1]; /* empty: any */
};

struct address {
	int family; /* AF_UNSPEC: it is a name */
	uint8_t bytes[16];
	unsigned bits;
};

static bool copy(const char *from, size_t len, char *to, size_t size)
{
	if (len >= size)
		return false;
	memcpy(to, from, len);
	to[len] = 0;
	return true;
}

/* HOST, HOST:PORT, [ADDRESS]:PORT or ADDRESS. */
static bool read_place(const char *text, size_t len, struct place *ret_place)
{
	const char *colon = memrchr(text, ':', len);
	bool bracketed = len > 0 && text[0] == '[';
	bool bare_ipv6 = !bracketed && colon != NULL && memchr(text, ':', len) != colon;

	*ret_place = (struct place){0};
	if (colon != NULL && !bare_ipv6 && text[len - 1] != ']') {
		if (!copy(colon + 1, len - (size_t)(colon + 1 - text), ret_place->port,
			  sizeof(ret_place->port)))
			return false;
		len = (size_t)(colon - text);
	}
	if (bracketed && len > 1 && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	while (len > 0 && text[len - 1] == '.')
		len--;
	return len > 0 && copy(text, len, ret_place->host, sizeof(ret_place->host));
}

static struct address read_address(const char *text)
{
	struct address address = {.family = AF_INET, .bits = 32};

	if (inet_pton(AF_INET, text, address.bytes) == 1)
		return address;
	address = (struct address){.family = AF_INET6, .bits = 128};
	if (inet_pton(AF_INET6, text, address.bytes) == 1)
		return address;
	return (struct address){.family = AF_UNSPEC};
}

/* An address, or ADDRESS/BITS. */
static struct address read_network(const char *text)
{
	const char *slash = strchr(text, '/');
	char network[HOST_MAX + 1];
	struct address address;
	uint64_t bits;

	if (slash == NULL)
		return read_address(text);
	if (!copy(text, (size_t)(slash - text), network, sizeof(network)))
		return (struct address){.family = AF_UNSPEC};
	address = read_address(network);
	if (!decimal_decode(slash + 1, address.bits, &bits))
		return (struct address){.family = AF_UNSPEC};
	address.bits = (unsigned)bits;
	return address;
}

static bool is_within(const struct address *address, const struct address *network)
{
	unsigned whole = network->bits / 8, rest = network->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	return address->family == network->family &&
	       memcmp(address->bytes, network->bytes, whole) == 0 &&
	       (rest == 0 || ((address->bytes[whole] ^ network->bytes[whole]) & mask) == 0);
}

/* The name itself, or one of its subdomains. */
static bool is_below(const char *host, const char *name)
{
	size_t host_len = strlen(host), name_len;

	name += name[0] == '*' && name[1] == '.';
	name += name[0] == '.';
	name_len = strlen(name);
	if (name_len == 0 || name_len > host_len ||
	    strcasecmp(host + host_len - name_len, name) != 0)
		return false;
	return name_len == host_len || host[host_len - name_len - 1] == '.';
}

static bool entry_covers(const char *text, size_t len, const struct place *target)
{
	const struct address address = read_address(target->host);
	struct address network;
	struct place entry;

	if (len == 1 && text[0] == '*')
		return true;
	if (!read_place(text, len, &entry))
		return false;
	if (entry.port[0] != 0 && strcmp(entry.port, target->port) != 0)
		return false;
	network = read_network(entry.host);
	if (address.family != AF_UNSPEC)
		return is_within(&address, &network);
	return is_below(target->host, entry.host);
}

static bool list_covers(const char *list, const struct place *target)
{
	static const char between[] = ", \t";

	while (*(list += strspn(list, between)) != 0) {
		size_t len = strcspn(list, between);

		if (entry_covers(list, len, target))
			return true;
		list += len;
	}
	return false;
}

const char *proxy_find(const struct proxy_variables *variables, const char *url)
{
	static const char scheme[] = "https://";
	const char *proxy = variables->https;
	const char *list = variables->no;
	struct place target;

	if (proxy == NULL)
		proxy = variables->all;
	if (proxy == NULL || strncasecmp(url, scheme, strlen(scheme)) != 0)
		return NULL;
	url += strlen(scheme);
	if (!read_place(url, strcspn(url, "/?#"), &target))
		return NULL; /* not a URL; the code that sends it will report that */
	if (target.port[0] == 0)
		strcpy(target.port, "443");
	return list != NULL && list_covers(list, &target) ? NULL : proxy;
}
