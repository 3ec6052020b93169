/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/module.h"

#include "base/cancel.h"
#include "base/fork.h"
#include "base/free.h"
#include "base/macros.h"
#include "base/path.h"
#include "base/short_lock.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODULE_NAME "cmek-pkcs11.so"

/* --- Locks ----------------------------------------------------------------------------------- */

/* `starting` is held while the module starts, `logins` while a project is logged in to, which may
 * take long: a fork does not wait for them, and its child begins with new ones. `quick` guards
 * lists, which must be whole in the child. */
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER, logins = PTHREAD_MUTEX_INITIALIZER,
		       quick = SHORT_LOCK_INITIALIZER;
static pthread_once_t forks_watched = PTHREAD_ONCE_INIT;

void library_lock(void)
{
	pthread_mutex_lock(&quick);
}

void library_unlock(void)
{
	pthread_mutex_unlock(&quick);
}

void library_lock_logins(void)
{
	pthread_mutex_lock(&logins);
}

void library_unlock_logins(void)
{
	pthread_mutex_unlock(&logins);
}

static void begin_in_child(void)
{
	library_unlock();
	pthread_mutex_init(&starting, NULL);
	pthread_mutex_init(&logins, NULL);
}

static void watch_forks(void)
{
	pthread_atfork(library_lock, library_unlock, begin_in_child);
}

/* --- Finding --------------------------------------------------------------------------------- */

static enum cmek_status load(const char *path, void **ret_library, struct cmek_error *error)
{
	*ret_library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	return *ret_library != NULL
		       ? CMEK_OK
		       : library_fail(error, access(path, F_OK) == 0 ? CMEK_FAILED : CMEK_NOT_FOUND,
				      "the module does not load: %s; set CMEK_PKCS11_MODULE to its "
				      "path",
				      dlerror());
}

static enum cmek_status load_named(const char *by, const char *named, void **ret_library,
				   struct cmek_error *error)
{
	const char *fault = path_fault(named);
	AUTO(freep) char *path = NULL;

	if (fault != NULL)
		return library_fail(error, CMEK_REFUSED, "%s=%s: should be %s", by, named, fault);
	path = path_expand(named);
	return path == NULL ? library_no_memory(error) : load(path, ret_library, error);
}

static bool is_in(const char *folder, const char *below, char ret_path[static PATH_MAX])
{
	int len = snprintf(ret_path, PATH_MAX, "%s/%s" MODULE_NAME, folder, below);

	return len > 0 && len < PATH_MAX && access(ret_path, F_OK) == 0;
}

static enum cmek_status load_any(const char *path, const char *beside, void **ret_library,
				 struct cmek_error *error)
{
	const char *named = secure_getenv("CMEK_PKCS11_MODULE");
	char found[PATH_MAX];

	if (path != NULL)
		return load_named("module", path, ret_library, error);
	if (named != NULL && *named != '\0')
		return load_named("CMEK_PKCS11_MODULE", named, ret_library, error);
	if (beside != NULL && *beside == '/' &&
	    (is_in(beside, "", found) || is_in(beside, "pkcs11/", found)))
		return load(found, ret_library, error);
	return load(CMEK_MODULE_PATH, ret_library, error);
}

static const struct CMEK_FUNCTIONS *ours_in(void *library)
{
	CK_UTF8CHAR name[] = CMEK_INTERFACE;
	void *symbol = dlsym(library, "C_GetInterface");
	CK_C_GetInterface get_interface;
	CK_INTERFACE *interface;

	memcpy(&get_interface, &symbol, sizeof(get_interface));
	if (symbol == NULL || get_interface(name, NULL, &interface, 0) != CKR_OK)
		return NULL;
	return interface->pFunctionList;
}

enum cmek_status library_module_find(const char *path, const char *beside,
				     struct library_found *ret_found, struct cmek_error *error)
{
	CK_C_GetFunctionList get_list;
	CK_FUNCTION_LIST *list;
	void *library, *symbol;

	TRY(load_any(path, beside, &library, error));
	symbol = dlsym(library, "C_GetFunctionList");
	memcpy(&get_list, &symbol, sizeof(get_list));
	if (symbol == NULL || get_list(&list) != CKR_OK)
		return library_fail(error, CMEK_FAILED,
				    "the module has no C_GetFunctionList; is "
				    "CMEK_PKCS11_MODULE the right file?");
	*ret_found = (struct library_found){list, ours_in(library)};
	return CMEK_OK;
}

bool library_has_minor(const struct CMEK_FUNCTIONS *ours, CK_BYTE minor)
{
	return ours != NULL && (ours->version.major > 1 || ours->version.minor >= minor);
}

/* --- In use ---------------------------------------------------------------------------------- */

static struct {
	struct library_found found;
	char *path, *configuration; /* as the first user gave them; NULL: not given */
	unsigned users;
	atomic_bool is_ours; /* we initialized it, and know of nobody else who uses it */
	atomic_uint generation;
	atomic_uint lost; /* the generation that began when somebody else finalized it */
} module;

const CK_FUNCTION_LIST *library_module_functions(void)
{
	return module.found.functions;
}

const char *library_module_last_error(CK_ULONG *ret_reason)
{
	return module.found.ours == NULL ? "" : module.found.ours->CMEK_LastError(ret_reason);
}

const char *library_module_last_request(void)
{
	const struct CMEK_FUNCTIONS *ours = module.found.ours;

	return library_has_minor(ours, 3) ? ours->CMEK_LastRequest() : "";
}

unsigned library_module_generation(void)
{
	return atomic_load_explicit(&module.generation, memory_order_acquire);
}

bool library_module_owns(unsigned generation)
{
	return !fork_is_child() && generation == library_module_generation();
}

static bool is_finalized(void)
{
	return atomic_load(&module.lost) == library_module_generation();
}

static void next_generation(void)
{
	if (atomic_fetch_add(&module.generation, 1) + 1 == 0)
		atomic_fetch_add(&module.generation, 1);
}

static enum cmek_status does_not_start(CK_RV rv, struct cmek_error *error)
{
	CK_ULONG reason = CMEK_ERROR_NONE;
	const char *said = library_module_last_error(&reason);

	if (*said == '\0')
		return library_fail_call(error, rv, reason, "the module does not start");
	library_fail(error, library_kind_of_call(rv, reason), "the module does not start: %s",
		     said);
	error->may_pass = library_call_may_pass(rv, reason);
	return error->status;
}

static enum cmek_status initialize(struct cmek_error *error)
{
	char reserved[PATH_MAX + 64];
	CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK, .pReserved = reserved};
	CK_RV rv;

	snprintf(reserved, sizeof(reserved), "quiet=true%s%s",
		 module.configuration == NULL ? "" : " config=",
		 module.configuration == NULL ? "" : module.configuration);
	rv = module.found.functions->C_Initialize(&arguments);
	if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
		return does_not_start(rv, error);
	module.is_ours = rv == CKR_OK;
	/* In a child what is of the parent's generation is not to look like its own. */
	next_generation();
	fork_mark();
	return CMEK_OK;
}

static const char *beside_library(char folder[static PATH_MAX])
{
	Dl_info info;
	char *slash;

	if (dladdr((const void *)&module, &info) == 0 || info.dli_fname == NULL ||
	    strlen(info.dli_fname) >= PATH_MAX)
		return NULL;
	strcpy(folder, info.dli_fname);
	slash = strrchr(folder, '/');
	if (slash == NULL)
		return NULL;
	*slash = '\0';
	return folder;
}

/* The module reads its settings as words between spaces. */
static enum cmek_status check_configuration(const char *configuration, struct cmek_error *error)
{
	const char *fault = configuration == NULL ? NULL : path_fault(configuration);

	if (fault != NULL)
		return library_fail(error, CMEK_REFUSED, "configuration=%s: should be %s",
				    configuration, fault);
	if (configuration == NULL ||
	    (strchr(configuration, ' ') == NULL && strlen(configuration) < PATH_MAX))
		return CMEK_OK;
	return library_fail(error, CMEK_REFUSED,
			    "configuration=%s: can't have a space or be so long; set "
			    "CMEK_PKCS11_CONF to it instead",
			    configuration);
}

static void forget(void)
{
	free(TAKE(module.path));
	free(TAKE(module.configuration));
}

static enum cmek_status begin(const char *path, const char *configuration, struct cmek_error *error)
{
	char folder[PATH_MAX];

	forget();
	module.path = path == NULL ? NULL : strdup(path);
	module.configuration = configuration == NULL ? NULL : strdup(configuration);
	if ((path != NULL && module.path == NULL) ||
	    (configuration != NULL && module.configuration == NULL))
		return library_no_memory(error);
	TRY(library_module_find(path, beside_library(folder), &module.found, error));
	return initialize(error);
}

/* Another thread may have come first. Who has finalized it once uses it too, so it stays as it is
 * when we are gone. */
static enum cmek_status begin_again(struct cmek_error *error)
{
	bool by_others = !fork_is_child() && is_finalized();

	if (!fork_is_child() && !by_others)
		return CMEK_OK;
	TRY(initialize(error));
	if (by_others)
		module.is_ours = false;
	return CMEK_OK;
}

static bool is_other(const char *wanted, const char *used)
{
	return wanted != NULL && (used == NULL || strcmp(wanted, used) != 0);
}

static enum cmek_status use(const char *path, const char *configuration, struct cmek_error *error)
{
	if (module.users == 0)
		return begin(path, configuration, error);
	if (is_other(path, module.path) || is_other(configuration, module.configuration))
		return library_fail(error, CMEK_REFUSED,
				    "a process has one module with one configuration, and another "
				    "client of it has %s with %s; give the same, or close that one",
				    module.path == NULL ? "the default module" : module.path,
				    module.configuration == NULL ? "the default configuration"
								 : module.configuration);
	return begin_again(error);
}

enum cmek_status library_module_use(const char *path, const char *configuration,
				    struct cmek_error *error)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(unlockp) pthread_mutex_t *lock = NULL;

	TRY(check_configuration(configuration, error));
	pthread_once(&forks_watched, watch_forks);
	lock = locked(&starting);
	TRY(use(path, configuration, error));
	module.users++;
	return CMEK_OK;
}

void library_module_drop(void)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(unlockp) pthread_mutex_t *lock = locked(&starting);

	if (--module.users > 0)
		return;
	if (module.is_ours && !is_finalized() && !fork_is_child())
		module.found.functions->C_Finalize(NULL);
	module.is_ours = false;
	next_generation();
	forget();
}

void library_module_used_by_others(unsigned generation)
{
	if (library_module_owns(generation))
		module.is_ours = false;
}

static enum cmek_status begin_anew(struct cmek_error *error)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(unlockp) pthread_mutex_t *lock = locked(&starting);

	return begin_again(error);
}

enum cmek_status library_module_ready(unsigned *ret_generation, struct cmek_error *error)
{
	if (fork_is_child() || is_finalized())
		TRY(begin_anew(error));
	*ret_generation = library_module_generation();
	return CMEK_OK;
}

void library_module_lost(unsigned generation)
{
	unsigned now = generation, next = generation + 1 == 0 ? 1 : generation + 1;

	if (!fork_is_child() && atomic_compare_exchange_strong(&module.generation, &now, next))
		atomic_store(&module.lost, next);
}
