/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads such a stream in order and applies it, here by adding a line to a file for each message:
 *
 *   queue_consumer SOCKET STREAM PROJECT DATABASE COUNT FILE
 *
 * until FILE has COUNT lines. It acknowledges a message once that is applied, skips what it has
 * applied already, and stops at a gap. While the KMS says no, or nothing, it waits with the message
 * that it could not open.
 */
#include "envelope/opener.h"
#include "examples/queue/broker.h"
#include "examples/queue/zone.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char group[] = "appliers";

static struct {
	struct zone zone;
	struct broker broker;
	struct message_opener opener;
	FILE *applied;
	uint64_t next; /* the place whose message is applied next */
	unsigned waits;
} program;

/* Where an earlier run stopped: each whole line is a message. A torn line is written anew. */
static void open_applied(const char *path)
{
	long whole = 0;
	int c;

	program.applied = fopen(path, "a+");
	if (program.applied == NULL)
		die("%s: cannot be written", path);
	rewind(program.applied);
	while ((c = getc(program.applied)) != EOF)
		if (c == '\n') {
			program.next++;
			whole = ftell(program.applied);
		}
	if (ftruncate(fileno(program.applied), whole) != 0)
		die("%s: cannot be shortened", path);
}

static void open_message(const struct entry *entry, struct buffer *payload)
{
	char binding[128];
	struct bytes bound = broker_binding(&program.broker, entry->place, binding);
	unsigned attempt = 0;

	for (;;) {
		struct envelope_error error = {0};
		struct message message;
		enum envelope_status status = message_decode(entry->message, &message, &error);

		if (status == ENVELOPE_OK)
			status = message_open(&program.opener, &message, bound, payload, &error);
		if (status == ENVELOPE_OK)
			return;
		zone_wait(&program.zone, "consumer", status, &error, &attempt);
		program.waits++;
	}
}

static void apply(const struct entry *entry)
{
	struct buffer payload = {0};

	if (entry->place > program.next)
		die("consumer: message %" PRIu64 " is missing: the broker lost it; stopped",
		    program.next);
	if (entry->place == program.next) {
		open_message(entry, &payload);
		fprintf(program.applied, "%" PRIu64 " %.*s\n", entry->place, (int)payload.len,
			(const char *)payload.data);
		if (fflush(program.applied) != 0)
			die("consumer: message %" PRIu64 " can't be applied", entry->place);
		program.next++;
		buffer_clear(&payload);
	}
	broker_acknowledge(&program.broker, group, entry->id);
}

static void consume(uint64_t count)
{
	bool again = true; /* first what an earlier run had taken and not acknowledged */

	while (program.next < count) {
		redisReply *reply = broker_read(&program.broker, group, again);

		if (reply == NULL) {
			again = false;
			continue;
		}
		for (size_t i = 0; i < broker_count(reply); i++) {
			struct entry entry = broker_entry(reply, i);

			apply(&entry);
		}
		freeReplyObject(reply);
	}
}

int main(int count, char **words)
{
	if (count != 7)
		die("usage: queue_consumer SOCKET STREAM PROJECT DATABASE COUNT FILE");
	broker_open(words[1], words[2], &program.broker);
	broker_make_group(&program.broker, group);
	zone_open(words[3], words[4], &program.zone);
	message_opener_init(&program.opener, &program.zone.token, program.zone.id);
	open_applied(words[6]);
	consume(strtoull(words[5], NULL, 10));
	printf("consumer: %" PRIu64 " messages are applied; %" PRIu64 " data keys, %u waits\n",
	       program.next, program.opener.unwrapped, program.waits);
	fclose(program.applied);
	message_opener_clear(&program.opener);
	zone_close(&program.zone);
	broker_close(&program.broker);
	return 0;
}
