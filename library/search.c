/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/search.h"

#include "base/macros.h"

bool library_is_elsewhere(enum envelope_status status)
{
	return status == ENVELOPE_ZONE_UNKNOWN || status == ENVELOPE_ROOT_KEY_UNKNOWN;
}

int library_search_by(const struct library_searcher *searcher, library_question *question,
		      void *state, struct library_search *ret_search)
{
	struct library_search search = {.status = ENVELOPE_ZONE_UNKNOWN};
	struct envelope_token *by;
	void *session;

	for (bool again = true; library_is_elsewhere(search.status); again = false) {
		TRY(searcher->next(searcher->state, again, &session, &by));
		if (session == NULL)
			break;
		search.cause = (struct envelope_error){0};
		search.status = question(session, by, state, &search.cause);
		if (search.status == ENVELOPE_OK)
			search.session = session;
		else
			searcher->give(searcher->state, session, search.status, &search.cause);
	}
	*ret_search = search;
	return 0;
}

/* --- Zones ----------------------------------------------------------------------------------- */

typedef enum envelope_status find_in(struct envelope_token *by, uint64_t zone,
				     CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *cause);

struct finding {
	find_in *find;
	uint64_t zone;
	CK_OBJECT_HANDLE ezk;
};

static enum envelope_status find_zone(void *session, struct envelope_token *by, void *state,
				      struct envelope_error *cause)
{
	struct finding *finding = state;

	(void)session;
	TRY(finding->find(by, finding->zone, &finding->ezk, cause));
	return finding->ezk == CK_INVALID_HANDLE ? ENVELOPE_ZONE_UNKNOWN : ENVELOPE_OK;
}

static int search_with(const struct library_searcher *searcher, find_in *find, uint64_t zone,
		       struct library_search *ret_search, CK_OBJECT_HANDLE *ret_ezk)
{
	struct finding finding = {find, zone, CK_INVALID_HANDLE};

	TRY(library_search_by(searcher, find_zone, &finding, ret_search));
	*ret_ezk = finding.ezk;
	return 0;
}

int library_search_zone(const struct library_searcher *searcher, uint64_t zone,
			struct library_search *ret_search, CK_OBJECT_HANDLE *ret_ezk)
{
	return search_with(searcher, envelope_zone_find, zone, ret_search, ret_ezk);
}

int library_search_opener(const struct library_searcher *searcher, uint64_t zone,
			  struct library_search *ret_search, CK_OBJECT_HANDLE *ret_ezk)
{
	TRY(library_search_zone(searcher, zone, ret_search, ret_ezk));
	return ret_search->status != ENVELOPE_ZONE_UNKNOWN
		       ? 0
		       : search_with(searcher, envelope_import_find, zone, ret_search, ret_ezk);
}
