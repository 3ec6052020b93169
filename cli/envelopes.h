/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What encrypt, decrypt and inspect have in common. */
#pragma once

#include "cli/cli.h"
#include "cli/files.h"
#include "cli/stream.h"
#include "cli/token.h"
#include "envelope/message.h"

/* One line for a failure of envelope/, with the remedy; the exit code. */
int envelope_report(struct stream *stream, enum envelope_status status,
		    const struct envelope_error *error);
/* The same for a file that is not a stream; what could not be written has its name too. */
int envelope_report_file(const char *name, enum envelope_status status,
			 const struct envelope_error *error);

/* Opens IN and chooses OUT, which --force may replace; of two words, what is there must be of the
 * kind that the command writes. --json and data can't both go to standard output. Reports; an exit
 * code. */
int envelope_open_files(struct stream *stream, const struct arguments *arguments,
			const struct file_pair *pair);
/* Before data that begins so is encrypted: warns if it is an envelope already. */
void envelope_warn_of_second(const char *name, struct bytes beginning);
/* What --json prints when a file has been encrypted or decrypted; database "": unknown here. */
int envelope_print(const struct stream *stream, const char *project, const char *database,
		   uint64_t zone, int64_t plain_bytes);

/* --- Messages (cli/message.c), which are held whole. */

/* Whether the options of messages go together, and what --collection says. Reports; an exit code.
 */
int message_options(const struct arguments *arguments, uint64_t *ret_collection);
/* Seals IN, which the stream has open, as a message, and writes it. Reports; an exit code. */
int message_encrypt(struct stream *stream, const struct arguments *arguments,
		    const struct token *token, CK_OBJECT_HANDLE zone);
/* The rest of the stream into `storage`, which has the message's beginning and from which the
 * message then borrows. Reports; an exit code. */
int message_read(struct stream *stream, struct buffer *storage, struct message *ret_message);
