/* Entries of the store seen as objects: what they are in any case, and what they are unless their
 * maker said otherwise. */
#include "objects/objects_private.h"

#include "objects/extra.h"

enum {
	KEPT_SECRET = OBJECT_SENSITIVE | OBJECT_ALWAYS_SENSITIVE | OBJECT_NEVER_EXTRACTABLE,
	CHANGEABLE = OBJECT_MODIFIABLE | OBJECT_DESTROYABLE,
	NO_COPIES = OBJECT_EXTRACTABLE | OBJECT_COPYABLE | OBJECT_TRUSTED,
	EVERYTHING = -1,
};

/* clang-format off */
static const struct {
	enum object_kind kind;
	uint32_t always, never, usually;
	CK_MECHANISM_TYPE generated_by;
} kinds[ENTRY_KIND_COUNT] = {
	[ENTRY_PROJECT]  = { OBJECT_DIAGNOSTIC, OBJECT_TOKEN, (uint32_t)EVERYTHING, 0, 0 },
	[ENTRY_ROOT_KEY] = { OBJECT_ROOT_KEY, OBJECT_TOKEN | KEPT_SECRET,
			     OBJECT_PRIVATE | OBJECT_LOCAL | NO_COPIES, CHANGEABLE,
			     CK_UNAVAILABLE_INFORMATION },
	[ENTRY_CLUSTER]  = { OBJECT_CLUSTER, OBJECT_TOKEN, OBJECT_PRIVATE | NO_COPIES, CHANGEABLE, 0 },
	[ENTRY_ZONE]     = { OBJECT_ZONE, OBJECT_TOKEN | OBJECT_SENSITIVE, NO_COPIES,
			     CHANGEABLE | KEPT_SECRET | OBJECT_LOCAL, CKM_AES_KEY_GEN },
	[ENTRY_KEY]      = { OBJECT_KEY, OBJECT_TOKEN, OBJECT_TRUSTED,
			     CHANGEABLE | OBJECT_COPYABLE | OBJECT_SENSITIVE,
			     CK_UNAVAILABLE_INFORMATION },
	[ENTRY_ARCHIVE]  = { OBJECT_ARCHIVE, OBJECT_TOKEN | OBJECT_MODIFIABLE, (uint32_t)EVERYTHING, 0, 0 },
};
/* clang-format on */

static bool is_private(const struct objects *objects, const struct entry *entry)
{
	return objects->private_entries && (entry->kind == ENTRY_ZONE || entry->kind == ENTRY_KEY);
}

void view_of_entry(struct objects *objects, struct entry *entry, CK_SLOT_ID slot,
		   struct object *ret_model, struct buffer *scratch)
{
	struct object model = {.handle = entry->number, .slot = slot, .entry = entry};

	model.flags = kinds[entry->kind].usually;
	model.generated_by = kinds[entry->kind].generated_by;
	extra_read(entry->extra, &model, scratch);
	model.kind = kinds[entry->kind].kind;
	model.flags &= ~kinds[entry->kind].never;
	model.flags |= kinds[entry->kind].always;
	model.flags |= is_private(objects, entry) ? OBJECT_PRIVATE : 0;
	model.uid = entry->uid;
	model.label = bytes_of(entry->label);
	model.id = entry->id;
	model.usages = entry->usages;
	model.key_type = entry->kind == ENTRY_KEY ? entry->of_key.key_type : CKK_AES;
	model.value_len = entry->kind == ENTRY_KEY ? entry->of_key.value_len : 32;
	*ret_model = model;
}
