/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes insert and delete messages of a database to a Redis stream, sealed:
 *
 *   queue_producer SOCKET STREAM PROJECT DATABASE COUNT PAUSE_MS
 *
 * until the stream has COUNT of them. While the KMS says no, or nothing, it waits with the message
 * that it could not seal.
 */
#include "envelope/sealer.h"
#include "examples/queue/broker.h"
#include "examples/queue/zone.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct {
	struct zone zone;
	struct broker broker;
	struct message_sealer sealer;
	unsigned waits, keys;
	uint32_t first_version, last_version;
} program;

/* A table of a hundred rows; each fifth message deletes one. */
static struct bytes operation(uint64_t place, char text[static 64])
{
	snprintf(text, 64, "%s row %" PRIu64, place % 5 == 4 ? "delete" : "insert", place % 100);
	return bytes_of(text);
}

static void count_keys(const uint8_t before[static MESSAGE_DEK])
{
	program.keys += memcmp(before, program.sealer.names, MESSAGE_DEK) != 0;
	if (program.first_version == 0)
		program.first_version = program.sealer.version;
	program.last_version = program.sealer.version;
}

static void produce(uint64_t place)
{
	char text[64], binding[128];
	struct message_input input = {.payload = operation(place, text),
				      .collection = 449302,
				      .bound_to = broker_binding(&program.broker, place, binding)};
	struct buffer message = {0};
	uint8_t before[MESSAGE_DEK];
	unsigned attempt = 0;

	memcpy(before, program.sealer.names, MESSAGE_DEK);
	for (;;) {
		struct envelope_error error = {0};
		enum envelope_status status =
			message_seal(&program.sealer, &input, &message, &error);

		if (status == ENVELOPE_OK)
			break;
		zone_wait(&program.zone, "producer", status, &error, &attempt);
		program.waits++;
	}
	count_keys(before);
	broker_add(&program.broker, place, buffer_bytes(&message));
	buffer_clear(&message);
}

int main(int count, char **words)
{
	struct timespec pause = {0};
	uint64_t place;

	if (count != 7)
		die("usage: queue_producer SOCKET STREAM PROJECT DATABASE COUNT PAUSE_MS");
	pause.tv_nsec = atol(words[6]) * 1000000L;
	broker_open(words[1], words[2], &program.broker);
	zone_open(words[3], words[4], &program.zone);
	message_sealer_init(&program.sealer, &program.zone.token, program.zone.ezk, false, NULL,
			    NULL);
	for (place = broker_next_place(&program.broker); place < strtoull(words[5], NULL, 10);
	     place++) {
		produce(place);
		nanosleep(&pause, NULL);
	}
	printf("producer: %" PRIu64 " messages are in the stream; %u data keys, key versions "
	       "%" PRIu32 " to %" PRIu32 ", %u waits\n",
	       place, program.keys, program.first_version, program.last_version, program.waits);
	message_sealer_clear(&program.sealer);
	zone_close(&program.zone);
	broker_close(&program.broker);
	return 0;
}
