/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application at the end of a pipe that has operations under way in many sessions; for
 * tests/e2e/operations.py, which changes the KMS meanwhile.
 *
 *	operations PROJECT
 *
 * reads a command a line, and answers each by a line: CKR_…, why (CMEK_ERROR_…), and what came out,
 * in hex ("-": nothing). A session is a number and opens itself; keys are the zone z0, and "dek", a
 * key wrapped by that. All is AES-CBC with an IV of zeros.
 *
 *	begin SESSION encrypt|decrypt zone|dek
 *	part|once|last SESSION encrypt|decrypt HEX|-
 */
#include "application.h"

#include <stdio.h>
#include <stdlib.h>

enum { SESSIONS_MAX = 64, DATA_MAX = 4096, LINE_MAX = 3 * DATA_MAX };

static CK_SESSION_HANDLE sessions[SESSIONS_MAX];
static CK_OBJECT_HANDLE zone, dek;

struct command {
	char verb[16], direction[16], rest[LINE_MAX];
	unsigned session;
	CK_BYTE in[DATA_MAX], out[DATA_MAX];
	CK_ULONG in_len, out_len;
};

static bool encrypts(const struct command *command)
{
	return strcmp(command->direction, "encrypt") == 0;
}

static CK_RV begin(struct command *command)
{
	CK_BYTE iv[16] = {0};
	CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof(iv)};
	CK_OBJECT_HANDLE key = strcmp(command->rest, "zone") == 0 ? zone : dek;

	command->out_len = 0;
	return encrypts(command) ? p11->C_EncryptInit(sessions[command->session], &cbc, key)
				 : p11->C_DecryptInit(sessions[command->session], &cbc, key);
}

static CK_RV part(struct command *c)
{
	CK_SESSION_HANDLE session = sessions[c->session];

	return encrypts(c) ? p11->C_EncryptUpdate(session, c->in, c->in_len, c->out, &c->out_len)
			   : p11->C_DecryptUpdate(session, c->in, c->in_len, c->out, &c->out_len);
}

static CK_RV once(struct command *c)
{
	CK_SESSION_HANDLE session = sessions[c->session];

	return encrypts(c) ? p11->C_Encrypt(session, c->in, c->in_len, c->out, &c->out_len)
			   : p11->C_Decrypt(session, c->in, c->in_len, c->out, &c->out_len);
}

static CK_RV last(struct command *c)
{
	CK_SESSION_HANDLE session = sessions[c->session];

	return encrypts(c) ? p11->C_EncryptFinal(session, c->out, &c->out_len)
			   : p11->C_DecryptFinal(session, c->out, &c->out_len);
}

static const struct verb {
	const char *name;
	CK_RV (*run)(struct command *command);
} verbs[] = {{"begin", begin}, {"part", part}, {"once", once}, {"last", last}};

static void read_data(struct command *command)
{
	unsigned byte;

	command->in_len = 0;
	command->out_len = DATA_MAX;
	while (command->in_len < DATA_MAX &&
	       sscanf(command->rest + 2 * command->in_len, "%2x", &byte) == 1)
		command->in[command->in_len++] = (CK_BYTE)byte;
}

static void answer(struct command *command, CK_RV rv)
{
	CK_SESSION_INFO info;

	must(p11->C_GetSessionInfo(sessions[command->session], &info), "C_GetSessionInfo");
	printf("%lu %lu ", rv, info.ulDeviceError);
	for (CK_ULONG i = 0; rv == CKR_OK && i < command->out_len; i++)
		printf("%02x", command->out[i]);
	printf(rv != CKR_OK || command->out_len == 0 ? "-\n" : "\n");
	fflush(stdout);
}

static void obey(struct command *command)
{
	if (sessions[command->session] == 0)
		sessions[command->session] = open_session();
	read_data(command);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcmp(command->verb, verbs[i].name) == 0)
			answer(command, verbs[i].run(command));
}

int main(int argc, char **argv)
{
	static struct command command;
	static char line[LINE_MAX];
	CK_BYTE wrapped[WRAPPED_MAX];
	CK_ULONG len;

	if (argc != 2) {
		fprintf(stderr, "usage: operations PROJECT\n");
		return 2;
	}
	application_start(argv[1]);
	sessions[0] = open_session();
	zone = find_zone(sessions[0], 0);
	must(make_key(sessions[0], &dek), "C_GenerateKey");
	must(wrap_key(sessions[0], zone, dek, wrapped, &len), "C_WrapKey");
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "%15s %u %15s %s", command.verb, &command.session,
			   command.direction, command.rest) != 4 ||
		    command.session >= SESSIONS_MAX)
			must(CKR_ARGUMENTS_BAD, line);
		obey(&command);
	}
	must(p11->C_Finalize(NULL), "C_Finalize");
	return 0;
}
