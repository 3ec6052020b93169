/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Slots and tokens. */
#include "objects/token.h"

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/map.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "objects/token_private.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/root_key.h"
#include "zones/domain/zones.h"

#include <stdio.h>

CK_RV tokens_new(struct objects *objects, const struct token_settings *settings,
		 struct tokens **ret_tokens)
{
	struct tokens *tokens = calloc(1, sizeof(*tokens));

	if (tokens == NULL)
		return CKR_HOST_MEMORY;
	tokens->objects = objects;
	tokens->settings = *settings;
	pthread_mutex_init(&tokens->lock, NULL);
	if (settings->login_required)
		objects_force_private(objects);
	*ret_tokens = tokens;
	return CKR_OK;
}

static void token_free(struct token *token)
{
	pthread_mutex_destroy(&token->writing);
	free(token);
}

void tokens_free(struct tokens *tokens)
{
	struct map_entry *entry;
	size_t at = 0;

	if (tokens == NULL)
		return;
	while ((entry = map_next(&tokens->tokens, &at)) != NULL)
		token_free(entry->value);
	map_clear(&tokens->tokens);
	pthread_mutex_destroy(&tokens->lock);
	free(tokens);
}

static struct token *look_up(struct tokens *tokens, CK_SLOT_ID slot)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&tokens->lock);
	struct token *token = map_find(&tokens->tokens, bytes(&slot, sizeof(slot)));

	if (token != NULL)
		return token;
	token = calloc(1, sizeof(*token));
	if (token == NULL)
		return NULL;
	token->slot = slot;
	token->user = TOKEN_LOGGED_OUT;
	pthread_mutex_init(&token->writing, NULL);
	if (map_put(&tokens->tokens, bytes(&token->slot, sizeof(token->slot)), token))
		return token;
	token_free(token);
	return NULL;
}

struct token *token_of(struct tokens *tokens, CK_SLOT_ID slot)
{
	struct token *token = atomic_load_explicit(&tokens->last, memory_order_acquire);

	if (token != NULL && token->slot == slot)
		return token;
	token = look_up(tokens, slot);
	if (token != NULL)
		atomic_store_explicit(&tokens->last, token, memory_order_release);
	return token;
}

/* Slots. */

/* The slot in which C_InitToken makes a project, if one is shown. */
static bool is_free_slot(struct tokens *tokens, CK_SLOT_ID slot)
{
	uint32_t number;

	return tokens->settings.free_slot &&
	       zones_free_slot(tokens->objects->zones, &number) == ZONE_OK && number == slot;
}

static void note_shown(struct tokens *tokens, CK_SLOT_ID slot, const struct entry *project)
{
	struct token *token = token_of(tokens, slot);
	AUTO(unlockp) pthread_mutex_t *held = locked(&tokens->lock);

	if (token == NULL)
		return;
	token->shown = true;
	token->project = project->uid;
}

static void put_slots(struct tokens *tokens, struct entry **projects, size_t count,
		      struct buffer *out)
{
	CK_SLOT_ID slot;
	uint32_t number;

	for (size_t i = 0; i < count; i++) {
		slot = projects[i]->of_project.slot;
		buffer_append(out, bytes(&slot, sizeof(slot)));
		note_shown(tokens, slot, projects[i]);
		objects_note_project(tokens->objects, projects[i]);
		entry_release(projects[i]);
	}
	if (!tokens->settings.free_slot ||
	    zones_free_slot(tokens->objects->zones, &number) != ZONE_OK)
		return;
	slot = number;
	buffer_append(out, bytes(&slot, sizeof(slot)));
}

/* A list of tokens includes those that other processes have just made. While the store is out of
 * reach, or newer than this release, it has those that are known. */
static enum zone_status look(struct zones *zones)
{
	enum zone_status status = zones_refresh(zones, true);

	return zone_status_is_store_outage(status) || status == ZONE_STORE_NEWER
		       ? zones_refresh(zones, false)
		       : status;
}

CK_RV tokens_list(struct tokens *tokens, CK_SLOT_ID **ret_slots, size_t *ret_count)
{
	struct zones *zones = tokens->objects->zones;
	struct entry **projects = NULL;
	struct buffer slots = {0};
	size_t count = 0;

	TRY(error_of_zone(look(zones), ERROR_TOKEN));
	TRY(error_of_zone(zones_list_projects(zones, &projects, &count), ERROR_TOKEN));
	put_slots(tokens, projects, count, &slots);
	free(projects);
	if (slots.failed) {
		buffer_clear(&slots);
		return CKR_HOST_MEMORY;
	}
	*ret_count = slots.len / sizeof(CK_SLOT_ID);
	*ret_slots = (CK_SLOT_ID *)(void *)slots.data;
	return CKR_OK;
}

CK_RV tokens_project(struct tokens *tokens, CK_SLOT_ID slot, struct entry **ret_project)
{
	struct zones *zones = tokens->objects->zones;
	struct entry *project = NULL;
	bool unknown = zones_refresh(zones, false) == ZONE_NO_MEMORY || !zones_are_whole(zones);

	if (slot <= UINT32_MAX)
		project = zones_find_slot(zones, (uint32_t)slot);
	if (project == NULL && unknown)
		return CKR_HOST_MEMORY;
	if (project == NULL)
		return is_free_slot(tokens, slot) ? CKR_TOKEN_NOT_RECOGNIZED : CKR_SLOT_ID_INVALID;
	objects_note_project(tokens->objects, project);
	*ret_project = project;
	return CKR_OK;
}

/* What was seen holds for its generation. */
static bool was_seen(struct tokens *tokens, CK_SLOT_ID slot, uint64_t generation)
{
	struct token *token = atomic_load_explicit(&tokens->last, memory_order_acquire);

	return token != NULL && token->slot == slot && atomic_load(&token->seen) == generation + 1;
}

CK_RV tokens_have(struct tokens *tokens, CK_SLOT_ID slot)
{
	struct zones *zones = tokens->objects->zones;
	AUTO(entry_releasep) struct entry *project = NULL;
	struct token *token;
	uint64_t generation;

	zones_refresh(zones, false);
	generation = zones_generation(zones);
	if (zones_are_whole(zones) && was_seen(tokens, slot, generation))
		return CKR_OK;
	TRY(tokens_project(tokens, slot, &project));
	token = token_of(tokens, slot);
	if (token != NULL)
		atomic_store(&token->seen, generation + 1);
	return CKR_OK;
}

/* Text in an information structure: padded with blanks, cut between UTF-8 characters. */
static void put_padded(CK_UTF8CHAR *field, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len > size)
		for (len = size; len > 0 && (text[len] & 0xc0) == 0x80;)
			len--;
	memset(field, ' ', size);
	memcpy(field, text, len);
}

static const char manufacturer[] = "cmek-pkcs11";
static const CK_VERSION version = {CMEK_VERSION_MAJOR, CMEK_VERSION_MINOR};

CK_RV tokens_slot_info(struct tokens *tokens, CK_SLOT_ID slot, CK_SLOT_INFO *ret_info)
{
	CK_SLOT_INFO info = {
		.flags = CKF_TOKEN_PRESENT, .hardwareVersion = version, .firmwareVersion = version};
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(buffer_clear) struct buffer text = {0};
	CK_RV rv = tokens_project(tokens, slot, &project);

	if (rv != CKR_OK && rv != CKR_TOKEN_NOT_RECOGNIZED)
		return rv;
	if (project != NULL)
		buffer_format(&text, "CMEK project %s", project->label);
	else
		buffer_put_text(&text, "free: C_InitToken makes a project");
	if (buffer_text(&text) == NULL)
		return CKR_HOST_MEMORY;
	put_padded(info.slotDescription, sizeof(info.slotDescription), buffer_text(&text));
	put_padded(info.manufacturerID, sizeof(info.manufacturerID), manufacturer);
	*ret_info = info;
	return CKR_OK;
}

/* Whether keys of the embedded KMS protect the project's contents. */
static bool has_local_keys(struct zones *zones, const struct entry *project)
{
	struct entry_filter filter = {.project = project->uid, .kinds = {[ENTRY_ROOT_KEY] = true}};
	struct entry **entries = NULL;
	bool local = false;
	size_t count = 0;

	if (zones_list(zones, &filter, &entries, &count) != ZONE_OK)
		return false;
	for (size_t i = 0; i < count; i++) {
		local |= zones_root_key_is_embedded(zones, entries[i]);
		entry_release(entries[i]);
	}
	free(entries);
	return local;
}

/* Without a PIN any will do, so that one is set. */
static CK_FLAGS token_flags(const struct tokens *tokens, const struct entry *project)
{
	CK_FLAGS flags = CKF_RNG | CKF_TOKEN_INITIALIZED;

	if (project_has_pin(project))
		return flags | CKF_LOGIN_REQUIRED | token_pin_flags(tokens, project);
	if (tokens->settings.login_required)
		flags |= CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED;
	return flags;
}

static void put_project(struct tokens *tokens, const struct entry *project, CK_TOKEN_INFO *info)
{
	char serial[2 * 8 + 1];

	for (size_t i = 0; i < 8; i++)
		snprintf(serial + 2 * i, 3, "%02x", project->uid.bytes[i]);
	put_padded(info->label, sizeof(info->label), project->label);
	put_padded(info->model, sizeof(info->model),
		   has_local_keys(tokens->objects->zones, project) ? "cmek local KMS" : "cmek");
	put_padded(info->serialNumber, sizeof(info->serialNumber), serial);
	info->flags = token_flags(tokens, project);
	info->ulMinPinLen = project_has_pin(project) ? PIN_MIN : 0;
}

CK_RV tokens_info(struct tokens *tokens, CK_SLOT_ID slot, CK_TOKEN_INFO *ret_info)
{
	AUTO(entry_releasep) struct entry *project = NULL;
	CK_RV rv = tokens_project(tokens, slot, &project);
	CK_TOKEN_INFO info = {
		.ulMaxSessionCount = CK_EFFECTIVELY_INFINITE,
		.ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE,
		.ulMaxPinLen = PIN_MAX,
		.ulMinPinLen = 0,
		.ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION,
		.ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION,
		.ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION,
		.ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION,
		.hardwareVersion = version,
		.firmwareVersion = version,
	};

	if (rv != CKR_OK && rv != CKR_TOKEN_NOT_RECOGNIZED)
		return rv;
	put_padded(info.label, sizeof(info.label), "");
	put_padded(info.manufacturerID, sizeof(info.manufacturerID), manufacturer);
	put_padded(info.model, sizeof(info.model), "cmek");
	put_padded(info.serialNumber, sizeof(info.serialNumber), "");
	put_padded(info.utcTime, sizeof(info.utcTime), "");
	if (project != NULL) {
		put_project(tokens, project, &info);
		note_shown(tokens, slot, project);
	}
	*ret_info = info;
	return CKR_OK;
}

/* C_InitToken. */

static struct bytes unpadded(const CK_UTF8CHAR label[static 32])
{
	size_t len = 32;

	while (len > 0 && label[len - 1] == ' ')
		len--;
	return bytes(label, len);
}

/* Only the project that this process has been shown in the slot is archived for a new one. */
static bool was_shown(struct tokens *tokens, CK_SLOT_ID slot, const struct entry *project)
{
	struct token *token = token_of(tokens, slot);
	AUTO(unlockp) pthread_mutex_t *held = locked(&tokens->lock);

	return token != NULL && token->shown && uid_equal(token->project, project->uid);
}

static CK_RV replace_project(struct tokens *tokens, CK_SLOT_ID slot, struct entry *project,
			     struct bytes pin, struct bytes label)
{
	struct token *token = token_of(tokens, slot);
	AUTO(entry_releasep) struct entry *now = NULL;
	AUTO(entry_releasep) struct entry *made = NULL;
	AUTO(buffer_clear) struct buffer pins = {0};

	if (token == NULL)
		return CKR_HOST_MEMORY;
	if (!was_shown(tokens, slot, project)) {
		log_warning("C_InitToken: the project in slot %lu is not the one that this process "
			    "has been shown there: ask C_GetSlotList or C_GetTokenInfo first",
			    slot);
		return CKR_FUNCTION_FAILED;
	}
	TRY(token_new_pins(tokens, token, project, pin, &pins));
	/* The login may have been counted in its row. */
	TRY(tokens_project(tokens, slot, &now));
	if (!uid_equal(now->uid, project->uid))
		return CKR_FUNCTION_FAILED;
	return error_of_zone(zones_project_replace_with(tokens->objects->zones, now, label,
							buffer_bytes(&pins), &made),
			     ERROR_TOKEN);
}

CK_RV tokens_init(struct tokens *tokens, CK_SLOT_ID slot, struct bytes pin,
		  const CK_UTF8CHAR label[static 32])
{
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *made = NULL;
	AUTO(buffer_clear) struct buffer pins = {0};
	CK_RV rv;

	TRY(error_of_zone(zones_refresh(tokens->objects->zones, true), ERROR_TOKEN));
	rv = tokens_project(tokens, slot, &project);
	if (rv == CKR_OK)
		return replace_project(tokens, slot, project, pin, unpadded(label));
	if (rv != CKR_TOKEN_NOT_RECOGNIZED)
		return rv;
	TRY(token_new_pins(tokens, NULL, NULL, pin, &pins));
	return error_of_zone(zones_project_create_with(tokens->objects->zones, (uint32_t)slot,
						       unpadded(label), buffer_bytes(&pins), &made),
			     ERROR_TOKEN);
}
