/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Canaries. What they hold is no secret: what counts is whether the KMS decrypts it. */
#include "zones/kms/canary.h"

#include "base/encode.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/kms/door.h"
#include "zones/model/refuse.h"

static const char canary_text[] = "cmek:canary";

/* The encryption context. Points into itself: don't copy it. */
struct canary_context {
	struct buffer project;
	struct kms_pair pairs[2];
	struct kms_context context;
};

static void context_clear(struct canary_context *context)
{
	buffer_clear(&context->project);
}

static enum zone_status context_init(struct canary_context *ret_context, struct uid project)
{
	struct canary_context *c = ret_context;

	hex_append(&c->project, bytes(project.bytes, UID_SIZE));
	c->pairs[0] = (struct kms_pair){"cmek:purpose", "canary"};
	c->pairs[1] = (struct kms_pair){"cmek:project", buffer_text(&c->project)};
	c->context = (struct kms_context){c->pairs, COUNT_OF(c->pairs)};
	return c->project.failed ? ZONE_NO_MEMORY : ZONE_OK;
}

static enum zone_status decrypt(const struct kms_door *door, struct bytes canary)
{
	AUTO(buffer_clear) struct buffer plaintext = {0};

	TRY(door_decrypt(door, canary, &plaintext));
	if (!bytes_equal(buffer_bytes(&plaintext), bytes_of(canary_text)))
		return refuse(ZONE_KMS_BAD_ANSWER, "%s does not decrypt what it encrypts",
			      door->key);
	return ZONE_OK;
}

static struct kms_door door_for(struct kms_clients *clients, const struct entry *root_key,
				const struct entry *project, const struct canary_context *context)
{
	return (struct kms_door){
		.clients = clients,
		.key = root_key->of_root_key.arn,
		.context = &context->context,
		.project = entry_label(project),
		.project_id = root_key->project,
	};
}

enum zone_status canary_make(struct kms_clients *clients, const struct entry *root_key,
			     const struct entry *project, struct buffer *ret_canary)
{
	AUTO(context_clear) struct canary_context context = {0};
	struct kms_door door = door_for(clients, root_key, project, &context);

	door.own_region = true;
	TRY(context_init(&context, root_key->project));
	TRY(door_encrypt(&door, bytes_of(canary_text), ret_canary));
	if (ret_canary->failed)
		return ZONE_KMS_BAD_ANSWER;
	return decrypt(&door, buffer_bytes(ret_canary));
}

enum zone_status canary_ask(struct kms_clients *clients, const struct entry *root_key,
			    const char *arn, const struct entry *project, bool own_region)
{
	AUTO(context_clear) struct canary_context context = {0};
	struct kms_door door = door_for(clients, root_key, project, &context);

	if (root_key->of_root_key.canary.len == 0)
		return ZONE_NOT_FOUND;
	door.key = arn;
	door.own_region = own_region;
	TRY(context_init(&context, root_key->project));
	return decrypt(&door, root_key->of_root_key.canary);
}
