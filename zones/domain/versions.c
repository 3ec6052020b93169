/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/domain/versions.h"

#include "base/clock.h"
#include "base/free.h"
#include "base/macros.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static const char *state_of(const struct entry *zone, const struct ezk_version *version)
{
	if (version->retired)
		return "pending deletion";
	return version->record_zone == 0 && version->version < zone->of_zone.minimum ? "fenced"
										     : "active";
}

static json_t *root_keys_json(const struct ezk_version *version)
{
	json_t *arns = json_array();

	for (size_t i = 0; i < version->wrap_count; i++)
		if (version->wraps[i].state != WRAP_REPLACED)
			json_array_append_new(arns, json_string(version->wraps[i].arn));
	return arns;
}

/* As text, since JSON readers lose digits beyond 2^53. */
static json_t *origin_json(uint64_t zone)
{
	char text[21];

	if (zone == 0)
		return json_null();
	snprintf(text, sizeof(text), "%" PRIu64, zone);
	return json_string(text);
}

static json_t *version_json(const struct entry *zone, const struct ezk_version *version)
{
	bool own = version->record_zone == 0;
	char created[25];

	clock_extended_utc(version->created_ms, created);
	return json_pack(
		"{s:I, s:s, s:s, s:b, s:b, s:o, s:b, s:o}", "version", (json_int_t)version->version,
		"created", created, "state", state_of(zone, version), "primary",
		own && version->version == zone->of_zone.primary, "raw",
		own && version->version == zone->of_zone.raw, "root_keys", root_keys_json(version),
		"both", version->all_wraps, "imported_from", origin_json(version->record_zone));
}

void versions_describe(const struct entry *zone, struct buffer *out)
{
	json_t *versions = json_array();
	AUTO(freep) char *text = NULL;
	bool whole = true;

	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		whole &= json_array_append_new(versions,
					       version_json(zone, &zone->of_zone.versions[i])) == 0;
	if (whole)
		text = json_dumps(versions, JSON_ENSURE_ASCII);
	json_decref(versions);
	out->failed |= text == NULL;
	if (text != NULL)
		buffer_put_text(out, text);
}
