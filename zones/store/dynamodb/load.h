/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a project that are being read, with the versions of those that are zones: for project.c
 * and load.c alone. */
#pragma once

#include "zones/store/dynamodb/dynamodb.h"

/* A row as it was read last. */
struct dynamodb_loaded {
	struct uid uid;
	bool wished;	/* to be read (again) */
	uint64_t least; /* so late is the write that it was last written by, as the log says */
	uint64_t rev;	/* that it was written by, as it says; 0: it was not there */
	struct store_row row; /* entry NULL: of a kind that only later releases know */
	char *have;	      /* of a zone: the versions that it says it has, as in the item */
	struct buffer got;    /* of a zone: those that were read, in the same form */
};

struct dynamodb_load {
	struct dynamodb_reading *reading;
	struct uid project;
	struct dynamodb_loaded *rows; /* in the order of their uids */
	size_t count, capacity;
	bool optional; /* it is no fault if one that is wished for is not there */
	bool few; /* of what the log names, those alone that are neither zones nor token keys */
};
void load_clear(struct dynamodb_load *load);

/* A row is to be read, and was written by a write as late as `least`. */
enum zone_status load_wish(struct dynamodb_load *load, struct uid uid, uint64_t least);
/* Reads all rows of the project. */
enum zone_status load_all(struct dynamodb_load *load);
/* The few that are neither zones nor token keys. */
enum zone_status load_few(struct dynamodb_load *load);
/* So many of them at most that follow `after` (zeros: the first); *ret_more: there are more. */
enum zone_status load_page(struct dynamodb_load *load, struct uid after, unsigned most,
			   bool *ret_more);
/* Reads the rows that are wished for, in place of what was read before. */
enum zone_status load_fetch(struct dynamodb_load *load);
/* Wishes for the rows that are of a later write than `rev`, or are not there or too old yet, and
 * for zones whose versions are not those that they say. True if there are some. */
bool load_misses(struct dynamodb_load *load, uint64_t rev);
/* Appends the rows to the news. */
enum zone_status load_give(struct dynamodb_load *load);
