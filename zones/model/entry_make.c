/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry is from its first moment on. */
#include "zones/model/entry_make.h"

#include "base/macros.h"
#include "crypto/crypto.h"

enum zone_status uid_new(struct uid *ret_uid)
{
	return crypto_random(ret_uid->bytes, UID_SIZE) ? ZONE_OK : ZONE_NOT_STARTED;
}

enum zone_status entry_make(enum entry_kind kind, struct uid project, int64_t now_ms,
			    struct entry **ret_entry)
{
	AUTO(entry_releasep) struct entry *entry = entry_new(kind);

	if (entry == NULL)
		return ZONE_NO_MEMORY;
	TRY(uid_new(&entry->uid));
	entry->project = kind == ENTRY_PROJECT ? entry->uid : project;
	entry->created_ms = now_ms;
	*ret_entry = TAKE(entry);
	return ZONE_OK;
}

enum zone_status entry_make_pending(const struct entry *entry, int64_t delete_after_ms,
				    struct entry **ret_copy)
{
	struct entry *copy = entry_copy(entry);

	if (copy == NULL)
		return ZONE_NO_MEMORY;
	copy->state = ENTRY_PENDING_DELETION;
	copy->delete_after_ms = delete_after_ms;
	*ret_copy = copy;
	return ZONE_OK;
}

enum zone_status entry_make_active(const struct entry *entry, struct entry **ret_copy)
{
	struct entry *copy = entry_copy(entry);

	if (copy == NULL)
		return ZONE_NO_MEMORY;
	copy->state = ENTRY_ACTIVE;
	copy->delete_after_ms = 0;
	*ret_copy = copy;
	return ZONE_OK;
}
