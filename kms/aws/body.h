/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of KMS requests and answers: JSON written into wiped buffers, and members read back. */
#pragma once

#include "kms/kms.h"

#include <jansson.h>

/* A request's body: members one after another between body_begin and body_end. */
void body_begin(struct buffer *body);
void body_put_text(struct buffer *body, const char *name, const char *text);
void body_put_base64(struct buffer *body, const char *name, struct bytes value);
/* Nothing if the context is empty or NULL. */
void body_put_context(struct buffer *body, const char *name, const struct kms_context *context);
void body_put_number(struct buffer *body, const char *name, unsigned number);
bool body_end(struct buffer *body);

/* A ciphertext of 1..KMS_BLOB_MAX bytes; appended. False: not there, or not that; or, if the buffer
 * has failed, no memory. */
bool answer_read_blob(const json_t *answer, struct buffer *ret_blob);
/*
 * Whether the key that answered is the one that was asked: `member` has to be a key's ARN; equal to
 * the asked one if that is a key's ARN too, of the same id if a key id was asked. What an alias
 * points to is the KMS's to say.
 */
bool answer_names_key(const json_t *answer, const char *member, const char *asked);
/* DescribeKey's KeyMetadata. */
bool answer_read_key(const json_t *answer, struct kms_key *ret_key);
/* GetKeyLastUsage's: false if it neither tells a use nor says from when on there was none. */
bool answer_read_last_usage(const json_t *answer, struct kms_last_usage *ret_usage);
