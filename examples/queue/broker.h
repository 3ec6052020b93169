/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A Redis stream. Each entry has the message's place in the stream and the message. Whatever fails
 * here ends the program with a line: whoever starts it again goes on where it stopped. */
#pragma once

#include "base/bytes.h"

#include <hiredis/hiredis.h>

struct broker {
	redisContext *redis;
	const char *stream;
};

/* `id` and `message` are the reply's. */
struct entry {
	const char *id;
	uint64_t place;
	struct bytes message;
};

void broker_open(const char *socket, const char *stream, struct broker *ret_broker);
void broker_close(struct broker *broker);

/* The place after the last entry's. */
uint64_t broker_next_place(struct broker *broker);
void broker_add(struct broker *broker, uint64_t place, struct bytes message);

/* A group reads the stream: what it was given stays pending until it is acknowledged. */
void broker_make_group(struct broker *broker, const char *group);
/* The next entries of the group: those that it was given before and did not acknowledge (`again`),
 * or new ones, for which it waits a second. freeReplyObject() it; NULL: none. */
redisReply *broker_read(struct broker *broker, const char *group, bool again);
/* The count of entries in such a reply, and one of them. */
size_t broker_count(const redisReply *reply);
struct entry broker_entry(const redisReply *reply, size_t index);
void broker_acknowledge(struct broker *broker, const char *group, const char *id);

/* What a message is bound to: its stream, and its place in it. So no broker can move or leave out
 * one, or pass it off as another stream's. */
struct bytes broker_binding(const struct broker *broker, uint64_t place, char text[static 128]);
