/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The settings as one table, and the reading of one file. Where files are looked for is in
 * config_find.c. */
#include "pkcs11/config.h"

#include "base/encode.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/path.h"
#include "kms/kms.h"
#include "pkcs11/providers.h"
#include "zones/domain/key_place.h"
#include "zones/domain/zones.h"
#include "zones/model/names.h"

#include <assert.h>
#include <stdlib.h>

/* The forms of text come first. LOG_PLACE: also a path, unless log_is_file() says that it is no
 * file. */
enum form { TEXT, FILE_PATH, LOG_PLACE, REGIONS, ROOT_KEYS, DATABASE, PINS, FLAG, NUMBER, CHOICE };

struct setting {
	const char *section, *key;
	enum form form;
	size_t field;
	unsigned usual, max;
	const char *choices; /* separated by blanks; the index is the value */
	size_t line;	     /* where to note the line on which it was set; 0: nowhere */
	size_t provider;     /* NONE, or its place in the list: the field is one of its section */
	const char *beside_store; /* a file's name there, where it is not set; NULL: none */
};

enum { NONE = KMS_PROVIDERS_MAX };

#define AT(member) offsetof(struct config, member)

/* clang-format off */
static const struct setting settings[] = {
	/* section  key                       form       goes to                        default  at most */
	{ "store",  "backend",                TEXT,      AT(store_backend),             0, 0, NULL, AT(store_backend_line) },
	{ "store",  "path",                   FILE_PATH, AT(store_path),                0, 0, NULL },
	{ "store",  "endpoint",               TEXT,      AT(store_endpoint),         0, 0, NULL, AT(store_endpoint_line) },
	{ "store",  "prefix",                 TEXT,      AT(store_prefix),           0, 0, NULL, AT(store_prefix_line) },
	{ "store",  "ca_bundle",              FILE_PATH, AT(store_ca_bundle),        0, 0, NULL, AT(store_ca_bundle_line) },
	{ "store",  "client_certificate",     FILE_PATH, AT(store_client_certificate), 0, 0, NULL, AT(store_client_certificate_line) },
	{ "store",  "client_key",             FILE_PATH, AT(store_client_key),       0, 0, NULL, AT(store_client_key_line) },
	{ "store",  "user",                   TEXT,      AT(store_user),             0, 0, NULL, AT(store_user_line) },
	{ "store",  "table",                  TEXT,      AT(store_table),            0, 0, NULL, AT(store_table_line) },
	{ "store",  "region",                 TEXT,      AT(store_region),           0, 0, NULL, AT(store_region_line) },
	{ "store",  "password_file",          FILE_PATH, AT(store_password_file),    0, 0, NULL, AT(store_password_file_line) },
	{ "store",  "look_every",             TEXT,      AT(store_look_every),       0, 0, NULL, AT(store_look_every_line) },
	{ "store",  "index_max",              TEXT,      AT(store_index_max),        0, 0, NULL, AT(store_index_max_line) },
	{ "slots",  "free",                   FLAG,      AT(slots_free),                0, 0, NULL },
	{ "slots",  "login_required",         FLAG,      AT(slots_login_required),      0, 0, NULL },
	{ "kms",    "default_root_key",       TEXT,      AT(default_root_key),          0, 0, NULL },
	{ "kms",    "allowed_root_keys",      ROOT_KEYS, AT(allowed_root_keys),         0, 0, NULL, AT(allowed_root_keys_line) },
	{ "kms",    "ezk_source",             CHOICE,    AT(kms_ezk_source),            0, 0, "local kms" },
	{ "kms",    "lease_seconds",          NUMBER,    AT(lease_seconds),           300, 604800, NULL },
	{ "kms",    "renew",                  CHOICE,    AT(kms_renew),                 0, 0, "root-key zone" },
	{ "kms",    "zone_lease_seconds",     NUMBER,    AT(zone_lease_seconds),    86400, 31536000, NULL },
	{ "kms",    "max_stale_seconds",      NUMBER,    AT(max_stale_seconds),         0, 31536000, NULL },
	{ "kms",    "deny_seconds",           NUMBER,    AT(deny_seconds),              5, 3600, NULL },
	{ "kms",    "deletion_window_days",   NUMBER,    AT(deletion_window_days),     30, 3650, NULL },
	{ "zones",  "default",                DATABASE,  AT(zones_default),             0, 0, NULL },
	{ "zones",  "pin",                    PINS,      AT(zones_pin),                 0, 0, NULL, AT(zones_pin_line) },
	{ "zones",  "embed_ezk",              FLAG,      AT(zones_embed_ezk),           1, 0, NULL },
	{ "zones",  "max_lease_seconds",      NUMBER,    AT(zones_max_lease_seconds), 86400, LEASE_BOUND_MAX, NULL },
	{ "zones",  "max_stale_seconds",      NUMBER,    AT(zones_max_stale_seconds), 86400, LEASE_BOUND_MAX, NULL },
	{ "zones",  "rotate_days",            NUMBER,    AT(zones_rotate_days),         0, ROTATE_DAYS_MAX, NULL },
	{ "crypto", "fips",                   FLAG,      AT(crypto_fips),               0, 0, NULL, AT(crypto_fips_line) },
	{ "crypto", "keep_max_mib",           NUMBER,    AT(crypto_keep_max_mib),    1024, 1048576, NULL },
	{ "cli",    "project",                TEXT,      AT(cli_project),               0, 0, NULL },
	{ "cli",    "database",               TEXT,      AT(cli_database),              0, 0, NULL },
	{ "log",    "level",                  CHOICE,    AT(log_level),       LOG_WARNING, 0, "off error warning info debug" },
	{ "log",    "to",                     LOG_PLACE, AT(log_to),                    0, 0, NULL },
	{ "log",    "audit",                  FILE_PATH, AT(log_audit),                 0, 0, NULL },
	{ "log",    "audit_required",         FLAG,      AT(log_audit_required),        0, 0, NULL },
};
/* clang-format on */

static struct setting of_provider(size_t place, const struct kms_setting *row)
{
	static const enum form forms[] = {
		[KMS_SETTING_TEXT] = TEXT,	 [KMS_SETTING_FILE] = FILE_PATH,
		[KMS_SETTING_REGIONS] = REGIONS, [KMS_SETTING_FLAG] = FLAG,
		[KMS_SETTING_NUMBER] = NUMBER,
	};

	return (struct setting){
		.section = module_providers[place]->name,
		.key = row->key,
		.form = forms[row->form],
		.field = row->field,
		.usual = row->usual,
		.max = row->max,
		.provider = place,
		.beside_store = row->beside_store,
	};
}

/* Those above, then those of each provider in its own section. False: there are no more. */
static bool setting_at(size_t index, struct setting *ret_setting)
{
	size_t place = 0;

	if (index < COUNT_OF(settings)) {
		*ret_setting = settings[index];
		ret_setting->provider = NONE;
		return true;
	}
	index -= COUNT_OF(settings);
	while (module_providers[place] != NULL && index >= module_providers[place]->setting_count)
		index -= module_providers[place++]->setting_count;
	if (module_providers[place] == NULL)
		return false;
	*ret_setting = of_provider(place, &module_providers[place]->settings[index]);
	return true;
}

static void *field_of(struct config *config, const struct setting *setting)
{
	void *base = setting->provider == NONE ? config : config->kms.sections[setting->provider];

	return (uint8_t *)base + setting->field;
}

static bool is_text(const struct setting *setting)
{
	return setting->form <= PINS;
}

/* It is not where memory lacked for the section. */
static bool is_there(const struct config *config, const struct setting *setting)
{
	return setting->provider == NONE || config->kms.sections[setting->provider] != NULL;
}

void config_clear(struct config *config)
{
	struct setting setting;

	if (config == NULL)
		return;
	for (size_t i = 0; setting_at(i, &setting); i++)
		if (is_text(&setting) && is_there(config, &setting))
			free(*(char **)field_of(config, &setting));
	for (size_t i = 0; i < KMS_PROVIDERS_MAX; i++)
		free(config->kms.sections[i]);
	free(config->file);
	free(config->described);
	*config = (struct config){0};
}

static bool make_sections(struct config *config)
{
	for (size_t i = 0; module_providers[i] != NULL; i++) {
		assert(i < KMS_PROVIDERS_MAX);
		config->kms.sections[i] = calloc(1, module_providers[i]->section_size + 1);
		if (config->kms.sections[i] == NULL)
			return false;
	}
	return true;
}

bool config_default(struct config *config)
{
	struct setting setting;

	*config = (struct config){.kms.providers = module_providers};
	if (!make_sections(config))
		return false;
	for (size_t i = 0; setting_at(i, &setting); i++) {
		if (setting.form == NUMBER || setting.form == CHOICE)
			*(unsigned *)field_of(config, &setting) = setting.usual;
		if (setting.form == FLAG)
			*(bool *)field_of(config, &setting) = setting.usual != 0;
	}
	config->store_backend = strdup("sqlite");
	config->log_to = strdup("stderr");
	return config->store_backend != NULL && config->log_to != NULL;
}

/* The index of a word among words separated by blanks. */
static bool choose(const char *choices, const char *word, unsigned *ret_index)
{
	size_t len = strlen(word), at;

	for (unsigned index = 0; *choices != '\0'; index++) {
		at = strcspn(choices, " ");
		if (at == len && memcmp(choices, word, len) == 0) {
			*ret_index = index;
			return true;
		}
		choices += at + strspn(choices + at, " ");
	}
	return false;
}

static bool is_path(const struct setting *setting, const char *value)
{
	return setting->form == FILE_PATH || (setting->form == LOG_PLACE && log_is_file(value));
}

/* What a text should be, where its form makes it suspicious; NULL: nothing is wrong. No setting's
 * text has quotes or a comment in it, so whoever writes some means another value. */
static const char *text_fault(const struct setting *setting, const char *value)
{
	if (strchr(value, '\n') != NULL)
		return "one line of text";
	if (is_path(setting, value))
		return path_fault(value);
	if (*value == '"' || *value == '\'')
		return "the value alone, without quotes";
	return ini_has_comment(value) ? "the value alone: a comment has a line of its own" : NULL;
}

/* False: no memory. */
static bool take_text(const struct setting *setting, const char *value, char **field)
{
	char *taken = is_path(setting, value) ? path_expand(value) : strdup(value);

	if (taken == NULL)
		return false;
	free(*field);
	*field = taken;
	return true;
}

static bool take_flag(const char *value, bool *field)
{
	unsigned index;

	if (!choose("false true", value, &index))
		return false;
	*field = index == 1;
	return true;
}

static bool take_number(const struct setting *setting, const char *value, unsigned *field)
{
	uint64_t number;

	if (!decimal_decode(value, setting->max, &number))
		return false;
	*field = (unsigned)number;
	return true;
}

/* For lists: whether each member is valid; ret_bad: the first that is not, unless memory lacked. */
static bool list_valid(const struct setting *setting, const char *value, struct bytes *ret_bad,
		       bool *ret_no_memory)
{
	*ret_no_memory = false;
	if (setting->form == ROOT_KEYS)
		return kms_keys_valid(module_providers, value, ret_bad);
	return zones_pins_valid(value, ret_bad, ret_no_memory);
}

static void note_line(const struct setting *setting, struct config *config, unsigned line)
{
	if (setting->line != 0)
		*(unsigned *)(void *)((uint8_t *)config + setting->line) = line;
}

/* An empty text means that the setting is not made. */
static bool take(const struct setting *setting, const char *value, struct config *config)
{
	void *field = field_of(config, setting);
	struct bytes bad;

	switch (setting->form) {
	case TEXT:
	case FILE_PATH:
	case LOG_PLACE:
		if (*value != '\0' && text_fault(setting, value) != NULL)
			return false;
		break;
	case REGIONS:
		if (!kms_regions_valid(value))
			return false;
		break;
	case DATABASE:
		if (*value != '\0' && !zones_key_default_valid(value))
			return false;
		break;
	case ROOT_KEYS:
	case PINS:
		if (!list_valid(setting, value, &bad, &config->no_memory))
			return false;
		break;
	case FLAG:
		return take_flag(value, field);
	case NUMBER:
		return take_number(setting, value, field);
	case CHOICE:
		return choose(setting->choices, value, field);
	}
	config->no_memory = *value != '\0' && !take_text(setting, value, field);
	return !config->no_memory;
}

/* Reading a file. */

struct reading {
	struct config *config;
	const char *file;
	bool explained; /* the log already says what is wrong */
};

static void put_text_wanted(struct buffer *out, const struct setting *setting, const char *value)
{
	if (setting->form == LOG_PLACE)
		buffer_put_text(out, "stderr, syslog, or ");
	buffer_put_text(out, text_fault(setting, value));
}

static void put_wanted_list(const struct setting *setting, const char *value, struct buffer *wanted)
{
	struct bytes bad = bytes_of("");
	bool no_memory;

	list_valid(setting, value, &bad, &no_memory);
	if (setting->form == ROOT_KEYS) {
		kms_keys_wanted(module_providers, wanted);
		buffer_put_text(wanted, ", with commas between");
	} else {
		buffer_put_text(wanted, "[PROJECT:]CLUSTER/DATABASE = ZONE-ID, with commas "
					"between, each name once");
	}
	buffer_format(wanted, ", not '%.*s'", (int)bad.len, (const char *)bad.data);
}

static void explain_value(const struct reading *reading, const struct setting *setting,
			  const char *value, unsigned line)
{
	struct buffer wanted = {0};

	if (setting->form == FLAG)
		buffer_put_text(&wanted, "true or false");
	else if (setting->form == NUMBER)
		buffer_format(&wanted, "a number up to %u", setting->max);
	else if (setting->form == CHOICE)
		buffer_format(&wanted, "one of: %s", setting->choices);
	else if (setting->form == REGIONS)
		buffer_put_text(&wanted, "names of at most 31 regions with spaces between");
	else if (setting->form == DATABASE)
		buffer_put_text(&wanted, "CLUSTER/DATABASE");
	else if (setting->form == ROOT_KEYS || setting->form == PINS)
		put_wanted_list(setting, value, &wanted);
	else
		put_text_wanted(&wanted, setting, value);
	if (!is_text(setting) && ini_has_comment(value))
		buffer_put_text(&wanted, ", alone: a comment has a line of its own");
	log_error("%s line %u: [%s] %s = %s: should be %s", reading->file, line, setting->section,
		  setting->key, value, buffer_text(&wanted));
	buffer_clear(&wanted);
}

static bool section_known(const char *section)
{
	struct setting setting;

	for (size_t i = 0; setting_at(i, &setting); i++)
		if (strcmp(setting.section, section) == 0)
			return true;
	return false;
}

static bool setting_find(const char *section, const char *key, struct setting *ret_setting)
{
	for (size_t i = 0; setting_at(i, ret_setting); i++)
		if (strcmp(ret_setting->section, section) == 0 &&
		    strcmp(ret_setting->key, key) == 0)
			return true;
	return false;
}

static bool visit(void *state, const char *section, const char *key, const char *value,
		  unsigned line)
{
	struct reading *reading = state;
	struct setting setting;
	bool found = key != NULL && setting_find(section, key, &setting);

	if (key == NULL && section_known(section))
		return true;
	if (found && take(&setting, value, reading->config)) {
		note_line(&setting, reading->config, line);
		return true;
	}
	reading->explained = true;
	if (reading->config->no_memory)
		return false;
	if (key == NULL)
		log_error("%s line %u: there is no section [%s]; the example conf/cmek.conf has "
			  "them all",
			  reading->file, line, section);
	else if (!found)
		log_error("%s line %u: there is no setting '%s' in [%s]; the example "
			  "conf/cmek.conf has them all",
			  reading->file, line, key, section);
	else
		explain_value(reading, &setting, value, line);
	return false;
}

/* What one setting demands of another. */
static bool check_together(const struct config *config, const char *file)
{
	if (!config->log_audit_required || config->log_audit != NULL)
		return true;
	log_error(
		"%s: [log] audit_required = true, but there is no audit log; name its file: [log] "
		"audit",
		file);
	return false;
}

bool config_put_files(struct config *config, const char *folder)
{
	struct setting setting;

	for (size_t i = 0; setting_at(i, &setting); i++) {
		char **path = field_of(config, &setting);

		if (setting.beside_store == NULL || *path != NULL)
			continue;
		*path = path_join(folder, setting.beside_store);
		if (*path == NULL)
			return false;
	}
	return true;
}

bool config_parse(struct config *config, const char *file, struct bytes text)
{
	struct reading reading = {.config = config, .file = file};
	unsigned line = 0;

	if (ini_parse(text, visit, &reading, &line))
		return check_together(config, file);
	config->no_memory |= line == 0;
	if (!reading.explained && !config->no_memory)
		log_error("%s line %u: neither a section nor 'key = value'", file, line);
	return false;
}

/* Values of settings, for reports of those in effect. */

static void describe(const struct setting *setting, struct config *config, struct buffer *out)
{
	const void *field = field_of(config, setting);
	const char *choice = setting->choices;

	if (is_text(setting)) {
		buffer_put_text(out, *(char *const *)field == NULL ? "" : *(char *const *)field);
		return;
	}
	if (setting->form == FLAG)
		buffer_put_text(out, *(const bool *)field ? "true" : "false");
	else if (setting->form == NUMBER)
		buffer_format(out, "%u", *(const unsigned *)field);
	if (setting->form != CHOICE)
		return;
	for (unsigned i = 0; i < *(const unsigned *)field; i++)
		choice += strcspn(choice, " ") + 1;
	buffer_format(out, "%.*s", (int)strcspn(choice, " "), choice);
}

/* Only settings that differ from their default (or, for paths, have none), so that each line tells
 * something. */
void config_describe(const struct config *config, struct buffer *out)
{
	struct config usual, made = *config;
	struct setting setting;
	AUTO(buffer_clear) struct buffer was = {0};
	AUTO(buffer_clear) struct buffer is = {0};

	buffer_format(out, "configuration: %s\n", config->file == NULL ? "no file" : config->file);
	if (!config_default(&usual))
		return;
	for (size_t i = 0; setting_at(i, &setting); i++) {
		buffer_truncate(&was, 0);
		buffer_truncate(&is, 0);
		describe(&setting, &usual, &was);
		describe(&setting, &made, &is);
		if (!bytes_equal(buffer_bytes(&was), buffer_bytes(&is)))
			buffer_format(out, "  [%s] %s = %s\n", setting.section, setting.key,
				      buffer_text(&is));
	}
	config_clear(&usual);
}
