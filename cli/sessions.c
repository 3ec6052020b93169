/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/sessions.h"

#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/envelopes.h"

#include <stdlib.h>

int slots_read(const CK_FUNCTION_LIST *functions, const char *project, struct slots *ret_slots)
{
	struct slots slots = {.functions = functions};
	char label[TOKEN_LABEL_SIZE];
	CK_ULONG count;

	TRY(module_slots(functions, &slots.ids, &count));
	for (CK_ULONG i = 0; i < count; i++)
		if (slot_label(functions, slots.ids[i], label, NULL) &&
		    (project == NULL || strcmp(project, label) == 0))
			slots.ids[slots.count++] = slots.ids[i];
	*ret_slots = slots;
	if (project != NULL && slots.count == 0)
		return fail(CMEK_EXIT_NOT_FOUND, "no project %s; see cmek project list", project);
	return CMEK_EXIT_OK;
}

void slots_clear(struct slots *slots)
{
	free(slots->ids);
	*slots = (struct slots){0};
}

int sessions_init(struct sessions *sessions, const struct slots *slots)
{
	*sessions = (struct sessions){.slots = slots};
	sessions->list = calloc(slots->count + 1, sizeof(*sessions->list));
	return sessions->list == NULL ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
}

void sessions_clear(struct sessions *sessions)
{
	for (size_t i = 0; sessions->list != NULL && i < sessions->slots->count; i++) {
		if (sessions->list[i].token.session != CK_INVALID_HANDLE)
			envelope_token_clear(&sessions->list[i].by);
		token_close(&sessions->list[i].token);
	}
	free(sessions->list);
	sessions->list = NULL;
}

/* The index-th to be searched: the last find comes first. */
static int open_nth(struct sessions *sessions, size_t index, struct project_session **ret_session)
{
	size_t place = (sessions->last + index) % sessions->slots->count;
	struct project_session *session = &sessions->list[place];
	const CK_FUNCTION_LIST *functions = sessions->slots->functions;

	if (session->token.session == CK_INVALID_HANDLE) {
		TRY(token_open_slot(functions, sessions->slots->ids[place], &session->token));
		session->by = (struct envelope_token){.functions = functions,
						      .session = session->token.session};
	}
	*ret_session = session;
	return CMEK_EXIT_OK;
}

static void remember(struct sessions *sessions, const struct project_session *session)
{
	sessions->last = (size_t)(session - sessions->list);
}

int sessions_find_zone(struct sessions *sessions, uint64_t zone, const char *name,
		       struct project_session **ret_session, CK_OBJECT_HANDLE *ret_zone)
{
	struct envelope_error error = {0};
	enum envelope_status status;
	struct project_session *session;

	*ret_session = NULL;
	*ret_zone = CK_INVALID_HANDLE;
	for (size_t i = 0; i < sessions->slots->count; i++) {
		TRY(open_nth(sessions, i, &session));
		status = envelope_zone_find(&session->by, zone, ret_zone, &error);
		if (status != ENVELOPE_OK)
			return envelope_report_file(name, status, &error);
		if (*ret_zone == CK_INVALID_HANDLE)
			continue;
		*ret_session = session;
		remember(sessions, session);
		return CMEK_EXIT_OK;
	}
	return CMEK_EXIT_OK;
}

/* By the first project whose root keys open the embedded record. */
static int unlock_by_record(struct sessions *sessions, const struct envelope_header *header,
			    const char *name, struct project_session **ret_session,
			    struct envelope_keys *ret_keys)
{
	enum envelope_status status = ENVELOPE_ZONE_UNKNOWN;
	struct envelope_error error = {0};

	for (size_t i = 0; i < sessions->slots->count; i++) {
		TRY(open_nth(sessions, i, ret_session));
		error = (struct envelope_error){0};
		status = envelope_unlock(&(*ret_session)->by, header, ret_keys, &error);
		if (status != ENVELOPE_ROOT_KEY_UNKNOWN && status != ENVELOPE_ZONE_UNKNOWN)
			break;
	}
	if (status != ENVELOPE_OK)
		return envelope_report_file(name, status, &error);
	remember(sessions, *ret_session);
	return CMEK_EXIT_OK;
}

int sessions_unlock(struct sessions *sessions, const struct envelope_header *header,
		    const char *name, struct project_session **ret_session,
		    struct envelope_keys *ret_keys)
{
	struct envelope_error error = {0};
	enum envelope_status status;
	CK_OBJECT_HANDLE zone;

	TRY(sessions_find_zone(sessions, header->zone, name, ret_session, &zone));
	if (*ret_session == NULL)
		return unlock_by_record(sessions, header, name, ret_session, ret_keys);
	status = envelope_unlock(&(*ret_session)->by, header, ret_keys, &error);
	return status == ENVELOPE_OK ? CMEK_EXIT_OK : envelope_report_file(name, status, &error);
}
