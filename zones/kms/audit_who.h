/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who writes a line of the audit log: the program, the host, and the user who runs it. Users'
 * names, which may need a directory service, are looked up once, when the log is switched on;
 * whatever may change in a process's life is read when the line is written.
 */
#pragma once

#include <jansson.h>

/* Not while other threads write. A fork's child looks up nothing: another thread of its parent may
 * have been in the middle of such a look-up. It keeps the names that its parent found. */
void audit_who_look(void);

/* The fields of docs/audit.md: "program", as far as it is no longer than a name; and "host", "uid",
 * "user", and "euid" and "euser" where they differ from those. */
void audit_put_program(json_t *line);
void audit_put_who(json_t *line);

/* One field, whatever the text holds: JSON's own escapes keep a line whole, and what is no UTF-8 is
 * shown as far as it is ASCII. NULL or empty: left out. */
void audit_put_text(json_t *line, const char *name, const char *value);
