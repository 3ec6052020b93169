/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The PKCS #11 module as the commands use it: loaded once, sessions on projects, objects and their
 * attributes, and errors in words for people. */
#pragma once

#include "base/buffer.h"
#include "base/key_state.h"
#include "include/cmek.h"
#include "include/pkcs11.h"
#include "library/exported.h"
#include "library/slots.h"

#include <jansson.h>

struct token {
	const CK_FUNCTION_LIST *functions;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session;
	char project[LIBRARY_LABEL_SIZE];
	bool unseen; /* its user is not logged in: no databases and keys are seen */
};

/* Loads and initializes the module: $CMEK_PKCS11_MODULE, then beside this program, then where it
 * was installed. Reports; an exit code, CMEK_EXIT_OK = loaded. */
int module_load(const CK_FUNCTION_LIST **ret_functions);
/* The module's words for the last error ("": none), and its CMEK_ERROR_ number. */
const char *module_last_error(CK_ULONG *ret_reason);
/* A setting of [cli] in the configuration ("": not set). */
const char *module_setting(const char *key);
/* CMEK_DoctorAtOnce; a module that has only CMEK_Doctor asks without `run`.
 * CKR_FUNCTION_NOT_SUPPORTED: the module is an older one. */
CK_RV module_doctor(const struct CMEK_DOCTOR *request, CMEK_DOCTOR_RUN run);
/* CMEK_StoreCreate or CMEK_StoreCheck (include/cmek.h). CKR_FUNCTION_NOT_SUPPORTED: the module is
 * of an older release. */
CK_RV module_store(bool create, char *text, CK_ULONG room);
/* Warns of what the module reports as lost beside the calls, each kind once. */
void module_show_losses(void);
/* library_slots() (free() them). Reports; an exit code. */
int module_slots(const CK_FUNCTION_LIST *functions, CK_SLOT_ID **ret_slots, CK_ULONG *ret_count);

/* Opens a session on a project, logged in as cli/pin.h says; reports. If it fails, nothing is open.
 */
int token_open(const char *project, struct token *ret_token);
int token_open_slot(const CK_FUNCTION_LIST *functions, CK_SLOT_ID id, struct token *ret_token);
/* For what is about the store: on the first project that there is, or on this one. */
int token_open_any(const char *project, struct token *ret_token);
void token_close(struct token *token); /* for AUTO; accepts a zero token */

/* Reports a failed PKCS #11 call in one line: what was being done, and why it failed in the
 * module's words or, failing those, what the return value means; the exit code for it. */
int module_failed(CK_RV rv, const char *format, ...) __attribute__((format(printf, 2, 3)));
int exit_code_for(CK_RV rv, CK_ULONG reason);
/* The exit code for a kind of failure. */
int exit_code_of(enum cmek_status kind);
const char *rv_text(CK_RV rv);

/* What `cmek key list` and the like list: objects of a class that have the proof attribute. */
struct object_kind_row {
	const char *noun;
	const char *make; /* the command that makes one */
	CK_OBJECT_CLASS class;
	CK_ATTRIBUTE_TYPE proof;
};
extern const struct object_kind_row kind_key, kind_cluster, kind_database;

/* Asked for each object of a kind, while a search is under way: it may read it, and begins no other
 * search. */
typedef void token_visit(void *state, const struct token *token, CK_OBJECT_HANDLE object);
/* All of a kind; or those that await deletion. Of a large store they come page by page, so none
 * need be kept. */
int token_each(const struct token *token, const struct object_kind_row *kind, bool pending,
	       token_visit *visit, void *state);
/* All objects of a kind, or those with that label (free() them). */
int token_find(const struct token *token, const struct object_kind_row *kind, const char *label,
	       CK_OBJECT_HANDLE **ret_handles, size_t *ret_count);
/* Denied where the kind is not seen without a login and there is none. Reports; an exit code. */
int token_check_seen(const struct token *token, const struct object_kind_row *kind);
/* What a search finds that is of the kind (free() it). */
int token_search(const struct token *token, CK_ATTRIBUTE *template, CK_ULONG template_count,
		 const struct object_kind_row *kind, CK_OBJECT_HANDLE **ret_handles,
		 size_t *ret_count);
/* The same of those that await deletion. */
int token_find_pending(const struct token *token, const struct object_kind_row *kind,
		       const char *label, CK_OBJECT_HANDLE **ret_handles, size_t *ret_count);
/* The only object with that label; reports when there is none. */
int token_find_one(const struct token *token, const struct object_kind_row *kind, const char *label,
		   CK_OBJECT_HANDLE *ret_handle);
/* The project's CKO_CMEK_DIAGNOSTIC; CK_INVALID_HANDLE: not available. */
CK_OBJECT_HANDLE token_diagnostic(const struct token *token);

/* What the module reports about its store (docs/store.md); NULL: nothing. json_decref() it. */
json_t *token_store_facts(const struct token *token);
/* Whether this release is too old to read the whole store, so that an object that is not found may
 * still be there. */
bool token_is_partial(const struct token *token);

/* Attributes; an absent one is empty or 0. The caller free()s text, which is NULL only when memory
 * lacks. */
char *object_text(const struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
CK_ULONG object_number(const struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
bool object_flag(const struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
uint64_t object_zone_id(const struct token *token, CK_OBJECT_HANDLE object);
/* The ARNs of a zone's root keys, with ", " between, and BOTH_OF before those of two owners, which
 * it needs together (free() it); NULL: no memory. */
#define BOTH_OF "both of "
char *object_root_keys(const struct token *token, CK_OBJECT_HANDLE zone);
/* The same where two are needed; else the first alone. */
char *object_owners(const struct token *token, CK_OBJECT_HANDLE zone);
/* The value of CKA_CMEK_ROOT_KEYS (free() it) for root keys by their labels, "L1,L2": any of them,
 * or both, which must be two. Answers an exit code. */
int root_keys_named(const struct token *token, const char *labels, bool both, char **ret_text);
/* Whether envelopes may carry a zone's record. */
bool object_embeds(const struct token *token, CK_OBJECT_HANDLE zone);
/* Whether it was imported to be read only. */
bool object_is_imported(const struct token *token, CK_OBJECT_HANDLE zone);
static inline const char *state_text(CK_ULONG state)
{
	return key_state_word(state);
}
