/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts: who looks them up, when, and what becomes of the answers; against a server of our
 * own, by a resolver of our own, which libcurl is given too. */
#include "base/macros.h"
#include "crypto/crypto.h"
#include "net/names.h"
#include "tests/support/fake_clock.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* The resolver. */
static struct {
	const char *addresses; /* of any name, with blanks between; NULL: there is none */
	pthread_t caller;
	atomic_uint by_caller, by_others;
	char last[64];
} resolver;

static struct addrinfo *entry_of(const char *text)
{
	struct addrinfo *entry = calloc(1, sizeof(*entry) + sizeof(struct sockaddr_in6));
	struct sockaddr_in *v4 = (struct sockaddr_in *)(entry + 1);
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(entry + 1);

	entry->ai_socktype = SOCK_STREAM;
	entry->ai_addr = (struct sockaddr *)(entry + 1);
	entry->ai_addrlen = strchr(text, ':') == NULL ? sizeof(*v4) : sizeof(*v6);
	entry->ai_family = strchr(text, ':') == NULL ? AF_INET : AF_INET6;
	entry->ai_addr->sa_family = (sa_family_t)entry->ai_family;
	inet_pton(entry->ai_family, text,
		  entry->ai_family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr);
	return entry;
}

/* The port is all that libcurl's own resolver wants besides. */
static void set_port(struct addrinfo *entry, const char *service)
{
	if (service != NULL) /* at the same place in both kinds */
		((struct sockaddr_in *)entry->ai_addr)->sin_port = htons((uint16_t)atoi(service));
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	bool own = pthread_equal(pthread_self(), resolver.caller);
	char copy[128], *rest = NULL;

	(void)hints;
	atomic_fetch_add(own ? &resolver.by_caller : &resolver.by_others, 1);
	snprintf(resolver.last, sizeof(resolver.last), "%s", node);
	if (resolver.addresses == NULL)
		return EAI_NONAME;
	snprintf(copy, sizeof(copy), "%s", resolver.addresses);
	*ret = NULL;
	for (char *at = strtok_r(copy, " ", &rest); at != NULL; at = strtok_r(NULL, " ", &rest)) {
		struct addrinfo **end = ret;

		while (*end != NULL)
			end = &(*end)->ai_next;
		*end = entry_of(at);
		set_port(*end, service);
	}
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list != NULL) {
		struct addrinfo *next = list->ai_next;

		free(list);
		list = next;
	}
}

/* The server, at every address of this machine: one connection at a time, each kept for as long as
 * its client likes. */
static int listener = -1;
static unsigned port;
static atomic_int last_fd = -1;
static atomic_uint connections;
static pthread_mutex_t seeing = PTHREAD_MUTEX_INITIALIZER;
static struct seen {
	char address[INET_ADDRSTRLEN]; /* that was reached */
	char request[1024];
} last_seen; /* the lock is held */

static void serve(int fd)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	struct seen now_seen;
	ssize_t got;

	getsockname(fd, (struct sockaddr *)&own, &len);
	inet_ntop(AF_INET, &own.sin_addr, now_seen.address, sizeof(now_seen.address));
	while ((got = recv(fd, now_seen.request, sizeof(now_seen.request) - 1, 0)) > 0) {
		now_seen.request[got] = 0;
		pthread_mutex_lock(&seeing);
		last_seen = now_seen;
		pthread_mutex_unlock(&seeing);
		send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
	}
	close(fd);
}

static void *serve_one(void *state)
{
	serve((int)(intptr_t)state);
	return NULL;
}

static void *accept_all(void *state)
{
	(void)state;
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		pthread_t thread;

		if (fd < 0)
			return NULL;
		atomic_store(&last_fd, fd);
		atomic_fetch_add(&connections, 1);
		pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
}

static int start_server(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
	socklen_t len = sizeof(address);
	pthread_t thread;

	(void)state;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 64) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) != 0)
		return -1;
	port = ntohs(address.sin_port);
	pthread_create(&thread, NULL, accept_all, NULL);
	pthread_detach(thread);
	return crypto_start(false) ? 0 : -1;
}

static struct fake_clock now;

static int new_http(void **state)
{
	resolver.addresses = "127.0.0.1";
	resolver.caller = pthread_self();
	atomic_store(&resolver.by_caller, 0);
	atomic_store(&resolver.by_others, 0);
	resolver.last[0] = 0;
	atomic_store(&connections, 0);
	fake_clock_init(&now);
	*state = http_curl_new(4, true, &now.clock);
	return *state == NULL ? -1 : 0;
}

static int free_http(void **state)
{
	struct http *http = *state;

	http->operations->free(http);
	return 0;
}

static enum http_result ask_by(struct http *http, const char *host, const char *proxy,
			       struct http_answer *answer)
{
	char url[128], by[128];
	const struct http_request request = {.method = "GET",
					     .url = url,
					     .connect_timeout_ms = 20000,
					     .timeout_ms = 20000,
					     .proxy = proxy == NULL ? NULL : by};

	snprintf(url, sizeof(url), "http://%s:%u/x", host, port);
	snprintf(by, sizeof(by), "%s:%u", proxy == NULL ? "" : proxy, port);
	http_answer_clear(answer);
	return http->operations->send(http, &request, answer);
}

static void ask(struct http *http, const char *host)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};

	if (ask_by(http, host, NULL, &answer) != HTTP_ANSWERED)
		fail_msg("%s", answer.error);
	assert_int_equal(answer.status, 200);
	assert_bytes(buffer_bytes(&answer.body), bytes_of("hello"));
}

static void hang_up(void)
{
	shutdown(atomic_load(&last_fd), SHUT_RDWR);
}

static struct seen seen(void)
{
	struct seen copy;

	pthread_mutex_lock(&seeing);
	copy = last_seen;
	pthread_mutex_unlock(&seeing);
	return copy;
}

static bool libcurl_has_threads(void)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	return (info->features & CURL_VERSION_ASYNCHDNS) != 0 && info->ares_num == 0;
}

static void names_are_looked_up_in_the_calling_thread(void **state)
{
	struct http *other = http_curl_new(4, false, &now.clock);

	ask(*state, "kms.test");
	assert_int_equal(atomic_load(&resolver.by_caller), 1);
	assert_int_equal(atomic_load(&resolver.by_others), 0);
	assert_string_equal(resolver.last, "kms.test");
	/* Where nobody asked for that, libcurl does it, and this is how one knows. */
	ask(other, "kms.test");
	if (libcurl_has_threads()) {
		assert_int_equal(atomic_load(&resolver.by_others), 1);
		assert_int_equal(atomic_load(&resolver.by_caller), 1);
	}
	other->operations->free(other);
}

static void the_host_is_named_as_ever(void **state)
{
	struct seen found;
	char line[64];

	ask(*state, "kms.test");
	found = seen();
	snprintf(line, sizeof(line), "\r\nHost: kms.test:%u\r\n", port);
	assert_non_null(strstr(found.request, line));
}

static void a_name_is_looked_up_for_each_connection_alone(void **state)
{
	for (unsigned i = 1; i <= 3; i++) {
		for (int j = 0; j < 4; j++)
			ask(*state, "kms.test");
		assert_int_equal(atomic_load(&resolver.by_caller), i);
		assert_int_equal(atomic_load(&connections), i);
		hang_up();
	}
	assert_int_equal(atomic_load(&resolver.by_others), 0);
}

static void an_answer_is_not_kept(void **state)
{
	static const char *const addresses[] = {"127.0.0.2", "127.0.0.3", "127.0.0.2"};

	for (size_t i = 0; i < COUNT_OF(addresses); i++) {
		resolver.addresses = addresses[i];
		ask(*state, "kms.test");
		assert_string_equal(seen().address, addresses[i]);
		hang_up();
	}
}

static void all_addresses_are_tried(void **state)
{
	resolver.addresses = "::1 127.0.0.4";
	ask(*state, "kms.test");
	assert_string_equal(seen().address, "127.0.0.4");
}

static void a_connection_that_is_there_needs_no_name(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};

	ask(*state, "kms.test");
	resolver.addresses = NULL;
	ask(*state, "kms.test");
	assert_int_equal(atomic_load(&resolver.by_caller), 1);
	hang_up();
	assert_int_equal(ask_by(*state, "kms.test", NULL, &answer), HTTP_NOT_CONNECTED);
	assert_non_null(strstr(answer.error, "Could not resolve host: kms.test: "));
	assert_non_null(strstr(answer.error, gai_strerror(EAI_NONAME)));
	resolver.addresses = "127.0.0.1";
	ask(*state, "kms.test");
	assert_int_equal(atomic_load(&resolver.by_others), 0);
}

static void of_a_proxy_s_and_a_server_s_name_the_proxy_s_is_looked_up(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};

	for (int i = 0; i < 3; i++)
		assert_int_equal(ask_by(*state, "kms.test", "http://user:word@proxy.test", &answer),
				 HTTP_ANSWERED);
	assert_int_equal(atomic_load(&resolver.by_caller), 1);
	assert_int_equal(atomic_load(&resolver.by_others), 0);
	assert_string_equal(resolver.last, "proxy.test");
	resolver.addresses = NULL;
	hang_up();
	assert_int_equal(ask_by(*state, "kms.test", "http://user:word@proxy.test", &answer),
			 HTTP_NOT_CONNECTED);
	assert_non_null(strstr(answer.error, "Could not resolve proxy: proxy.test: "));
	assert_null(strstr(answer.error, "word"));
}

static void addresses_need_nobody(void **state)
{
	resolver.addresses = NULL;
	ask(*state, "127.0.0.1");
	ask(*state, "localhost");
	assert_int_equal(atomic_load(&resolver.by_caller), 0);
	assert_int_equal(atomic_load(&resolver.by_others), 0);
}

/* What would be looked up, as "host:port" and, of a proxy, "!". */
static const struct {
	const char *url, *proxy, *names;
} requests[] = {
	{"https://kms.us-west-2.amazonaws.com/", NULL, "kms.us-west-2.amazonaws.com:443 "},
	{"https://kms.test:8443/a?b", NULL, "kms.test:8443 "},
	{"http://kms.test/", NULL, "kms.test:80 "},
	{"https://10.1.2.3/", NULL, ""},
	{"https://[fd00:ec2::254]:443/", NULL, ""},
	{"http://localhost:4566", NULL, ""},
	{"https://kms.test/", "http://u:p%40@proxy.test:3128", "proxy.test:3128! "},
	{"https://kms.test/", "proxy.test:3128", "proxy.test:3128! "},
	{"https://kms.test/", "http://proxy.test", "proxy.test:1080! "},
	{"https://kms.test/", "https://proxy.test", "proxy.test:443! "},
	{"https://kms.test/", "http://10.0.0.1:3128", ""},
	{"https://kms.test/", "http://[::1]:3128", ""},
	{"https://kms.test/", "socks5h://proxy.test", "proxy.test:1080! "},
	{"https://kms.test/", "socks5://proxy.test", "proxy.test:1080! kms.test:443 "},
	{"https://kms.test/", "socks4://127.0.0.1:1", "kms.test:443 "},
	{"https://kms.test/", "http://", ""},
	{"nothing of the kind", NULL, ""},
};

static void what_is_looked_up_is_what_libcurl_would_look_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		const struct http_request request = {.url = requests[i].url,
						     .proxy = requests[i].proxy};
		AUTO(http_names_clear) struct http_names names = {0};
		AUTO(buffer_clear) struct buffer text = {0};
		char error[CURL_ERROR_SIZE] = "";

		assert_int_equal(http_names_find(&request, &names, error), CURLE_OK);
		for (size_t j = 0; j < names.count; j++)
			buffer_format(&text, "%s:%s%s ", names.at[j].host, names.at[j].port,
				      names.at[j].of_proxy ? "!" : "");
		assert_string_equal(buffer_text(&text), requests[i].names);
	}
}

/* Nobody may be there, which is as good. */
static void libcurl_has_nothing_left_to_look_up(void **state)
{
	struct http *http = *state;

	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		AUTO(http_answer_clear) struct http_answer answer = {0};
		const struct http_request request = {.method = "GET",
						     .url = requests[i].url,
						     .connect_timeout_ms = 20000,
						     .timeout_ms = 20000,
						     .proxy = requests[i].proxy};

		if (requests[i].names[0] == 0)
			continue;
		atomic_store(&resolver.by_caller, 0);
		http->operations->send(http, &request, &answer);
		assert_true(atomic_load(&resolver.by_caller) > 0);
		assert_int_equal(atomic_load(&resolver.by_others), 0);
	}
}

static void a_proxy_s_name_beyond_ascii_is_refused(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};

	assert_int_equal(ask_by(*state, "kms.test", "http://pr\xc3\xb6xy.test", &answer),
			 HTTP_UNUSABLE);
	assert_non_null(strstr(answer.error, "xn--"));
	assert_int_equal(atomic_load(&resolver.by_others), 0);
}

#define WITH_HTTP(test) cmocka_unit_test_setup_teardown(test, new_http, free_http)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HTTP(names_are_looked_up_in_the_calling_thread),
		WITH_HTTP(the_host_is_named_as_ever),
		WITH_HTTP(a_name_is_looked_up_for_each_connection_alone),
		WITH_HTTP(an_answer_is_not_kept),
		WITH_HTTP(all_addresses_are_tried),
		WITH_HTTP(a_connection_that_is_there_needs_no_name),
		WITH_HTTP(of_a_proxy_s_and_a_server_s_name_the_proxy_s_is_looked_up),
		WITH_HTTP(addresses_need_nobody),
		cmocka_unit_test(what_is_looked_up_is_what_libcurl_would_look_up),
		WITH_HTTP(libcurl_has_nothing_left_to_look_up),
		WITH_HTTP(a_proxy_s_name_beyond_ascii_is_refused),
	};

	return cmocka_run_group_tests(tests, start_server, NULL);
}
