/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The attribute table and its getters. What C_ functions do with them is in attribute_get.c. */
#include "objects/attribute.h"

#include "base/encode.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "objects/objects_private.h"
#include "objects/report.h"
#include "objects/store_copy.h"
#include "objects/value.h"
#include "zones/domain/levels.h"
#include "zones/domain/lookup.h"
#include "zones/domain/purge.h"
#include "zones/domain/rewrap.h"
#include "zones/domain/root_key.h"
#include "zones/domain/token_key.h"
#include "zones/domain/usage.h"
#include "zones/domain/versions.h"
#include "zones/domain/zone.h"
#include "zones/model/backup.h"
#include "zones/model/limits.h"

static void put_bool(struct buffer *out, bool value)
{
	buffer_put_u8(out, value ? CK_TRUE : CK_FALSE);
}

static void put_ulong(struct buffer *out, CK_ULONG value)
{
	buffer_append(out, bytes(&value, sizeof(value)));
}

static void get_usage(const struct attribute *row, const struct attribute_source *source,
		      struct buffer *out)
{
	put_bool(out, (source->object->usages & row->detail) != 0);
}

static void get_flag(const struct attribute *row, const struct attribute_source *source,
		     struct buffer *out)
{
	put_bool(out, (source->object->flags & row->detail) != 0);
}

/* Of what is a word to C_CreateObject alone. */
static void get_no(const struct attribute *row, const struct attribute_source *source,
		   struct buffer *out)
{
	(void)row, (void)source;
	put_bool(out, false);
}

/* Of what no validation was made, and none is claimed. */
static void get_zero(const struct attribute *row, const struct attribute_source *source,
		     struct buffer *out)
{
	(void)row, (void)source;
	put_ulong(out, 0);
}

static void get_bytes(const struct attribute *row, const struct attribute_source *source,
		      struct buffer *out)
{
	const uint8_t *object = (const uint8_t *)source->object;

	buffer_append(out, *(const struct bytes *)(const void *)(object + row->detail));
}

static void get_ulong(const struct attribute *row, const struct attribute_source *source,
		      struct buffer *out)
{
	const uint8_t *object = (const uint8_t *)source->object;

	buffer_append(out, bytes(object + row->detail, sizeof(CK_ULONG)));
}

/* The list that the key was made with, of which it keeps also what is not known here; of a key that
 * was never restricted, all that fit it. */
static void get_mechanisms(const struct attribute *row, const struct attribute_source *source,
			   struct buffer *out)
{
	struct bytes allowed = source->object->allowed_mechanisms;

	(void)row;
	if (allowed.len > 0 || source->objects == NULL)
		buffer_append(out, allowed);
	else
		source->objects->asks->mechanisms(source->object, out);
}

static void get_class(const struct attribute *row, const struct attribute_source *source,
		      struct buffer *out)
{
	(void)row;
	put_ulong(out, object_class(source->object));
}

static void get_unique_id(const struct attribute *row, const struct attribute_source *source,
			  struct buffer *out)
{
	(void)row;
	hex_append(out, bytes(source->object->uid.bytes, UID_SIZE));
}

/* Whether the caller may read it was decided before. The answer is empty where it would need
 * the KMS. */
static void put_key(struct object *key, struct buffer *out)
{
	AUTO(secret_freep) uint8_t *secret = secret_new(key->value_len);

	if (secret == NULL)
		out->failed = true;
	else if (value_read_now(key, secret))
		buffer_append(out, bytes(secret, key->value_len));
}

static void get_value(const struct attribute *row, const struct attribute_source *source,
		      struct buffer *out)
{
	(void)row;
	if (source->object->kind == OBJECT_BACKUP)
		buffer_append(out, source->object->more.file);
	else if (source->object->kind == OBJECT_DIAGNOSTIC)
		report_get(source->objects, source->object->entry, out);
	else
		put_key((struct object *)(uintptr_t)source->object, out);
}

static void get_message(const struct attribute *row, const struct attribute_source *source,
			struct buffer *out)
{
	(void)row, (void)source;
	buffer_put_text(out, log_last());
}

static void get_zone(const struct attribute *row, const struct attribute_source *source,
		     struct buffer *out)
{
	uint64_t zone = object_zone(source->object);

	(void)row;
	if (zone != 0)
		buffer_put_u64(out, zone);
}

/* A state has the same number here and in the rooms below. */
#define KEY_STATE(name, number, word)                                                              \
	_Static_assert(CMEK_STATE_##name == (number), "CMEK_STATE_" #name);
KEY_STATES(KEY_STATE)
#undef KEY_STATE

/* What was heard last in this process, by whatever was asked. */
static bool heard_of(const struct attribute_source *source, struct root_key_finding *ret_finding)
{
	return source->objects != NULL && zones_root_key_heard(objects_zones(source->objects),
							       source->object->entry, ret_finding);
}

static CK_ULONG state_of_root_key(const struct attribute_source *source)
{
	struct root_key_finding heard;

	return heard_of(source, &heard) ? zone_status_key_state(heard.status) : CMEK_STATE_UNKNOWN;
}

/* Asks the KMS. */
static void get_kms_state(const struct attribute *row, const struct attribute_source *source,
			  struct buffer *out)
{
	struct root_key_finding found;
	bool told = source->objects != NULL && zones_root_key_ask(objects_zones(source->objects),
								  source->object->entry, &found);

	(void)row;
	put_ulong(out, told ? zone_status_key_state(found.status) : CMEK_STATE_UNKNOWN);
}

static void get_deletion_date(const struct attribute *row, const struct attribute_source *source,
			      struct buffer *out)
{
	struct root_key_finding heard;
	char moment[25];

	(void)row;
	if (!heard_of(source, &heard) || heard.deletion_ms == 0)
		return;
	clock_extended_utc(heard.deletion_ms, moment);
	buffer_put_text(out, moment);
}

/* From when on it may go for good. */
static void get_purge_date(const struct attribute *row, const struct attribute_source *source,
			   struct buffer *out)
{
	const struct entry *entry = source->object->entry;
	char moment[25];

	(void)row;
	if (entry == NULL || !object_awaits_deletion(source->object))
		return;
	clock_extended_utc(entry->delete_after_ms, moment);
	buffer_put_text(out, moment);
}

/* What stands on it. */
static void get_dependents(const struct attribute *row, const struct attribute_source *source,
			   struct buffer *out)
{
	const struct entry *entry = source->object->entry;

	(void)row;
	if (entry != NULL && source->objects != NULL &&
	    zones_usage(objects_zones(source->objects), entry, out) != ZONE_OK)
		out->failed = true;
}

/* Each of its own versions and its state. */
static void get_version_state(const struct attribute *row, const struct attribute_source *source,
			      struct buffer *out)
{
	const struct entry *zone = source->object->entry;

	(void)row;
	for (size_t i = 0; zone != NULL && i < zone->of_zone.version_count; i++) {
		const struct ezk_version *version = &zone->of_zone.versions[i];

		if (version->record_zone != 0)
			continue;
		put_ulong(out, version->version);
		put_ulong(out, version->retired ? CMEK_STATE_PENDING_DELETION : CMEK_STATE_ACTIVE);
	}
}

static void get_maintain(const struct attribute *row, const struct attribute_source *source,
			 struct buffer *out)
{
	(void)row;
	if (zones_purge_describe(source->objects->zones, out) != ZONE_OK)
		out->failed = true;
}

/* The KMS is asked by a caller who wants the value (attribute_get.c), not for a search. */
static void get_last_used(const struct attribute *row, const struct attribute_source *source,
			  struct buffer *out)
{
	(void)row, (void)source, (void)out;
}

static void get_faults(const struct attribute *row, const struct attribute_source *source,
		       struct buffer *out)
{
	(void)row;
	report_get_faults(source->objects, source->object->entry, out);
}

static void get_state(const struct attribute *row, const struct attribute_source *source,
		      struct buffer *out)
{
	(void)row;
	if (object_awaits_deletion(source->object))
		put_ulong(out, CMEK_STATE_PENDING_DELETION);
	else if (source->object->kind == OBJECT_ROOT_KEY)
		put_ulong(out, state_of_root_key(source));
	else
		put_ulong(out, CMEK_STATE_ACTIVE);
}

static void get_version(const struct attribute *row, const struct attribute_source *source,
			struct buffer *out)
{
	const struct object *object = source->object;
	uint32_t version = 0;

	if (object->entry == NULL && object->ezk != NULL)
		version = ezk_version_number(object->ezk);
	else if (object->entry != NULL && row->type == CKA_CMEK_VERSION)
		version = object->entry->of_zone.primary;
	else if (object->entry != NULL && row->type == CKA_CMEK_RAW_VERSION)
		version = object->entry->of_zone.raw;
	else if (object->entry != NULL)
		version = object->entry->of_zone.minimum;
	put_ulong(out, version);
}

static void get_wrap_version(const struct attribute *row, const struct attribute_source *source,
			     struct buffer *out)
{
	const struct entry *entry = source->object->entry;

	(void)row;
	put_ulong(out, entry == NULL ? 0 : zones_key_version(entry));
}

static void get_rotate_days(const struct attribute *row, const struct attribute_source *source,
			    struct buffer *out)
{
	const struct entry *entry = source->object->entry;

	(void)row;
	put_ulong(out, entry == NULL ? 0 : entry->of_zone.rotate_days);
}

static void get_versions(const struct attribute *row, const struct attribute_source *source,
			 struct buffer *out)
{
	const struct object *object = source->object;
	AUTO(entry_releasep) struct entry *zone = NULL;

	(void)row;
	if (object->entry != NULL)
		zone = entry_hold(object->entry);
	else if (object->ezk != NULL)
		zone = ezk_entry(object->ezk);
	if (zone != NULL)
		versions_describe(zone, out);
}

static void get_imports(const struct attribute *row, const struct attribute_source *source,
			struct buffer *out)
{
	const struct entry *zone = source->object->entry;

	(void)row;
	for (size_t i = 0; zone != NULL && i < zone->of_zone.version_count; i++) {
		const struct ezk_version *version = &zone->of_zone.versions[i];

		if (version->record_zone == 0 || version->retired)
			continue;
		buffer_put_u64(out, version->record_zone);
		buffer_put_u32(out, version->version);
	}
}

/* By the record of its primary version; those of a zone do not differ. */
static void get_lease_bound(const struct attribute *row, const struct attribute_source *source,
			    struct buffer *out)
{
	const struct object *object = source->object;
	AUTO(entry_releasep) struct entry *zone = NULL;
	const struct ezk_version *primary = NULL;
	struct lease_bounds bounds = {0};

	if (object->entry != NULL)
		zone = entry_hold(object->entry);
	else if (object->ezk != NULL)
		zone = ezk_entry(object->ezk);
	if (zone != NULL)
		primary = entry_version(zone, zone->of_zone.primary);
	if (primary != NULL && limits_get_lease(primary->limits, &bounds))
		put_ulong(out,
			  row->type == CKA_CMEK_MAX_LEASE ? bounds.max_lease : bounds.max_stale);
}

static void get_embed(const struct attribute *row, const struct attribute_source *source,
		      struct buffer *out)
{
	(void)row;
	put_bool(out, source->object->kind == OBJECT_BACKUP
			      ? source->object->kept.named
			      : !object_record_is_kept(source->object));
}

/* What is had only when it is asked for (attribute_get.c), and never in a search. */
static void get_nothing(const struct attribute *row, const struct attribute_source *source,
			struct buffer *out)
{
	(void)row, (void)source, (void)out;
}

static void get_offline(const struct attribute *row, const struct attribute_source *source,
			struct buffer *out)
{
	(void)row;
	put_bool(out, source->object->more.offline);
}

static void get_imported(const struct attribute *row, const struct attribute_source *source,
			 struct buffer *out)
{
	const struct entry *entry = source->object->entry;

	(void)row;
	put_bool(out, entry != NULL && entry->of_zone.imported);
}

/* The entry that an id names, as long as the getter needs it. */
static struct entry *look_up(const struct attribute_source *source, struct uid uid)
{
	return source->objects == NULL ? NULL : zones_find_uid(objects_zones(source->objects), uid);
}

static void get_provider(const struct attribute *row, const struct attribute_source *source,
			 struct buffer *out)
{
	const struct entry *entry = source->object->entry;

	(void)row;
	if (entry != NULL)
		buffer_put_text(out, entry->kind == ENTRY_CLUSTER ? entry->of_cluster.provider
								  : entry->of_root_key.provider);
}

static void get_region(const struct attribute *row, const struct attribute_source *source,
		       struct buffer *out)
{
	const struct entry *entry = source->object->entry;

	(void)row;
	if (entry != NULL)
		buffer_put_text(out, entry->kind == ENTRY_CLUSTER ? entry->of_cluster.region
								  : entry->of_root_key.region);
}

static void get_cluster(const struct attribute *row, const struct attribute_source *source,
			struct buffer *out)
{
	const struct entry *entry = source->object->entry;
	AUTO(entry_releasep) struct entry *cluster = NULL;

	(void)row;
	if (entry != NULL)
		cluster = look_up(source, entry->of_zone.cluster);
	if (cluster != NULL)
		buffer_put_text(out, cluster->label);
}

static void get_root_key(const struct attribute *row, const struct attribute_source *source,
			 struct buffer *out)
{
	const struct entry *entry = source->object->entry;
	AUTO(entry_releasep) struct entry *root_key = NULL;
	const struct ezk_version *primary;

	(void)row;
	if (entry == NULL)
		return;
	if (entry->kind == ENTRY_ZONE) {
		primary = entry_version(entry, entry->of_zone.primary);
		if (primary != NULL && primary->wrap_count > 0)
			buffer_put_text(out, primary->wraps[0].arn);
		return;
	}
	if (entry->kind == ENTRY_CLUSTER)
		entry = root_key = look_up(source, entry->of_cluster.root_key);
	if (entry != NULL)
		buffer_put_text(out, entry->of_root_key.arn);
}

/* The one that a cluster's databases are yet to leave. */
static void get_leaving_root_key(const struct attribute *row, const struct attribute_source *source,
				 struct buffer *out)
{
	const struct entry *entry = source->object->entry;
	AUTO(entry_releasep) struct entry *leaving = NULL;

	(void)row;
	if (entry != NULL)
		leaving = look_up(source, entry->of_cluster.leaving);
	if (leaving != NULL && leaving->kind == ENTRY_ROOT_KEY)
		buffer_put_text(out, leaving->of_root_key.arn);
}

static void get_root_keys(const struct attribute *row, const struct attribute_source *source,
			  struct buffer *out)
{
	const struct entry *entry = source->object->entry;

	(void)row;
	if (entry != NULL && zones_zone_root_keys(entry, out) != ZONE_OK)
		out->failed = true;
}

static void get_encrypted_key(const struct attribute *row, const struct attribute_source *source,
			      struct buffer *out)
{
	const struct entry *entry = source->object->entry;

	(void)row;
	if (entry == NULL)
		return;
	if (entry->kind == ENTRY_KEY)
		buffer_append(out, entry->of_key.wrapped);
	else if (!zones_zone_is_kept(entry) &&
		 zones_zone_record(entry, entry->of_zone.primary, out) != ZONE_OK)
		out->failed = true;
}

static void get_store(const struct attribute *row, const struct attribute_source *source,
		      struct buffer *out)
{
	(void)row;
	if (zones_store_describe(source->objects->zones, out) != ZONE_OK)
		out->failed = true;
}

static void get_store_level(const struct attribute *row, const struct attribute_source *source,
			    struct buffer *out)
{
	unsigned level, understood;
	CK_ULONG levels[2];

	(void)row;
	out->failed |= zones_store_levels(source->objects->zones, &level, &understood) != ZONE_OK;
	if (out->failed)
		return;
	levels[0] = level;
	levels[1] = understood;
	buffer_append(out, bytes(levels, sizeof(levels)));
}

static void get_store_copy(const struct attribute *row, const struct attribute_source *source,
			   struct buffer *out)
{
	(void)row;
	store_copy_get(source->objects, out);
}

enum { RESTORE_MAX = 1 << 20 }; /* bytes of what a restore is asked for */
enum { DATABASES_LEN_MAX = CMEK_DATABASES_MAX * (LABEL_MAX + 1) };

enum {
	ROOT = 1 << OBJECT_ROOT_KEY,
	CLUSTER = 1 << OBJECT_CLUSTER,
	ZONE = 1 << OBJECT_ZONE,
	KEY = 1 << OBJECT_KEY,
	DATA = 1 << OBJECT_DATA,
	CERT = 1 << OBJECT_CERTIFICATE,
	ARCHIVE = 1 << OBJECT_ARCHIVE,
	DOCTOR = 1 << OBJECT_DIAGNOSTIC,
	BACKUP = 1 << OBJECT_BACKUP,
	PROFILE = 1 << OBJECT_PROFILE,
	KEYS = ROOT | ZONE | KEY,
	KEPT = KEY | DATA | CERT, /* by zones */
	ENTRIES = KEYS | KEPT | CLUSTER | ARCHIVE,
	ALL = ENTRIES | DOCTOR | BACKUP | PROFILE,

	GENERATE = 1 << TEMPLATE_GENERATE,
	CREATE = 1 << TEMPLATE_CREATE,
	COPY = 1 << TEMPLATE_COPY,
	UNWRAP = 1 << TEMPLATE_UNWRAP,
	SET = 1 << TEMPLATE_SET,
	NONE = 0,
	NEW = GENERATE | CREATE | UNWRAP | 1 << TEMPLATE_DERIVE,
	MAKE = NEW | COPY,
	ANY = MAKE | SET,
};

#define USAGE	ATTRIBUTE_USAGE
#define FLAG	ATTRIBUTE_FLAG
#define BOOL	ATTRIBUTE_BOOL
#define ULONG	ATTRIBUTE_ULONG
#define TEXT	ATTRIBUTE_TEXT
#define BYTES	ATTRIBUTE_BYTES
#define DATE	ATTRIBUTE_DATE
#define ZONE_ID ATTRIBUTE_ZONE_ID
#define TYPES	ATTRIBUTE_MECHANISMS
#define ARRAY	ATTRIBUTE_ARRAY

#define NAMED(type) type, #type
#define OF(member)  offsetof(struct object, member)
#define IN(member)  offsetof(struct template, member)

/* PKCS #11 3.2, "Objects": storage objects, keys, secret keys; then ours (include/cmek.h). */
/* clang-format off */
static const struct attribute attributes[] = {
	/* type                    form     who has it  templates        max  getter         of                        goes to and says so */
	{ NAMED(CKA_CLASS),               ULONG,   ALL,        NEW,               0, get_class,     0,                        IN(class), 0 },
	{ NAMED(CKA_KEY_TYPE),            ULONG,   KEYS,       NEW,               0, get_ulong,     OF(key_type),             IN(key_type), 0 },
	{ NAMED(CKA_TOKEN),               BOOL,    ALL,        MAKE,              0, get_flag,      OBJECT_TOKEN,             IN(token), IN(present_token) },
	{ NAMED(CKA_LABEL),               TEXT,    ALL,        ANY,       LABEL_MAX, get_bytes,     OF(label),                IN(label), IN(present_label) },
	{ NAMED(CKA_ID),                  BYTES,   KEYS | CERT | CLUSTER, ANY,  CKA_ID_MAX, get_bytes,     OF(id),                   IN(id), IN(present_id) },
	{ NAMED(CKA_ENCRYPT),             USAGE,   KEYS,       ANY,               0, get_usage,     USAGE_ENCRYPT,            0, 0 },
	{ NAMED(CKA_DECRYPT),             USAGE,   KEYS,       ANY,               0, get_usage,     USAGE_DECRYPT,            0, 0 },
	{ NAMED(CKA_SIGN),                USAGE,   KEYS,       ANY,               0, get_usage,     USAGE_SIGN,               0, 0 },
	{ NAMED(CKA_VERIFY),              USAGE,   KEYS,       ANY,               0, get_usage,     USAGE_VERIFY,             0, 0 },
	{ NAMED(CKA_WRAP),                USAGE,   KEYS,       ANY,               0, get_usage,     USAGE_WRAP,               0, 0 },
	{ NAMED(CKA_UNWRAP),              USAGE,   KEYS,       ANY,               0, get_usage,     USAGE_UNWRAP,             0, 0 },
	{ NAMED(CKA_DERIVE),              USAGE,   KEYS,       ANY,               0, get_usage,     USAGE_DERIVE,             0, 0 },
	{ NAMED(CKA_SENSITIVE),           FLAG,    KEYS,       ANY,               0, get_flag,      OBJECT_SENSITIVE,         0, 0 },
	{ NAMED(CKA_EXTRACTABLE),         FLAG,    KEYS,       ANY,               0, get_flag,      OBJECT_EXTRACTABLE,       0, 0 },
	{ NAMED(CKA_VALUE_LEN),           ULONG,   KEYS,       NEW,               0, get_ulong,     OF(value_len),            IN(value_len), 0 },
	{ NAMED(CKA_VALUE),               BYTES,   KEYS | KEPT | DOCTOR | BACKUP, CREATE | SET, BACKUP_MAX, get_value,     0,                        IN(value), 0 },
	{ NAMED(CKA_PRIVATE),             FLAG,    ALL,        MAKE,              0, get_flag,      OBJECT_PRIVATE,           0, 0 },
	{ NAMED(CKA_MODIFIABLE),          FLAG,    ALL,        MAKE,              0, get_flag,      OBJECT_MODIFIABLE,        0, 0 },
	{ NAMED(CKA_COPYABLE),            FLAG,    ALL,        ANY,               0, get_flag,      OBJECT_COPYABLE,          0, 0 },
	{ NAMED(CKA_DESTROYABLE),         FLAG,    ALL,        MAKE,              0, get_flag,      OBJECT_DESTROYABLE,       0, 0 },
	{ NAMED(CKA_UNIQUE_ID),           TEXT,    ALL,        NONE,              0, get_unique_id, 0,                        0, 0 },
	{ NAMED(CKA_START_DATE),          DATE,    KEYS | CERT,       ANY,               0, get_bytes,     OF(start_date),           IN(start_date), 0 },
	{ NAMED(CKA_END_DATE),            DATE,    KEYS | CERT,       ANY,               0, get_bytes,     OF(end_date),             IN(end_date), 0 },
	{ NAMED(CKA_LOCAL),               FLAG,    KEYS,       NONE,              0, get_flag,      OBJECT_LOCAL,             0, 0 },
	{ NAMED(CKA_KEY_GEN_MECHANISM),   ULONG,   KEYS,       NONE,              0, get_ulong,     OF(generated_by),         0, 0 },
	{ NAMED(CKA_CHECK_VALUE),         BYTES,   KEY | CERT, NONE,              0, get_nothing,   0,                        0, 0 },
	{ NAMED(CKA_ALLOWED_MECHANISMS),  TYPES,   KEYS,       NEW,            4096, get_mechanisms, 0,                      IN(allowed_mechanisms), 0 },
	{ NAMED(CKA_OBJECT_VALIDATION_FLAGS), ULONG, KEYS,     NONE,              0, get_zero,      0,                        0, 0 },
	{ NAMED(CKA_ALWAYS_SENSITIVE),    FLAG,    KEYS,       NONE,              0, get_flag,      OBJECT_ALWAYS_SENSITIVE,  0, 0 },
	{ NAMED(CKA_NEVER_EXTRACTABLE),   FLAG,    KEYS,       NONE,              0, get_flag,      OBJECT_NEVER_EXTRACTABLE, 0, 0 },
	{ NAMED(CKA_TRUSTED),             FLAG,    KEYS | CERT,       NEW | SET,         0, get_flag,      OBJECT_TRUSTED,           0, 0 },
	{ NAMED(CKA_WRAP_WITH_TRUSTED),   FLAG,    KEYS,       ANY,               0, get_flag,      OBJECT_WRAP_WITH_TRUSTED, 0, 0 },
	{ NAMED(CKA_WRAP_TEMPLATE),       ARRAY,   KEYS,       NEW,            1536, get_bytes,     OF(wrap_template),        IN(wrap_template), 0 },
	{ NAMED(CKA_UNWRAP_TEMPLATE),     ARRAY,   KEYS,       NEW,            1536, get_bytes,     OF(unwrap_template),      IN(unwrap_template), 0 },
	{ NAMED(CKA_DERIVE_TEMPLATE),     ARRAY,   KEY,        NEW,            1536, get_bytes,     OF(derive_template),      IN(derive_template), 0 },
	{ NAMED(CKA_APPLICATION),         TEXT,    DATA,       ANY,            4096, get_bytes,     OF(more.application),          IN(application), 0 },
	{ NAMED(CKA_OBJECT_ID),           BYTES,   DATA,       ANY,            4096, get_bytes,     OF(more.object_id),            IN(object_id), 0 },
	{ NAMED(CKA_CERTIFICATE_TYPE),    ULONG,   CERT,       CREATE,            0, get_ulong,     OF(more.certificate_type),     IN(certificate_type), IN(present_certificate_type) },
	{ NAMED(CKA_CERTIFICATE_CATEGORY), ULONG,  CERT,       CREATE,            0, get_ulong,     OF(more.certificate_category), IN(certificate_category), 0 },
	{ NAMED(CKA_JAVA_MIDP_SECURITY_DOMAIN), ULONG, CERT,   CREATE,            0, get_ulong,     OF(more.java_domain),          IN(java_domain), 0 },
	{ NAMED(CKA_NAME_HASH_ALGORITHM), ULONG,   CERT,       CREATE,            0, get_ulong,     OF(more.name_hash),            IN(name_hash), IN(present_name_hash) },
	{ NAMED(CKA_SUBJECT),             BYTES,   CERT,       CREATE,         8192, get_bytes,     OF(more.subject),              IN(subject), 0 },
	{ NAMED(CKA_ISSUER),              BYTES,   CERT,       ANY,            8192, get_bytes,     OF(more.issuer),               IN(issuer), 0 },
	{ NAMED(CKA_SERIAL_NUMBER),       BYTES,   CERT,       ANY,             255, get_bytes,     OF(more.serial_number),        IN(serial_number), 0 },
	{ NAMED(CKA_URL),                 TEXT,    CERT,       CREATE,         4096, get_bytes,     OF(more.url),                  IN(url), 0 },
	{ NAMED(CKA_HASH_OF_SUBJECT_PUBLIC_KEY), BYTES, CERT,  CREATE,           64, get_bytes,     OF(more.subject_key_hash),     IN(subject_key_hash), 0 },
	{ NAMED(CKA_HASH_OF_ISSUER_PUBLIC_KEY), BYTES, CERT,   CREATE,           64, get_bytes,     OF(more.issuer_key_hash),      IN(issuer_key_hash), 0 },
	{ NAMED(CKA_PUBLIC_KEY_INFO),     BYTES,   CERT,       CREATE,        16384, get_bytes,     OF(more.public_key_info),      IN(public_key_info), 0 },
	{ NAMED(CKA_PROFILE_ID),          ULONG,   PROFILE,    NONE,              0, get_ulong,     OF(more.profile),              0, 0 },
	{ NAMED(CKA_CMEK_KMS_KEY),        TEXT,    ROOT,       CREATE,  KMS_ARN_MAX, get_bytes,     OF(kms_key),              IN(kms_key), 0 },
	{ NAMED(CKA_CMEK_CREATE),         BOOL,    ROOT,       CREATE,            0, get_no,        0,                        IN(create), 0 },
	{ NAMED(CKA_CMEK_PROVIDER),       TEXT,    ROOT | CLUSTER, CREATE, KMS_PROVIDER_MAX, get_provider, 0,             IN(provider), 0 },
	{ NAMED(CKA_CMEK_REGION),         TEXT,    ROOT | CLUSTER, CREATE, KMS_REGION_MAX, get_region, 0,               IN(region), 0 },
	{ NAMED(CKA_CMEK_CLUSTER),        TEXT,    ZONE,       NONE,              0, get_cluster,   0,                        0, 0 },
	{ NAMED(CKA_CMEK_ZONE),           ZONE_ID, ZONE | KEPT | BACKUP, MAKE,     0, get_zone,      0,                        IN(zone), 0 },
	{ NAMED(CKA_CMEK_VERSION),        ULONG,   ZONE,       SET,               0, get_version,   0,                        IN(version), IN(present_version) },
	{ NAMED(CKA_CMEK_RAW_VERSION),    ULONG,   ZONE,       SET,               0, get_version,   0,                        IN(raw_version), IN(present_raw_version) },
	{ NAMED(CKA_CMEK_MIN_VERSION),    ULONG,   ZONE,       SET,               0, get_version,   0,                        IN(min_version), IN(present_min_version) },
	{ NAMED(CKA_CMEK_ROTATE_DAYS),    ULONG,   ZONE,       GENERATE | UNWRAP | SET, 0, get_rotate_days, 0,                IN(rotate_days), IN(present_rotate_days) },
	{ NAMED(CKA_CMEK_VERSIONS),       TEXT,    ZONE,       NONE,              0, get_versions,  0,                        0, 0 },
	{ NAMED(CKA_CMEK_STATE),          ULONG,   ENTRIES,    SET,               0, get_state,     0,                        IN(state), IN(present_state) },
	{ NAMED(CKA_CMEK_ROOT_KEY),       TEXT,    ROOT | CLUSTER | ZONE, CREATE | SET, KMS_ARN_MAX, get_root_key, 0,          IN(root_key), 0 },
	{ NAMED(CKA_CMEK_LEAVING_ROOT_KEY), TEXT, CLUSTER,   NONE,              0, get_leaving_root_key, 0,                 0, 0 },
	{ NAMED(CKA_CMEK_ROOT_KEYS),      TEXT,    ZONE,       GENERATE | SET, 16384, get_root_keys, 0,                        IN(root_keys), 0 },
	{ NAMED(CKA_CMEK_DATABASES),      TEXT,    ZONE,       GENERATE, DATABASES_LEN_MAX, get_nothing, 0,                    IN(databases), 0 },
	{ NAMED(CKA_CMEK_ENCRYPTED_KEY),  BYTES,   ZONE | KEPT, NONE,              0, get_encrypted_key, 0,                    0, 0 },
	{ NAMED(CKA_CMEK_WRAP_VERSION),   ULONG,   KEPT,        NONE,              0, get_wrap_version, 0,                     0, 0 },
	{ NAMED(CKA_CMEK_IMPORTED),       BOOL,    ZONE,       UNWRAP,            0, get_imported,  0,                        IN(imported), 0 },
	{ NAMED(CKA_CMEK_IMPORTS),        BYTES,   ZONE,       NONE,              0, get_imports,   0,                        0, 0 },
	{ NAMED(CKA_CMEK_MAX_LEASE),      ULONG,   ZONE,       GENERATE | UNWRAP, 0, get_lease_bound, 0,                      IN(max_lease), IN(present_max_lease) },
	{ NAMED(CKA_CMEK_MAX_STALE),      ULONG,   ZONE,       GENERATE | UNWRAP, 0, get_lease_bound, 0,                      IN(max_stale), IN(present_max_stale) },
	{ NAMED(CKA_CMEK_EMBED_EZK),      BOOL,    ZONE | BACKUP, GENERATE | UNWRAP | CREATE, 0, get_embed,     0,                        IN(embed_ezk), IN(present_embed_ezk) },
	{ NAMED(CKA_CMEK_MESSAGE),        TEXT,    DOCTOR,     NONE,              0, get_message,   0,                        0, 0 },
	{ NAMED(CKA_CMEK_KMS_STATE),      ULONG,   ROOT,       NONE,              0, get_kms_state, 0,                        0, 0 },
	{ NAMED(CKA_CMEK_DELETION_DATE),  TEXT,    ROOT,       NONE,              0, get_deletion_date, 0,                    0, 0 },
	{ NAMED(CKA_CMEK_PURGE_DATE),     TEXT,    ROOT | CLUSTER | ZONE | ARCHIVE, NONE, 0, get_purge_date, 0,            0, 0 },
	{ NAMED(CKA_CMEK_USAGE),          TEXT,    ROOT | CLUSTER | ZONE, NONE,   0, get_dependents, 0,                       0, 0 },
	{ NAMED(CKA_CMEK_LAST_USED),      TEXT,    ROOT,       NONE,              0, get_last_used, 0,                        0, 0 },
	{ NAMED(CKA_CMEK_VERSION_STATE),  BYTES,   ZONE,       NONE,              0, get_version_state, 0,                    0, 0 },
	{ NAMED(CKA_CMEK_MAINTAIN),       TEXT,    DOCTOR,     NONE,              0, get_maintain,  0,                        0, 0 },
	{ NAMED(CKA_CMEK_FAULTS),         BYTES,   DOCTOR,     NONE,              0, get_faults,    0,                        0, 0 },
	{ NAMED(CKA_CMEK_STORE),          TEXT,    DOCTOR,     NONE,              0, get_store,     0,                        0, 0 },
	{ NAMED(CKA_CMEK_STORE_LEVEL),    BYTES,   DOCTOR,     NONE,              0, get_store_level, 0,                      0, 0 },
	{ NAMED(CKA_CMEK_STORE_COPY),     TEXT,    DOCTOR,     NONE,              0, get_store_copy, 0,                       0, 0 },
	{ NAMED(CKA_CMEK_BACKUP),         TEXT,    BACKUP,     NONE,              0, get_bytes,     OF(more.told),                 0, 0 },
	{ NAMED(CKA_CMEK_OFFLINE),        BOOL,    BACKUP,     CREATE,            0, get_offline,   0,                        IN(offline), 0 },
	{ NAMED(CKA_CMEK_RESTORE),        TEXT,    BACKUP,     COPY,    RESTORE_MAX, get_bytes,     OF(more.restore),              IN(restore), 0 },
};
/* clang-format on */

_Static_assert(COUNT_OF(attributes) < 128, "struct template has a bit for each");

const struct attribute *attribute_find(CK_ATTRIBUTE_TYPE type)
{
	for (size_t i = 0; i < COUNT_OF(attributes); i++)
		if (attributes[i].type == type)
			return &attributes[i];
	return NULL;
}

size_t attribute_count(void)
{
	return COUNT_OF(attributes);
}

const struct attribute *attribute_at(size_t index)
{
	return &attributes[index];
}

size_t attribute_index(const struct attribute *row)
{
	return (size_t)(row - attributes);
}
