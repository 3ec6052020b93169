/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A project's objects as `cmek tree` shows them: each kind is read once, into nodes. */
#pragma once

#include "cli/token.h"

#include <jansson.h>

/* What is said of a project whose databases are not seen. */
#define TREE_UNSEEN "PIN needed: its databases are not shown"

struct reader {
	const struct token *token;
	bool asks;	  /* for the states of root keys, one after the other */
	bool patient;	  /* however long it takes */
	bool usage;	  /* also versions, and when root keys were used last */
	int64_t until_ms; /* otherwise: from then on no more are asked for */
};

/* One project's objects, read once. A node's parent is named by text: a root key's ARN, a cluster's
 * label. */
struct node {
	char *label, *parent, *key; /* key: the text by which children name it */
	char *detail;		    /* for the picture */
	json_t *json;		    /* for --json: taken when it is shown */
};

struct nodes {
	struct node *rows;
	size_t count;
};

void nodes_clear(struct nodes *nodes); /* for AUTO */

/* Each reads one kind, with what the reader asks for beside it. Reports; an exit code. */
int tree_read_keys(const struct reader *reader, struct nodes *ret_nodes);
int tree_read_clusters(const struct reader *reader, struct nodes *ret_nodes);
int tree_read_databases(const struct reader *reader, struct nodes *ret_nodes);
/* Appends what awaits deletion, of all three kinds, to a JSON array. */
int tree_read_deleted(const struct token *token, json_t *list);
