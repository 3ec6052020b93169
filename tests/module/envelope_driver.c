/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program as its users write them: one process, one session, many envelopes.
 *
 *   envelope_driver seal PROJECT DATABASE FOLDER COUNT    makes FOLDER/00000, FOLDER/00001 …
 *   envelope_driver open PROJECT FOLDER...                opens all that is there, compares
 *
 * Each holds its own file's name; every second one is bound to it. The last line says how many, and
 * the longest header.
 */
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "envelope/envelope.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
	CK_FUNCTION_LIST *functions;
	struct envelope_token token;
	unsigned count;
	uint32_t longest_header;
} program;

static void die(const char *what, const char *which, unsigned long number)
{
	fprintf(stderr, "envelope_driver: %s: %s (%#lx)\n", which, what, number);
	exit(1);
}

/* --- The module ------------------------------------------------------------------------------ */

static void load(void)
{
	const char *path = getenv("CMEK_PKCS11_MODULE");
	void *library = dlopen(path == NULL ? "cmek-pkcs11.so" : path, RTLD_NOW | RTLD_LOCAL);
	void *symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");
	CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
	CK_C_GetFunctionList get_list;
	CK_RV rv;

	memcpy(&get_list, &symbol, sizeof(get_list));
	if (symbol == NULL || get_list(&program.functions) != CKR_OK)
		die("does not load", "module", 0);
	rv = program.functions->C_Initialize(&arguments);
	if (rv != CKR_OK)
		die("does not start", "module", rv);
}

static bool has_label(CK_SLOT_ID slot, const char *project)
{
	CK_TOKEN_INFO info;
	size_t len = strlen(project);

	return program.functions->C_GetTokenInfo(slot, &info) == CKR_OK && len <= 32 &&
	       memcmp(info.label, project, len) == 0 && (len == 32 || info.label[len] == ' ');
}

static void open_project(const char *project)
{
	CK_ULONG count = 64, i = 0;
	CK_SLOT_ID slots[64];
	CK_RV rv = program.functions->C_GetSlotList(CK_TRUE, slots, &count);

	while (rv == CKR_OK && i < count && !has_label(slots[i], project))
		i++;
	if (rv != CKR_OK || i == count)
		die("no such project", project, rv);
	program.token.functions = program.functions;
	rv = program.functions->C_OpenSession(slots[i], CKF_SERIAL_SESSION, NULL, NULL,
					      &program.token.session);
	if (rv != CKR_OK)
		die("no session", project, rv);
}

static CK_OBJECT_HANDLE find_database(const char *label)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)},
				   {CKA_LABEL, (void *)label, strlen(label)}};
	CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
	CK_ULONG count = 0;

	program.functions->C_FindObjectsInit(program.token.session, template, COUNT_OF(template));
	program.functions->C_FindObjects(program.token.session, &found, 1, &count);
	program.functions->C_FindObjectsFinal(program.token.session);
	if (count == 0)
		die("no such database", label, 0);
	return found;
}

/* --- Streams in memory ----------------------------------------------------------------------- */

struct memory {
	struct bytes in;
	struct buffer out;
};

static ssize_t memory_read(void *state, uint8_t *out, size_t len)
{
	struct memory *memory = state;

	if (len > memory->in.len)
		len = memory->in.len;
	if (len > 0)
		memcpy(out, memory->in.data, len);
	memory->in = bytes(memory->in.data + len, memory->in.len - len);
	return (ssize_t)len;
}

static bool memory_write(void *state, struct bytes bytes)
{
	struct memory *memory = state;

	buffer_append(&memory->out, bytes);
	return !memory->out.failed;
}

static void memory_clear(struct memory *memory)
{
	buffer_clear(&memory->out);
}

static bool is_odd(const char *name)
{
	return (name[strlen(name) - 1] - '0') % 2 == 1;
}

static void expect(enum envelope_status status, const struct envelope_error *error,
		   const char *path)
{
	if (status == ENVELOPE_OK)
		return;
	fprintf(stderr, "%s: %s\n", error->function == NULL ? "" : error->function, error->text);
	die(envelope_status_text(status), path, error->rv);
}

/* --- Seal and open --------------------------------------------------------------------------- */

/* Without the syncs of file_replace, for there are thousands. */
static void write_file(const char *path, struct bytes contents)
{
	AUTO(file_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || !file_write_all(fd, contents))
		die("can't be written", path, 0);
}

static void seal_one(CK_OBJECT_HANDLE zone, const char *folder, const char *name)
{
	AUTO(memory_clear) struct memory memory = {.in = bytes_of(name)};
	struct envelope_io io = {memory_read, memory_write, &memory};
	struct envelope_options options = {.name = bytes_of(is_odd(name) ? name : NULL)};
	AUTO(freep) char *path = path_join(folder, name);
	struct envelope_error error = {0};

	expect(envelope_seal(&program.token, zone, &options, &io, &error), &error, path);
	write_file(path, buffer_bytes(&memory.out));
	program.count++;
}

static void open_payload(const struct envelope_io *io, const char *path, const char *name)
{
	struct envelope_expectation expected = {.name = bytes_of(is_odd(name) ? name : NULL)};
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_header header;
	struct envelope_error error = {0};
	struct envelope_keys keys = {0};
	struct envelope_token *token = &program.token;

	expect(envelope_read_header(io, &storage, &header, &error), &error, path);
	expect(envelope_check(token, &header, &expected, &error), &error, path);
	expect(envelope_unlock(token, &header, &keys, &error), &error, path);
	expect(envelope_open_payload(token, &header, &keys, io, &error), &error, path);
	envelope_keys_clear(token, &keys);
	if (header.header_len > program.longest_header)
		program.longest_header = header.header_len;
}

static void open_one(const char *folder, const char *name)
{
	AUTO(buffer_clear) struct buffer file = {0};
	AUTO(memory_clear) struct memory memory = {0};
	struct envelope_io io = {memory_read, memory_write, &memory};
	AUTO(freep) char *path = path_join(folder, name);

	if (!file_read(path, 1 << 20, &file))
		die("can't be read", path, 0);
	memory.in = buffer_bytes(&file);
	open_payload(&io, path, name);
	if (!bytes_equal(buffer_bytes(&memory.out), bytes_of(name)))
		die("opens as something else", path, 0);
	program.count++;
}

static void open_all(const char *folder)
{
	DIR *directory = opendir(folder);

	if (directory == NULL)
		die("is no folder", folder, 0);
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
		if (entry->d_name[0] != '.')
			open_one(folder, entry->d_name);
	closedir(directory);
}

int main(int count, char **words)
{
	bool seals = count == 6 && strcmp(words[1], "seal") == 0;

	if (!seals && (count < 4 || strcmp(words[1], "open") != 0))
		die("seal PROJECT DATABASE FOLDER COUNT, or open PROJECT FOLDER...", "usage", 0);
	load();
	open_project(words[2]);
	for (long i = 0; seals && i < strtol(words[5], NULL, 10); i++) {
		char name[24];

		snprintf(name, sizeof(name), "%05ld", i);
		seal_one(find_database(words[3]), words[4], name);
	}
	for (int i = 3; !seals && i < count; i++)
		open_all(words[i]);
	printf("%u envelopes, longest header %u\n", program.count, program.longest_header);
	return program.functions->C_Finalize(NULL) == CKR_OK ? 0 : 1;
}
