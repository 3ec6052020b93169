/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/domain/restore_trust.h"

#include "base/macros.h"
#include "kms/kms.h"
#include "zones/index/rules.h"
#include "zones/model/refuse.h"

#include <stdlib.h>
#include <string.h>

void restore_trust_clear(struct restore_trust *trust)
{
	for (size_t i = 0; i < trust->count; i++)
		free(trust->named[i]);
	free(trust->named);
	*trust = (struct restore_trust){0};
}

enum zone_status restore_trust_name(struct restore_trust *trust, struct bytes arn)
{
	char **named = realloc(trust->named, (trust->count + 1) * sizeof(*named));

	if (named == NULL)
		return ZONE_NO_MEMORY;
	trust->named = named;
	named[trust->count] = NULL;
	if (!entry_set_text(&named[trust->count], arn))
		return ZONE_NO_MEMORY;
	trust->count++;
	return ZONE_OK;
}

bool restore_trust_has(const struct restore_trust *trust, const struct index *index,
		       struct uid project, const char *arn)
{
	const struct entry *root_key = root_key_same(index, project, arn);

	if (root_key != NULL && root_key->state == ENTRY_ACTIVE)
		return true;
	for (size_t i = 0; i < trust->count; i++)
		if (kms_same_key(index->providers, trust->named[i], arn))
			return true;
	return false;
}

enum zone_status restore_trust_choose(const struct restore_trust *trust, const struct index *index,
				      const struct backup *backup,
				      bool ret_may[static BACKUP_WRAPS_MAX])
{
	bool here = index_uid(index, backup->project) != NULL;
	size_t count = 0;

	for (size_t i = 0; i < backup->wrap_count; i++) {
		ret_may[i] = !here ||
			     restore_trust_has(trust, index, backup->project, backup->wraps[i].arn);
		count += ret_may[i];
	}
	if (count > 0 || backup->wrap_count == 0)
		return ZONE_OK;
	return refuse(
		ZONE_ROOT_KEY_REFUSED,
		"project '%s' has no root key that vouches for the backup, as %s does; if you "
		"know that, add it ('cmek key add'), or name its ARN in --map",
		backup->entries[0]->label, backup->wraps[0].arn);
}
