/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek project …: tokens. */
#include "base/free.h"
#include "base/macros.h"
#include "base/name.h"
#include "cli/cli.h"
#include "cli/pin.h"
#include "cli/print.h"
#include "cli/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Checked here too, since C_InitToken takes blanks at the end for its padding. */
static int check_name(const char *name)
{
	const char *fault = name_fault(bytes_of(name));

	if (*name == '\0' || strlen(name) > 32)
		fault = "is 1 to 32 bytes of UTF-8";
	return fault == NULL ? CMEK_EXIT_OK
			     : fail(CMEK_EXIT_USAGE, "a project's name %s: %s", fault, name);
}

/* Finds the free slot, and checks that no project has the name already. */
static int choose_slot(const CK_FUNCTION_LIST *functions, const char *name, CK_SLOT_ID *ret_slot)
{
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	struct library_slot slot;
	CK_ULONG count;
	bool found = false;

	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++) {
		if (library_slot_is_free(functions, slots[i])) {
			*ret_slot = slots[i];
			found = true;
		} else if (library_slot_read(functions, slots[i], &slot) &&
			   strcmp(slot.project, name) == 0) {
			return fail(CMEK_EXIT_REFUSED, "project %s exists already (slot %lu)", name,
				    slots[i]);
		}
	}
	return found ? CMEK_EXIT_OK : fail(CMEK_EXIT_FAILED, "the module shows no free slot");
}

static int report(const struct arguments *arguments, const CK_FUNCTION_LIST *functions,
		  CK_SLOT_ID id)
{
	struct printer printer = {.json = arguments->json, .single = true};
	struct library_slot slot;

	if (!library_slot_read(functions, id, &slot))
		return fail(CMEK_EXIT_NOT_FOUND, "slot %lu holds no project", id);
	print_row(&printer);
	print_text(&printer, "project", slot.project);
	print_number(&printer, "slot", id);
	print_text(&printer, "serial", slot.serial);
	return print_end(&printer);
}

/* Another process may take the slot between our look and our call: then there is another free slot.
 */
static int init_token(const CK_FUNCTION_LIST *functions, const char *name,
		      const struct pin_text *pin, CK_SLOT_ID *ret_slot)
{
	CK_UTF8CHAR label[32];
	CK_RV rv = CKR_OK;

	memset(label, ' ', sizeof(label));
	memcpy(label, name, strlen(name));
	for (int attempt = 0; attempt < 10; attempt++) {
		TRY(choose_slot(functions, name, ret_slot));
		rv = functions->C_InitToken(*ret_slot, (CK_UTF8CHAR *)pin->text, pin->len, label);
		if (rv == CKR_OK)
			return CMEK_EXIT_OK;
		if (library_slot_is_free(functions, *ret_slot))
			break;
	}
	return module_failed(rv, "creating project %s", name);
}

int project_create(const struct arguments *arguments)
{
	const char *name = arguments->positional[0];
	const CK_FUNCTION_LIST *functions;
	AUTO(new_pins_clear) struct new_pins pins = {0};
	CK_SLOT_ID slot = 0;

	TRY(check_name(name));
	TRY(new_pins_find(&pins));
	TRY(module_load(&functions));
	TRY(init_token(functions, name, &pins.so, &slot));
	TRY(new_pins_set_user(functions, slot, name, &pins));
	return report(arguments, functions, slot);
}

int project_list(const struct arguments *arguments)
{
	struct printer printer = {.json = arguments->json};
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	const CK_FUNCTION_LIST *functions;
	struct library_slot slot;
	CK_ULONG count;

	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++) {
		if (!library_slot_read(functions, slots[i], &slot))
			continue;
		print_row(&printer);
		print_text(&printer, "project", slot.project);
		print_number(&printer, "slot", slots[i]);
	}
	printer.empty = strdup("no project yet; make one: cmek project create NAME");
	return print_end(&printer);
}

static void count_one(void *state, const struct token *token, CK_OBJECT_HANDLE object)
{
	(void)token;
	(void)object;
	++*(size_t *)state;
}

static int count_kind(struct printer *printer, const struct token *token, const char *name,
		      const struct object_kind_row *kind)
{
	size_t count = 0;

	TRY(token_each(token, kind, false, count_one, &count));
	print_number(printer, name, count);
	return CMEK_EXIT_OK;
}

int project_show(const struct arguments *arguments)
{
	struct printer printer = {.json = arguments->json, .single = true};
	AUTO(token_close) struct token token = {0};
	struct library_slot slot = {0};

	TRY(token_open(arguments->positional[0], &token));
	library_slot_read(token.functions, token.slot, &slot);
	print_row(&printer);
	print_text(&printer, "project", token.project);
	print_number(&printer, "slot", token.slot);
	print_text(&printer, "serial", slot.serial);
	TRY(count_kind(&printer, &token, "root_keys", &kind_key));
	TRY(count_kind(&printer, &token, "clusters", &kind_cluster));
	if (token.unseen)
		print_worded(&printer, "databases", "PIN needed: not shown", json_null());
	else
		TRY(count_kind(&printer, &token, "databases", &kind_database));
	return print_end(&printer);
}

static const struct object_kind_row kind_archive = {"archive", "", CKO_CMEK_ARCHIVE, CKA_LABEL};

static int find_archive(const struct token *token, CK_OBJECT_HANDLE *ret_archive)
{
	AUTO(freep) CK_OBJECT_HANDLE *handles = NULL;
	size_t count;

	TRY(token_find(token, &kind_archive, NULL, &handles, &count));
	if (count == 0)
		return fail(CMEK_EXIT_NOT_FOUND, "project %s has not taken the place of another",
			    token->project);
	*ret_archive = handles[0];
	return CMEK_EXIT_OK;
}

int project_restore(const struct arguments *arguments)
{
	struct printer printer = {.json = arguments->json, .single = true};
	CK_ULONG active = CMEK_STATE_ACTIVE;
	CK_ATTRIBUTE change = {CKA_CMEK_STATE, &active, sizeof(active)};
	AUTO(token_close) struct token token = {0};
	AUTO(freep) char *label = NULL;
	CK_OBJECT_HANDLE archive = CK_INVALID_HANDLE;
	CK_RV rv;

	TRY(token_open(arguments->positional[0], &token));
	TRY(find_archive(&token, &archive));
	label = object_text(&token, archive, CKA_LABEL);
	rv = token.functions->C_SetAttributeValue(token.session, archive, &change, 1);
	if (rv != CKR_OK)
		return module_failed(rv, "restoring project %s from %s", label, token.project);
	print_row(&printer);
	print_text(&printer, "project", label == NULL ? "" : label);
	print_text(&printer, "state", state_text(CMEK_STATE_ACTIVE));
	return print_end(&printer);
}
