/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Logins by the PINs of a project. Each wrong one is counted in the store, so that a lock-out holds
 * for other processes and after a restart; where the store can't be written, nobody gets in after a
 * wrong one. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "objects/token_private.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/zones.h"

static const char *const user_words[] = {[CKU_SO] = "security officer", [CKU_USER] = "user"};

static CK_RV log_locked(CK_USER_TYPE user)
{
	log_warning("the %s's PIN is locked after %d wrong ones: %s", user_words[user], PIN_TRIES,
		    user == CKU_SO ? "wait an hour"
				   : "the security officer sets it anew (C_InitPIN, docs/pin.md)");
	return CKR_PIN_LOCKED;
}

static CK_RV log_unreadable(void)
{
	log_error("the project's PINs can't be read by this release: nobody can log in");
	return CKR_FUNCTION_FAILED;
}

/* So long others of this process may have the store busy, which perhaps can't be written. */
enum { LOOK_WAIT_MS = 250 };

/* As the store has it now; while that is out of reach, as it is known. */
static CK_RV find_project(struct tokens *tokens, CK_SLOT_ID slot, struct entry **ret_project)
{
	zones_refresh_within(tokens->objects->zones, LOOK_WAIT_MS);
	return tokens_project(tokens, slot, ret_project);
}

/* --- One attempt, counted */

struct attempt {
	const struct tokens *tokens;
	CK_USER_TYPE user;
	const struct pin *tried;
	unsigned wrong; /* so many are counted; 0: the right one was given */
	CK_RV rv;
};

static enum zone_status count_attempt(void *state, struct bytes now, struct buffer *ret_extra)
{
	struct attempt *attempt = state;
	struct pins pins = pins_read(now);
	struct pin *pin = &pins.of[attempt->user];
	int64_t now_ms = zones_now_ms(attempt->tokens->objects->zones);
	bool same = memcmp(pin->verifier, attempt->tried->verifier, PASSWORD_VERIFIER) == 0;

	buffer_truncate(ret_extra, 0);
	attempt->rv = same ? CKR_OK : CKR_PIN_INCORRECT; /* else it was changed meanwhile */
	if (same && pin_is_locked(pin, attempt->user, now_ms)) {
		attempt->rv = CKR_PIN_LOCKED;
	} else if (same && attempt->wrong == 0) {
		pin->failures = 0;
	} else if (same) {
		pin->failures = pin->failures + attempt->wrong < UINT8_MAX
					? (uint8_t)(pin->failures + attempt->wrong)
					: UINT8_MAX;
		pin->failed_ms = now_ms;
		attempt->rv = CKR_PIN_INCORRECT;
	}
	if (pins.unreadable)
		buffer_append(ret_extra, now);
	else
		pins_write(&pins, ret_extra);
	return ZONE_OK;
}

/* Those who waited while it could not be written are not to find that out one after the other. */
static enum zone_status write_attempt(struct tokens *tokens, struct token *token,
				      const struct entry *project, struct attempt *attempt)
{
	const unsigned failed = atomic_load(&token->writes_failed);
	const bool waits = pthread_mutex_trylock(&token->writing) != 0;
	AUTO(unlockp)
	pthread_mutex_t *held = waits ? locked(&token->writing) : &token->writing;
	enum zone_status status;

	if (waits && atomic_load(&token->writes_failed) != failed)
		return token->why_failed;
	status = zones_project_change_extra(
		tokens->objects->zones, project->uid,
		attempt->wrong == 0 ? "PIN counted anew" : "PIN refused", count_attempt, attempt);
	if (zone_status_is_store_outage(status)) {
		token->why_failed = status;
		atomic_fetch_add(&token->writes_failed, 1);
	}
	return status;
}

static CK_RV count(struct tokens *tokens, struct token *token, const struct entry *project,
		   CK_USER_TYPE user, const struct pin *tried, unsigned wrong)
{
	struct attempt attempt = {tokens, user, tried, wrong, CKR_OK};
	CK_RV rv = error_of_zone(write_attempt(tokens, token, project, &attempt), ERROR_TOKEN);

	if (rv != CKR_OK) {
		atomic_fetch_add(&token->unwritten[user], wrong);
		log_error("a login after a wrong PIN needs a store that can be written");
	}
	if (rv == CKR_OK && attempt.rv == CKR_PIN_LOCKED)
		log_locked(user);
	return rv == CKR_OK ? attempt.rv : rv;
}

static bool any_unwritten(struct token *token)
{
	return atomic_load(&token->unwritten[CKU_SO]) != 0 ||
	       atomic_load(&token->unwritten[CKU_USER]) != 0 || atomic_load(&token->counting) != 0;
}

/* Wrong ones that the store could not take are counted before anybody may try again. */
static CK_RV make_up(struct tokens *tokens, struct token *token, const struct entry *project,
		     const struct pins *pins)
{
	CK_RV rv = CKR_PIN_INCORRECT;

	atomic_fetch_add(&token->counting, 1);
	for (CK_USER_TYPE user = CKU_SO; user <= CKU_USER; user++) {
		unsigned wrong = atomic_exchange(&token->unwritten[user], 0);

		if (wrong != 0)
			rv = count(tokens, token, project, user, &pins->of[user], wrong);
		if (rv != CKR_PIN_INCORRECT && rv != CKR_PIN_LOCKED)
			break;
	}
	atomic_fetch_sub(&token->counting, 1);
	return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED ? CKR_OK : rv;
}

/* A comparison takes a tenth of a second, in which others may have been wrong or set another. Those
 * that are on their way into the store came later than this one, if they don't lock. */
static bool still_uncounted(struct tokens *tokens, struct token *token, CK_USER_TYPE user,
			    const struct pin *pin)
{
	AUTO(entry_releasep) struct entry *project = NULL;
	struct pin now;

	if (find_project(tokens, token->slot, &project) != CKR_OK || any_unwritten(token) ||
	    atomic_load(&token->under_way[user]) >= PIN_TRIES)
		return false;
	now = pins_read(project_extra_pins(project)).of[user];
	return now.failures == 0 && memcmp(now.verifier, pin->verifier, PASSWORD_VERIFIER) == 0;
}

static CK_RV check(struct tokens *tokens, struct token *token, const struct entry *project,
		   CK_USER_TYPE user, struct bytes text)
{
	struct pins pins = pins_read(project_extra_pins(project));
	const struct pin *pin = &pins.of[user];
	bool counted = pin->failures > 0 || any_unwritten(token);
	CK_RV rv;

	if (pins.unreadable)
		return log_unreadable();
	if (!project_has_pin(project) || (user == CKU_SO && !pin_is_set(pin)))
		return CKR_OK;
	if (!pin_is_set(pin))
		return CKR_USER_PIN_NOT_INITIALIZED;
	TRY(make_up(tokens, token, project, &pins));
	if (pin_is_locked(pin, user, zones_now_ms(tokens->objects->zones)) ||
	    atomic_load(&token->under_way[user]) >= PIN_TRIES)
		return log_locked(user);
	rv = pin_check(pin, text);
	/* A PIN of an impossible length is no guess. */
	if (rv == CKR_FUNCTION_FAILED || text.len < PIN_MIN || text.len > PIN_MAX)
		return rv;
	if (rv == CKR_OK && !counted && still_uncounted(tokens, token, user, pin))
		return CKR_OK;
	if (rv == CKR_OK)
		return count(tokens, token, project, user, pin, 0);
	/* From now on others know of it, however long the store takes. */
	atomic_fetch_add(&token->under_way[user], 1);
	rv = count(tokens, token, project, user, pin, 1);
	atomic_fetch_sub(&token->under_way[user], 1);
	return rv;
}

CK_RV token_check_pin(struct tokens *tokens, struct token *token, CK_USER_TYPE user,
		      struct bytes pin, struct token_login *ret_login)
{
	AUTO(entry_releasep) struct entry *project = NULL;
	struct pins pins;

	TRY(find_project(tokens, token->slot, &project));
	TRY(check(tokens, token, project, user, pin));
	pins = pins_read(project_extra_pins(project));
	*ret_login = (struct token_login){user, project->uid, !pin_is_set(&pins.of[user])};
	return CKR_OK;
}

/* --- Setting */

struct setting {
	CK_USER_TYPE user;
	struct pin pin;
};

static enum zone_status set_pin(void *state, struct bytes now, struct buffer *ret_extra)
{
	const struct setting *setting = state;
	struct pins pins = pins_read(now);

	buffer_truncate(ret_extra, 0);
	if (pins.unreadable)
		return ZONE_INVALID;
	pins.of[setting->user] = setting->pin;
	pins_write(&pins, ret_extra);
	return ZONE_OK;
}

static CK_RV set(struct tokens *tokens, const struct entry *project, CK_USER_TYPE user,
		 struct bytes text)
{
	struct setting setting = {.user = user};

	TRY(pin_make(text, &setting.pin));
	return error_of_zone(zones_project_change_extra(tokens->objects->zones, project->uid,
							"PIN set", set_pin, &setting),
			     ERROR_TOKEN);
}

CK_RV tokens_init_pin(struct tokens *tokens, CK_SLOT_ID slot, struct bytes pin)
{
	AUTO(entry_releasep) struct entry *project = NULL;

	if (tokens_user(tokens, slot) != (int)CKU_SO)
		return CKR_USER_NOT_LOGGED_IN;
	TRY(find_project(tokens, slot, &project));
	if (!pin_is_set(&pins_read(project_extra_pins(project)).of[CKU_SO])) {
		log_warning("the user gets a PIN only after the security officer has one, who "
			    "could be anybody otherwise: set that first (C_SetPIN)");
		return CKR_PIN_EXPIRED;
	}
	return set(tokens, project, CKU_USER, pin);
}

CK_RV tokens_set_pin(struct tokens *tokens, CK_SLOT_ID slot, struct bytes old, struct bytes new)
{
	struct token *token = token_of(tokens, slot);
	AUTO(entry_releasep) struct entry *project = NULL;
	struct pins pins;
	CK_USER_TYPE user;

	if (token == NULL)
		return CKR_HOST_MEMORY;
	user = tokens_user(tokens, slot) == (int)CKU_SO ? CKU_SO : CKU_USER;
	if (new.len < PIN_MIN || new.len > PIN_MAX)
		return CKR_PIN_LEN_RANGE;
	TRY(find_project(tokens, slot, &project));
	pins = pins_read(project_extra_pins(project));
	if (user == CKU_USER && !pins.unreadable && !pin_is_set(&pins.of[user]))
		return CKR_PIN_INCORRECT; /* the standard has no better word here */
	TRY(check(tokens, token, project, user, old));
	TRY(set(tokens, project, user, new));
	token_has_set_pin(tokens, token, user, project->uid);
	return CKR_OK;
}

CK_RV token_new_pins(struct tokens *tokens, struct token *token, const struct entry *old,
		     struct bytes pin, struct buffer *out)
{
	struct pins pins = {0};
	CK_RV rv = CKR_OK;

	if (old != NULL) {
		TRY(check(tokens, token, old, CKU_SO, pin));
		pins.of[CKU_SO] = pins_read(project_extra_pins(old)).of[CKU_SO];
		pins.of[CKU_SO].failures = 0;
	}
	if (!pin_is_set(&pins.of[CKU_SO]) && pin.len > 0)
		rv = pin_make(pin, &pins.of[CKU_SO]);
	if (rv != CKR_OK)
		return rv == CKR_PIN_LEN_RANGE ? CKR_PIN_INCORRECT : rv; /* as for C_SetPIN */
	if (pin_is_set(&pins.of[CKU_SO]))
		pins_write(&pins, out);
	return out->failed ? CKR_HOST_MEMORY : CKR_OK;
}

/* --- What callers are told */

CK_FLAGS token_pin_flags(const struct tokens *tokens, const struct entry *project)
{
	static const CK_FLAGS low[] = {CKF_SO_PIN_COUNT_LOW, CKF_USER_PIN_COUNT_LOW};
	static const CK_FLAGS final[] = {CKF_SO_PIN_FINAL_TRY, CKF_USER_PIN_FINAL_TRY};
	static const CK_FLAGS locked[] = {CKF_SO_PIN_LOCKED, CKF_USER_PIN_LOCKED};
	const struct pins pins = pins_read(project_extra_pins(project));
	int64_t now_ms = zones_now_ms(tokens->objects->zones);
	CK_FLAGS flags = pin_is_set(&pins.of[CKU_USER]) ? CKF_USER_PIN_INITIALIZED : 0;

	for (CK_USER_TYPE user = CKU_SO; user <= CKU_USER; user++) {
		const struct pin *pin = &pins.of[user];

		if (!pin_is_set(pin))
			continue;
		flags |= pin->failures > 0 ? low[user] : 0;
		flags |= pin->failures == PIN_TRIES - 1 ? final[user] : 0;
		flags |= pin_is_locked(pin, user, now_ms) ? locked[user] : 0;
	}
	return flags;
}
