/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door from zones/ to the KMS. Every call goes through it, so that a refusal is logged
 * once, in the words people use (project, zone, key) and with what to do about it, so that an audit
 * trail has one place, and so that a KMS that does not answer is asked by one caller at a time,
 * with pauses (kms_turn_begin); the others fail at once with the same status. No lock of ours may
 * be held when calling: all of these wait for the network.
 */
#pragma once

#include "zones/model/entry.h"
#include "zones/model/status.h"

/* What to ask, and on whose behalf. All is borrowed; texts may be NULL where they do not apply. */
struct kms_door {
	struct kms_clients *clients;
	const char *key; /* ARN; door_describe and door_create take any name of a key */
	const struct kms_context *context;
	const char *project;   /* label; NULL: it is of none that this store has */
	struct uid project_id; /* zeros: of none that is known */
	const char *zone;      /* label */
	uint64_t zone_id;      /* 0: not about a zone */
	uint32_t version;
	struct kms_report *report; /* the KMS's own words; may be NULL */
	bool own_region;	   /* it is about this very key: no related one elsewhere will do */
	bool quiet;		   /* a refusal is for the caller to tell, not for the log */
	bool another_way;	   /* the same of access denied alone: there may be another way */
	bool related; /* the related key, elsewhere, of one that is allowed: not looked up */
};

/* ZONE_ROOT_KEY_REFUSED, and the log says so: [kms] allowed_root_keys does not have the key. For
 * where no KMS is asked; all below but door_set_state() look by themselves, and then ask nobody
 * (door_describe(), of what is no ARN, when it knows the ARN). */
enum zone_status door_check_allowed(const struct kms_door *door, const char *key);

/* Those about a key go where its name says, those by a multi-Region key wherever it or a related
 * one answers (kms_route_begin). Answers of 32 bytes are the caller's to check. Plaintexts are
 * secret: clear the buffer. */
enum zone_status door_describe(const struct kms_door *door, struct kms_key *ret_key);
enum zone_status door_encrypt(const struct kms_door *door, struct bytes plaintext,
			      struct buffer *ret_blob);
enum zone_status door_decrypt(const struct kms_door *door, struct bytes blob,
			      struct buffer *ret_plaintext);
enum zone_status door_generate(const struct kms_door *door, struct buffer *ret_plaintext,
			       struct buffer *ret_blob);
/* By the same encryption context under another key, which must be in the same place (provider and
 * region): the plaintext stays in the KMS. No related key elsewhere is asked. */
enum zone_status door_re_encrypt(const struct kms_door *door, struct bytes blob,
				 const char *new_key, struct buffer *ret_blob);
/* Of this very key, in its own region. ZONE_KMS_UNSUPPORTED: its KMS keeps no account. */
enum zone_status door_last_usage(const struct kms_door *door, struct kms_last_usage *ret_usage);
/* Local keys; ZONE_KMS_UNSUPPORTED for others. */
enum zone_status door_set_state(const struct kms_door *door, enum kms_key_state state);
/* `registered`: keys of the embedded KMS are root keys here already. *ret_made: false if it is
 * there already. */
enum zone_status door_create(const struct kms_door *door, bool registered, bool *ret_made);

/* What the calls above would answer at once, since the KMS is silent about the key; ZONE_OK: they
 * would ask. For a caller who would otherwise wait for another thread's request. */
enum zone_status door_silent(struct kms_clients *clients, const char *key);
