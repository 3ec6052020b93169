/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/sessions.h"

#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/envelopes.h"
#include "cli/pin.h"

#include <stdlib.h>

int slots_look(const CK_FUNCTION_LIST *functions, const char *project, const char *whose,
	       struct slots *ret_slots)
{
	struct slots slots = {.functions = functions, .project = project};
	struct library_slot slot;

	TRY(module_slots(functions, &slots.all, &slots.all_count));
	slots.ids = calloc(slots.all_count + 1, sizeof(*slots.ids));
	*ret_slots = slots;
	if (slots.ids == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	TRY(pin_choose_project(functions, slots.all, slots.all_count, whose));
	for (CK_ULONG i = 0; i < slots.all_count; i++)
		if (library_slot_read(functions, slots.all[i], &slot) &&
		    (project == NULL || strcmp(project, slot.project) == 0))
			slots.ids[slots.count++] = slots.all[i];
	*ret_slots = slots;
	return CMEK_EXIT_OK;
}

int slots_read(const CK_FUNCTION_LIST *functions, const char *project, const char *whose,
	       struct slots *ret_slots)
{
	TRY(slots_look(functions, project, whose, ret_slots));
	if (project != NULL && ret_slots->count == 0)
		return fail(CMEK_EXIT_NOT_FOUND, "no project %s; see cmek project list", project);
	return CMEK_EXIT_OK;
}

/* They would fail for every file: here they are tried once, and stay for all threads. */
int slots_login(struct slots *slots)
{
	slots->logins = calloc(slots->count + 1, sizeof(*slots->logins));
	if (slots->logins == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	for (CK_ULONG i = 0; i < slots->count; i++) {
		struct token *token = &slots->logins[i];
		struct library_slot slot;

		if (!library_slot_read(slots->functions, slots->ids[i], &slot) || !slot.wants_login)
			continue;
		TRY(token_open_slot(slots->functions, slots->ids[i], token));
		if (token->unseen)
			warn("project %s has a PIN, and its user is not logged in: its databases "
			     "and keys are not seen; give --pin-file FILE or CMEK_PIN",
			     token->project);
	}
	return CMEK_EXIT_OK;
}

void slots_clear(struct slots *slots)
{
	for (CK_ULONG i = 0; slots->logins != NULL && i < slots->count; i++)
		token_close(&slots->logins[i]);
	free(slots->logins);
	free(slots->ids);
	free(slots->all);
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

/* The same, one after the other. */
struct walk {
	struct sessions *sessions;
	size_t index;
};

static int next(void *state, bool again, void **ret_session, struct envelope_token **ret_by)
{
	struct walk *walk = state;
	struct project_session *session = NULL;

	walk->index = again ? 0 : walk->index + 1;
	if (walk->index < walk->sessions->slots->count)
		TRY(open_nth(walk->sessions, walk->index, &session));
	*ret_session = session;
	*ret_by = session == NULL ? NULL : &session->by;
	return CMEK_EXIT_OK;
}

/* They stay open. */
static void give(void *state, void *session, enum envelope_status status,
		 const struct envelope_error *cause)
{
	(void)state, (void)session, (void)status, (void)cause;
}

static struct library_searcher searcher_of(struct walk *walk)
{
	return (struct library_searcher){next, give, walk};
}

typedef int search_function(const struct library_searcher *searcher, uint64_t zone,
			    struct library_search *ret_search, CK_OBJECT_HANDLE *ret_ezk);

static int find_by(struct sessions *sessions, search_function *search_for, uint64_t zone,
		   const char *name, struct project_session **ret_session,
		   CK_OBJECT_HANDLE *ret_zone)
{
	struct walk walk = {sessions, 0};
	const struct library_searcher searcher = searcher_of(&walk);
	struct library_search search;

	TRY(search_for(&searcher, zone, &search, ret_zone));
	*ret_session = search.session;
	if (search.status == ENVELOPE_OK)
		remember(sessions, search.session);
	return search.status == ENVELOPE_OK || search.status == ENVELOPE_ZONE_UNKNOWN
		       ? CMEK_EXIT_OK
		       : envelope_report_file(name, search.status, &search.cause);
}

int sessions_find_zone(struct sessions *sessions, uint64_t zone, const char *name,
		       struct project_session **ret_session, CK_OBJECT_HANDLE *ret_zone)
{
	return find_by(sessions, library_search_zone, zone, name, ret_session, ret_zone);
}

int sessions_find_opener(struct sessions *sessions, uint64_t zone, const char *name,
			 struct project_session **ret_session, CK_OBJECT_HANDLE *ret_zone)
{
	return find_by(sessions, library_search_opener, zone, name, ret_session, ret_zone);
}

int sessions_check_seen(const struct sessions *sessions, const char *name)
{
	for (size_t i = 0; i < sessions->slots->count; i++)
		if (sessions->list[i].token.unseen)
			return fail(CMEK_EXIT_DENIED,
				    "%s: its key is not found; project %s has a PIN, and it may be "
				    "there: give --pin-file FILE or CMEK_PIN",
				    name, sessions->list[i].token.project);
	return CMEK_EXIT_OK;
}

struct missing sessions_missing(const struct sessions *sessions,
				const struct envelope_header *header, const char *name)
{
	static const struct token none = {0};
	const struct slots *slots = sessions->slots;
	struct missing missing = {
		.functions = slots->functions,
		.slots = slots->all,
		.slot_count = slots->all_count,
		.project = slots->project,
		.name = name,
		.header = header,
		.searched = &none,
	};

	for (size_t i = 0; i < slots->count; i++) {
		missing.unseen |= sessions->list[i].token.unseen;
		if (sessions->list[i].token.session != CK_INVALID_HANDLE)
			missing.searched = &sessions->list[i].token;
	}
	return missing;
}

/* The module asks the KMS once, however many threads come. */
int sessions_open_by(struct sessions *sessions, library_question *question, void *state,
		     struct library_search *ret_search)
{
	struct walk walk = {sessions, 0};
	const struct library_searcher searcher = searcher_of(&walk);

	TRY(library_search_by(&searcher, question, state, ret_search));
	if (ret_search->status == ENVELOPE_OK)
		remember(sessions, ret_search->session);
	return CMEK_EXIT_OK;
}

struct unlocking {
	const struct envelope_header *header;
	struct envelope_keys *keys;
};

static enum envelope_status unlock(void *session, struct envelope_token *by, void *state,
				   struct envelope_error *error)
{
	const struct unlocking *unlocking = state;

	(void)session;
	return envelope_unlock(by, unlocking->header, unlocking->keys, error);
}

static int unlock_by_record(struct sessions *sessions, const struct envelope_header *header,
			    const char *name, struct project_session **ret_session,
			    struct envelope_keys *ret_keys)
{
	struct unlocking unlocking = {header, ret_keys};
	struct library_search search;
	struct missing missing;

	TRY(sessions_open_by(sessions, unlock, &unlocking, &search));
	*ret_session = search.session;
	if (search.status == ENVELOPE_OK)
		return CMEK_EXIT_OK;
	missing = sessions_missing(sessions, header, name);
	return missing_report(&missing, search.status, &search.cause);
}

int sessions_unlock(struct sessions *sessions, const struct envelope_header *header,
		    const char *name, struct project_session **ret_session,
		    struct envelope_keys *ret_keys)
{
	struct envelope_error error = {0};
	enum envelope_status status;
	CK_OBJECT_HANDLE zone;

	TRY(sessions_find_opener(sessions, header->zone, name, ret_session, &zone));
	if (*ret_session == NULL)
		return unlock_by_record(sessions, header, name, ret_session, ret_keys);
	status = envelope_unlock(&(*ret_session)->by, header, ret_keys, &error);
	return status == ENVELOPE_OK ? CMEK_EXIT_OK : envelope_report_file(name, status, &error);
}
