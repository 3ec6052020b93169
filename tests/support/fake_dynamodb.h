/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of DynamoDB in this process, as far as the store asks for it, with faults to order:
 * behind struct http, so that all of the client is tested. Any number of threads. Transactions are
 * done whole; but what is read outside of one may be as it was before the last of them.
 */
#pragma once

#include "net/http.h"
#include "zones/store/dynamodb/dynamodb.h"

#include <pthread.h>

struct fake_table {
	pthread_mutex_t lock;
	struct fake_item *items; /* in the order of their keys */
	size_t count;
	json_t *tokens; /* of the transactions that were done */
	/* Faults: each for so many of the requests to come, 0: none. */
	unsigned lost;	 /* a transaction is done, and its answer lost */
	unsigned unsent; /* a transaction is lost before it is done */
	unsigned throttled, broken, conflicts, denied_writes, denied_reads, unsigned_, missing;
	unsigned torn;	     /* reads that see items as they were before the last transaction */
	unsigned torn_rows;  /* the same, but heads are seen as they are: reads of projects alone */
	unsigned lose_each;  /* of so many transactions one is done and its answer lost */
	unsigned cut;	     /* transactions until all are lost before they are done; 0: never */
	bool forgets_tokens; /* what is sent again is done again, or refused */
	const char *misnamed; /* a BatchGetItem says so of its items' partitions, not "p/" */
	size_t page;	      /* items a Query answers at once; 0: all */
	size_t batch;	      /* items a BatchGetItem answers at once; 0: all */
	void (*between)(void *state); /* called once, before the next page of a Query */
	void *between_state;
	void (*before)(void *state); /* called once, before the transaction of that number */
	unsigned before_number;	     /* as `transactions` counts */
	/* What was asked. */
	unsigned requests, transactions, done;
	int64_t slept_ms; /* that its stores meant to sleep */
	char last[64];	  /* operation */
	char authorization[256];
	struct fake_status {
		bool exists, deletion_protected, backed_up, on_demand;
		unsigned creating; /* so many times it says CREATING */
	} status;
};

void fake_table_init(struct fake_table *table);
void fake_table_clear(struct fake_table *table);
/* One way to the table; free it by its function. */
struct http *fake_table_http(struct fake_table *table);
/* A store in it, with credentials of its own and the system's clock, whose sleeps are short. */
struct store *fake_table_store(struct fake_table *table);
/* An item's text attribute, NULL: there is no such item or attribute; in a static buffer. */
const char *fake_table_text(struct fake_table *table, const char *partition, const char *sort,
			    const char *name);
/* Sets an attribute of an item that is there: type "S" or "N"; NULL: removes the item. */
void fake_table_set(struct fake_table *table, const char *partition, const char *sort,
		    const char *name, const char *type, const char *value);
/* The same with a value of any type, as DynamoDB writes it; takes it. */
void fake_table_set_json(struct fake_table *table, const char *partition, const char *sort,
			 const char *name, json_t *value);
/* Removes the first item whose sort key begins so; false: there is none. */
bool fake_table_remove(struct fake_table *table, const char *sort_begin);
/* Removes all items. */
void fake_table_empty(struct fake_table *table);
size_t fake_table_count(struct fake_table *table, const char *sort_begin);
