/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/support/etcd_server.h"

#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/store/etcd/engine.h"
#include "zones/store/etcd/etcd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	pid_t pid; /* 0: none runs */
	char folder[64];
	char endpoint[64];
} server;

/* One that the kernel chooses; it is free until somebody else is given it. */
static unsigned free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static bool is_installed(const char *program)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", program);
	return system(command) == 0;
}

static void run(unsigned peer_port, const char *max_txn_ops)
{
	char peer[64], data[80], log[80];
	int fd;

	snprintf(peer, sizeof(peer), "http://127.0.0.1:%u", peer_port);
	snprintf(data, sizeof(data), "%s/data", server.folder);
	snprintf(log, sizeof(log), "%s/log", server.folder);
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	/* Whoever cuts the power is no test of ours. */
	execlp("etcd", "etcd", "--data-dir", data, "--listen-client-urls", server.endpoint,
	       "--advertise-client-urls", server.endpoint, "--listen-peer-urls", peer,
	       "--unsafe-no-fsync", "--max-txn-ops", max_txn_ops, (char *)NULL);
	_exit(127);
}

static bool answers(void)
{
	const struct store_settings settings = {.endpoint = {server.endpoint, NULL}};
	struct store *store = store_etcd.open(&settings);
	struct store_facts facts;
	bool good = store->operations->look_at(store, &facts) == ZONE_OK;

	store->operations->free(store);
	return good;
}

bool etcd_server_start(void)
{
	return etcd_server_start_with("128"); /* as by itself */
}

bool etcd_server_start_with(const char *max_txn_ops)
{
	if (!is_installed("etcd"))
		return false;
	make_test_folder("etcd", server.folder);
	snprintf(server.endpoint, sizeof(server.endpoint), "http://127.0.0.1:%u", free_port());
	server.pid = fork();
	if (server.pid == 0)
		run(free_port(), max_txn_ops);
	for (int i = 0; i < 600 && !answers(); i++) {
		if (waitpid(server.pid, NULL, WNOHANG) != 0)
			fail_msg("etcd ended; see its log in %s", server.folder);
		usleep(100000);
	}
	return true;
}

const char *etcd_server_endpoint(void)
{
	return server.endpoint;
}

void etcd_server_post(const char *path, const char *body, const char *token)
{
	const struct http_header headers[] = {{"Authorization", token}};
	struct http_answer answer = {0};
	struct http *http = http_curl_new(1, false, &clock_system);
	char url[256];
	const struct http_request request = {.method = "POST",
					     .url = url,
					     .headers = headers,
					     .header_count = token == NULL ? 0 : 1,
					     .body = bytes_of(body),
					     .connect_timeout_ms = 60000,
					     .timeout_ms = 60000};

	snprintf(url, sizeof(url), "%s%s", server.endpoint, path);
	assert_int_equal(http->operations->send(http, &request, &answer), HTTP_ANSWERED);
	if (answer.status != 200)
		fail_msg("%s %s: %s", path, body, buffer_text(&answer.body));
	http_answer_clear(&answer);
	http->operations->free(http);
}

size_t etcd_server_requests(const struct store *store)
{
	return ((const struct etcd *)store)->requests;
}

void etcd_server_stop(void)
{
	if (server.pid == 0)
		return;
	kill(server.pid, SIGKILL);
	waitpid(server.pid, NULL, 0);
	server.pid = 0;
	remove_test_folder(server.folder);
}

static struct store *open_here(const struct store_settings *settings)
{
	const struct store_settings here = {.endpoint = {server.endpoint, NULL},
					    .prefix = {settings->path, NULL}};

	return store_etcd.open(&here);
}

const struct store_engine etcd_server_engine = {
	.name = "etcd",
	.look_every_ms = ETCD_LOOK_MS,
	.waits_ms = ETCD_WAITS_MS,
	.open = open_here,
};
