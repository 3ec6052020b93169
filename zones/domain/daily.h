/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is done beside other work, since no thread of ours could do it. No KMS. */
#pragma once

struct zones;

/* For whoever looks into the store: at most once a day in a process, it tells of databases that a
 * clock rotated which was ahead (ahead.h), and if it may write, it does a bounded part of
 * zones_purge(). What fails is left for the next day. Of a store that the process knows in part
 * (partial.h), an hour after it was asked first, if all of the store may be read for it. */
void zones_daily(struct zones *zones);
