/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11, "Slot and token management functions". */
#include "base/clock.h"
#include "base/free.h"
#include "mechanisms/mechanism.h"
#include "objects/error.h"
#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "pkcs11/module.h"
#include "session/output.h"
#include "session/session.h"

/* Gives a list of numbers by the rule of the standard: without room only its length is given. */
static CK_RV put_list(const CK_ULONG *list, size_t count, CK_ULONG *ret_list, CK_ULONG *ret_count)
{
	CK_ULONG room = get_ulong(ret_count);

	put_ulong(ret_count, count);
	if (ret_list == NULL)
		return CKR_OK;
	if (room < count)
		return CKR_BUFFER_TOO_SMALL;
	if (count > 0)
		memcpy((void *)ret_list, list, count * sizeof(*list));
	return CKR_OK;
}

CK_RV C_GetSlotList(CK_BBOOL token_present, CK_SLOT_ID *slots, CK_ULONG *slots_count)
{
	AUTO(module_return) struct module *module = NULL;
	AUTO(freep) CK_SLOT_ID *list = NULL;
	size_t count = 0;

	(void)token_present; /* every slot has a token */
	TRY(module_borrow(&module));
	if (slots_count == NULL)
		return told(CKR_ARGUMENTS_BAD);
	TRY(told(tokens_list(module->tokens, &list, &count)));
	slot_events_begin(&module->slot_events, module->zones);
	return told(put_list(list, count, slots, slots_count));
}

CK_RV C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *ret_info)
{
	AUTO(module_return) struct module *module = NULL;
	CK_SLOT_INFO info;

	TRY(module_borrow(&module));
	if (ret_info == NULL)
		return told(CKR_ARGUMENTS_BAD);
	TRY(told(tokens_slot_info(module->tokens, slot, &info)));
	memcpy((void *)ret_info, &info, sizeof(info));
	return CKR_OK;
}

CK_RV C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *ret_info)
{
	AUTO(module_return) struct module *module = NULL;
	CK_TOKEN_INFO info;

	TRY(module_borrow(&module));
	if (ret_info == NULL)
		return told(CKR_ARGUMENTS_BAD);
	TRY(told(tokens_info(module->tokens, slot, &info)));
	session_counts(slot, &info.ulSessionCount, &info.ulRwSessionCount);
	memcpy((void *)ret_info, &info, sizeof(info));
	return CKR_OK;
}

/* CKR_SLOT_ID_INVALID, CKR_TOKEN_NOT_RECOGNIZED: mechanisms belong to a project's token. */
static CK_RV check_token(struct module *module, CK_SLOT_ID slot)
{
	AUTO(entry_releasep) struct entry *project = NULL;

	return tokens_project(module->tokens, slot, &project);
}

CK_RV C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *types, CK_ULONG *types_count)
{
	AUTO(module_return) struct module *module = NULL;
	AUTO(freep) CK_MECHANISM_TYPE *list = NULL;
	size_t count = mechanism_count();

	TRY(module_borrow(&module));
	if (types_count == NULL)
		return told(CKR_ARGUMENTS_BAD);
	TRY(told(check_token(module, slot)));
	list = calloc(count, sizeof(*list));
	if (list == NULL)
		return told(CKR_HOST_MEMORY);
	for (size_t i = 0; i < count; i++)
		list[i] = mechanism_at(i)->type;
	return told(put_list(list, count, types, types_count));
}

CK_RV C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret_info)
{
	const struct mechanism *mechanism = mechanism_find(type);
	AUTO(module_return) struct module *module = NULL;
	CK_MECHANISM_INFO info;

	TRY(module_borrow(&module));
	if (ret_info == NULL)
		return told(CKR_ARGUMENTS_BAD);
	TRY(told(check_token(module, slot)));
	if (mechanism == NULL)
		return told(CKR_MECHANISM_INVALID);
	info = (CK_MECHANISM_INFO){mechanism->min_key, mechanism->max_key, mechanism->flags};
	memcpy((void *)ret_info, &info, sizeof(info));
	return CKR_OK;
}

CK_RV C_InitToken(CK_SLOT_ID slot, CK_UTF8CHAR *pin, CK_ULONG pin_len, CK_UTF8CHAR *label)
{
	AUTO(module_return) struct module *module = NULL;
	CK_ULONG sessions, read_write;

	TRY(module_borrow(&module));
	if (label == NULL || !bytes_valid(bytes(pin, pin_len)))
		return told(CKR_ARGUMENTS_BAD);
	session_counts(slot, &sessions, &read_write);
	if (sessions > 0)
		return told(CKR_SESSION_EXISTS);
	return told(tokens_init(module->tokens, slot, bytes(pin, pin_len), label));
}

/* *life: 0, or the one that the call began in, which has ended if there is another. */
static CK_RV look_for_event(uint64_t *life, CK_SLOT_ID *ret_slot)
{
	AUTO(module_leave) struct module *module = NULL;

	TRY(module_borrow_for("C_WaitForSlotEvent", &module));
	if (*life != 0 && *life != module->life)
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	*life = module->life;
	return slot_events_next(&module->slot_events, module->zones, ret_slot);
}

static CK_RV refuse_arguments(void)
{
	AUTO(module_leave) struct module *module = NULL;

	TRY(module_borrow_for("C_WaitForSlotEvent", &module));
	return CKR_ARGUMENTS_BAD;
}

/* A caller who waits holds nothing meanwhile, so that C_Finalize need not wait for it. */
CK_RV C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *ret_slot, CK_VOID_PTR reserved)
{
	uint64_t life = 0;
	CK_SLOT_ID slot;
	CK_RV rv;

	/* A call that is refused takes no event. */
	if (ret_slot == NULL || reserved != NULL)
		return error_ended(told(refuse_arguments()));
	rv = look_for_event(&life, &slot);
	while (rv == CKR_NO_EVENT && (flags & CKF_DONT_BLOCK) == 0) {
		clock_nap(250);
		rv = look_for_event(&life, &slot);
	}
	if (rv == CKR_OK)
		memcpy((void *)ret_slot, &slot, sizeof(slot));
	return error_ended(told(rv));
}
