/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Who is logged in to a project, and what that allows. */
#include "base/free.h"
#include "base/macros.h"
#include "objects/objects_private.h"
#include "objects/token_private.h"
#include "zones/domain/lookup.h"
#include "zones/domain/zones.h"

#define NEVER UINT64_MAX /* no generation */

static CK_RV refuse_second(int already, CK_USER_TYPE user)
{
	return already == (int)user ? CKR_USER_ALREADY_LOGGED_IN
				    : CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
}

CK_RV tokens_check_login(struct tokens *tokens, CK_SLOT_ID slot, CK_USER_TYPE user,
			 struct bytes pin, struct token_login *ret_login)
{
	struct token *token = token_of(tokens, slot);
	int already = tokens_user(tokens, slot);

	if (user != CKU_USER && user != CKU_SO)
		return CKR_USER_TYPE_INVALID;
	if (token == NULL)
		return CKR_HOST_MEMORY;
	if (already != TOKEN_LOGGED_OUT)
		return refuse_second(already, user);
	return token_check_pin(tokens, token, user, pin, ret_login);
}

CK_RV tokens_log_in(struct tokens *tokens, CK_SLOT_ID slot, const struct token_login *login)
{
	struct token *token = token_of(tokens, slot);
	int already = tokens_user(tokens, slot);
	AUTO(unlockp) pthread_mutex_t *held = NULL;

	if (token == NULL)
		return CKR_HOST_MEMORY;
	if (already != TOKEN_LOGGED_OUT)
		return refuse_second(already, login->user);
	held = locked(&tokens->lock);
	token->login = *login;
	atomic_store(&token->stands, NEVER);
	atomic_store(&token->user, (int)login->user);
	return CKR_OK;
}

CK_RV tokens_logout(struct tokens *tokens, CK_SLOT_ID slot)
{
	struct token *token = token_of(tokens, slot);
	int user = tokens_user(tokens, slot);

	if (token == NULL)
		return CKR_HOST_MEMORY;
	if (atomic_exchange(&token->user, TOKEN_LOGGED_OUT) == TOKEN_LOGGED_OUT)
		return CKR_USER_NOT_LOGGED_IN;
	return user == TOKEN_LOGGED_OUT ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
}

bool tokens_have_login(struct tokens *tokens, CK_SLOT_ID slot)
{
	const struct token *token = token_of(tokens, slot);

	return token != NULL && atomic_load(&token->user) != TOKEN_LOGGED_OUT;
}

static bool stands(const struct token_login *login, const struct entry *project)
{
	struct pins pins = pins_read(project_extra_pins(project));

	if (!uid_equal(login->project, project->uid))
		return false;
	return !login->any_text || (!pins.unreadable && !pin_is_set(&pins.of[login->user]));
}

/* The store has changed since the login was looked at. */
static int look_again(struct tokens *tokens, struct token *token, uint64_t generation)
{
	AUTO(entry_releasep)
	struct entry *project = zones_find_slot(tokens->objects->zones, (uint32_t)token->slot);
	AUTO(unlockp) pthread_mutex_t *held = locked(&tokens->lock);
	int user = atomic_load(&token->user);

	if (user == TOKEN_LOGGED_OUT || project == NULL || !stands(&token->login, project))
		return TOKEN_LOGGED_OUT;
	atomic_store(&token->stands, generation);
	return user;
}

/* Whether it stands is loaded before who it is: a later login has just been checked. */
int tokens_user(struct tokens *tokens, CK_SLOT_ID slot)
{
	struct token *token = token_of(tokens, slot);
	uint64_t generation = zones_generation(tokens->objects->zones);
	bool known;
	int user;

	if (token == NULL)
		return TOKEN_LOGGED_OUT;
	known = atomic_load(&token->stands) == generation;
	user = atomic_load(&token->user);
	return known || user == TOKEN_LOGGED_OUT ? user : look_again(tokens, token, generation);
}

void token_has_set_pin(struct tokens *tokens, struct token *token, CK_USER_TYPE user,
		       struct uid project)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&tokens->lock);

	if (token->login.user == user && uid_equal(token->login.project, project))
		token->login.any_text = false;
}

/* A project that is not to be found allows nothing. What was seen holds for its generation. */
static bool has_pin(struct tokens *tokens, CK_SLOT_ID slot)
{
	struct token *token = token_of(tokens, slot);
	uint64_t generation = zones_generation(tokens->objects->zones);
	AUTO(entry_releasep) struct entry *project = NULL;
	uint64_t seen = token == NULL ? 0 : atomic_load(&token->pin_seen);
	bool has;

	if (seen >> 1 == generation + 1)
		return (seen & 1) != 0;
	if (objects_project(tokens->objects, slot, &project) != CKR_OK)
		return true;
	has = project_has_pin(project);
	if (token != NULL)
		atomic_store(&token->pin_seen, (generation + 1) << 1 | has);
	return has;
}

bool tokens_private_allowed(struct tokens *tokens, CK_SLOT_ID slot)
{
	if (!tokens->settings.login_required && !objects_know_pins(tokens->objects))
		return true;
	return tokens_user(tokens, slot) == (int)CKU_USER ||
	       (!tokens->settings.login_required && !has_pin(tokens, slot));
}

bool tokens_so_allowed(struct tokens *tokens, CK_SLOT_ID slot)
{
	return tokens_user(tokens, slot) == (int)CKU_SO || !has_pin(tokens, slot);
}
