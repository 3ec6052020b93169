/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The profile object; see the header. */
#include "objects/profile.h"

void profile_model(const struct entry *project, CK_SLOT_ID slot, struct object *ret_model)
{
	*ret_model = (struct object){
		.kind = OBJECT_PROFILE,
		.handle = PROFILE_HANDLE,
		.slot = slot,
		.uid = project->uid,
		.flags = OBJECT_TOKEN,
		.more.profile = CKP_BASELINE_PROVIDER,
	};
	/* The diagnostic object has the project's. */
	ret_model->uid.bytes[0] ^= CKP_BASELINE_PROVIDER;
}
