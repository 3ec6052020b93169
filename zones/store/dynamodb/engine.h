/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of Amazon DynamoDB (API version 2012-08-10): one store for any number of hosts.
 * docs/store-dynamodb.md has the schema, the rights and the limits; the settings are `table`,
 * `region` and `endpoint` of [store], and [aws] (struct store_settings).
 *
 * Each call waits for the network, to a deadline of its own: a read some seconds, a write as long
 * as others are quicker, up to waits_ms. A write compares the heads of the projects that it
 * changes with what `decide` has seen, so that projects don't wait for one another.
 */
#pragma once

#include "zones/store/store.h"

extern const struct store_engine store_dynamodb;
