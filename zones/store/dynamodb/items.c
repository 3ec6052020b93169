/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, and the parts that bodies of requests are put together from. */
#include "base/encode.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

#include <inttypes.h>
#include <stdio.h>

/* --- Keys */

#define STORE_PARTITION "store"

static void put_hex(char *out, struct uid uid)
{
	for (size_t i = 0; i < UID_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", uid.bytes[i]);
}

static struct dynamodb_key key_of_store(const char *sort)
{
	struct dynamodb_key key = {.partition = STORE_PARTITION};

	snprintf(key.sort, sizeof(key.sort), "%s", sort);
	return key;
}

/* Of all of a project, so that rights can be given for it alone. */
static struct dynamodb_key key_of_project(struct uid project)
{
	struct dynamodb_key key = {.partition = "p/"};

	put_hex(key.partition + 2, project);
	return key;
}

struct dynamodb_key dynamodb_key_head(void)
{
	return key_of_store("head");
}

struct dynamodb_key dynamodb_key_wide(void)
{
	return key_of_store("wide");
}

struct dynamodb_key dynamodb_key_project(struct uid project)
{
	struct dynamodb_key key = key_of_store("project/");

	put_hex(key.sort + strlen(key.sort), project);
	return key;
}

struct dynamodb_key dynamodb_key_zone(uint64_t zone)
{
	struct dynamodb_key key = {.sort = "zone"};

	snprintf(key.partition, sizeof(key.partition), "z/%016" PRIx64, zone);
	return key;
}

struct dynamodb_key dynamodb_key_log(struct uid project, uint64_t rev)
{
	struct dynamodb_key key = key_of_project(project);

	snprintf(key.sort, sizeof(key.sort), "log/%016" PRIx64, rev);
	return key;
}

struct dynamodb_key dynamodb_key_row(struct uid project, struct uid uid)
{
	struct dynamodb_key key = key_of_project(project);

	strcpy(key.sort, "row/");
	put_hex(key.sort + strlen(key.sort), uid);
	return key;
}

struct dynamodb_key dynamodb_key_few(struct uid project, struct uid uid)
{
	struct dynamodb_key key = key_of_project(project);

	strcpy(key.sort, "few/");
	put_hex(key.sort + strlen(key.sort), uid);
	return key;
}

struct dynamodb_key dynamodb_key_import(uint64_t from, struct uid zone)
{
	struct dynamodb_key key = dynamodb_key_zone(from);

	strcpy(key.sort, "import/");
	put_hex(key.sort + strlen(key.sort), zone);
	return key;
}

struct dynamodb_key dynamodb_key_version(struct uid project, uint64_t zone,
					 const struct ezk_version *version)
{
	struct dynamodb_key key = key_of_project(project);

	snprintf(key.sort, sizeof(key.sort), "version/%016" PRIx64 "/%016" PRIx64 "/%08" PRIx32,
		 zone, version->record_zone, version->version);
	return key;
}

struct dynamodb_key dynamodb_key_part(struct uid project, const char *token, size_t number)
{
	struct dynamodb_key key = key_of_project(project);

	snprintf(key.sort, sizeof(key.sort), "part/%.32s/%06zu", token, number);
	return key;
}

static void put_member(struct buffer *out, const char *name, const char *type, const char *text)
{
	buffer_format(out, "\"%s\":{\"%s\":", name, type);
	json_put_string(out, text);
	buffer_put_text(out, "}");
}

static void put_key_members(struct buffer *out, const struct dynamodb_key *key)
{
	put_member(out, "PK", "S", key->partition);
	buffer_put_text(out, ",");
	put_member(out, "SK", "S", key->sort);
}

void dynamodb_put_key(struct buffer *out, const struct dynamodb_key *key)
{
	buffer_put_text(out, "{");
	put_key_members(out, key);
	buffer_put_text(out, "}");
}

/* --- Attributes */

void dynamodb_put_text(struct buffer *out, const char *name, const char *text)
{
	buffer_put_text(out, ",");
	if (text == NULL)
		out->failed = true;
	else
		put_member(out, name, "S", text);
}

void dynamodb_put_number(struct buffer *out, const char *name, uint64_t number)
{
	buffer_format(out, ",\"%s\":{\"N\":\"%" PRIu64 "\"}", name, number);
}

void dynamodb_put_table(struct buffer *out, const struct dynamodb *dynamodb)
{
	buffer_put_text(out, "\"TableName\":");
	json_put_string(out, dynamodb->table);
}

void dynamodb_put_label(struct buffer *out, enum entry_kind kind, struct bytes label)
{
	buffer_format(out, "%s/", rows_kind(kind));
	buffer_append(out, label);
}

/* --- Operations of a transaction */

static const char *const expressions[] = {
	[WHEN_NEW] = "attribute_not_exists(PK)",
	[WHEN_THERE] = "attribute_exists(PK)",
	[WHEN_AT] = "#r = :r",
	[WHEN_PARTS] = "#r = :r AND attribute_exists(parts)",
	[WHEN_NEVER] = "attribute_exists(PK) AND attribute_not_exists(PK)",
};

static void put_condition(struct buffer *out, struct dynamodb_condition condition)
{
	if (condition.when == WHEN_ANY)
		return;
	buffer_format(out, ",\"ConditionExpression\":\"%s\"", expressions[condition.when]);
	if (condition.when == WHEN_AT || condition.when == WHEN_PARTS)
		buffer_format(out,
			      ",\"ExpressionAttributeNames\":{\"#r\":\"rev\"}"
			      ",\"ExpressionAttributeValues\":{\":r\":{\"N\":\"%" PRIu64 "\"}}",
			      condition.rev);
}

static void begin_op(const struct dynamodb *dynamodb, struct dynamodb_ops *ops, const char *name)
{
	buffer_format(&ops->text, "%s{\"%s\":{", ops->count > 0 ? "," : "", name);
	dynamodb_put_table(&ops->text, dynamodb);
	ops->count++;
}

void dynamodb_op_put(const struct dynamodb *dynamodb, struct dynamodb_ops *ops,
		     const struct dynamodb_key *key, const struct buffer *attributes,
		     struct dynamodb_condition condition)
{
	begin_op(dynamodb, ops, "Put");
	buffer_put_text(&ops->text, ",\"Item\":{");
	put_key_members(&ops->text, key);
	ops->text.failed |= attributes->failed;
	buffer_append(&ops->text, buffer_bytes(attributes));
	buffer_put_text(&ops->text, "}");
	put_condition(&ops->text, condition);
	buffer_put_text(&ops->text, "}}");
}

static void op_by_key(const struct dynamodb *dynamodb, struct dynamodb_ops *ops, const char *name,
		      const struct dynamodb_key *key, struct dynamodb_condition condition)
{
	begin_op(dynamodb, ops, name);
	buffer_put_text(&ops->text, ",\"Key\":");
	dynamodb_put_key(&ops->text, key);
	put_condition(&ops->text, condition);
	buffer_put_text(&ops->text, "}}");
}

void dynamodb_op_delete(const struct dynamodb *dynamodb, struct dynamodb_ops *ops,
			const struct dynamodb_key *key, struct dynamodb_condition condition)
{
	op_by_key(dynamodb, ops, "Delete", key, condition);
}

void dynamodb_op_check(const struct dynamodb *dynamodb, struct dynamodb_ops *ops,
		       const struct dynamodb_key *key, struct dynamodb_condition condition)
{
	op_by_key(dynamodb, ops, "ConditionCheck", key, condition);
}

/* --- What is in an item */

const char *dynamodb_text(const json_t *item, const char *name)
{
	const char *text = json_string_value(json_object_get(json_object_get(item, name), "S"));

	return text == NULL ? "" : text;
}

uint64_t dynamodb_number(const json_t *item, const char *name)
{
	const char *text = json_string_value(json_object_get(json_object_get(item, name), "N"));
	uint64_t number = 0;

	return text != NULL && decimal_decode(text, UINT64_MAX, &number) ? number : 0;
}

static int digit_of(char character)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = character == '\0' ? NULL : strchr(digits, character);

	return found == NULL ? -1 : (int)(found - digits);
}

bool dynamodb_read_uid(const char *text, struct uid *ret_uid)
{
	if (strlen(text) != (size_t)2 * UID_SIZE)
		return false;
	for (size_t i = 0; i < UID_SIZE; i++) {
		int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret_uid->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool dynamodb_read_place(const json_t *item, struct uid *ret_project, struct uid *ret_uid)
{
	return dynamodb_read_uid(dynamodb_text(item, "project"), ret_project) &&
	       dynamodb_read_uid(dynamodb_text(item, "uid"), ret_uid);
}

bool dynamodb_next_version(const char **have, struct ezk_version *ret_version)
{
	int len = 0;

	if (*have == NULL ||
	    sscanf(*have, "%16" SCNx64 "/%8" SCNx32 "@%*[0-9a-f],%n", &ret_version->record_zone,
		   &ret_version->version, &len) != 2 ||
	    len == 0)
		return false;
	*have += len;
	return true;
}
