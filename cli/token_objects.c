/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of a project, as the commands find and read them. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/defaults.h"
#include "cli/token.h"
#include "library/diagnostic.h"

#include <stdlib.h>

const struct object_kind_row kind_key = {"root key", "key add KEY", CKO_SECRET_KEY,
					 CKA_CMEK_KMS_KEY};
const struct object_kind_row kind_cluster = {"cluster", "cluster create NAME --key L --region R",
					     CKO_CMEK_CLUSTER, CKA_CMEK_REGION};
const struct object_kind_row kind_database = {"database", "database create CLUSTER/DB",
					      CKO_SECRET_KEY, CKA_CMEK_VERSION};

/* --- Finding */

static bool has_attribute(const struct token *token, CK_OBJECT_HANDLE object,
			  CK_ATTRIBUTE_TYPE type)
{
	CK_ATTRIBUTE attribute = {type, NULL, 0};

	return token->functions->C_GetAttributeValue(token->session, object, &attribute, 1) ==
	       CKR_OK;
}

static CK_RV visit_all(const struct token *token, CK_ATTRIBUTE_TYPE proof, token_visit *visit,
		       void *state)
{
	CK_OBJECT_HANDLE found[64];
	CK_ULONG count;
	CK_RV rv;

	do {
		rv = token->functions->C_FindObjects(token->session, found, COUNT_OF(found),
						     &count);
		for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++)
			if (has_attribute(token, found[i], proof))
				visit(state, token, found[i]);
	} while (rv == CKR_OK && count > 0);
	return rv;
}

json_t *token_store_facts(const struct token *token)
{
	AUTO(freep) char *text = library_store_facts(token->functions, token->session);

	return text == NULL ? NULL : json_loads(text, 0, NULL);
}

bool token_is_partial(const struct token *token)
{
	return library_store_is_partial(token->functions, token->session);
}

/* An empty list is no answer where the module reads only a part of the store: then it fails. */
static int check_read(const struct token *token)
{
	if (!token_is_partial(token))
		return CMEK_EXIT_OK;
	module_failed(CKR_DEVICE_ERROR, "listing what project %s holds", token->project);
	return exit_code_for(CKR_DEVICE_ERROR, CMEK_ERROR_STORE_NEWER);
}

int token_check_seen(const struct token *token, const struct object_kind_row *kind)
{
	if (!token->unseen || kind != &kind_database)
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_DENIED,
		    "project %s has a PIN: its databases and keys are seen by its user alone; give "
		    "--pin-file FILE or CMEK_PIN",
		    token->project);
}

static int search(const struct token *token, CK_ATTRIBUTE *template, CK_ULONG template_count,
		  const struct object_kind_row *kind, token_visit *visit, void *state)
{
	CK_RV rv;

	TRY(token_check_seen(token, kind));
	rv = token->functions->C_FindObjectsInit(token->session, template, template_count);
	if (rv == CKR_OK)
		rv = visit_all(token, kind->proof, visit, state);
	if (rv == CKR_OK)
		rv = token->functions->C_FindObjectsFinal(token->session);
	return rv == CKR_OK ? CMEK_EXIT_OK
			    : module_failed(rv, "listing what project %s holds", token->project);
}

static void keep_handle(void *state, const struct token *token, CK_OBJECT_HANDLE object)
{
	struct buffer *found = state;

	(void)token;
	buffer_append(found, bytes(&object, sizeof(object)));
}

static int take_handles(const struct buffer *found, CK_OBJECT_HANDLE **ret_handles,
			size_t *ret_count)
{
	*ret_count = found->len / sizeof(CK_OBJECT_HANDLE);
	*ret_handles = malloc(found->len + 1);
	if (found->failed || *ret_handles == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	if (found->len > 0)
		memcpy(*ret_handles, found->data, found->len);
	return CMEK_EXIT_OK;
}

int token_search(const struct token *token, CK_ATTRIBUTE *template, CK_ULONG template_count,
		 const struct object_kind_row *kind, CK_OBJECT_HANDLE **ret_handles,
		 size_t *ret_count)
{
	AUTO(buffer_clear) struct buffer found = {0};

	TRY(search(token, template, template_count, kind, keep_handle, &found));
	return take_handles(&found, ret_handles, ret_count);
}

/* What is asked of those that are found. */
struct wish {
	token_visit *visit;
	void *state;
	size_t count;
};

static void count_and_visit(void *state, const struct token *token, CK_OBJECT_HANDLE object)
{
	struct wish *wish = state;

	wish->count++;
	wish->visit(wish->state, token, object);
}

static int each(const struct token *token, const struct object_kind_row *kind, const char *label,
		bool pending, token_visit *visit, void *visit_state)
{
	struct wish wish = {.visit = visit, .state = visit_state};
	CK_OBJECT_CLASS class = kind->class;
	CK_ULONG state = CMEK_STATE_PENDING_DELETION, count = 2;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE template[4] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_TOKEN, &yes, sizeof(yes)},
	};

	if (label != NULL)
		template[count++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)label, strlen(label)};
	if (pending)
		template[count++] = (CK_ATTRIBUTE){CKA_CMEK_STATE, &state, sizeof(state)};
	TRY(search(token, template, count, kind, count_and_visit, &wish));
	return wish.count == 0 ? check_read(token) : CMEK_EXIT_OK;
}

int token_each(const struct token *token, const struct object_kind_row *kind, bool pending,
	       token_visit *visit, void *state)
{
	return each(token, kind, NULL, pending, visit, state);
}

static int find(const struct token *token, const struct object_kind_row *kind, const char *label,
		bool pending, CK_OBJECT_HANDLE **ret_handles, size_t *ret_count)
{
	AUTO(buffer_clear) struct buffer found = {0};

	TRY(each(token, kind, label, pending, keep_handle, &found));
	return take_handles(&found, ret_handles, ret_count);
}

int token_find(const struct token *token, const struct object_kind_row *kind, const char *label,
	       CK_OBJECT_HANDLE **ret_handles, size_t *ret_count)
{
	return find(token, kind, label, false, ret_handles, ret_count);
}

int token_find_pending(const struct token *token, const struct object_kind_row *kind,
		       const char *label, CK_OBJECT_HANDLE **ret_handles, size_t *ret_count)
{
	return find(token, kind, label, true, ret_handles, ret_count);
}

int token_find_one(const struct token *token, const struct object_kind_row *kind, const char *label,
		   CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(freep) CK_OBJECT_HANDLE *handles = NULL;
	size_t count;

	TRY(token_find(token, kind, label, &handles, &count));
	if (count == 0)
		return fail(CMEK_EXIT_NOT_FOUND,
			    "project %s has no %s %s%s; see cmek tree --project %s", token->project,
			    kind->noun, label, defaults_origin(kind->noun, label), token->project);
	if (count > 1)
		return fail(CMEK_EXIT_FAILED, "project %s has %zu of %s %s", token->project, count,
			    kind->noun, label);
	*ret_handle = handles[0];
	return CMEK_EXIT_OK;
}

/* --- The diagnostic object */

CK_OBJECT_HANDLE token_diagnostic(const struct token *token)
{
	return library_diagnostic(token->functions, token->session);
}

/* --- Reading */

char *object_text(const struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
	CK_ATTRIBUTE attribute = {type, NULL, 0};
	char *text;

	if (token->functions->C_GetAttributeValue(token->session, object, &attribute, 1) != CKR_OK)
		return calloc(1, 1);
	text = calloc(1, attribute.ulValueLen + 1);
	attribute.pValue = text;
	if (text != NULL &&
	    token->functions->C_GetAttributeValue(token->session, object, &attribute, 1) != CKR_OK)
		*text = '\0';
	return text;
}

CK_ULONG object_number(const struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
	CK_ULONG number = 0;
	CK_ATTRIBUTE attribute = {type, &number, sizeof(number)};

	if (token->functions->C_GetAttributeValue(token->session, object, &attribute, 1) != CKR_OK)
		return 0;
	return number;
}

bool object_flag(const struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
	CK_BBOOL flag = CK_FALSE;
	CK_ATTRIBUTE attribute = {type, &flag, sizeof(flag)};

	return token->functions->C_GetAttributeValue(token->session, object, &attribute, 1) ==
		       CKR_OK &&
	       flag == CK_TRUE;
}

bool object_is_imported(const struct token *token, CK_OBJECT_HANDLE zone)
{
	return object_flag(token, zone, CKA_CMEK_IMPORTED);
}

bool object_embeds(const struct token *token, CK_OBJECT_HANDLE zone)
{
	return object_flag(token, zone, CKA_CMEK_EMBED_EZK);
}

uint64_t object_zone_id(const struct token *token, CK_OBJECT_HANDLE object)
{
	uint8_t id[8] = {0};
	CK_ATTRIBUTE attribute = {CKA_CMEK_ZONE, id, sizeof(id)};
	uint64_t zone = 0;

	if (token->functions->C_GetAttributeValue(token->session, object, &attribute, 1) !=
		    CKR_OK ||
	    attribute.ulValueLen != 8)
		return 0;
	for (size_t i = 0; i < sizeof(id); i++)
		zone = zone << 8 | id[i];
	return zone;
}
