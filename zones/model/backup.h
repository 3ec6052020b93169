/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup of a project (docs/format.md, 7): how it is written and read. It holds no plaintext key.
 * Who may make one, and what of it comes back, is for zones/domain/; whether it is authentic, for
 * whoever asks the KMS for its MAC key.
 */
#pragma once

#include "base/buffer.h"
#include "base/map.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

enum { BACKUP_FORMAT = 1, BACKUP_WRAPS_MAX = 64, BACKUP_MAC_SIZE = 32 };
#define BACKUP_MAX ((size_t)1 << 28) /* bytes of a file: 256 MiB */

/* What was gone for good when the backup was made. */
struct backup_gone {
	struct uid uid;
	uint64_t zone; /* 0: not a zone */
};

struct backup {
	struct uid id; /* random */
	int64_t made_ms;
	struct uid project;
	uint64_t zone;	     /* of the only database in it; 0: all of the project's */
	bool embedding_only; /* databases whose records stay in their store are left out */
	/* The MAC key, encrypted by root keys, any of which opens it. */
	struct wrap *wraps;
	size_t wrap_count;
	/* The project, then root keys, clusters, zones, token keys; numbers and revisions are 0,
	 * and so is a project's slot. Held. */
	struct entry **entries;
	size_t count;
	struct backup_gone *gone;
	size_t gone_count;
	struct map uids;  /* uid → entry, borrowed */
	struct map zones; /* zone id → entry, borrowed */
};
/* Accepts the zero state. */
void backup_clear(struct backup *backup);
/* Copies both. False: no memory, or too many. */
bool backup_add_wrap(struct backup *backup, const char *arn, struct bytes blob);
/* Holds the entry, whose uid, or zone id, no other has. */
bool backup_add(struct backup *backup, struct entry *entry);
bool backup_add_gone(struct backup *backup, struct uid uid, uint64_t zone);
/* The one of that kind and uid; the zone of that id. Borrowed; NULL: none. */
struct entry *backup_find(const struct backup *backup, enum entry_kind kind, struct uid uid);
struct entry *backup_zone(const struct backup *backup, uint64_t zone);

/* The root keys (ARNs, borrowed) by which its zones are encrypted, each once; where there is no
 * zone, those of its active root keys. */
struct backup_arns {
	const char *list[BACKUP_WRAPS_MAX];
	size_t count;
};
void backup_arns(const struct backup *backup, struct backup_arns *ret_arns);
/* The MAC key's wrap by a root key; NULL: none. */
const struct wrap *backup_wrap(const struct backup *backup, const char *arn);

/* All but the MAC, which covers just these bytes. ZONE_INVALID: more than the format holds. */
enum zone_status backup_encode(const struct backup *backup, struct buffer *out);
/*
 * Of a whole file; its MAC is not looked at. ZONE_BACKUP_CORRUPT: it is malformed, or its parts do
 * not fit together (each zone has its cluster, each cluster its root key …); ZONE_BACKUP_NEWER: of
 * a later release; ZONE_RECORD_NEWER. Each says why.
 */
enum zone_status backup_decode(struct bytes file, struct backup *ret_backup);
/* What the MAC of a file covers, and the MAC; borrowed. The file has been decoded. */
struct bytes backup_covered(struct bytes file, struct bytes *ret_mac);
