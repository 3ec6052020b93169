/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's sessions, and its logins. A wrong PIN counts in the store, for all hosts: so it is
 * tried at the project that it was given for and at no other, and by a process and its children
 * once.
 */
#pragma once

#include "library/client.h"

CK_RV library_session_open(const struct library_project *project, CK_SESSION_HANDLE *ret_session);
/* One that was closed already tells that others use the module. */
void library_session_close(CK_SESSION_HANDLE session, unsigned generation);
/* Why the module refused a call about a project; `what` begins the sentence. */
enum cmek_status library_project_failed(const struct library_project *project, unsigned generation,
					CK_RV rv, const char *what, struct cmek_error *error);

/* Copies the PIN. False: no memory; library_pin_drop() is due all the same. */
bool library_pin_keep(struct cmek_client *client, const char *pin);
void library_pin_drop(struct cmek_client *client); /* wipes it; also where there is none */
/* From here on the PIN is that of the one project here that wants one. CMEK_REFUSED: several do. */
enum cmek_status library_pin_find_project(struct cmek_client *client, struct cmek_error *error);

/* Where the project wants a login, and the process has none: by the PIN if that is its. One thread
 * after the other. CMEK_DENIED: the PIN was refused, now or before. */
enum cmek_status library_login_ensure(struct cmek_client *client, struct library_project *project,
				      unsigned generation, struct cmek_error *error);
