/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* In which project something is: over projects of which each says what it has. */
#include "library/search.h"

#include "base/macros.h"
#include "tests/support/unit.h"

enum { PROJECTS = 4, ZONE = 77, EZK = 5, NO_SESSION = 9 };

/* --- Projects whose session is their number and 1 -------------------------------------------- */

static struct project {
	struct envelope_token by;
	bool has, imports;
	enum envelope_status answers; /* to a question */
	unsigned asked, lent;
} projects[PROJECTS];
static size_t at, without_session; /* PROJECTS: none is */
static CK_ATTRIBUTE_TYPE sought;

static CK_RV find_begin(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count)
{
	(void)session, (void)count;
	sought = template[1].type;
	return CKR_OK;
}

static CK_RV find_next(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *object, CK_ULONG room,
		       CK_ULONG *ret_count)
{
	const struct project *project = &projects[session - 1];

	(void)room;
	*object = EZK;
	*ret_count = sought == CKA_CMEK_IMPORTS ? project->imports : project->has;
	return CKR_OK;
}

static CK_RV find_end(CK_SESSION_HANDLE session)
{
	(void)session;
	return CKR_OK;
}

static CK_RV get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			   CK_ATTRIBUTE *template, CK_ULONG count)
{
	(void)session, (void)object, (void)template, (void)count;
	return CKR_OK;
}

static CK_FUNCTION_LIST functions = {.C_FindObjectsInit = find_begin,
				     .C_FindObjects = find_next,
				     .C_FindObjectsFinal = find_end,
				     .C_GetAttributeValue = get_attribute};

static int next(void *state, bool again, void **ret_session, struct envelope_token **ret_by)
{
	(void)state;
	at = again ? 0 : at + 1;
	*ret_session = NULL;
	if (at == without_session)
		return NO_SESSION;
	if (at == PROJECTS)
		return 0;
	projects[at].lent++;
	*ret_session = &projects[at];
	*ret_by = &projects[at].by;
	return 0;
}

static void give(void *state, void *session, enum envelope_status status,
		 const struct envelope_error *cause)
{
	(void)state, (void)cause;
	assert_int_not_equal(status, ENVELOPE_OK);
	((struct project *)session)->lent--;
}

static const struct library_searcher searcher = {next, give, NULL};

static enum envelope_status ask(void *session, struct envelope_token *by, void *state,
				struct envelope_error *cause)
{
	struct project *project = session;

	(void)state;
	assert_ptr_equal(by, &project->by);
	assert_int_equal(cause->text[0], 0);
	snprintf(cause->text, sizeof(cause->text), "%zu", at);
	project->asked++;
	return project->answers;
}

static int fresh(void **state)
{
	(void)state;
	for (size_t i = 0; i < PROJECTS; i++)
		projects[i] = (struct project){.by = {.functions = &functions, .session = i + 1},
					       .answers = ENVELOPE_ZONE_UNKNOWN};
	without_session = PROJECTS + 1;
	return 0;
}

/* The session that was found, and no other, is still lent. */
static void is_lent(const void *session)
{
	for (size_t i = 0; i < PROJECTS; i++)
		assert_int_equal(projects[i].lent, session == &projects[i]);
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void the_first_that_opens_it_does(void **state)
{
	struct library_search search;

	(void)state;
	projects[1].answers = ENVELOPE_ROOT_KEY_UNKNOWN;
	projects[2].answers = projects[3].answers = ENVELOPE_OK;
	assert_int_equal(library_search_by(&searcher, ask, NULL, &search), 0);
	assert_int_equal(search.status, ENVELOPE_OK);
	assert_ptr_equal(search.session, &projects[2]);
	assert_int_equal(projects[3].asked, 0);
	is_lent(&projects[2]);
}

/* As a key that is disabled, or data that are damaged. */
static void an_answer_that_is_final_ends_it(void **state)
{
	struct library_search search;

	(void)state;
	projects[1].answers = ENVELOPE_DAMAGED;
	projects[2].answers = ENVELOPE_OK;
	assert_int_equal(library_search_by(&searcher, ask, NULL, &search), 0);
	assert_int_equal(search.status, ENVELOPE_DAMAGED);
	assert_string_equal(search.cause.text, "1");
	assert_null(search.session);
	assert_int_equal(projects[2].asked, 0);
	is_lent(NULL);
}

static void where_none_has_it_the_last_has_the_word(void **state)
{
	struct library_search search;

	(void)state;
	projects[3].answers = ENVELOPE_ROOT_KEY_UNKNOWN;
	assert_int_equal(library_search_by(&searcher, ask, NULL, &search), 0);
	assert_int_equal(search.status, ENVELOPE_ROOT_KEY_UNKNOWN);
	assert_string_equal(search.cause.text, "3");
	is_lent(NULL);
	without_session = 2;
	assert_int_equal(library_search_by(&searcher, ask, NULL, &search), NO_SESSION);
	is_lent(NULL);
}

/* Whoever imports a zone reads with what it was given once; the zone itself may be rotated since.
 */
static void where_the_zone_lives_comes_before_who_has_imported_it(void **state)
{
	CK_OBJECT_HANDLE ezk = CK_INVALID_HANDLE;
	struct library_search search;

	(void)state;
	projects[0].imports = projects[3].has = true;
	assert_int_equal(library_search_opener(&searcher, ZONE, &search, &ezk), 0);
	assert_ptr_equal(search.session, &projects[3]);
	assert_int_equal(ezk, EZK);
	is_lent(&projects[3]);
	fresh(state);
	projects[1].imports = true;
	assert_int_equal(library_search_zone(&searcher, ZONE, &search, &ezk), 0);
	assert_int_equal(search.status, ENVELOPE_ZONE_UNKNOWN);
	assert_int_equal(ezk, CK_INVALID_HANDLE);
	assert_int_equal(library_search_opener(&searcher, ZONE, &search, &ezk), 0);
	assert_ptr_equal(search.session, &projects[1]);
	assert_int_equal(ezk, EZK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_first_that_opens_it_does, fresh),
		cmocka_unit_test_setup(an_answer_that_is_final_ends_it, fresh),
		cmocka_unit_test_setup(where_none_has_it_the_last_has_the_word, fresh),
		cmocka_unit_test_setup(where_the_zone_lives_comes_before_who_has_imported_it,
				       fresh),
	};

	return cmocka_run_group_tests_name("library/search", tests, NULL, NULL);
}
