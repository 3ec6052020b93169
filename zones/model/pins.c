/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Pins, kept in a map by project, cluster and database. */
#include "zones/model/pins.h"

#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "base/map.h"
#include "zones/model/entry.h"
#include "zones/model/names.h"
#include "zones/model/record.h"

#include <stdlib.h>

/* With its texts behind it, one after the other with their NULs: as a whole the map's key. */
struct kept_pin {
	struct pin pin;
	size_t len;
	char text[];
};

struct pins {
	struct map by_name;
	struct kept_pin **list;
	size_t count;
};

/* --- Reading */

struct parts {
	struct bytes project, cluster, database;
	uint64_t zone;
};

/* Cuts at a sign; false: it is not there. */
static bool split(struct bytes text, const uint8_t *sign, struct bytes *ret_before,
		  struct bytes *ret_after)
{
	size_t before;

	if (sign == NULL)
		return false;
	before = (size_t)(sign - text.data);
	*ret_before = bytes(text.data, before);
	*ret_after = bytes(sign + 1, text.len - before - 1);
	return true;
}

/* Blanks around the sign are not of the parts. */
static bool cut(struct bytes text, const uint8_t *sign, struct bytes *ret_before,
		struct bytes *ret_after)
{
	if (!split(text, sign, ret_before, ret_after))
		return false;
	*ret_before = bytes_trim(*ret_before);
	*ret_after = bytes_trim(*ret_after);
	return true;
}

static const uint8_t *first(struct bytes text, char sign)
{
	return text.len == 0 ? NULL : memchr(text.data, sign, text.len);
}

static const uint8_t *last(struct bytes text, char sign)
{
	return text.len == 0 ? NULL : memrchr(text.data, sign, text.len);
}

/* As zone_name_parse() does, which logs. */
static bool read_name(struct bytes name, struct parts *parts)
{
	if (!split(name, first(name, '/'), &parts->cluster, &parts->database)) {
		parts->cluster = bytes_of(DEFAULT_CLUSTER);
		parts->database = name;
	}
	return parts->cluster.len > 0 && parts->database.len > 0 && name.len <= LABEL_MAX &&
	       first(parts->database, '/') == NULL && parts->project.len <= PROJECT_LABEL_MAX;
}

static bool read_zone(struct bytes text, uint64_t *ret_zone)
{
	char digits[21] = "";

	if (text.len == 0 || text.len >= sizeof(digits))
		return false;
	memcpy(digits, text.data, text.len);
	return decimal_decode(digits, ZONE_ID_MAX, ret_zone) && *ret_zone > 0;
}

static bool read_pair(struct bytes pair, struct parts *ret_parts)
{
	struct bytes name, zone, rest;

	*ret_parts = (struct parts){0};
	if (!cut(pair, last(pair, '='), &name, &zone) || !read_zone(zone, &ret_parts->zone))
		return false;
	if (cut(name, first(name, ':'), &ret_parts->project, &rest))
		name = rest;
	return read_name(name, ret_parts);
}

/* The next pair that is not empty. */
static bool next_pair(const char **at, struct bytes *ret_pair)
{
	static const char separators[] = ",\n";

	do {
		size_t len;

		*at += strspn(*at, separators);
		len = strcspn(*at, separators);
		*ret_pair = bytes_trim(bytes(*at, len));
		*at += len;
	} while (ret_pair->len == 0 && **at != '\0');
	return ret_pair->len > 0;
}

/* --- Keeping */

/* Room for any that there is a pin for: looking for one needs no memory, which may lack. */
struct pin_key {
	char text[PROJECT_LABEL_MAX + sizeof(DEFAULT_CLUSTER) + LABEL_MAX + 3];
	size_t len;
};

static bool put_key(struct pin_key *key, struct bytes project, const struct parts *name)
{
	const struct bytes texts[] = {project, name->cluster, name->database};

	key->len = 0;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		if (texts[i].len >= sizeof(key->text) - key->len)
			return false;
		if (texts[i].len > 0)
			memcpy(key->text + key->len, texts[i].data, texts[i].len);
		key->len += texts[i].len;
		key->text[key->len++] = '\0';
	}
	return true;
}

static struct kept_pin *keep(const struct parts *parts)
{
	struct pin_key key;
	struct kept_pin *kept;

	put_key(&key, parts->project, parts);
	kept = malloc(sizeof(*kept) + key.len);
	if (kept == NULL)
		return NULL;
	kept->len = key.len;
	memcpy(kept->text, key.text, key.len);
	kept->pin.project = kept->text;
	kept->pin.cluster = kept->pin.project + parts->project.len + 1;
	kept->pin.database = kept->pin.cluster + parts->cluster.len + 1;
	kept->pin.zone = parts->zone;
	return kept;
}

static bool append(struct pins *pins, struct kept_pin *kept)
{
	struct kept_pin **list = realloc(pins->list, (pins->count + 1) * sizeof(struct kept_pin *));

	if (list == NULL)
		return false;
	pins->list = list;
	if (!map_put(&pins->by_name, bytes(kept->text, kept->len), kept))
		return false;
	pins->list[pins->count++] = kept;
	return true;
}

/* Twice the same is once. */
enum adding { ADDED, ADD_OTHER_ZONE, ADD_NO_MEMORY };

static enum adding add(struct pins *pins, const struct parts *parts)
{
	AUTO(freep) struct kept_pin *kept = keep(parts);
	const struct kept_pin *before;

	if (kept == NULL)
		return ADD_NO_MEMORY;
	before = map_find(&pins->by_name, bytes(kept->text, kept->len));
	if (before != NULL)
		return before->pin.zone == parts->zone ? ADDED : ADD_OTHER_ZONE;
	if (!append(pins, kept))
		return ADD_NO_MEMORY;
	(void)TAKE(kept);
	return ADDED;
}

/* Until the first pair that is not good. */
static enum adding add_all(struct pins *pins, const char *text, struct bytes *ret_bad)
{
	enum adding added = ADDED;
	struct parts parts;

	while (added == ADDED && next_pair(&text, ret_bad))
		added = read_pair(*ret_bad, &parts) ? add(pins, &parts) : ADD_OTHER_ZONE;
	return added;
}

struct pins *pins_new(const char *text, bool *ret_failed)
{
	struct pins *pins = text == NULL ? NULL : calloc(1, sizeof(*pins));
	struct bytes bad;

	*ret_failed = false;
	if (text == NULL)
		return NULL;
	*ret_failed = pins == NULL || add_all(pins, text, &bad) == ADD_NO_MEMORY;
	if (!*ret_failed)
		return pins;
	pins_free(pins);
	return NULL;
}

bool pins_valid(const char *text, struct bytes *ret_bad, bool *ret_no_memory)
{
	struct pins pins = {0};
	enum adding added = add_all(&pins, text, ret_bad);

	for (size_t i = 0; i < pins.count; i++)
		free(pins.list[i]);
	free(pins.list);
	map_clear(&pins.by_name);
	*ret_no_memory = added == ADD_NO_MEMORY;
	return added == ADDED;
}

void pins_free(struct pins *pins)
{
	if (pins == NULL)
		return;
	for (size_t i = 0; i < pins->count; i++)
		free(pins->list[i]);
	free(pins->list);
	map_clear(&pins->by_name);
	free(pins);
}

/* --- Finding */

static const struct kept_pin *find(const struct pins *pins, struct bytes project,
				   const struct parts *name)
{
	struct pin_key key;

	return put_key(&key, project, name) ? map_find(&pins->by_name, bytes(key.text, key.len))
					    : NULL;
}

uint64_t pins_find(const struct pins *pins, const char *project, const char *label)
{
	struct parts name = {0};
	const struct kept_pin *found;

	if (pins == NULL || !read_name(bytes_of(label), &name))
		return 0;
	found = find(pins, bytes_of(project), &name);
	if (found == NULL)
		found = find(pins, bytes(NULL, 0), &name);
	return found == NULL ? 0 : found->pin.zone;
}

bool pins_at(const struct pins *pins, size_t index, struct pin *ret_pin)
{
	if (pins == NULL || index >= pins->count)
		return false;
	*ret_pin = pins->list[index]->pin;
	return true;
}
