/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a part of a large write says is to be done. Whoever comes to it first does it, with rights
 * of its own that may be more than those of the part's writer. So nothing of its text is sent: it
 * is read, only what a release writes in parts of that project is taken, and that is written anew.
 */
#include "base/encode.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/dynamodb/write_private.h"

#include <inttypes.h>
#include <stdio.h>

struct part_reading {
	const struct dynamodb *dynamodb;
	struct uid project;
	struct dynamodb_ops *ops;
};

/* --- Keys: what is rebuilt from what was read has to be the same */

static bool same_key(const struct dynamodb_key *key, const char *partition, const char *sort)
{
	return strcmp(key->partition, partition) == 0 && strcmp(key->sort, sort) == 0;
}

static bool is_row(struct uid project, const char *sort, struct dynamodb_key *ret_key)
{
	struct uid uid;

	if (strncmp(sort, "row/", 4) != 0 || !dynamodb_read_uid(sort + 4, &uid))
		return false;
	*ret_key = dynamodb_key_row(project, uid);
	return true;
}

static bool is_few(struct uid project, const char *sort, struct dynamodb_key *ret_key)
{
	struct uid uid;

	if (strncmp(sort, "few/", 4) != 0 || !dynamodb_read_uid(sort + 4, &uid))
		return false;
	*ret_key = dynamodb_key_few(project, uid);
	return true;
}

static bool is_version(struct uid project, const char *sort, struct dynamodb_key *ret_key)
{
	struct ezk_version version = {0};
	uint64_t zone;

	if (sscanf(sort, "version/%16" SCNx64 "/%16" SCNx64 "/%8" SCNx32, &zone,
		   &version.record_zone, &version.version) != 3)
		return false;
	*ret_key = dynamodb_key_version(project, zone, &version);
	return true;
}

/* Where a zone is, or one that has imported versions of it. */
static bool is_place(const char *partition, const char *sort, struct dynamodb_key *ret_key)
{
	const bool imports = strncmp(sort, "import/", 7) == 0;
	struct uid uid = {0};
	uint64_t zone;

	if (sscanf(partition, "z/%16" SCNx64, &zone) != 1 ||
	    (imports && !dynamodb_read_uid(sort + 7, &uid)))
		return false;
	*ret_key = imports ? dynamodb_key_import(zone, uid) : dynamodb_key_zone(zone);
	return true;
}

/* A row or a version of this project, or that a row is one of few. */
static bool read_key_of_project(const struct part_reading *reading, const json_t *item,
				struct dynamodb_key *ret_key)
{
	const char *sort = dynamodb_text(item, "SK");

	return (is_row(reading->project, sort, ret_key) ||
		is_few(reading->project, sort, ret_key) ||
		is_version(reading->project, sort, ret_key)) &&
	       same_key(ret_key, dynamodb_text(item, "PK"), sort);
}

/* Where a zone of this project is. */
static bool read_key_of_zone(const struct part_reading *reading, const json_t *item,
			     struct dynamodb_key *ret_key)
{
	const char *partition = dynamodb_text(item, "PK"), *sort = dynamodb_text(item, "SK");
	struct uid project, uid;

	return is_place(partition, sort, ret_key) && same_key(ret_key, partition, sort) &&
	       dynamodb_read_place(item, &project, &uid) && uid_equal(project, reading->project);
}

/* --- Attributes */

static bool put_attribute(struct buffer *out, const char *name, const json_t *value)
{
	static const char *const texts[] = {"v", "have", "L", "project", "uid"};
	const char *text = json_string_value(json_object_get(value, "S"));
	const char *digits = json_string_value(json_object_get(value, "N"));
	uint64_t number;

	if (json_object_size(value) != 1)
		return false;
	if (strcmp(name, "rev") == 0) {
		if (digits == NULL || !decimal_decode(digits, UINT64_MAX, &number))
			return false;
		dynamodb_put_number(out, name, number);
		return true;
	}
	for (size_t i = 0; text != NULL && i < COUNT_OF(texts); i++)
		if (strcmp(name, texts[i]) == 0) {
			dynamodb_put_text(out, name, text);
			return true;
		}
	return false;
}

static bool put_attributes(struct buffer *out, const json_t *item)
{
	void *at = json_object_iter((json_t *)(uintptr_t)item);

	for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)item, at)) {
		const char *name = json_object_iter_key(at);

		if (strcmp(name, "PK") != 0 && strcmp(name, "SK") != 0 &&
		    !put_attribute(out, name, json_object_iter_value(at)))
			return false;
	}
	return true;
}

/* --- Operations: two members each, since none has a condition */

static bool take_put(const struct part_reading *reading, const json_t *operation)
{
	const struct dynamodb_condition any = {.when = WHEN_ANY};
	const json_t *item = json_object_get(operation, "Item");
	AUTO(buffer_clear) struct buffer attributes = {0};
	struct dynamodb_key key;

	if (!read_key_of_project(reading, item, &key) && !read_key_of_zone(reading, item, &key))
		return false;
	if (!put_attributes(&attributes, item))
		return false;
	dynamodb_op_put(reading->dynamodb, reading->ops, &key, &attributes, any);
	return true;
}

static bool take_delete(const struct part_reading *reading, const json_t *operation)
{
	const struct dynamodb_condition any = {.when = WHEN_ANY};
	const json_t *names = json_object_get(operation, "Key");
	struct dynamodb_key key;

	if (json_object_size(names) != 2 || !read_key_of_project(reading, names, &key))
		return false;
	dynamodb_op_delete(reading->dynamodb, reading->ops, &key, any);
	return true;
}

static bool take_operation(const struct part_reading *reading, const json_t *wrapper)
{
	const json_t *put = json_object_get(wrapper, "Put");
	const json_t *operation = put != NULL ? put : json_object_get(wrapper, "Delete");
	const char *table = json_string_value(json_object_get(operation, "TableName"));

	if (json_object_size(wrapper) != 1 || json_object_size(operation) != 2 || table == NULL ||
	    strcmp(table, reading->dynamodb->table) != 0)
		return false;
	return put != NULL ? take_put(reading, operation) : take_delete(reading, operation);
}

enum zone_status dynamodb_take_part(struct dynamodb *dynamodb, const struct dynamodb_key *part,
				    struct uid project, const char *text, struct dynamodb_ops *ops)
{
	const struct part_reading reading = {dynamodb, project, ops};
	AUTO(buffer_clear) struct buffer list = {0};
	AUTO(json_freep) json_t *operations = NULL;
	bool good;

	buffer_format(&list, "[%s]", text);
	if (list.failed)
		return ZONE_NO_MEMORY;
	operations = json_loadb((const char *)list.data, list.len, JSON_REJECT_DUPLICATES, NULL);
	good = json_array_size(operations) > 0;
	for (size_t i = 0; good && i < json_array_size(operations); i++)
		good = ops->count < DYNAMODB_OPS_MAX &&
		       take_operation(&reading, json_array_get(operations, i));
	if (good)
		return ZONE_OK;
	return dynamodb_says(dynamodb, ZONE_STORE_CORRUPT,
			     "%s of project %s holds what no release writes there; nothing of it "
			     "was done: see who may write that project, and restore it from a "
			     "backup",
			     part->sort, part->partition + 2);
}
