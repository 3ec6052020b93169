/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The PINs that a project may have, for every command: from a file or the environment. */
#pragma once

#include "cli/token.h"

#include <stdbool.h>

enum { PIN_TEXT_MIN = 4, PIN_TEXT_MAX = 255 };

struct pin_text {
	bool given;
	size_t len;
	CK_UTF8CHAR text[PIN_TEXT_MAX];
};

/* --pin-file and --so-pin-file, as arguments.c found them; NULL: not given. Without them the PINs
 * are CMEK_PIN and CMEK_SO_PIN. */
extern const char *pin_file, *so_pin_file;

void pin_reset(void);		      /* nothing is given, for the next command */
void pin_clear(struct pin_text *pin); /* wipes; for AUTO */
/* C_Login to a token that wants it, by what is given: an option before a variable, the security
 * officer's PIN before the user's. Without a PIN the token is `unseen`, since much can be seen
 * without. Reports; an exit code. */
int pin_login(struct token *token);
/* Whether the security officer is logged in there. */
bool pin_is_officers(const struct token *token);
/* Before a search of several projects: whose the PIN is, where more than one wants a login.
 * `project`: --project, NULL if not given: then CMEK_PROJECT or [cli] project says it. The others
 * are looked at without. Reports; an exit code. */
int pin_choose_project(const CK_FUNCTION_LIST *functions, const CK_SLOT_ID *slots, CK_ULONG count,
		       const char *project);

/* The PINs that a new project gets. */
struct new_pins {
	struct pin_text so, user;
};

void new_pins_clear(struct new_pins *pins); /* wipes; for AUTO */
/* Both, before the project is made: a user's alone is refused. Reports; an exit code. */
int new_pins_find(struct new_pins *ret_pins);
/* The user's, of a project that was just made. Reports; an exit code. */
int new_pins_set_user(const CK_FUNCTION_LIST *functions, CK_SLOT_ID slot, const char *project,
		      const struct new_pins *pins);
