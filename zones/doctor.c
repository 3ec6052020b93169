/* What `cmek doctor` asks of the domain: the store; each KMS that a project's root keys are in,
 * with endpoint, credentials and identity; then each root key and zone, a line each, "ok" or what
 * is wrong with it. */
#include "base/encode.h"
#include "base/macros.h"
#include "zones/ezk.h"
#include "zones/state.h"

#include <inttypes.h>
#include <stdlib.h>

static void release_all(struct entry **entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		entry_release(entries[i]);
	free(entries);
}

static void put_verdict(struct buffer *text, const struct entry *entry, enum zone_status status)
{
	if (entry->state == ENTRY_PENDING_DELETION)
		buffer_put_text(text, "awaits deletion\n");
	else if (status == ZONE_OK)
		buffer_put_text(text, "ok\n");
	else
		buffer_format(text, "FAILED: %s\n", zone_status_text(status));
}

/* Labels are anybody's: none makes a line of its own, steers a terminal, or says what follows a
 * colon. */
static void put_label(struct buffer *text, const char *label)
{
	for (const char *at = label; *at != '\0'; at++) {
		if (utf8_control(at) || *at == ':')
			buffer_format(text, "\\x%02x", (unsigned char)*at);
		else
			buffer_put_u8(text, (uint8_t)*at);
	}
}

static void check_root_key(struct zones *zones, const struct entry *root_key, struct buffer *text)
{
	enum kms_key_state state = KMS_KEY_ENABLED;
	enum zone_status status = zones_root_key_state(zones, root_key, &state);

	buffer_put_text(text, "root key ");
	put_label(text, root_key->label);
	buffer_format(text, " (%s, %s): ", root_key->of_root_key.arn, root_key->of_root_key.region);
	if (status == ZONE_OK && state != KMS_KEY_ENABLED)
		buffer_format(text, "FAILED: the key's state is %s\n", kms_key_state_text(state));
	else
		put_verdict(text, root_key, status);
}

static bool same_place(const struct entry *a, const struct entry *b)
{
	return strcmp(a->of_root_key.provider, b->of_root_key.provider) == 0 &&
	       strcmp(a->of_root_key.region, b->of_root_key.region) == 0;
}

static void describe_kms(struct zones *zones, const char *provider, const char *region,
			 const char *failed, struct buffer *text)
{
	struct kms_report report = {0};
	enum kms_status status;

	buffer_format(text, "KMS: %s%s%s\n", provider, *region == 0 ? "" : ", ", region);
	status = kms_clients_describe(zones->clients, provider, region, &report, text);
	if (status != KMS_OK)
		buffer_format(text, "KMS: %s: %s: %s\n", failed, kms_status_text(status),
			      report.message);
}

/* Before there is a root key: the one that is configured, or what AWS would be; it need not be set
 * up. */
static void describe_default(struct zones *zones, struct buffer *text)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];
	const char *name = zones->settings.default_root_key;

	if (name != NULL && kms_name_parse(name, provider, region))
		describe_kms(zones, provider, region, "FAILED", text);
	else
		describe_kms(zones, "aws", "", "not set up", text);
}

/* Each provider and region once. */
static enum zone_status describe_places(struct zones *zones, struct uid project,
					struct buffer *text)
{
	struct entry_filter filter = {.project = project};
	struct entry **entries = NULL;
	size_t count = 0;

	filter.kinds[ENTRY_ROOT_KEY] = true;
	TRY(zones_list(zones, &filter, &entries, &count));
	for (size_t i = 0; i < count; i++) {
		size_t first = 0;

		while (!same_place(entries[first], entries[i]))
			first++;
		if (first == i)
			describe_kms(zones, entries[i]->of_root_key.provider,
				     entries[i]->of_root_key.region, "FAILED", text);
	}
	if (count == 0)
		describe_default(zones, text);
	release_all(entries, count);
	return ZONE_OK;
}

/* May be answered by a lease that runs. */
static enum zone_status open_zone(struct zones *zones, const struct entry *zone)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(ezk_find(zones, zone, EZK_PRIMARY, &ezk));
	return ezk_begin(ezk);
}

static void check_zone(struct zones *zones, const struct entry *zone, struct buffer *text)
{
	enum zone_status status = zone->state == ENTRY_ACTIVE ? open_zone(zones, zone) : ZONE_OK;

	buffer_put_text(text, "zone ");
	put_label(text, zone->label);
	buffer_format(text, " (id %" PRIu64 ", version %" PRIu32 "%s): ", zone->of_zone.zone,
		      zone->of_zone.primary, zone->of_zone.imported ? ", imported" : "");
	put_verdict(text, zone, status);
}

static enum zone_status check_all(struct zones *zones, struct uid project, enum entry_kind kind,
				  void (*check)(struct zones *, const struct entry *,
						struct buffer *),
				  struct buffer *text)
{
	struct entry_filter filter = {.project = project, .with_pending = true};
	struct entry **entries = NULL;
	size_t count = 0;

	filter.kinds[kind] = true;
	TRY(zones_list(zones, &filter, &entries, &count));
	for (size_t i = 0; i < count; i++)
		check(zones, entries[i], text);
	release_all(entries, count);
	return ZONE_OK;
}

enum zone_status zones_doctor(struct zones *zones, struct uid project, struct buffer *ret_text)
{
	enum zone_status status;

	pthread_mutex_lock(&zones->changing);
	status = zones->store->operations->describe(zones->store, ret_text);
	pthread_mutex_unlock(&zones->changing);
	if (status != ZONE_OK)
		buffer_format(ret_text, "store: FAILED: %s\n", zone_status_text(status));
	TRY(describe_places(zones, project, ret_text));
	TRY(check_all(zones, project, ENTRY_ROOT_KEY, check_root_key, ret_text));
	TRY(check_all(zones, project, ENTRY_ZONE, check_zone, ret_text));
	return ret_text->failed ? ZONE_NO_MEMORY : ZONE_OK;
}
