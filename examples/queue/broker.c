/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "examples/queue/broker.h"

#include "examples/queue/zone.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void broker_open(const char *socket, const char *stream, struct broker *ret_broker)
{
	struct broker broker = {redisConnectUnix(socket), stream};

	if (broker.redis == NULL || broker.redis->err != 0)
		die("Redis at %s: %s", socket,
		    broker.redis == NULL ? "no memory" : broker.redis->errstr);
	*ret_broker = broker;
}

void broker_close(struct broker *broker)
{
	redisFree(broker->redis);
}

/* The reply, unless it says that something is wrong. */
static redisReply *checked(struct broker *broker, void *answer)
{
	redisReply *reply = answer;

	if (reply == NULL)
		die("Redis: %s", broker->redis->errstr);
	if (reply->type == REDIS_REPLY_ERROR)
		die("Redis: %s", reply->str);
	return reply;
}

/* An entry is [id, ["place", text, "message", bytes]]. */
static struct entry entry_of(const redisReply *entry)
{
	const redisReply *fields = entry->elements == 2 ? entry->element[1] : NULL;

	if (fields == NULL || fields->type != REDIS_REPLY_ARRAY || fields->elements != 4)
		die("Redis: an entry that no producer of ours has written");
	return (struct entry){
		.id = entry->element[0]->str,
		.place = strtoull(fields->element[1]->str, NULL, 10),
		.message = bytes(fields->element[3]->str, (size_t)fields->element[3]->len)};
}

uint64_t broker_next_place(struct broker *broker)
{
	redisReply *reply = checked(
		broker, redisCommand(broker->redis, "XREVRANGE %s + - COUNT 1", broker->stream));
	uint64_t next = reply->elements == 0 ? 0 : entry_of(reply->element[0]).place + 1;

	freeReplyObject(reply);
	return next;
}

void broker_add(struct broker *broker, uint64_t place, struct bytes message)
{
	freeReplyObject(checked(
		broker, redisCommand(broker->redis, "XADD %s * place %" PRIu64 " message %b",
				     broker->stream, place, message.data, message.len)));
}

void broker_make_group(struct broker *broker, const char *group)
{
	redisReply *reply = redisCommand(broker->redis, "XGROUP CREATE %s %s 0 MKSTREAM",
					 broker->stream, group);

	/* It may be there already. */
	if (reply == NULL ||
	    (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "BUSYGROUP", 9) != 0))
		checked(broker, reply);
	freeReplyObject(reply);
}

redisReply *broker_read(struct broker *broker, const char *group, bool again)
{
	redisReply *reply = checked(
		broker, redisCommand(broker->redis,
				     "XREADGROUP GROUP %s one COUNT 64 BLOCK 1000 STREAMS %s %s",
				     group, broker->stream, again ? "0" : ">"));

	if (reply->type == REDIS_REPLY_ARRAY && broker_count(reply) > 0)
		return reply;
	freeReplyObject(reply);
	return NULL;
}

/* [[stream, [entry, …]]] */
static const redisReply *entries_of(const redisReply *reply)
{
	return reply->element[0]->element[1];
}

size_t broker_count(const redisReply *reply)
{
	return reply->elements == 0 ? 0 : entries_of(reply)->elements;
}

struct entry broker_entry(const redisReply *reply, size_t index)
{
	return entry_of(entries_of(reply)->element[index]);
}

void broker_acknowledge(struct broker *broker, const char *group, const char *id)
{
	freeReplyObject(checked(
		broker, redisCommand(broker->redis, "XACK %s %s %s", broker->stream, group, id)));
}

struct bytes broker_binding(const struct broker *broker, uint64_t place, char text[static 128])
{
	snprintf(text, 128, "%s/%" PRIu64, broker->stream, place);
	return bytes_of(text);
}
