/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded by a test: libcurl can start no thread, and names are found without a network: each
 * that ends in ".example" is 127.0.0.1. What was looked up, by whom, and which threads were wanted
 * is appended to the file CMEK_TEST_NO_THREADS_LOG, a line for each.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
		   void *state);
typedef int look_up(const char *node, const char *service, const struct addrinfo *hints,
		    struct addrinfo **result);

static void note(const char *what, const char *which)
{
	const char *path = getenv("CMEK_TEST_NO_THREADS_LOG");
	int fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd >= 0)
		dprintf(fd, "%s %s\n", what, which);
	if (fd >= 0)
		close(fd);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
		   void *state)
{
	void *symbol = dlsym(RTLD_NEXT, "pthread_create");
	Dl_info from = {0};
	create *real;

	memcpy(&real, &symbol, sizeof(real));
	if (dladdr(__builtin_return_address(0), &from) == 0 || from.dli_fname == NULL ||
	    strstr(from.dli_fname, "libcurl") == NULL)
		return real(thread, attributes, run, state);
	note("thread", "libcurl");
	return EAGAIN;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
	const char *end = node == NULL ? NULL : strrchr(node, '.');
	look_up *real;

	memcpy(&real, &symbol, sizeof(real));
	note("name", node == NULL ? "-" : node);
	if (end != NULL && strcmp(end, ".example") == 0)
		node = "127.0.0.1";
	return real(node, service, hints, result);
}
