/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What to allow an identity in the store: commands of the file system or of etcdctl, or an IAM
 * policy. Nothing in a store is secret, and whoever writes it can deny and roll back
 * (docs/store.md, "A store writer"); so a reader gets no right to write. */
#include "base/buffer.h"
#include "base/macros.h"
#include "cli/policy.h"
#include "cli/print.h"

#include <stdlib.h>
#include <string.h>

/* Whom the rights are for, and in which store. */
struct holder {
	const char *principal;
	const char *place; /* the file, the prefix of keys, or REGION/TABLE */
	const char *project;
	bool writes;
};

static void add(json_t *lines, struct buffer *line)
{
	json_array_append_new(lines, print_json_text(buffer_text(line)));
	buffer_clear(line);
}

/* --- A file */

static json_t *in_a_file(const struct holder *holder)
{
	const char *slash = strrchr(holder->place, '/');
	int folder = slash == NULL || slash == holder->place ? 1 : (int)(slash - holder->place);
	const char *who = holder->principal == NULL ? "USER" : holder->principal;
	AUTO(buffer_clear) struct buffer line = {0};
	json_t *lines = json_array();

	buffer_format(&line, "setfacl -m u:%s:%s '%.*s'", who, holder->writes ? "rwx" : "rx",
		      folder, holder->place);
	add(lines, &line);
	buffer_format(&line, "setfacl -m u:%s:%s '%s'", who, holder->writes ? "rw" : "r",
		      holder->place);
	add(lines, &line);
	buffer_format(&line, "setfacl -m u:%s:%s '%s.lock'", who, holder->writes ? "rw" : "r",
		      holder->place);
	add(lines, &line);
	return json_pack("{s:o}", "commands", lines);
}

/* --- etcd */

/* All keys of the store: those of a project have no prefix of their own. */
static json_t *in_etcd(const struct holder *holder)
{
	const char *who = holder->principal == NULL ? "USER" : holder->principal;
	const char *role = holder->writes ? "cmek-write" : "cmek-read";
	AUTO(buffer_clear) struct buffer line = {0};
	json_t *lines = json_array();

	buffer_format(&line, "etcdctl role add %s", role);
	add(lines, &line);
	buffer_format(&line, "etcdctl role grant-permission --prefix=true %s %s '%s'", role,
		      holder->writes ? "readwrite" : "read", holder->place);
	add(lines, &line);
	buffer_format(&line, "etcdctl user grant-role %s %s", who, role);
	add(lines, &line);
	return json_pack("{s:o}", "commands", lines);
}

/* --- DynamoDB */

static json_t *in_dynamodb(const struct holder *holder)
{
	return policy_aws_table(holder->place, holder->project, holder->writes);
}

static const struct {
	const char *engine;
	json_t *(*write)(const struct holder *holder);
} stores[] = {
	{"sqlite", in_a_file},
	{"etcd", in_etcd},
	{"dynamodb", in_dynamodb},
};

json_t *policy_of_store(const json_t *facts, const char *project, bool writes,
			const char *principal)
{
	const char *engine = member_text(facts, "engine");
	const struct holder holder = {principal, member_text(facts, "rights_on"), project, writes};

	for (size_t i = 0; i < COUNT_OF(stores); i++) {
		json_t *rights;

		if (strcmp(stores[i].engine, engine) != 0)
			continue;
		rights = stores[i].write(&holder);
		json_object_set_new(rights, "engine", json_string(engine));
		json_object_set_new(rights, "access", json_string(writes ? "write" : "read"));
		return rights;
	}
	return json_null();
}
