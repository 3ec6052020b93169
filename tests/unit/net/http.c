/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl as we use it, against a small server of our own: what comes back, what faults become, and
 * what the host process does not notice. */
#include "base/file.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "net/http.h"
#include "net/pool.h"
#include "tests/support/fake_clock.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The server: one thread a connection; the path of a request says what to do. */
static int listener = -1;
static unsigned short port;
static atomic_uint connections, requests;

static const char plain[] = "HTTP/1.1 200 OK\r\nX-Amzn-RequestId:  id-1 \r\n"
			    "Content-Length: 5\r\n\r\nhello";
static const char cut[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello";
static const char moved[] = "HTTP/1.1 301 Moved\r\nLocation: /plain\r\nContent-Length: 0\r\n\r\n";
static const char found[] = "HTTP/1.1 302 Found\r\nLocation: /plain\r\nContent-Length: 0\r\n\r\n";
static const char other[] = "HTTP/1.1 303 Other\r\nLocation: /plain\r\nContent-Length: 0\r\n\r\n";
static const char temporary[] =
	"HTTP/1.1 307 Temporary\r\nLocation: /plain\r\nContent-Length: 0\r\n\r\n";
static const char permanent[] =
	"HTTP/1.1 308 Permanent\r\nLocation: /plain\r\nContent-Length: 0\r\n\r\n";
static const char refused[] = "HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}";
static const char twice[] = "HTTP/1.1 100 Continue\r\nX-Old: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
			    "Content-Length: 2\r\n\r\nok";

static void send_text(int fd, const char *text)
{
	send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void send_many(int fd, const char *head, size_t len)
{
	char block[1024];

	send_text(fd, head);
	memset(block, 'x', sizeof(block));
	memcpy(block + sizeof(block) - 5, "\r\nX: ", 5); /* lines, if it is a head */
	for (size_t sent = 0; sent < len; sent += sizeof(block))
		if (send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0)
			return;
}

static void reset(int fd)
{
	const struct linger at_once = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

/* None is answered before as many are waiting as shall be. */
enum { TOGETHER = 8 };
static pthread_barrier_t all_there;

static bool serve_together(int fd)
{
	pthread_barrier_wait(&all_there);
	send_text(fd, plain);
	return true;
}

/* False: the connection ends. */
static bool serve(int fd, const char *request)
{
	static const struct {
		const char *path, *text;
		bool goes_on;
	} texts[] = {
		{" /plain ", plain, true},	   {" /cut ", cut, false},
		{" /moved ", moved, true},	   {" /found ", found, true},
		{" /other ", other, true},	   {" /temporary ", temporary, true},
		{" /permanent ", permanent, true}, {" /refused ", refused, true},
		{" /twice ", twice, true},	   {" /stale ", plain, true},
		{" /once ", plain, false},
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (strstr(request, texts[i].path) != NULL) {
			send_text(fd, texts[i].text);
			return texts[i].goes_on;
		}
	if (strstr(request, " /together ") != NULL)
		return serve_together(fd);
	if (strstr(request, " /long ") != NULL)
		send_many(fd, "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n", 70000);
	if (strstr(request, " /chatty ") != NULL)
		send_many(fd, "HTTP/1.1 200 OK\r\nX: ", 70000);
	if (strstr(request, " /slow ") != NULL)
		pause();
	if (strstr(request, " /reset ") != NULL)
		reset(fd);
	return false;
}

/* One request at a time; the body is short enough to come along with the head. */
static void *serve_connection(void *state)
{
	int fd = (int)(intptr_t)state;
	char request[4096];
	bool goes_on = true, was_stale = false;

	while (goes_on) {
		ssize_t len = recv(fd, request, sizeof(request) - 1, 0);

		if (len <= 0)
			break;
		request[len] = 0;
		atomic_fetch_add(&requests, 1);
		/* The server gives up an idle connection just when the next request arrives. */
		if (was_stale)
			break;
		was_stale = strstr(request, " /stale ") != NULL;
		goes_on = serve(fd, request);
	}
	close(fd);
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
		atomic_fetch_add(&connections, 1);
		pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
}

static int start_server(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
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
	/* Nobody there: whether they are used is the caller's to say. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	pthread_barrier_init(&all_there, NULL, TOGETHER);
	return crypto_start(false) ? 0 : -1;
}

enum { KEPT = 4 };
static struct fake_clock now;

static int new_http(void **state)
{
	fake_clock_init(&now);
	*state = http_curl_new(KEPT, false, &now.clock);
	atomic_store(&connections, 0);
	atomic_store(&requests, 0);
	return *state == NULL ? -1 : 0;
}

static int free_http(void **state)
{
	struct http *http = *state;

	http->operations->free(http);
	return 0;
}

static enum http_result post(struct http *http, const char *scheme, unsigned to, const char *path,
			     struct http_answer *answer)
{
	const struct http_header headers[] = {{"X-Test", "1"}};
	char url[128];
	const struct http_request request = {.method = "POST",
					     .url = url,
					     .headers = headers,
					     .header_count = 1,
					     .body = bytes_of("{}"),
					     .connect_timeout_ms = 60000,
					     .timeout_ms =
						     strcmp(path, "/slow") == 0 ? 300 : 120000};

	snprintf(url, sizeof(url), "%s://127.0.0.1:%u%s", scheme, to, path);
	http_answer_clear(answer);
	return http->operations->send(http, &request, answer);
}

static enum http_result ask(struct http *http, const char *path, struct http_answer *answer)
{
	return post(http, "http", port, path, answer);
}

static void an_answer_has_status_head_and_body(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};

	assert_int_equal(ask(*state, "/plain", &answer), HTTP_ANSWERED);
	assert_int_equal(answer.status, 200);
	assert_bytes(buffer_bytes(&answer.body), bytes_of("hello"));
	assert_bytes(http_answer_header(&answer, "x-amzn-requestid"), bytes_of("id-1"));
	assert_int_equal(http_answer_header(&answer, "X-Amzn").len, 0);
	assert_int_equal(ask(*state, "/refused", &answer), HTTP_ANSWERED);
	assert_int_equal(answer.status, 400);
	assert_bytes(buffer_bytes(&answer.body), bytes_of("{}"));
}

static void a_connection_is_used_again(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};

	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(*state, "/plain", &answer), HTTP_ANSWERED);
	assert_int_equal(atomic_load(&connections), 1);
	assert_int_equal(atomic_load(&requests), 5);
}

static void a_connection_that_died_meanwhile_is_no_fault(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};

	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(*state, "/once", &answer), HTTP_ANSWERED);
	assert_int_equal(atomic_load(&connections), 5);
}

static void a_connection_that_ends_when_it_is_used_again_is_no_fault(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};

	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(ask(*state, "/stale", &answer), HTTP_ANSWERED);
		assert_int_equal(atomic_load(&connections), i);
		assert_int_equal(atomic_load(&requests), 2 * i - 1); /* each but the first twice */
	}
}

static void the_head_of_an_interim_answer_is_forgotten(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};

	assert_int_equal(ask(*state, "/twice", &answer), HTTP_ANSWERED);
	assert_int_equal(http_answer_header(&answer, "X-Old").len, 0);
	assert_bytes(buffer_bytes(&answer.body), bytes_of("ok"));
}

static void redirects_are_not_followed(void **state)
{
	static const struct {
		const char *path;
		unsigned status;
	} rows[] = {
		{"/moved", 301},     {"/found", 302},	  {"/other", 303},
		{"/temporary", 307}, {"/permanent", 308},
	};
	AUTO(http_answer_clear) struct http_answer answer = {0};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(ask(*state, rows[i].path, &answer), HTTP_ANSWERED);
		assert_int_equal(answer.status, rows[i].status);
		assert_int_equal(atomic_load(&requests), i + 1);
	}
}

static void faults_are_told_apart(void **state)
{
	static const struct {
		const char *path;
		enum http_result result;
	} rows[] = {
		{"/cut", HTTP_BROKEN},	   {"/close", HTTP_BROKEN},  {"/reset", HTTP_BROKEN},
		{"/slow", HTTP_TIMED_OUT}, {"/long", HTTP_TOO_LONG}, {"/chatty", HTTP_TOO_LONG},
	};
	AUTO(http_answer_clear) struct http_answer answer = {0};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		enum http_result result = ask(*state, rows[i].path, &answer);

		if (result != rows[i].result)
			fail_msg("%s: %d, not %d (%s)", rows[i].path, result, rows[i].result,
				 answer.error);
		assert_true(answer.error[0] != 0);
		assert_true(answer.body.len <= HTTP_BODY_MAX);
	}
	assert_int_equal(ask(*state, "/plain", &answer), HTTP_ANSWERED);
}

static void what_can_not_be_reached_was_not_asked(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};

	assert_int_equal(post(*state, "http", 1, "/", &answer), HTTP_NOT_CONNECTED);
	assert_int_equal(post(*state, "https", port, "/plain", &answer), HTTP_NOT_CONNECTED);
	assert_int_equal(post(*state, "ftp", port, "/plain", &answer), HTTP_UNUSABLE);
	assert_int_equal(post(*state, "file", port, "/plain", &answer), HTTP_UNUSABLE);
}

/* Descriptors of this process that are connected to the server. */
static size_t count_sockets(bool *ret_all_cloexec)
{
	size_t count = 0;

	*ret_all_cloexec = true;
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_in peer;
		socklen_t len = sizeof(peer);

		if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0 ||
		    peer.sin_family != AF_INET || ntohs(peer.sin_port) != port)
			continue;
		count++;
		if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
			*ret_all_cloexec = false;
	}
	return count;
}

static void sockets_are_closed_on_exec(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	bool all;

	assert_int_equal(ask(*state, "/plain", &answer), HTTP_ANSWERED);
	assert_int_equal(count_sockets(&all), 1);
	assert_true(all);
}

/* Descriptors that a program inherits which this process starts; connected to the server or any
 * other, or of this process's own making. */
static size_t count_inherited(bool *ret_any_network)
{
	size_t count = 0;

	*ret_any_network = false;
	for (int fd = 0; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD), domain = 0;
		socklen_t len = sizeof(domain);

		if (flags < 0 || (flags & FD_CLOEXEC) != 0)
			continue;
		count++;
		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain != AF_UNIX)
			*ret_any_network = true;
	}
	return count;
}

/* Some releases of libcurl wake themselves by a pair of local sockets, which they leave open for
 * programs; nobody can ask them not to. */
static void a_program_inherits_no_way_to_the_network(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	bool network;
	size_t before = count_inherited(&network), after;

	assert_false(network);
	assert_int_equal(ask(*state, "/plain", &answer), HTTP_ANSWERED);
	after = count_inherited(&network);
	assert_false(network);
	assert_in_range(after - before, 0, 2);
}

static void a_fork_s_child_closes_its_copies_and_the_parent_goes_on(void **state)
{
	struct http *http = *state;
	AUTO(http_answer_clear) struct http_answer answer = {0};
	int status;
	bool all;

	assert_int_equal(ask(http, "/plain", &answer), HTTP_ANSWERED);
	if (fork() == 0) {
		http->operations->abandon(http);
		_exit(count_sockets(&all) == 0 ? 0 : 1);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	assert_int_equal(ask(http, "/plain", &answer), HTTP_ANSWERED);
	assert_int_equal(atomic_load(&connections), 1);
}

static void the_caller_s_signals_stay_as_they_were(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	sigset_t before, after, pending;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(ask(*state, "/once", &answer), HTTP_ANSWERED);
	assert_int_equal(ask(*state, "/reset", &answer), HTTP_BROKEN);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int number = 1; number < NSIG; number++)
		assert_int_equal(sigismember(&before, number), sigismember(&after, number));
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGPIPE));
}

static void *ask_often(void *state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	size_t good = 0;

	for (int i = 0; i < 20; i++)
		good += ask(state, "/plain", &answer) == HTTP_ANSWERED &&
			bytes_equal(buffer_bytes(&answer.body), bytes_of("hello"));
	return (void *)good;
}

static void many_threads_share_few_connections(void **state)
{
	enum { THREADS = 8 };
	pthread_t threads[THREADS];
	size_t good = 0;
	void *one;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, *state), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &one);
		good += (size_t)one;
	}
	assert_int_equal(good, THREADS * 20);
	assert_int_equal(atomic_load(&requests), THREADS * 20);
}

static void *ask_together(void *state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	bool good = ask(state, "/together", &answer) == HTTP_ANSWERED &&
		    bytes_equal(buffer_bytes(&answer.body), bytes_of("hello"));

	return good ? state : NULL;
}

/* As many connections as there are threads are in use at once. */
static void use_many(struct http *http)
{
	pthread_t threads[TOGETHER];
	void *good;

	for (int i = 0; i < TOGETHER; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_together, http), 0);
	for (int i = 0; i < TOGETHER; i++) {
		pthread_join(threads[i], &good);
		assert_non_null(good);
	}
}

static void only_so_many_idle_connections_are_kept(void **state)
{
	bool all;

	use_many(*state);
	assert_int_equal(atomic_load(&connections), TOGETHER);
	assert_int_equal(count_sockets(&all), KEPT);
	use_many(*state); /* those that were kept serve again */
	assert_int_equal(atomic_load(&connections), TOGETHER + TOGETHER - KEPT);
	assert_int_equal(count_sockets(&all), KEPT);
}

/* Other names of the same server, so that they count as others; libcurl knows itself where
 * localhost is. */
static enum http_result ask_other(struct http *http, unsigned number)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	char url[64];
	const struct http_request request = {
		.method = "GET", .url = url, .connect_timeout_ms = 60000, .timeout_ms = 120000};

	snprintf(url, sizeof(url), "http://n%u.localhost:%u/plain", number, port);
	return http->operations->send(http, &request, &answer);
}

static void connections_to_several_servers_count_together(void **state)
{
	bool all;

	for (unsigned number = 1; number <= KEPT; number++)
		for (int i = 0; i < 3; i++)
			assert_int_equal(ask_other(*state, number), HTTP_ANSWERED);
	assert_int_equal(count_sockets(&all), KEPT);
	assert_int_equal(atomic_load(&connections), KEPT);
	/* Going from one to the other and back costs no new connection ... */
	for (unsigned number = 1; number <= KEPT; number++)
		assert_int_equal(ask_other(*state, number), HTTP_ANSWERED);
	assert_int_equal(atomic_load(&connections), KEPT);
	/* ... until there are more than fit: the one that was idle longest ends. */
	assert_int_equal(ask_other(*state, KEPT + 1), HTTP_ANSWERED);
	assert_int_equal(count_sockets(&all), KEPT);
	assert_int_equal(ask_other(*state, 2), HTTP_ANSWERED);
	assert_int_equal(atomic_load(&connections), KEPT + 1);
	assert_int_equal(ask_other(*state, 1), HTTP_ANSWERED);
	assert_int_equal(atomic_load(&connections), KEPT + 2);
}

static void a_connection_that_was_idle_too_long_is_not_used_again(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	bool all;

	assert_int_equal(ask(*state, "/plain", &answer), HTTP_ANSWERED);
	fake_clock_advance(&now, POOL_IDLE_MS - 1);
	assert_int_equal(ask(*state, "/plain", &answer), HTTP_ANSWERED);
	assert_int_equal(atomic_load(&connections), 1);
	fake_clock_advance(&now, POOL_IDLE_MS);
	assert_int_equal(ask(*state, "/plain", &answer), HTTP_ANSWERED);
	assert_int_equal(atomic_load(&connections), 2);
	assert_int_equal(count_sockets(&all), 1);
}

static void connections_that_nobody_needs_any_more_end_with_the_next_request(void **state)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	bool all;

	use_many(*state);
	assert_int_equal(count_sockets(&all), KEPT);
	for (int i = 0; i < 2; i++) { /* one is used, the others age */
		fake_clock_advance(&now, POOL_IDLE_MS / 2);
		assert_int_equal(ask(*state, "/plain", &answer), HTTP_ANSWERED);
	}
	assert_int_equal(count_sockets(&all), 1);
	assert_int_equal(atomic_load(&connections), TOGETHER);
}

/* --- A client's certificate */

#define PASSPHRASE "secret"

struct identity {
	char folder[64], certificate[96], key[96];
};

static void make_identity(struct identity *ret_identity)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *certificate = X509_new();
	FILE *file;

	snprintf(ret_identity->folder, sizeof(ret_identity->folder), "/tmp/cmek-test-XXXXXX");
	assert_non_null(mkdtemp(ret_identity->folder));
	snprintf(ret_identity->certificate, sizeof(ret_identity->certificate), "%s/pem",
		 ret_identity->folder);
	snprintf(ret_identity->key, sizeof(ret_identity->key), "%s/key", ret_identity->folder);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	assert_int_equal(X509_set_pubkey(certificate, key), 1);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	file = fopen(ret_identity->certificate, "w");
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
	file = fopen(ret_identity->key, "w");
	assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, EVP_aes_256_cbc(), PASSPHRASE,
						   (int)strlen(PASSPHRASE), NULL, NULL),
			 1);
	fclose(file);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void remove_identity(const struct identity *identity)
{
	unlink(identity->certificate);
	unlink(identity->key);
	rmdir(identity->folder);
}

/* In a child without a terminal, where OpenSSL asks standard input for a passphrase. */
static int show(struct http *http, const struct identity *identity)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	struct http_request request = {.method = "POST",
				       .body = bytes_of("{}"),
				       .client_certificate = identity->certificate,
				       .client_key = identity->key,
				       .connect_timeout_ms = 5000,
				       .timeout_ms = 5000};
	char url[64];
	int ends[2], left = 0;

	snprintf(url, sizeof(url), "https://127.0.0.1:%u/plain", port);
	request.url = url;
	if (setsid() < 0 || pipe(ends) != 0 || dup2(ends[0], 0) != 0 ||
	    write(ends[1], PASSPHRASE "\n", strlen(PASSPHRASE) + 1) < 0)
		return 1;
	if (http->operations->send(http, &request, &answer) != HTTP_UNTRUSTED ||
	    strstr(answer.error, "without a passphrase") == NULL) {
		print_message("# %s\n", answer.error);
		return 2;
	}
	return ioctl(0, FIONREAD, &left) == 0 && left == (int)strlen(PASSPHRASE) + 1 ? 0 : 3;
}

static void nobody_is_asked_for_the_passphrase_of_a_key(void **state)
{
	struct identity identity;
	int status = -1;
	pid_t child;

	make_identity(&identity);
	child = fork();
	if (child == 0)
		_exit(show(*state, &identity));
	assert_true(waitpid(child, &status, 0) == child);
	remove_identity(&identity);
	assert_int_equal(status, 0);
}

#define WITH_HTTP(test) cmocka_unit_test_setup_teardown(test, new_http, free_http)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HTTP(an_answer_has_status_head_and_body),
		WITH_HTTP(a_connection_is_used_again),
		WITH_HTTP(a_connection_that_died_meanwhile_is_no_fault),
		WITH_HTTP(a_connection_that_ends_when_it_is_used_again_is_no_fault),
		WITH_HTTP(the_head_of_an_interim_answer_is_forgotten),
		WITH_HTTP(redirects_are_not_followed),
		WITH_HTTP(faults_are_told_apart),
		WITH_HTTP(what_can_not_be_reached_was_not_asked),
		WITH_HTTP(sockets_are_closed_on_exec),
		WITH_HTTP(a_program_inherits_no_way_to_the_network),
		WITH_HTTP(a_fork_s_child_closes_its_copies_and_the_parent_goes_on),
		WITH_HTTP(the_caller_s_signals_stay_as_they_were),
		WITH_HTTP(many_threads_share_few_connections),
		WITH_HTTP(only_so_many_idle_connections_are_kept),
		WITH_HTTP(connections_to_several_servers_count_together),
		WITH_HTTP(a_connection_that_was_idle_too_long_is_not_used_again),
		WITH_HTTP(connections_that_nobody_needs_any_more_end_with_the_next_request),
		WITH_HTTP(nobody_is_asked_for_the_passphrase_of_a_key),
	};

	return cmocka_run_group_tests(tests, start_server, NULL);
}
