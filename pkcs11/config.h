/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek.conf and C_Initialize's pReserved. Every setting has a default (conf/cmek.conf shows them);
 * an unknown one is an error with file and line. */
#pragma once

#include "base/buffer.h"
#include "include/cmek.h"
#include "include/pkcs11.h"
#include "kms/kms.h"

struct config {
	char *file;	 /* where it was read; NULL: there was none */
	char *described; /* what is set in it, as lines of text for `doctor` */
	/* Texts are owned; NULL: not set. */
	char *store_backend; /* set in any case; which there are, the store says */
	char *store_path;    /* set in any case; the store says whether it exists */
	/* Of engines that ask others. */
	char *store_endpoint, *store_prefix, *store_ca_bundle, *store_client_certificate,
		*store_client_key, *store_user, *store_password_file, *store_table, *store_region,
		*store_look_every, *store_index_max;
	/* The providers and what their sections say: all are there, and their texts are owned. */
	struct kms_settings kms;
	char *default_root_key, *allowed_root_keys, *zones_default, *zones_pin;
	char *log_to, *log_audit;
	char *cli_project, *cli_database; /* for the tool, which asks for them */
	/* Numbers, and choices as their index. */
	unsigned store_endpoint_line, store_prefix_line, store_ca_bundle_line,
		store_client_certificate_line, store_client_key_line, store_user_line,
		store_password_file_line, store_table_line, store_region_line,
		store_look_every_line, store_index_max_line;
	unsigned store_backend_line, allowed_root_keys_line, zones_pin_line,
		crypto_fips_line; /* a line of the file; 0: not set there */
	unsigned kms_ezk_source, kms_renew;
	unsigned lease_seconds, zone_lease_seconds, max_stale_seconds, deny_seconds;
	unsigned zones_max_lease_seconds, zones_max_stale_seconds;
	unsigned deletion_window_days, zones_rotate_days, crypto_keep_max_mib;
	unsigned log_level; /* enum log_level */
	bool slots_free, slots_login_required;
	bool zones_embed_ezk;
	bool crypto_fips;
	bool log_audit_required;
	bool no_memory; /* config_parse() failed for this, not for the text */
};

/* Indexes of the choices. */
enum { CONFIG_EZK_SOURCE_LOCAL, CONFIG_EZK_SOURCE_KMS };
enum { CONFIG_RENEW_ROOT_KEY, CONFIG_RENEW_ZONE };

/* Reads pReserved (NULL: none) and the first configuration file found: config= of pReserved,
 * $CMEK_PKCS11_CONF, ~/.config/cmek-pkcs11/cmek.conf, /etc/cmek-pkcs11/cmek.conf. Logs what is
 * wrong and where. CKR_ARGUMENTS_BAD: pReserved; CKR_FUNCTION_FAILED: a file. */
CK_RV config_read(const char *reserved, struct config *ret_config);
/* Of another store, for `cmek store copy`: "sqlite:PATH", or the path of a configuration file. Logs
 * what is wrong. CKR_ARGUMENTS_BAD: it is neither; CKR_FUNCTION_FAILED: the file. */
CK_RV config_read_place(const char *place, struct config *ret_config);
void config_clear(struct config *config);
/* Lines of text: the file, and each setting that differs from its default. */
void config_describe(const struct config *config, struct buffer *out);

/* Paths of files that lie beside the store unless they are set. False: no memory. */
bool config_put_files(struct config *config, const char *folder);

/* For tests: the defaults, and the text of a file. */
bool config_default(struct config *config);
bool config_parse(struct config *config, const char *file, struct bytes text);
