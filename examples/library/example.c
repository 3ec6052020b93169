/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program does with libcmek, a function for each way (docs/library.md):
 *
 *     cc example.c $(pkg-config --cflags --libs cmek libcurl) -o example
 *     ./example message prod/orders "a row"       sealed, opened, printed
 *     ./example file prod/orders IN OUT           IN is sealed into OUT
 *     ./example stream prod/orders <IN >OUT       the same of what comes
 *     ./example range prod/orders OUT OFFSET      100 bytes of what OUT holds, from there on
 *     ./example object prod/orders URL OFFSET     the same of an object that HTTP gives, as S3's
 *     ./example lines prod/orders                 each line of the input is sealed, whatever
 *                                                 becomes of the key meanwhile; of a failure, what
 *                                                 to quote to AWS stands in brackets
 *     ./example open prod/orders OUT BACK         it is opened: what a disabled key answers
 *
 * The exit status is the kind of failure (enum cmek_status).
 */
#include <cmek/cmek.h>

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cmek_client *client;
static cmek_zone *zone;
static cmek_error *error;

static void must(enum cmek_status status)
{
	if (status == CMEK_OK)
		return;
	fprintf(stderr, "%s\n", cmek_error_text(error));
	exit(status);
}

static int write_out(void *state, const void *data, size_t len)
{
	return fwrite(data, 1, len, state) == len ? 0 : EIO;
}

static int read_at(void *state, void *out, size_t len, uint64_t offset)
{
	return pread(*(int *)state, out, len, (off_t)offset) == (ssize_t)len ? 0 : EIO;
}

static void message(char **words)
{
	const struct cmek_seal_options bound = {
		.size = sizeof(bound), .name = "orders/1", .name_len = strlen("orders/1")};
	const struct cmek_unseal_options same = {
		.size = sizeof(same), .name = "orders/1", .name_len = strlen("orders/1")};
	char sealed[1024], plain[512];
	size_t len = strlen(words[0]);
	must(cmek_seal(zone, words[0], len, &bound, sealed, sizeof(sealed), &len, &error));
	must(cmek_unseal(client, sealed, len, &same, plain, sizeof(plain), &len, &error));
	printf("%.*s\n", (int)len, plain);
}

static void file(char **words)
{
	must(cmek_seal_file(zone, words[0], words[1], true, NULL, &error));
}

static void stream(char **words)
{
	cmek_writer *writer;
	char part[4096];
	(void)words;
	must(cmek_writer_new(zone, NULL, write_out, stdout, &writer, &error));
	for (size_t len; (len = fread(part, 1, sizeof(part), stdin)) > 0;)
		must(cmek_writer_put(writer, part, len, &error));
	must(cmek_writer_finish(writer, &error));
	cmek_writer_free(writer);
}

static void range(char **words)
{
	int fd = open(words[0], O_RDONLY);
	cmek_range *object;
	char part[100];
	size_t len = (size_t)lseek(fd, 0, SEEK_END);
	must(cmek_range_new(client, NULL, read_at, &fd, len, &object, &error));
	must(cmek_range_read(object, part, sizeof(part), strtoull(words[1], NULL, 10), &len,
			     &error));
	fwrite(part, 1, len, stdout);
	cmek_range_free(object);
}

struct part {
	char *out;
	size_t room;
};

static size_t take(char *data, size_t size, size_t count, void *state)
{
	struct part *part = state;
	size_t len = size * count;
	if (len > part->room)
		return 0;
	memcpy(part->out, data, len);
	part->out += len;
	part->room -= len;
	return len;
}

static int fetch(void *state, void *out, size_t len, uint64_t offset)
{
	struct part part = {out, len};
	unsigned long long first = offset;
	char where[64];
	snprintf(where, sizeof(where), "%llu-%llu", first, first + len - 1);
	curl_easy_setopt(state, CURLOPT_RANGE, where);
	curl_easy_setopt(state, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(state, CURLOPT_WRITEDATA, &part);
	return curl_easy_perform(state) == CURLE_OK && part.room == 0 ? 0 : EIO;
}

static uint64_t size_of(CURL *curl)
{
	struct curl_header *range;
	char first;
	if (fetch(curl, &first, 1, 0) != 0 ||
	    curl_easy_header(curl, "Content-Range", 0, CURLH_HEADER, -1, &range) != CURLHE_OK)
		return 0;
	return strtoull(strchr(range->value, '/') + 1, NULL, 10);
}

static void object(char **words)
{
	CURL *curl = curl_easy_init();
	cmek_range *object;
	char part[100];
	size_t len;
	curl_easy_setopt(curl, CURLOPT_URL, words[0]);
	must(cmek_range_new(client, NULL, fetch, curl, size_of(curl), &object, &error));
	must(cmek_range_read(object, part, 100, strtoull(words[1], NULL, 10), &len, &error));
	fwrite(part, 1, len, stdout);
	cmek_range_free(object);
}

static void seal_line(const char *line)
{
	char sealed[1024];
	size_t len;
	if (cmek_seal(zone, line, strlen(line), NULL, sealed, sizeof(sealed), &len, &error) == 0)
		printf("sealed %zu\n", len);
	else
		printf("%s: %s [%s]\n", cmek_error_may_pass(error) ? "try again" : "stop",
		       cmek_error_text(error), cmek_error_request_id(error));
	cmek_error_free(error);
	error = NULL;
}

static void lines(char **words)
{
	char line[512];
	(void)words;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin) != NULL)
		seal_line(line);
}

static void open_file(char **words)
{
	must(cmek_unseal_file(client, words[0], words[1], true, NULL, &error));
}

int main(int argc, char **argv)
{
	const struct {
		const char *name;
		void (*run)(char **words);
		int words;
	} ways[] = {{"message", message, 4}, {"file", file, 5},	    {"stream", stream, 3},
		    {"range", range, 5},     {"object", object, 5}, {"lines", lines, 3},
		    {"open", open_file, 5}};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (argc != ways[i].words || strcmp(argv[1], ways[i].name) != 0)
			continue;
		must(cmek_open(NULL, &client, &error));
		must(cmek_zone_open(client, argv[2], &zone, &error));
		ways[i].run(argv + 3);
		cmek_zone_free(zone);
		cmek_close(client);
		return 0;
	}
	fprintf(stderr, "usage: see the beginning of example.c\n");
	return 64;
}
