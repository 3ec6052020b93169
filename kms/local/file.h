/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of local keys, shared by threads and processes: read again only when it has changed,
 * written as a whole under a lock file.
 */
#pragma once

#include "kms/local/keys.h"

#include <sys/stat.h>

struct local_file {
	char *path; /* owned */
	struct local_keys keys;
	bool loaded;
	bool missing;	   /* loaded, and there was no file */
	bool seen;	   /* there was one, once */
	bool gone;	   /* it was seen, and is out of reach now */
	struct stat known; /* what was read */
};

bool local_file_init(struct local_file *file, const char *path);
void local_file_clear(struct local_file *file);

/* Makes file->keys what the file says now; a file that was never there has no keys.
 * KMS_UNAVAILABLE: it was there and is gone; that is logged once, and its return once.
 * KMS_MISCONFIGURED: it can't be read, is open to others, or is damaged; it is then left as it is.
 */
enum kms_status local_file_refresh(struct local_file *file, struct kms_report *report);

/* What a change does to the keys; KMS_OK: write them. */
typedef enum kms_status local_change(struct local_keys *keys, const void *state,
				     struct kms_report *report);
/* The lock for changing the file, against other processes and threads: it is beside the file, or
 * beside a link's target. Waits ten seconds; so take it before locks that other threads wait for.
 * *ret_lock is for lock_release (base/lock.h). KMS_UNAVAILABLE: another process holds it. */
enum kms_status local_file_lock(const struct local_file *file, struct kms_report *report,
				int *ret_lock);
/* Reads, changes and writes, while the lock is held. Nothing is written unless the change answers
 * KMS_OK. */
enum kms_status local_file_change(struct local_file *file, local_change *change, const void *state,
				  struct kms_report *report);
