/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek.conf and pReserved: what is read, what is refused, where files are looked for. */
#include "base/file.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "kms/aws/provider.h"
#include "kms/local/provider.h"
#include "pkcs11/config.h"
#include "pkcs11/providers.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/cmek-config.XXXXXX";

static const struct aws_settings *aws_of(const struct config *config)
{
	return &((const struct kms_aws_settings *)config->kms.sections[PROVIDER_AWS])->aws;
}

static const struct kms_local_settings *local_of(const struct config *config)
{
	return config->kms.sections[PROVIDER_LOCAL];
}

static bool parse(struct config *config, const char *text)
{
	assert_true(config_default(config));
	return config_parse(config, "test.conf", bytes_of(text));
}

static void refuses(const char *text, const char *why)
{
	struct config config;

	assert_false(parse(&config, text));
	assert_non_null(strstr(log_last(), why));
	config_clear(&config);
}

static void accepts(const char *text)
{
	struct config config;

	assert_true(parse(&config, text));
	config_clear(&config);
}

static void put_file(const char *name, const char *text)
{
	char *path = path_join(folder, name), *parent = path_folder(path);

	assert_true(file_make_folders(parent));
	assert_true(file_replace(path, bytes_of(text), 0600));
	free(parent);
	free(path);
}

static void every_setting_has_a_default(void **state)
{
	struct config config;

	(void)state;
	assert_true(parse(&config, ""));
	assert_int_equal(config.lease_seconds, 300);
	assert_int_equal(config.zone_lease_seconds, 86400);
	assert_int_equal(config.deny_seconds, 5);
	assert_int_equal(config.max_stale_seconds, 0);
	assert_int_equal(config.zones_max_lease_seconds, 86400);
	assert_int_equal(config.zones_max_stale_seconds, 86400);
	assert_true(config.zones_embed_ezk);
	assert_int_equal(config.zones_rotate_days, 0);
	assert_int_equal(config.deletion_window_days, 30);
	assert_int_equal(config.kms_renew, CONFIG_RENEW_ROOT_KEY);
	assert_int_equal(config.kms_ezk_source, CONFIG_EZK_SOURCE_LOCAL);
	assert_int_equal(aws_of(&config)->call_timeout_ms, 15000);
	assert_int_equal(config.log_level, LOG_WARNING);
	assert_string_equal(config.log_to, "stderr");
	assert_string_equal(config.store_backend, "sqlite");
	assert_null(config.default_root_key);
	assert_false(config.slots_free);
	config_clear(&config);
}

static void settings_of_a_store_elsewhere_come_with_their_lines(void **state)
{
	struct config config;

	(void)state;
	assert_true(parse(&config, "[store]\nbackend = etcd\nendpoint = https://e:2379\n"
				   "prefix = /p\nca_bundle = /ca\nclient_certificate = /c\n"
				   "client_key = /k\nuser = u\npassword_file = /pw\n"));
	assert_string_equal(config.store_endpoint, "https://e:2379");
	assert_string_equal(config.store_prefix, "/p");
	assert_string_equal(config.store_ca_bundle, "/ca");
	assert_string_equal(config.store_client_certificate, "/c");
	assert_string_equal(config.store_client_key, "/k");
	assert_string_equal(config.store_user, "u");
	assert_string_equal(config.store_password_file, "/pw");
	assert_int_equal(config.store_endpoint_line, 3);
	assert_int_equal(config.store_prefix_line, 4);
	assert_int_equal(config.store_ca_bundle_line, 5);
	assert_int_equal(config.store_client_certificate_line, 6);
	assert_int_equal(config.store_client_key_line, 7);
	assert_int_equal(config.store_user_line, 8);
	assert_int_equal(config.store_password_file_line, 9);
	config_clear(&config);
}

static void settings_reach_their_fields(void **state)
{
	struct config config;

	(void)state;
	assert_true(parse(
		&config,
		"[store]\npath = /srv/store.db\nbackend = sqlite\n"
		"[kms]\ndefault_root_key = local:main\nlease_seconds = 0\n"
		"renew = zone\nezk_source = kms\n"
		"[aws]\nregion = eu-west-1\nmax_attempts = 7\n"
		"use_fips_endpoint = true\n"
		"[zones]\nembed_ezk = false\nrotate_days = 90\n"
		"[slots]\nfree = true\nlogin_required = true\n"
		"[crypto]\nfips = true\nkeep_max_mib = 7\n[log]\nlevel = debug\nto = syslog\n"));
	assert_string_equal(config.store_path, "/srv/store.db");
	assert_string_equal(config.store_backend, "sqlite");
	assert_int_equal(config.store_backend_line, 3);
	assert_string_equal(config.default_root_key, "local:main");
	assert_int_equal(config.lease_seconds, 0);
	assert_int_equal(config.kms_renew, CONFIG_RENEW_ZONE);
	assert_int_equal(config.kms_ezk_source, CONFIG_EZK_SOURCE_KMS);
	assert_string_equal(aws_of(&config)->region, "eu-west-1");
	assert_int_equal(aws_of(&config)->max_attempts, 7);
	assert_true(aws_of(&config)->use_fips_endpoint);
	assert_false(aws_of(&config)->use_dualstack_endpoint);
	assert_false(config.zones_embed_ezk);
	assert_int_equal(config.zones_rotate_days, 90);
	assert_true(config.slots_free);
	assert_true(config.slots_login_required);
	assert_true(config.crypto_fips);
	assert_true(config.crypto_fips_line > 0);
	assert_int_equal(config.crypto_keep_max_mib, 7);
	assert_int_equal(config.log_level, LOG_DEBUG);
	assert_string_equal(config.log_to, "syslog");
	config_clear(&config);
}

static void an_unknown_setting_is_an_error_with_file_and_line(void **state)
{
	(void)state;
	refuses("[kms]\nlease_seconds = 1\nlease_second = 2\n",
		"test.conf line 3: there is no setting 'lease_second' in [kms]");
	refuses("\n[ksm]\n", "test.conf line 2: there is no section [ksm]");
	refuses("lease_seconds = 1\n", "test.conf line 1: there is no setting 'lease_seconds'");
	refuses("[kms]\nlease_seconds\n", "test.conf line 2: neither a section nor");
}

static void a_value_of_the_wrong_form_is_an_error_that_says_the_right_one(void **state)
{
	(void)state;
	refuses("[kms]\nlease_seconds = five\n", "should be a number up to 604800");
	refuses("[kms]\nlease_seconds = -1\n", "line 2");
	refuses("[kms]\nlease_seconds = 604801\n", "line 2");
	refuses("[kms]\nrenew = always\n", "should be one of: root-key zone");
	refuses("[kms]\nrenew = root\n", "line 2");
	refuses("[slots]\nfree = yes\n", "should be true or false");
	refuses("[log]\nlevel = loud\n", "should be one of: off error warning info debug");
	refuses("[store]\npath = /a\n  /b\n", "should be one line of text");
	refuses("[store]\nbackend = 'sqlite'\n", "should be the value alone, without quotes");
	refuses("[aws]\nmulti_region_order = us-west-2, eu-west-1\n",
		"should be names of at most 31 regions with spaces between");
	refuses("[aws]\nmulti_region_order = us-west-2 eu_west_1\n", "line 2");
	refuses("[aws]\nmulti_region_order = us-west-2\n  eu-west-1\n", "line 2");
	accepts("[aws]\nmulti_region_order = us-west-2  eu-west-1\n");
	accepts("[aws]\nmulti_region_order =\n");
}

static void an_empty_text_is_a_setting_that_is_not_made(void **state)
{
	struct config config;

	(void)state;
	assert_true(parse(&config, "[kms]\ndefault_root_key =\n[log]\nto =\n"));
	assert_null(config.default_root_key);
	assert_string_equal(config.log_to, "stderr");
	config_clear(&config);
}

static void a_path_from_the_home_folder_is_found_there(void **state)
{
	struct config config;

	(void)state;
	setenv("HOME", "/home/someone", 1);
	assert_true(parse(&config, "[store]\npath = ~/keys/store.db\n[aws]\nprofile = ~/x\n"));
	assert_string_equal(config.store_path, "/home/someone/keys/store.db");
	assert_string_equal(aws_of(&config)->profile, "~/x");
	config_clear(&config);
}

static void a_path_that_would_be_another_place_is_an_error_with_file_and_line(void **state)
{
	static const char *const settings[] = {"[store]\npath", "[local]\npath", "[aws]\nca_bundle",
					       "[log]\nto", "[log]\naudit"};
	static const char *const written[][2] = {
		{"\"/srv/x\"", "the path alone, without quotes"},
		{"$HOME/x", "without '$'"},
		{"%h/x", "without '%'"},
		{"/srv/x ; here", "a comment has a line of its own"},
		{"/srv/x # here", "a comment has a line of its own"},
		{"x", "an absolute path, or one that begins with ~/"},
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(settings); i++)
		for (size_t k = 0; k < COUNT_OF(written); k++) {
			snprintf(text, sizeof(text), "%s = %s\n", settings[i], written[k][0]);
			refuses(text, "test.conf line 2: [");
			refuses(text, written[k][1]);
		}
	refuses("[log]\nto = stdout\n", "should be stderr, syslog, or an absolute path");
	refuses("[log]\naudit = syslog\n", "should be an absolute path");
	accepts("[log]\nto = stderr\n");
	accepts("[log]\nto = ~/log\naudit = ~/audit log.jsonl\n");
	unsetenv("HOME");
	refuses("[store]\npath = ~/store.db\n", "HOME");
}

static void quotes_and_comments_are_no_part_of_any_value(void **state)
{
	(void)state;
	refuses("[kms]\ndefault_root_key = \"local:main\"\n", "the value alone, without quotes");
	refuses("[aws]\nprofile = 'production'\n", "the value alone, without quotes");
	refuses("[aws]\nregion = us-west-2 # ours\n", "a comment has a line of its own");
	refuses("[kms]\nlease_seconds = 300 # five minutes\n",
		"a number up to 604800, alone: a comment has a line of its own");
	accepts("[aws]\nprofile = team#1 of;two\n");
}

static void lines_that_are_required_need_a_file(void **state)
{
	struct config config;

	(void)state;
	refuses("[log]\naudit_required = true\n",
		"test.conf: [log] audit_required = true, but there is no audit log");
	assert_true(parse(&config, "[log]\naudit_required = true\naudit = /srv/audit\n"));
	assert_true(config.log_audit_required);
	config_clear(&config);
	assert_true(parse(&config, "[log]\naudit = /srv/audit\n"));
	assert_false(config.log_audit_required);
	config_clear(&config);
}

/* Nobody may ever write into it. */
static void a_configuration_that_is_a_pipe_is_refused_at_once(void **state)
{
	AUTO(freep) char *path = path_join(folder, "pipe.conf");
	struct config config;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	setenv("CMEK_PKCS11_CONF", path, 1);
	assert_int_equal(config_read(NULL, &config), CKR_FUNCTION_FAILED);
	assert_non_null(strstr(log_last(), "pipe.conf can't be read: It is a pipe"));
	unsetenv("CMEK_PKCS11_CONF");
}

static void the_file_that_is_named_is_named_by_a_path_like_any_other(void **state)
{
	static const char *const written[] = {"cmek.conf", "'/dev/null'", "$HOME/cmek.conf"};
	struct config config;
	char reserved[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(written); i++) {
		snprintf(reserved, sizeof(reserved), "config=%s", written[i]);
		setenv("CMEK_PKCS11_CONF", written[i], 1);
		assert_int_equal(config_read(NULL, &config), CKR_FUNCTION_FAILED);
		assert_non_null(strstr(log_last(), "CMEK_PKCS11_CONF="));
		unsetenv("CMEK_PKCS11_CONF");
		assert_int_equal(config_read(reserved, &config), CKR_ARGUMENTS_BAD);
		assert_non_null(strstr(log_last(), "should be"));
	}
	put_file("mine.conf", "[aws]\nregion = mine\n");
	setenv("HOME", folder, 1);
	assert_int_equal(config_read("config=~/mine.conf", &config), CKR_OK);
	assert_string_equal(aws_of(&config)->region, "mine");
	config_clear(&config);
}

static void the_example_in_conf_is_accepted_with_every_line_uncommented(void **state)
{
	struct buffer text = {0}, live = {0};

	(void)state;
	assert_true(file_read(source_file("conf/cmek.conf"), 1 << 16, &text));
	for (char *line = strtok((char *)(uintptr_t)buffer_text(&text), "\n"); line != NULL;
	     line = strtok(NULL, "\n"))
		if (line[0] != '#' || (line[1] != ' ' && line[1] != '\0'))
			buffer_format(&live, "%s\n", line[0] == '#' ? line + 1 : line);
	accepts(buffer_text(&live));
	buffer_clear(&text);
	buffer_clear(&live);
}

static void the_local_keys_lie_beside_the_store(void **state)
{
	struct config config;

	(void)state;
	put_file("a.conf", "[store]\npath = /srv/cmek/store.db\n");
	setenv("CMEK_PKCS11_CONF", "", 1);
	char *path = path_join(folder, "a.conf");
	setenv("CMEK_PKCS11_CONF", path, 1);
	assert_int_equal(config_read(NULL, &config), CKR_OK);
	assert_string_equal(local_of(&config)->path, "/srv/cmek/local.keys");
	assert_string_equal(config.file, path);
	config_clear(&config);
	free(path);
}

static CK_RV read_as_nobody(struct config *config)
{
	bool root = geteuid() == 0;
	CK_RV rv;

	if (root)
		assert_int_equal(seteuid(65534), 0);
	rv = config_read(NULL, config);
	if (root)
		assert_int_equal(seteuid(0), 0);
	return rv;
}

/* Not at the root of the file system, nor wherever the process happens to stand. */
static void without_a_home_there_is_no_place_for_a_store(void **state)
{
	static const char *const homes[] = {NULL, "", "some/folder"};
	struct config config;

	(void)state;
	unsetenv("CMEK_PKCS11_CONF");
	unsetenv("XDG_DATA_HOME");
	for (size_t i = 0; i < COUNT_OF(homes); i++) {
		unsetenv("HOME");
		if (homes[i] != NULL)
			setenv("HOME", homes[i], 1);
		assert_int_equal(read_as_nobody(&config), CKR_FUNCTION_FAILED);
	}
	setenv("HOME", "/home/someone", 1);
	assert_int_equal(read_as_nobody(&config), CKR_OK);
	assert_string_equal(config.store_path, "/home/someone/.local/share/cmek-pkcs11/store.db");
	config_clear(&config);
	setenv("XDG_DATA_HOME", "/srv/data", 1);
	unsetenv("HOME");
	assert_int_equal(read_as_nobody(&config), CKR_OK);
	assert_string_equal(config.store_path, "/srv/data/cmek-pkcs11/store.db");
	config_clear(&config);
	unsetenv("XDG_DATA_HOME");
}

/* The first file found wins, alone. */
static void files_are_looked_for_in_their_order(void **state)
{
	struct config config;
	struct buffer reserved = {0};
	char *variable = path_join(folder, "variable.conf");

	(void)state;
	put_file("reserved.conf", "[aws]\nregion = reserved\n");
	put_file("variable.conf", "[aws]\nregion = variable\n");
	put_file(".config/cmek-pkcs11/cmek.conf", "[aws]\nregion = home\n");
	setenv("HOME", folder, 1);
	setenv("CMEK_PKCS11_CONF", variable, 1);

	buffer_format(&reserved, "config=%s/reserved.conf", folder);
	assert_int_equal(config_read(buffer_text(&reserved), &config), CKR_OK);
	assert_string_equal(aws_of(&config)->region, "reserved");
	config_clear(&config);

	assert_int_equal(config_read(NULL, &config), CKR_OK);
	assert_string_equal(aws_of(&config)->region, "variable");
	config_clear(&config);

	setenv("CMEK_PKCS11_CONF", "", 1);
	assert_int_equal(config_read(NULL, &config), CKR_OK);
	assert_string_equal(aws_of(&config)->region, "home");
	config_clear(&config);
	buffer_clear(&reserved);
	free(variable);
}

static void a_file_that_was_named_must_be_there(void **state)
{
	struct config config;

	(void)state;
	setenv("CMEK_PKCS11_CONF", "/nonexistent/cmek.conf", 1);
	assert_int_equal(config_read(NULL, &config), CKR_FUNCTION_FAILED);
	assert_non_null(strstr(log_last(), "/nonexistent/cmek.conf can't be read"));
	unsetenv("CMEK_PKCS11_CONF");
}

static void reserved_takes_pairs_and_nothing_else(void **state)
{
	struct config config;

	(void)state;
	setenv("CMEK_PKCS11_CONF", "/dev/null", 1);
	assert_int_equal(config_read("free-slot=true  log=debug quiet=true", &config), CKR_OK);
	assert_true(config.slots_free);
	assert_int_equal(config.log_level, LOG_DEBUG);
	config_clear(&config);
	assert_int_equal(config_read("", &config), CKR_OK);
	assert_false(config.slots_free);
	config_clear(&config);

	assert_int_equal(config_read("free-slot", &config), CKR_ARGUMENTS_BAD);
	assert_int_equal(config_read("free-slot=1", &config), CKR_ARGUMENTS_BAD);
	assert_int_equal(config_read("quiet=yes", &config), CKR_ARGUMENTS_BAD);
	assert_int_equal(config_read("log=loud", &config), CKR_ARGUMENTS_BAD);
	assert_int_equal(config_read("lease_seconds=5", &config), CKR_ARGUMENTS_BAD);
	assert_int_equal(config_read("config=/dev/null config=/dev/null", &config),
			 CKR_ARGUMENTS_BAD);
	unsetenv("CMEK_PKCS11_CONF");
}

static void the_description_names_what_differs_from_the_defaults(void **state)
{
	struct config config;
	struct buffer text = {0};

	(void)state;
	assert_true(parse(&config, "[kms]\nrenew = zone\nlease_seconds = 300\ndeny_seconds = 9\n"
				   "[slots]\nfree = true\n"));
	config_describe(&config, &text);
	assert_string_equal(buffer_text(&text), "configuration: no file\n"
						"  [slots] free = true\n"
						"  [kms] renew = zone\n"
						"  [kms] deny_seconds = 9\n");
	buffer_clear(&text);
	config_clear(&config);
}

static int make_folder(void **state)
{
	(void)state;
	log_configure(LOG_OFF, "stderr");
	unsetenv("CMEK_PKCS11_CONF");
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* --- What a store writer can't change */

static void root_keys_and_pins_are_lists_and_say_their_line(void **state)
{
	struct config config;

	(void)state;
	assert_true(parse(&config, "[kms]\n"
				   "allowed_root_keys = 111122223333/us-west-2, local:*\n"
				   "[zones]\n"
				   "pin = c/d = 5,\n"
				   "  p:c/e = 6\n"));
	assert_string_equal(config.allowed_root_keys, "111122223333/us-west-2, local:*");
	assert_int_equal(config.allowed_root_keys_line, 2);
	assert_string_equal(config.zones_pin, "c/d = 5,\np:c/e = 6");
	assert_int_equal(config.zones_pin_line, 4);
	config_clear(&config);
	assert_true(parse(&config, "[kms]\nallowed_root_keys =\n[zones]\npin =\n"));
	assert_null(config.allowed_root_keys);
	assert_null(config.zones_pin);
	config_clear(&config);
}

static void member_of_a_list_that_is_wrong_is_named(void **state)
{
	(void)state;
	refuses("[kms]\n\nallowed_root_keys = 111122223333 alias/root\n", "test.conf line 3: ");
	refuses("[kms]\nallowed_root_keys = 111122223333 alias/root\n", ", not 'alias/root'");
	refuses("[zones]\npin = c/d = 5, c/e\n", "test.conf line 2: ");
	refuses("[zones]\npin = c/d = 5, c/e\n", ", not 'c/e'");
	refuses("[zones]\npin = c/d = 5, c/d = 6\n", ", not 'c/d = 6'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_keys_and_pins_are_lists_and_say_their_line),
		cmocka_unit_test(member_of_a_list_that_is_wrong_is_named),
		cmocka_unit_test(every_setting_has_a_default),
		cmocka_unit_test(settings_reach_their_fields),
		cmocka_unit_test(settings_of_a_store_elsewhere_come_with_their_lines),
		cmocka_unit_test(an_unknown_setting_is_an_error_with_file_and_line),
		cmocka_unit_test(a_value_of_the_wrong_form_is_an_error_that_says_the_right_one),
		cmocka_unit_test(an_empty_text_is_a_setting_that_is_not_made),
		cmocka_unit_test(a_path_from_the_home_folder_is_found_there),
		cmocka_unit_test(a_path_that_would_be_another_place_is_an_error_with_file_and_line),
		cmocka_unit_test(quotes_and_comments_are_no_part_of_any_value),
		cmocka_unit_test(lines_that_are_required_need_a_file),
		cmocka_unit_test(a_configuration_that_is_a_pipe_is_refused_at_once),
		cmocka_unit_test(the_file_that_is_named_is_named_by_a_path_like_any_other),
		cmocka_unit_test(the_example_in_conf_is_accepted_with_every_line_uncommented),
		cmocka_unit_test(the_local_keys_lie_beside_the_store),
		cmocka_unit_test(without_a_home_there_is_no_place_for_a_store),
		cmocka_unit_test(files_are_looked_for_in_their_order),
		cmocka_unit_test(a_file_that_was_named_must_be_there),
		cmocka_unit_test(reserved_takes_pairs_and_nothing_else),
		cmocka_unit_test(the_description_names_what_differs_from_the_defaults),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
