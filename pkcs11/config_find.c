/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where the configuration is looked for, pReserved, and where the store lies by default. */
#include "base/file.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/path.h"
#include "base/system_error.h"
#include "pkcs11/config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, WORD_MAX = 4096 };

/* A variable that is set to nothing is not set. */
static const char *environment(const char *name)
{
	const char *value = secure_getenv(name);

	return value == NULL || *value == '\0' ? NULL : value;
}

/* A folder that a variable names; NULL: none. The XDG base directory specification has relative
 * paths ignored, and one in HOME would depend on the process's current folder. */
static const char *folder_of(const char *name)
{
	const char *folder = environment(name);

	return folder != NULL && *folder == '/' ? folder : NULL;
}

/* The settings in pReserved; they override the file. */
struct reserved {
	char *config;
	bool free_slot;
	bool quiet;
	bool has_level;
	enum log_level level;
};

static bool take_flag(const char *value, bool *ret_flag)
{
	bool is_true = strcmp(value, "true") == 0;

	if (!is_true && strcmp(value, "false") != 0)
		return false;
	*ret_flag = is_true;
	return true;
}

static CK_RV take_word(char *word, struct reserved *reserved)
{
	char *value = strchr(word, '=');

	if (value != NULL)
		*value++ = '\0';
	if (value != NULL && strcmp(word, "config") == 0 && reserved->config == NULL) {
		reserved->config = strdup(value);
		return reserved->config == NULL ? CKR_HOST_MEMORY : CKR_OK;
	}
	if (value != NULL && strcmp(word, "free-slot") == 0 &&
	    take_flag(value, &reserved->free_slot))
		return CKR_OK;
	if (value != NULL && strcmp(word, "quiet") == 0 && take_flag(value, &reserved->quiet))
		return CKR_OK;
	if (value != NULL && strcmp(word, "log") == 0 && log_level_parse(value, &reserved->level)) {
		reserved->has_level = true;
		return CKR_OK;
	}
	log_error("C_Initialize: pReserved: '%s' is not config=PATH, free-slot=true, quiet=true or "
		  "log=LEVEL",
		  word);
	return CKR_ARGUMENTS_BAD;
}

/* Callers who leave their arguments uninitialised point anywhere: better a refusal than a crash. */
static bool is_mapped(const char *text)
{
	const size_t page_len = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t at = (uintptr_t)text;
	unsigned char unused;

	for (size_t read = 0; read < WORD_MAX;) {
		size_t left = page_len - at % page_len;

		if (mincore((void *)(at - at % page_len), page_len, &unused) != 0 &&
		    errno == ENOMEM)
			return false;
		if (memchr((const void *)at, '\0', left) != NULL)
			return true;
		at += left;
		read += left;
	}
	return true;
}

static CK_RV take_words(const char *text, struct reserved *reserved)
{
	AUTO(freep) char *copy = NULL;
	char *rest;

	if (text == NULL)
		return CKR_OK;
	if (!is_mapped(text)) {
		log_error("C_Initialize: pReserved points nowhere; it is NULL or a text");
		return CKR_ARGUMENTS_BAD;
	}
	copy = strndup(text, WORD_MAX);
	if (copy == NULL)
		return CKR_HOST_MEMORY;
	for (char *word = strtok_r(copy, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		TRY(take_word(word, reserved));
	return CKR_OK;
}

/* One file. */

static CK_RV read_file(struct config *config, const char *path)
{
	AUTO(buffer_clear) struct buffer text = {0};

	if (!file_read(path, FILE_MAX, &text)) {
		if (errno == ENOMEM)
			return CKR_HOST_MEMORY;
		log_error("configuration %s can't be read: %s; %s, or name another "
			  "(CMEK_PKCS11_CONF)",
			  path, system_error_text(errno), system_error_remedy(errno));
		return CKR_FUNCTION_FAILED;
	}
	if (!config_parse(config, path, buffer_bytes(&text)))
		return config->no_memory ? CKR_HOST_MEMORY : CKR_FUNCTION_FAILED;
	config->file = strdup(path);
	return config->file == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

/* A file that nobody named need not exist; the first that exists counts. */
static bool is_there(const char *path)
{
	struct stat status;

	return path != NULL && stat(path, &status) == 0;
}

static CK_RV read_usual(struct config *config)
{
	const char *home = folder_of("HOME"), *system = "/etc/cmek-pkcs11/cmek.conf";
	AUTO(freep) char *own = NULL;

	if (home != NULL) {
		own = path_join(home, ".config/cmek-pkcs11/cmek.conf");
		if (own == NULL) /* else the system's file would count instead */
			return CKR_HOST_MEMORY;
	}
	if (is_there(own))
		return read_file(config, own);
	return is_there(system) ? read_file(config, system) : CKR_OK;
}

static CK_RV read_named(struct config *config, const char *who, const char *written, CK_RV fault_rv)
{
	const char *fault = path_fault(written);
	AUTO(freep) char *path = NULL;

	if (fault != NULL) {
		log_error("%s%s: should be %s", who, written, fault);
		return fault_rv;
	}
	path = path_expand(written);
	return path == NULL ? CKR_HOST_MEMORY : read_file(config, path);
}

static CK_RV read_first(struct config *config, const char *named)
{
	const char *path = environment("CMEK_PKCS11_CONF");

	if (named != NULL)
		return read_named(config, "C_Initialize: pReserved: config=", named,
				  CKR_ARGUMENTS_BAD);
	if (path != NULL)
		return read_named(config, "CMEK_PKCS11_CONF=", path, CKR_FUNCTION_FAILED);
	return read_usual(config);
}

/* The store. */

static CK_RV given_or_no_memory(char *folder, char **ret_folder)
{
	*ret_folder = folder;
	return folder == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

static CK_RV usual_folder(char **ret_folder)
{
	const char *data = folder_of("XDG_DATA_HOME"), *home = folder_of("HOME");

	if (geteuid() == 0)
		return given_or_no_memory(strdup("/var/lib/cmek-pkcs11"), ret_folder);
	if (data != NULL)
		return given_or_no_memory(path_join(data, "cmek-pkcs11"), ret_folder);
	if (home != NULL)
		return given_or_no_memory(path_join(home, ".local/share/cmek-pkcs11"), ret_folder);
	log_error("there is no place for the store: neither HOME nor XDG_DATA_HOME is the path of "
		  "a folder; set one of them, or path in [store] of the configuration");
	return CKR_FUNCTION_FAILED;
}

static CK_RV complete_paths(struct config *config)
{
	AUTO(freep) char *folder = NULL;

	if (config->store_path == NULL)
		TRY(usual_folder(&folder));
	else
		TRY(given_or_no_memory(path_folder(config->store_path), &folder));
	if (config->store_path == NULL)
		config->store_path = path_join(folder, "store.db");
	return config->store_path != NULL && config_put_files(config, folder) ? CKR_OK
									      : CKR_HOST_MEMORY;
}

/* Before anything is added that is not in the file. */
static CK_RV describe(struct config *config)
{
	AUTO(buffer_clear) struct buffer text = {0};

	config_describe(config, &text);
	if (buffer_text(&text) == NULL)
		return CKR_HOST_MEMORY;
	config->described = strdup(buffer_text(&text));
	return config->described == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

static CK_RV read_all(const char *text, struct config *config, struct reserved *reserved)
{
	TRY(take_words(text, reserved));
	/* Before the file is read, since a caller who asks for it wants the file's errors as well.
	 */
	log_quiet(reserved->quiet);
	if (!config_default(config))
		return CKR_HOST_MEMORY;
	TRY(read_first(config, reserved->config));
	TRY(describe(config));
	config->slots_free |= reserved->free_slot;
	if (reserved->has_level)
		config->log_level = reserved->level;
	return complete_paths(config);
}

CK_RV config_read(const char *text, struct config *ret_config)
{
	struct reserved reserved = {0};
	struct config config = {0};
	CK_RV rv = read_all(text, &config, &reserved);

	free(reserved.config);
	if (rv == CKR_OK)
		*ret_config = config;
	else
		config_clear(&config);
	return rv;
}

/* --- Another store */

static CK_RV take_path(const char *written, struct config *config)
{
	const char *fault = path_fault(written);

	if (fault != NULL) {
		log_error("a store at %s: should be %s", written, fault);
		return CKR_ARGUMENTS_BAD;
	}
	config->store_path = path_expand(written);
	return config->store_path == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

static CK_RV read_place(const char *place, struct config *config)
{
	static const char in_a_file[] = "sqlite:";
	const char *path = place + sizeof(in_a_file) - 1;

	if (!config_default(config))
		return CKR_HOST_MEMORY;
	if (strncmp(place, in_a_file, sizeof(in_a_file) - 1) == 0)
		TRY(take_path(path, config));
	else
		TRY(read_named(config, "the configuration of the other store: ", place,
			       CKR_ARGUMENTS_BAD));
	return complete_paths(config);
}

CK_RV config_read_place(const char *place, struct config *ret_config)
{
	struct config config = {0};
	CK_RV rv = read_place(place, &config);

	if (rv == CKR_OK)
		*ret_config = config;
	else
		config_clear(&config);
	return rv;
}
