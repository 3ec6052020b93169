/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The data and certificates that a template makes. Both are opaque: what a certificate says is its
 * maker's to know, and nothing here is verified by one. */
#include "base/log.h"
#include "base/macros.h"
#include "objects/error.h"
#include "objects/key_dates.h"
#include "objects/template.h"
#include "objects/value.h"

CK_RV data_check_len(size_t len)
{
	if (len <= DATA_MAX)
		return CKR_OK;
	log_warning("CKA_VALUE of data or a certificate has %zu bytes; at most %d are kept", len,
		    DATA_MAX);
	return CKR_ATTRIBUTE_VALUE_INVALID;
}

static CK_RV refuse_incomplete(const char *attribute)
{
	log_warning("template of a certificate lacks %s", attribute);
	return CKR_TEMPLATE_INCOMPLETE;
}

/* PKCS #11 3.1, "X.509 public key certificate objects". */
static CK_RV check_certificate(const struct template *template, struct bytes value)
{
	if (!template->present_certificate_type)
		return refuse_incomplete("CKA_CERTIFICATE_TYPE");
	if (template->certificate_type != CKC_X_509) {
		log_warning("certificates of type 0x%lx are not kept here, but CKC_X_509",
			    template->certificate_type);
		return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	if (template->certificate_category > CK_CERTIFICATE_CATEGORY_OTHER_ENTITY ||
	    template->java_domain > CK_SECURITY_DOMAIN_THIRD_PARTY) {
		log_warning(
			"CKA_CERTIFICATE_CATEGORY %lu or CKA_JAVA_MIDP_SECURITY_DOMAIN %lu is none "
			"of the standard's",
			template->certificate_category, template->java_domain);
		return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	if (template->subject.data == NULL)
		return refuse_incomplete("CKA_SUBJECT");
	if (value.len == 0 && template->url.len == 0)
		return refuse_incomplete("CKA_VALUE (or CKA_URL)");
	if (template->url.len > 0 &&
	    (template->subject_key_hash.len == 0 || template->issuer_key_hash.len == 0))
		return refuse_incomplete("CKA_HASH_OF_SUBJECT_PUBLIC_KEY or "
					 "CKA_HASH_OF_ISSUER_PUBLIC_KEY, which CKA_URL needs");
	return key_dates_check(template->start_date, template->end_date);
}

static struct object model_of(const struct template *template, bool token, struct bytes value)
{
	const uint32_t usual = OBJECT_MODIFIABLE | OBJECT_COPYABLE | OBJECT_DESTROYABLE;

	return (struct object){
		.kind = template->class == CKO_DATA ? OBJECT_DATA : OBJECT_CERTIFICATE,
		.flags = (usual & ~template->flags_named) | template->flags |
			 (token ? OBJECT_TOKEN : 0),
		.value_len = value.len,
		.label = template->label,
		.id = template->id,
		.start_date = template->start_date,
		.end_date = template->end_date,
		.more =
			{
				.application = template->application,
				.object_id = template->object_id,
				.certificate_type = template->certificate_type,
				.certificate_category = template->certificate_category,
				.java_domain = template->java_domain,
				.name_hash = template->present_name_hash ? template->name_hash
									 : CKM_SHA_1,
				.subject = template->subject,
				.issuer = template->issuer,
				.serial_number = template->serial_number,
				.url = template->url,
				.subject_key_hash = template->subject_key_hash,
				.issuer_key_hash = template->issuer_key_hash,
				.public_key_info = template->public_key_info,
			},
	};
}

CK_RV template_make_data(const struct template *template, bool token, struct bytes value,
			 const struct object *kin, struct object **ret_object)
{
	const struct object model = model_of(template, token, value);
	AUTO(object_releasep) struct object *object = NULL;

	TRY(data_check_len(value.len));
	if (model.kind == OBJECT_CERTIFICATE)
		TRY(check_certificate(template, value));
	object = object_new(&model);
	if (object == NULL)
		return CKR_HOST_MEMORY;
	if (kin != NULL)
		object_share_stamp(object, kin);
	TRY(error_of_zone(value_set(object, value.data), ERROR_OBJECT));
	*ret_object = TAKE(object);
	return CKR_OK;
}
