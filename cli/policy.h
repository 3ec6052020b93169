/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cmek policy grants, and the form in which a provider writes it down: a row in
 * cli/providers.c, or none where a KMS has no policies. A second cloud's is a file beside
 * policy_aws.c.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What the KMS is asked to do. */
enum right {
	RIGHT_DESCRIBE = 1,
	RIGHT_ENCRYPT,
	RIGHT_DECRYPT,
	RIGHT_MAKE_KEY, /* a data key, under a root key */
	RIGHT_MOVE_FROM,
	RIGHT_MOVE_TO, /* it re-encrypts, without showing what */
	RIGHT_LAST_USE,
	RIGHT_COUNT
};

/* What a statement demands of the encryption context (docs/format.md, 3). */
enum scope {
	SCOPE_NONE,    /* there is none with this right */
	SCOPE_ZONE,    /* purpose, and the zone (or, for a whole project, the project) */
	SCOPE_PROJECT, /* purpose, and the project */
	SCOPE_PURPOSE, /* the purpose alone: imported keys were encrypted elsewhere */
};

/* Which keys a statement covers. */
enum reach {
	REACH_SUBJECT, /* the zone's root keys or, for a whole project, the project's */
	REACH_PROJECT, /* all root keys of the project: where a zone's key may go */
	REACH_ACCOUNT, /* all keys of the account: also those that the project will add later */
	REACH_COUNT
};

struct grant {
	const char *name; /* of the statement */
	enum right rights[3];
	enum scope scope;
	const char *purpose;
	bool whole_project; /* not allowed for a role in one zone */
	enum reach reach;
};

#define UNBOUNDED UINT64_MAX

struct subject {
	json_t *keys[REACH_COUNT]; /* as the form names them */
	char *project;		   /* id, 32 hex digits */
	char zone[24];		   /* decimal; empty: the whole project */
	const char *principal;
	uint64_t max_lease, max_stale; /* UNBOUNDED: any zone */
};

struct policy_form {
	const char *principal; /* a placeholder, for where none is named */
	const char *account;   /* all keys of an account that is yet to be filled in */
	/* How its policies name the key of an ARN; all keys of the account that it is in. To be
	 * freed; NULL: no memory, or no such account. */
	char *(*key)(const char *arn);
	char *(*all_keys)(const char *arn);
	/* The documents; `grants` end with NULL. */
	json_t *(*write)(const struct grant *const *grants, const struct subject *subject);
};

extern const struct policy_form policy_aws;

/* The rights in a table of DynamoDB: `place` is REGION/TABLE; to write, those of one project. */
json_t *policy_aws_table(const char *place, const char *project, bool writes);

/* The rights in the store, of a project (its id, 32 hex digits): by its engine, commands or a
 * policy. `facts`: as of `cmek store show`; `principal`: NULL: a placeholder. null: of such an
 * engine none are known here. */
json_t *policy_of_store(const json_t *facts, const char *project, bool writes,
			const char *principal);

/* Whether an identity of this subject gets the grant. */
bool policy_grants(const struct grant *grant, const struct subject *subject);
