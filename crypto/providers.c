/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which providers of OpenSSL the private context uses: default, or fips and base. */
#include "base/file.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/internal.h"

#include <limits.h>
#include <openssl/provider.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* The file that 'openssl fipsinstall' writes: it has the checksum without which most builds of the
 * provider refuse to work. Some distributions build it into the provider and have no such file. */
static bool module_is_in(const char *folder, char *ret_path)
{
	int len = folder == NULL ? -1 : snprintf(ret_path, PATH_SIZE, "%s/fipsmodule.cnf", folder);

	return len >= 0 && len < PATH_SIZE && access(ret_path, F_OK) == 0;
}

/* The same folder as this file or, if it is a link (Debian's is), as its target. */
static bool module_is_beside(const char *file, char *ret_path)
{
	char home[PATH_MAX];
	char *slash;

	if (file == NULL || realpath(file, home) == NULL)
		return false;
	slash = strrchr(home, '/');
	*slash = '\0';
	return module_is_in(home, ret_path);
}

/* The same folder as the configuration that OpenSSL reads: where the host uses the file too, that
 * configuration includes it. */
static bool fips_module_find(char *ret_path)
{
	const char *folder = OPENSSL_info(OPENSSL_INFO_CONFIG_DIR);
	char usual[PATH_SIZE];

	snprintf(usual, sizeof(usual), "%s/openssl.cnf", folder == NULL ? "" : folder);
	return module_is_beside(secure_getenv("OPENSSL_CONF"), ret_path) ||
	       module_is_in(folder, ret_path) || module_is_beside(usual, ret_path);
}

/* The 3.0 API takes configurations from files only, so this one lies in memory under a file's name.
 * It also activates the provider. */
static bool fips_configure(OSSL_LIB_CTX *context, const char *module)
{
	AUTO(file_closep) int fd = memfd_create("cmek-fips", MFD_CLOEXEC);
	char path[64];

	if (fd < 0)
		return false;
	dprintf(fd,
		"openssl_conf = init\n"
		".include %s\n"
		"[init]\nproviders = providers\n"
		"[providers]\nfips = fips_sect\n",
		module);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return OSSL_LIB_CTX_load_config(context, path) == 1;
}

/* The provider's file, where OpenSSL looks for it. */
static bool provider_path(char *ret_path)
{
	const char *named = secure_getenv("OPENSSL_MODULES");
	const char *folder = named == NULL ? OPENSSL_info(OPENSSL_INFO_MODULES_DIR) : named;
	int len = snprintf(ret_path, PATH_SIZE, "%s/fips%s", folder == NULL ? "" : folder,
			   OPENSSL_info(OPENSSL_INFO_DSO_EXTENSION));

	return len >= 0 && len < PATH_SIZE && access(ret_path, F_OK) == 0;
}

/* No other provider is used instead. OpenSSL's own words for a missing file help nobody. */
static void log_no_fips(const struct crypto *crypto, const char *module)
{
	const char *by = crypto->fips_at == NULL ? "the host's OpenSSL, which is set to FIPS"
						 : crypto->fips_at;
	char provider[PATH_SIZE];

	if (crypto_lacks_memory())
		crypto_log_error("the FIPS provider");
	else if (!provider_path(provider))
		log_error("%s: no FIPS provider %s; Debian 13: apt install openssl-provider-fips, "
			  "Debian 12: none (docs/fips.md)",
			  by, provider);
	else if (module == NULL)
		log_error("%s: the FIPS provider needs fipsmodule.cnf, in %s or beside "
			  "openssl.cnf; 'openssl fipsinstall' writes it (docs/fips.md)",
			  by, OPENSSL_info(OPENSSL_INFO_CONFIG_DIR));
	else
		log_error("%s: the FIPS provider does not start with %s; 'openssl fipsinstall' "
			  "writes it anew (docs/fips.md)",
			  by, module);
}

/* The configuration comes first, where there is one: a provider that is loaded without it fails its
 * self-test and stays unusable in this process. */
static bool fips_load(struct crypto *crypto)
{
	char module[PATH_SIZE];
	bool has_module = fips_module_find(module);

	if (!has_module || fips_configure(crypto->context, module))
		crypto->providers[0] = OSSL_PROVIDER_load(crypto->context, "fips");
	if (crypto->providers[0] == NULL) {
		log_no_fips(crypto, has_module ? module : NULL);
		return false;
	}
	crypto->providers[1] = OSSL_PROVIDER_load(crypto->context, "base");
	if (crypto->providers[1] != NULL &&
	    EVP_default_properties_enable_fips(crypto->context, 1) == 1)
		return true;
	crypto_log_error("the FIPS provider can't be made the only one");
	return false;
}

bool crypto_load_providers(struct crypto *crypto)
{
	if (crypto->fips)
		return fips_load(crypto);
	crypto->providers[0] = OSSL_PROVIDER_load(crypto->context, "default");
	if (crypto->providers[0] == NULL)
		crypto_log_error("the default provider can't be loaded");
	return crypto->providers[0] != NULL;
}
