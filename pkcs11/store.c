/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store, before there is a project in it: two functions of our own interface (include/cmek.h).
 */
#include "base/macros.h"
#include "objects/error.h"
#include "pkcs11/function_list.h"
#include "pkcs11/module.h"
#include "zones/domain/store_make.h"

#include <string.h>

typedef enum zone_status store_step(struct zones *zones, struct buffer *ret_text);

/* What does not fit is cut. */
static CK_RV run(struct module *module, store_step *step, char *text, CK_ULONG room)
{
	AUTO(buffer_clear) struct buffer lines = {0};
	enum zone_status status = step(module->zones, &lines);
	size_t len = lines.len < room ? lines.len : room - 1;

	if (lines.failed)
		return error_of_zone(ZONE_NO_MEMORY, ERROR_TOKEN);
	if (len > 0)
		memcpy(text, lines.data, len);
	text[len] = '\0';
	return error_of_zone(status, ERROR_TOKEN);
}

CK_RV cmek_store_create(char *text, CK_ULONG room)
{
	AUTO(module_return) struct module *module = NULL;

	if (text == NULL || room == 0)
		return CKR_ARGUMENTS_BAD;
	TRY(module_borrow_for("CMEK_StoreCreate", &module));
	return run(module, zones_store_create, text, room);
}

CK_RV cmek_store_check(char *text, CK_ULONG room)
{
	AUTO(module_return) struct module *module = NULL;

	if (text == NULL || room == 0)
		return CKR_ARGUMENTS_BAD;
	TRY(module_borrow_for("CMEK_StoreCheck", &module));
	return run(module, zones_store_check, text, room);
}
