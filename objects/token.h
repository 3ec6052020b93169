/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Slots and tokens: a project is a token, its slot number is the store's; a free slot is shown only
 * if asked for. Login state is per process and token. */
#pragma once

#include "objects/object.h"

struct tokens;

struct token_settings {
	bool free_slot;	     /* [slots] free, pReserved free-slot=true */
	bool login_required; /* [slots] login_required: CKF_LOGIN_REQUIRED is set and enforced; any
				PIN logs in */
};

CK_RV tokens_new(struct objects *objects, const struct token_settings *settings,
		 struct tokens **ret_tokens);
void tokens_free(struct tokens *tokens);

/* All slots, the free one last (free() the array). Every slot has a token; the free slot's is not
 * initialized. Reads the store, no KMS. */
CK_RV tokens_list(struct tokens *tokens, CK_SLOT_ID **ret_slots, size_t *ret_count);
CK_RV tokens_slot_info(struct tokens *tokens, CK_SLOT_ID slot, CK_SLOT_INFO *ret_info);
/* The caller fills in the session counts. CKR_SLOT_ID_INVALID. A free slot's token has no label and
 * no CKF_TOKEN_INITIALIZED. */
CK_RV tokens_info(struct tokens *tokens, CK_SLOT_ID slot, CK_TOKEN_INFO *ret_info);
/* The project in a slot, held. CKR_SLOT_ID_INVALID, CKR_TOKEN_NOT_RECOGNIZED (free slot). */
CK_RV tokens_project(struct tokens *tokens, CK_SLOT_ID slot, struct entry **ret_project);
/* C_InitToken; the caller has checked that no session is open. The label is 32 bytes, blank padded.
 */
CK_RV tokens_init(struct tokens *tokens, CK_SLOT_ID slot, struct bytes pin,
		  const CK_UTF8CHAR label[static 32]);

/* Login: CKR_USER_ALREADY_LOGGED_IN, CKR_USER_ANOTHER_ALREADY_LOGGED_IN, CKR_USER_NOT_LOGGED_IN,
 * CKR_USER_TYPE_INVALID. */
enum { TOKEN_LOGGED_OUT = -1 };
CK_RV tokens_login(struct tokens *tokens, CK_SLOT_ID slot, CK_USER_TYPE user);
CK_RV tokens_logout(struct tokens *tokens, CK_SLOT_ID slot);
/* CKU_USER, CKU_SO or TOKEN_LOGGED_OUT. */
int tokens_user(struct tokens *tokens, CK_SLOT_ID slot);
/* Whether this process may see and use private objects: always, unless login is enforced and no
 * user is logged in. Costs a load. */
bool tokens_private_allowed(struct tokens *tokens, CK_SLOT_ID slot);
