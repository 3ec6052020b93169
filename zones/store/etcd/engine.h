/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd 3.4 or later, by its JSON gateway (/v3/kv/…, /v3/auth/authenticate): one store for any
 * number of hosts. docs/store-etcd.md has the keys, the rights and the limits; the settings are
 * those of [store] beside `path`.
 *
 * Each call waits for the network, to a deadline of its own: a read some seconds, a write as long
 * as others are quicker, up to waits_ms. A write compares the heads of the projects that it
 * changes with what `decide` has seen, so that projects don't wait for one another.
 */
#pragma once

#include "zones/store/store.h"

extern const struct store_engine store_etcd;
