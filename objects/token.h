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
/* The same for those who only ask whether it is there: some loads, as long as nothing changes. */
CK_RV tokens_have(struct tokens *tokens, CK_SLOT_ID slot);
/* C_InitToken; the caller has checked that no session is open. The label is 32 bytes, blank padded.
 * `pin`: the SO's, of a new project to be (empty: none), of one that has one. CKR_PIN_INCORRECT,
 * CKR_PIN_LOCKED. */
CK_RV tokens_init(struct tokens *tokens, CK_SLOT_ID slot, struct bytes pin,
		  const CK_UTF8CHAR label[static 32]);

/* Login, by the project's PIN if it has one: CKR_PIN_INCORRECT, CKR_PIN_LOCKED,
 * CKR_USER_PIN_NOT_INITIALIZED, CKR_USER_ALREADY_LOGGED_IN, CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
 * CKR_USER_NOT_LOGGED_IN, CKR_USER_TYPE_INVALID. It is to a project, not to the slot: it ends when
 * another one takes its place, and one that any text gave when that user has got a PIN. */
enum { TOKEN_LOGGED_OUT = -1 };
struct token_login {
	CK_USER_TYPE user;
	struct uid project;
	bool any_text; /* that user had no PIN */
};
/* First whether `pin` would log in, which takes its time and counts a wrong one; then the login
 * itself, which waits for nothing: one at a time, the caller sees to that. */
CK_RV tokens_check_login(struct tokens *tokens, CK_SLOT_ID slot, CK_USER_TYPE user,
			 struct bytes pin, struct token_login *ret_login);
CK_RV tokens_log_in(struct tokens *tokens, CK_SLOT_ID slot, const struct token_login *login);
CK_RV tokens_logout(struct tokens *tokens, CK_SLOT_ID slot);
/* Whether there is a login to end, even if it stands no more. */
bool tokens_have_login(struct tokens *tokens, CK_SLOT_ID slot);
/* CKU_USER, CKU_SO or TOKEN_LOGGED_OUT, by what is known of the store. Some loads, as long as that
 * does not change. */
int tokens_user(struct tokens *tokens, CK_SLOT_ID slot);
/* Whether this process may see and use private objects: always, unless login is enforced, by the
 * configuration or the project's PIN, and no user is logged in. Costs some loads. */
bool tokens_private_allowed(struct tokens *tokens, CK_SLOT_ID slot);
/* Whether it may change root keys, clusters and archives: always, unless the project has a PIN and
 * the security officer is not logged in. */
bool tokens_so_allowed(struct tokens *tokens, CK_SLOT_ID slot);
/* C_InitPIN: the user's, by the SO who is logged in (CKR_USER_NOT_LOGGED_IN) and has a PIN himself
 * (CKR_PIN_EXPIRED: first C_SetPIN), and C_SetPIN: of
 * whoever is logged in, else of the user. CKR_PIN_LEN_RANGE; of C_SetPIN also what
 * tokens_check_login answers. */
CK_RV tokens_init_pin(struct tokens *tokens, CK_SLOT_ID slot, struct bytes pin);
CK_RV tokens_set_pin(struct tokens *tokens, CK_SLOT_ID slot, struct bytes old, struct bytes new);
