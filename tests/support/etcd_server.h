/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A real etcd on this machine, for as long as a test runs; and the engine on it. */
#pragma once

#include "zones/store/store.h"

#include <stdbool.h>

/* Opens stores in the server that runs: each path of the settings is a store of its own. */
extern const struct store_engine etcd_server_engine;

/* Starts it in a folder that goes away, on ports that are free. False: it is not installed. */
bool etcd_server_start(void);
/* The same, of which a transaction takes so many operations at most. */
bool etcd_server_start_with(const char *max_txn_ops);
/* "http://127.0.0.1:PORT" */
const char *etcd_server_endpoint(void);
/* Sends it a request of its JSON API, which must be answered with 200; `token`: NULL, or whose. */
void etcd_server_post(const char *path, const char *body, const char *token);
/* How many requests a store of that engine has made so far. */
size_t etcd_server_requests(const struct store *store);
void etcd_server_stop(void); /* accepts one that does not run */
