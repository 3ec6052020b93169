/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for queues: cmek encrypt --message, and what decrypt and inspect read of one. */
#include "base/encode.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "envelope/sealer.h"

#include <errno.h>

enum {
	READ_AT_ONCE = 65536,
	MESSAGE_MAX = MESSAGE_HEADER + 2 + MESSAGE_RECORD_MAX + MESSAGE_PAYLOAD_MAX + ENVELOPE_TAG
};

int message_options(const struct arguments *arguments, uint64_t *ret_collection)
{
	const char *collection = arguments_value(arguments, "collection");
	bool is_message = arguments_value(arguments, "message") != NULL;

	if (!is_message && (collection != NULL || arguments_value(arguments, "embed") != NULL))
		return fail(CMEK_EXIT_USAGE, "--collection and --embed are for --message");
	*ret_collection = 0;
	if (collection == NULL ||
	    decimal_decode(collection, MESSAGE_COLLECTION_MAX, ret_collection))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_USAGE, "--collection is a number up to %llu, not %s",
		    (unsigned long long)MESSAGE_COLLECTION_MAX, collection);
}

/* All that comes, up to one byte more than `most`. */
static int read_rest(struct stream *stream, size_t most, struct buffer *out)
{
	for (;;) {
		uint8_t *room = buffer_reserve(out, READ_AT_ONCE);
		ssize_t count;

		if (room == NULL)
			return envelope_report(stream, ENVELOPE_NO_MEMORY,
					       &(struct envelope_error){0});
		count = stream->io.read(stream->io.state, room, READ_AT_ONCE);
		if (count < 0)
			return fail_system(errno, stream->in_name, "");
		out->len += (size_t)count;
		if (count == 0 || out->len > most)
			return CMEK_EXIT_OK;
	}
}

static int seal(struct stream *stream, struct message_sealer *sealer,
		const struct message_input *input)
{
	AUTO(buffer_clear) struct buffer message = {0};
	struct envelope_error error = {0};
	enum envelope_status status = message_seal(sealer, input, &message, &error);

	if (status != ENVELOPE_OK)
		return envelope_report(stream, status, &error);
	if (!stream->io.write(stream->io.state, buffer_bytes(&message)))
		return fail_system(errno, stream->output.name, "");
	return stream_finish(stream);
}

int message_encrypt(struct stream *stream, const struct arguments *arguments,
		    const struct token *token, CK_OBJECT_HANDLE zone)
{
	const char *database = arguments_value(arguments, "database");
	bool embed = arguments_value(arguments, "embed") != NULL;
	struct envelope_token by = {.functions = token->functions, .session = token->session};
	AUTO(message_sealer_clear) struct message_sealer sealer;
	AUTO(buffer_clear) struct buffer payload = {0};
	struct message_input input = {.bound_to = bytes_of(arguments_value(arguments, "name"))};

	message_sealer_init(&sealer, &by, zone, embed, NULL, NULL);
	TRY(message_options(arguments, &input.collection));
	if (embed && !object_embeds(token, zone))
		return fail(CMEK_EXIT_REFUSED,
			    "database %s keeps its key's record in its store: leave out --embed",
			    database);
	TRY(read_rest(stream, MESSAGE_PAYLOAD_MAX, &payload));
	if (payload.len > MESSAGE_PAYLOAD_MAX)
		return fail(CMEK_EXIT_REFUSED,
			    "%s: a message has at most 64 MiB; encrypt it without --message",
			    stream->in_name);
	input.payload = buffer_bytes(&payload);
	TRY(seal(stream, &sealer, &input));
	return !arguments->json ? CMEK_EXIT_OK
				: envelope_print(stream, token->project, database,
						 object_zone_id(token, zone), stream->done);
}

int message_read(struct stream *stream, struct buffer *storage, struct message *ret_message)
{
	struct envelope_error error = {0};
	enum envelope_status status;

	TRY(read_rest(stream, MESSAGE_MAX, storage));
	status = message_decode(buffer_bytes(storage), ret_message, &error);
	return status == ENVELOPE_OK ? CMEK_EXIT_OK : envelope_report(stream, status, &error);
}
