/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PINs of projects. */
#include "cli/pin.h"

#include "base/file.h"
#include "base/macros.h"
#include "base/secret.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *pin_file, *so_pin_file;

static char pin_project[LIBRARY_LABEL_SIZE]; /* whose the PIN is; "": of whoever wants one */

static const struct {
	const char *option, *variable;
} names[] = {
	[CKU_SO] = {"--so-pin-file", "CMEK_SO_PIN"},
	[CKU_USER] = {"--pin-file", "CMEK_PIN"},
};

void pin_reset(void)
{
	pin_file = so_pin_file = NULL;
	pin_project[0] = '\0';
}

void pin_clear(struct pin_text *pin)
{
	wipe(pin, sizeof(*pin));
}

static int take(const char *from, const char *text, size_t len, struct pin_text *ret_pin)
{
	if (len < PIN_TEXT_MIN || len > PIN_TEXT_MAX)
		return fail(CMEK_EXIT_USAGE, "%s: a PIN has %d to %d bytes", from, PIN_TEXT_MIN,
			    PIN_TEXT_MAX);
	ret_pin->given = true;
	ret_pin->len = len;
	memcpy(ret_pin->text, text, len);
	return CMEK_EXIT_OK;
}

static int take_line(const char *name, struct pin_text *ret_pin)
{
	AUTO(file_closep) int fd = open(name, O_RDONLY | O_CLOEXEC);
	char line[PIN_TEXT_MAX + 2];
	ssize_t got = 1;
	size_t len = 0;
	int code;

	while (fd >= 0 && got > 0 && len < sizeof(line)) {
		got = read(fd, line + len, sizeof(line) - len);
		len += got > 0 ? (size_t)got : 0;
	}
	if (fd < 0 || got < 0)
		return fail_system(errno, name, "");
	for (size_t i = 0; i < len; i++)
		if (line[i] == '\n' || line[i] == '\r')
			len = i;
	code = take(name, line, len, ret_pin);
	wipe(line, sizeof(line));
	return code;
}

static const char *from_environment(CK_USER_TYPE user)
{
	const char *text = getenv(names[user].variable);

	return text == NULL || *text == '\0' ? NULL : text;
}

static int find(CK_USER_TYPE user, struct pin_text *ret_pin)
{
	const char *name = user == CKU_SO ? so_pin_file : pin_file;
	const char *text = from_environment(user);

	if (name != NULL)
		return take_line(name, ret_pin);
	return text == NULL ? CMEK_EXIT_OK
			    : take(names[user].variable, text, strlen(text), ret_pin);
}

/* --- Logging in ------------------------------------------------------------------------------ */

static bool is_given(void)
{
	return so_pin_file != NULL || pin_file != NULL || from_environment(CKU_SO) != NULL ||
	       from_environment(CKU_USER) != NULL;
}

/* An option comes before a variable, and the security officer's before the user's. */
static CK_USER_TYPE who(void)
{
	if (so_pin_file != NULL)
		return CKU_SO;
	return pin_file == NULL && from_environment(CKU_SO) != NULL ? CKU_SO : CKU_USER;
}

static CK_RV login(const struct token *token, CK_USER_TYPE user, const struct pin_text *pin)
{
	CK_RV rv =
		token->functions->C_Login(token->session, user, (CK_UTF8CHAR *)pin->text, pin->len);

	/* Login is the process's, not the session's. */
	return rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv;
}

/* By another session: the PIN need not be read again. */
static bool is_logged_in(const struct token *token, CK_USER_TYPE user)
{
	CK_SESSION_INFO info;

	if (token->functions->C_GetSessionInfo(token->session, &info) != CKR_OK)
		return false;
	return user == CKU_SO ? info.state == CKS_RW_SO_FUNCTIONS : library_is_users(info.state);
}

bool pin_is_officers(const struct token *token)
{
	return is_logged_in(token, CKU_SO);
}

static int login_with(const struct token *token, CK_USER_TYPE user)
{
	AUTO(pin_clear) struct pin_text pin = {0};
	CK_RV rv;

	TRY(find(user, &pin));
	rv = login(token, user, &pin);
	return rv == CKR_OK
		       ? CMEK_EXIT_OK
		       : module_failed(rv, "logging in to project %s as its %s", token->project,
				       user == CKU_SO ? "security officer" : "user");
}

int pin_login(struct token *token)
{
	CK_USER_TYPE user = who();
	bool is_its = pin_project[0] == '\0' || strcmp(pin_project, token->project) == 0;

	token->unseen = user == CKU_SO;
	if (is_logged_in(token, user))
		return CMEK_EXIT_OK;
	if (is_given() && is_its)
		return login_with(token, user);
	token->unseen = !library_login_without(token->functions, token->session);
	return CMEK_EXIT_OK;
}

/* What --project is where it is not given; "": nothing. */
static const char *usual_project(void)
{
	const char *set = getenv("CMEK_PROJECT");

	return set != NULL && *set != '\0' ? set : module_setting("project");
}

int pin_choose_project(const CK_FUNCTION_LIST *functions, const CK_SLOT_ID *slots, CK_ULONG count,
		       const char *project)
{
	const char *whose = project == NULL ? usual_project() : project;
	struct library_slot slot;
	size_t wanting = 0;

	for (CK_ULONG i = 0; i < count; i++)
		wanting += library_slot_read(functions, slots[i], &slot) && slot.wants_login;
	if (wanting < 2 || !is_given())
		return CMEK_EXIT_OK;
	if (*whose == '\0')
		return fail(CMEK_EXIT_USAGE,
			    "%zu projects here want a PIN, and a wrong one counts: "
			    "give --project, the one whose PIN this is",
			    wanting);
	(void)snprintf(pin_project, sizeof(pin_project), "%s", whose);
	return CMEK_EXIT_OK;
}

/* --- A new project's ------------------------------------------------------------------------- */

void new_pins_clear(struct new_pins *pins)
{
	pin_clear(&pins->so);
	pin_clear(&pins->user);
}

int new_pins_find(struct new_pins *ret_pins)
{
	TRY(find(CKU_SO, &ret_pins->so));
	TRY(find(CKU_USER, &ret_pins->user));
	if (ret_pins->so.given || !ret_pins->user.given)
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_USAGE,
		    "a PIN of the user needs one of the security officer, who sets "
		    "it anew: give --so-pin-file as well");
}

int new_pins_set_user(const CK_FUNCTION_LIST *functions, CK_SLOT_ID slot, const char *project,
		      const struct new_pins *pins)
{
	AUTO(token_close) struct token token = {.functions = functions, .slot = slot};
	CK_RV rv;

	if (!pins->user.given)
		return CMEK_EXIT_OK;
	rv = library_slot_open(functions, slot, false, &token.session);
	if (rv == CKR_OK)
		rv = login(&token, CKU_SO, &pins->so);
	if (rv == CKR_OK)
		rv = functions->C_InitPIN(token.session, (CK_UTF8CHAR *)pins->user.text,
					  pins->user.len);
	return rv == CKR_OK ? CMEK_EXIT_OK
			    : module_failed(rv, "setting the user's PIN of project %s", project);
}
