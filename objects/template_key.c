/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The secret key that a template makes: the defaults of the standard and ours. */
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "objects/error.h"
#include "objects/key_dates.h"
#include "objects/template.h"
#include "objects/value.h"
#include "zones/model/limits.h"

/* A template that names no usage gets these. That is harmless, since a different key is derived for
 * each use. */
enum { USUAL = USAGE_ENCRYPT | USAGE_DECRYPT | USAGE_WRAP | USAGE_UNWRAP };

/* The kinds of secret key and how long they may be, in bytes. */
/* clang-format off */
static const struct key_type {
	CK_KEY_TYPE type;
	CK_ULONG min, max, step;
	CK_MECHANISM_TYPE generated_by;
} key_types[] = {
	{ CKK_AES,            16,      32, 8, CKM_AES_KEY_GEN },
	{ CKK_GENERIC_SECRET,  1, DEK_MAX, 1, CKM_GENERIC_SECRET_KEY_GEN },
	{ CKK_HKDF,            1, DEK_MAX, 1, CK_UNAVAILABLE_INFORMATION },
	{ CKK_SHA_1_HMAC,      1, DEK_MAX, 1, CKM_SHA_1_KEY_GEN },
	{ CKK_SHA224_HMAC,     1, DEK_MAX, 1, CKM_SHA224_KEY_GEN },
	{ CKK_SHA256_HMAC,     1, DEK_MAX, 1, CKM_SHA256_KEY_GEN },
	{ CKK_SHA384_HMAC,     1, DEK_MAX, 1, CKM_SHA384_KEY_GEN },
	{ CKK_SHA512_HMAC,     1, DEK_MAX, 1, CKM_SHA512_KEY_GEN },
	{ CKK_SHA512_224_HMAC, 1, DEK_MAX, 1, CKM_SHA512_224_KEY_GEN },
	{ CKK_SHA512_256_HMAC, 1, DEK_MAX, 1, CKM_SHA512_256_KEY_GEN },
	{ CKK_SHA3_224_HMAC, 1, DEK_MAX, 1, CKM_SHA3_224_KEY_GEN },
	{ CKK_SHA3_256_HMAC, 1, DEK_MAX, 1, CKM_SHA3_256_KEY_GEN },
	{ CKK_SHA3_384_HMAC, 1, DEK_MAX, 1, CKM_SHA3_384_KEY_GEN },
	{ CKK_SHA3_512_HMAC, 1, DEK_MAX, 1, CKM_SHA3_512_KEY_GEN },
};
/* clang-format on */

static const struct key_type *key_type_find(CK_KEY_TYPE type)
{
	for (size_t i = 0; i < COUNT_OF(key_types); i++)
		if (key_types[i].type == type)
			return &key_types[i];
	return NULL;
}

bool template_knows_type(CK_KEY_TYPE type)
{
	return key_type_find(type) != NULL;
}

static CK_RV check_len(CK_KEY_TYPE key_type, CK_ULONG len)
{
	const struct key_type *type = key_type_find(key_type);

	if (type == NULL) {
		log_warning("keys of type 0x%lx are not supported", key_type);
		return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	if (len < type->min || len > type->max || len % type->step != 0) {
		log_warning("a key of type 0x%lx can't have %lu bytes", key_type, len);
		return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	return CKR_OK;
}

static CK_RV check(enum template_use use, const struct template *template)
{
	if (template->class == CKO_CMEK_CLUSTER || template->class == CKO_DATA ||
	    template->kms_key.data != NULL)
		return CKR_TEMPLATE_INCONSISTENT;
	if (template->key_type == CK_UNAVAILABLE_INFORMATION ||
	    (use == TEMPLATE_GENERATE && template->value_len == 0)) {
		log_warning("template of a key lacks %s",
			    template->value_len == 0 ? "CKA_VALUE_LEN" : "CKA_KEY_TYPE");
		return CKR_TEMPLATE_INCOMPLETE;
	}
	if (template->value_len != 0)
		return check_len(template->key_type, template->value_len);
	return key_type_find(template->key_type) != NULL ? CKR_OK
							 : check_len(template->key_type, 0);
}

uint32_t template_usages(const struct template *template)
{
	return template->usages != 0 ? template->usages : USUAL & ~template->usages_named;
}

static uint32_t flags_of(enum template_use use, const struct template *template, bool token)
{
	bool from_outside = use == TEMPLATE_UNWRAP || use == TEMPLATE_DERIVE;
	uint32_t flags = OBJECT_MODIFIABLE | OBJECT_COPYABLE | OBJECT_DESTROYABLE;

	flags |= token ? 0 : OBJECT_EXTRACTABLE;
	flags |= token || from_outside ? OBJECT_SENSITIVE : 0;
	flags = (flags & ~template->flags_named) | template->flags;
	flags |= token ? OBJECT_TOKEN : 0;
	if (use != TEMPLATE_GENERATE)
		return flags;
	flags |= OBJECT_LOCAL;
	flags |= flags & OBJECT_SENSITIVE ? OBJECT_ALWAYS_SENSITIVE : 0;
	flags |= flags & OBJECT_EXTRACTABLE ? 0 : OBJECT_NEVER_EXTRACTABLE;
	return flags;
}

_Static_assert(CMEK_LEASE_BOUND_MAX == LEASE_BOUND_MAX, "callers are told the true bound");

static CK_RV wish(bool named, CK_ULONG seconds, const char *attribute, struct wished_seconds *ret)
{
	if (named && seconds > LEASE_BOUND_MAX) {
		log_warning("%s is %lu seconds; at most a year (%d) is allowed", attribute, seconds,
			    LEASE_BOUND_MAX);
		return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	*ret = (struct wished_seconds){named, (uint32_t)seconds};
	return CKR_OK;
}

_Static_assert(CMEK_ROTATE_DAYS_MAX == ROTATE_DAYS_MAX, "callers are told the true bound");

static CK_RV wish_days(const struct template *template, struct wished_days *ret)
{
	if (template->present_rotate_days && template->rotate_days > ROTATE_DAYS_MAX) {
		log_warning("CKA_CMEK_ROTATE_DAYS is %lu days; at most %d are allowed",
			    template->rotate_days, ROTATE_DAYS_MAX);
		return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	*ret = (struct wished_days){template->present_rotate_days,
				    (uint32_t) template->rotate_days};
	return CKR_OK;
}

/* Only zones have leases and records; a data key follows its zone's. */
bool template_is_of_zone(const struct template *template)
{
	return template->present_max_lease || template->present_max_stale ||
	       template->present_embed_ezk || template->present_rotate_days ||
	       template->root_keys.data != NULL || template->databases.data != NULL;
}

CK_RV template_refuse_of_zone(const char *why)
{
	log_warning("a template names CKA_CMEK_MAX_LEASE, CKA_CMEK_MAX_STALE, "
		    "CKA_CMEK_ROTATE_DAYS, CKA_CMEK_EMBED_EZK, CKA_CMEK_ROOT_KEYS or "
		    "CKA_CMEK_DATABASES for %s",
		    why);
	return CKR_TEMPLATE_INCONSISTENT;
}

/* The templates of a new key as it keeps them. */
struct packed {
	struct buffer wrap, unwrap, derive;
};

static void packed_clear(struct packed *packed)
{
	if (packed->wrap.data != NULL)
		buffer_clear(&packed->wrap);
	if (packed->unwrap.data != NULL)
		buffer_clear(&packed->unwrap);
	if (packed->derive.data != NULL)
		buffer_clear(&packed->derive);
}

static CK_RV pack(const struct template *template, struct packed *packed)
{
	TRY(template_pack(template->wrap_template, &packed->wrap));
	TRY(template_pack(template->unwrap_template, &packed->unwrap));
	TRY(template_pack(template->derive_template, &packed->derive));
	TRY(template_check_forced(TEMPLATE_UNWRAP, buffer_bytes(&packed->unwrap)));
	return template_check_forced(TEMPLATE_DERIVE, buffer_bytes(&packed->derive));
}

static bool has_templates(const struct template *template)
{
	return template->wrap_template.len > 0 || template->unwrap_template.len > 0 ||
	       template->derive_template.len > 0;
}

CK_RV template_make_key(enum template_use use, const struct template *template, bool token,
			struct object **ret_object)
{
	AUTO(packed_clear) struct packed packed = {0};
	struct object *object, model = {.kind = OBJECT_KEY};

	TRY(check(use, template));
	TRY(key_dates_check(template->start_date, template->end_date));
	if (has_templates(template))
		TRY(pack(template, &packed));
	TRY(wish(template->present_max_lease, template->max_lease, "CKA_CMEK_MAX_LEASE",
		 &model.max_lease));
	TRY(wish(template->present_max_stale, template->max_stale, "CKA_CMEK_MAX_STALE",
		 &model.max_stale));
	TRY(wish_days(template, &model.rotate_days));
	model.kept = (struct wished_flag){template->present_embed_ezk, !template->embed_ezk};
	model.key_type = template->key_type;
	model.value_len = template->value_len;
	model.generated_by = use == TEMPLATE_GENERATE
				     ? key_type_find(template->key_type)->generated_by
				     : CK_UNAVAILABLE_INFORMATION;
	model.usages = template_usages(template);
	model.flags = flags_of(use, template, token);
	model.label = template->label;
	model.id = template->id;
	model.start_date = template->start_date;
	model.end_date = template->end_date;
	model.allowed_mechanisms = template->allowed_mechanisms;
	model.wrap_template = buffer_bytes(&packed.wrap);
	model.unwrap_template = buffer_bytes(&packed.unwrap);
	model.derive_template = buffer_bytes(&packed.derive);
	model.root_keys = template->root_keys;
	object = object_new(&model);
	if (object == NULL)
		return CKR_HOST_MEMORY;
	*ret_object = object;
	return CKR_OK;
}

static CK_RV set_value_len(struct object *object, size_t len)
{
	if (object->value_len != 0 && object->value_len != len) {
		log_warning("CKA_VALUE_LEN says %lu bytes, the key has %zu", object->value_len,
			    len);
		return CKR_TEMPLATE_INCONSISTENT;
	}
	TRY(check_len(object->key_type, len));
	object->value_len = len;
	return CKR_OK;
}

CK_RV object_set_value(struct object *object, struct bytes value)
{
	TRY(set_value_len(object, value.len));
	return error_of_zone(value_set(object, value.data), ERROR_OBJECT);
}

CK_RV object_take_value(struct object *object, uint8_t **secret, size_t len)
{
	TRY(set_value_len(object, len));
	return error_of_zone(value_take(object, secret), ERROR_OBJECT);
}
