/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Mechanism parameters; see the header. The readers are in the files of the
 * mechanisms. */
#include "mechanisms/parameters.h"

#include "base/log.h"
#include "base/macros.h"

#include <jansson.h>

enum { WRAP_TAG_MIN = 12 };

void context_free(struct context *context)
{
	if (context == NULL)
		return;
	json_decref(context->json);
	free(context);
}

CK_RV parameter_read_none(const CK_MECHANISM *given, struct parameter *parameter)
{
	(void)parameter;
	return given->ulParameterLen == 0 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

CK_RV parameter_read(const struct mechanism *mechanism, const CK_MECHANISM *given,
		     struct parameter *ret_parameter)
{
	CK_RV rv = mechanism->does->read(given, ret_parameter);

	if (rv == CKR_MECHANISM_PARAM_INVALID)
		log_info("mechanism 0x%lx: the parameter is not %s", given->mechanism,
			 mechanism->does->wanted);
	return rv;
}

CK_RV parameter_tag_may_wrap(const struct parameter *parameter, const char *name)
{
	if (parameter->tag_len >= WRAP_TAG_MIN)
		return CKR_OK;
	log_warning("%s wraps and unwraps keys with a tag of %d bits at least, not %zu", name,
		    WRAP_TAG_MIN * 8, parameter->tag_len * 8);
	return CKR_MECHANISM_PARAM_INVALID;
}
