/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden files by libcmek: `golden seal` makes them of prod/one, `golden open` opens them, in this
 * and three other languages. Lines of the input say WAY|NAME|IN|OUT, the way being message,
 * embedded (a message with the record), file or stream. The first one that fails ends it.
 */
#include <cmek/cmek.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 20 };

static cmek_client *client;
static cmek_zone *zone;
static cmek_error *error;
static unsigned char from[MOST], to[MOST];

static void must(enum cmek_status status, const char *what)
{
	if (status == CMEK_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, cmek_error_text(error));
	exit(1);
}

static FILE *opened(const char *path, const char *how)
{
	FILE *file = fopen(path, how);

	if (file == NULL) {
		perror(path);
		exit(1);
	}
	return file;
}

static size_t take(const char *path)
{
	FILE *file = opened(path, "rb");
	size_t len = fread(from, 1, MOST, file);

	fclose(file);
	return len;
}

static void put(const char *path, size_t len)
{
	FILE *file = opened(path, "wb");

	if (fwrite(to, 1, len, file) != len || fclose(file) != 0)
		exit(1);
}

static int write_out(void *state, const void *data, size_t len)
{
	return fwrite(data, 1, len, state) == len ? 0 : EIO;
}

static int read_in(void *state, void *out, size_t room, size_t *ret_len)
{
	*ret_len = fread(out, 1, room, state);
	return ferror(state) ? EIO : 0;
}

static void seal_stream(const struct cmek_seal_options *options, const char *in, const char *out)
{
	size_t len = take(in), piece;
	FILE *file = opened(out, "wb");
	cmek_writer *writer;

	must(cmek_writer_new(zone, options, write_out, file, &writer, &error), out);
	for (size_t at = 0; at < len; at += piece) {
		piece = len - at < 40001 ? len - at : 40001;
		must(cmek_writer_put(writer, from + at, piece, &error), out);
	}
	must(cmek_writer_finish(writer, &error), out);
	cmek_writer_free(writer);
	if (fclose(file) != 0)
		exit(1);
}

static void seal(const char *way, const char *name, const char *in, const char *out)
{
	const struct cmek_seal_options options = {.size = sizeof(options),
						  .name = *name == '\0' ? NULL : name,
						  .name_len = strlen(name),
						  .embed = strcmp(way, "embedded") == 0};
	size_t len;

	if (strcmp(way, "file") == 0) {
		must(cmek_seal_file(zone, in, out, true, &options, &error), out);
	} else if (strcmp(way, "stream") == 0) {
		seal_stream(&options, in, out);
	} else {
		len = take(in);
		must(cmek_seal(zone, from, len, &options, to, MOST, &len, &error), out);
		put(out, len);
	}
}

static void unseal_stream(const struct cmek_unseal_options *options, const char *in,
			  const char *out)
{
	FILE *file = opened(in, "rb");
	cmek_reader *reader;
	size_t len;

	must(cmek_reader_new(client, options, read_in, file, &reader, &error), in);
	must(cmek_reader_get(reader, to, MOST, &len, &error), in);
	cmek_reader_free(reader);
	fclose(file);
	put(out, len);
}

static void unseal(const char *way, const char *name, const char *in, const char *out)
{
	const struct cmek_unseal_options options = {.size = sizeof(options),
						    .name = *name == '\0' ? NULL : name,
						    .name_len = strlen(name)};
	size_t len;

	if (strcmp(way, "file") == 0) {
		must(cmek_unseal_file(client, in, out, true, &options, &error), in);
	} else if (strcmp(way, "stream") == 0) {
		unseal_stream(&options, in, out);
	} else {
		len = take(in);
		must(cmek_unseal(client, from, len, &options, to, MOST, &len, &error), in);
		put(out, len);
	}
}

int main(int argc, char **argv)
{
	bool seals = argc == 2 && strcmp(argv[1], "seal") == 0;
	char line[4096], *rest, *words[4];

	must(cmek_open(NULL, &client, &error), "cmek_open");
	if (seals)
		must(cmek_zone_open(client, "prod/one", &zone, &error), "cmek_zone_open");
	while (fgets(line, sizeof(line), stdin) != NULL) {
		rest = line;
		for (int i = 0; i < 4; i++)
			if ((words[i] = strsep(&rest, "|\n")) == NULL)
				return 64;
		(seals ? seal : unseal)(words[0], words[1], words[2], words[3]);
	}
	cmek_zone_free(zone);
	cmek_close(client);
	return 0;
}
