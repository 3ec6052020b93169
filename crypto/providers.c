/* Which providers of OpenSSL the private context uses: default, or fips and base. */
#include "base/file.h"
#include "base/macros.h"
#include "crypto/internal.h"

#include <openssl/provider.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* What 'openssl fipsinstall' writes: the checksum without which most builds of the provider refuse
 * to work. Some distributions build it into the provider and have no such file. */
static bool fips_module_find(char *ret_path, size_t size)
{
	const char *folder = OPENSSL_info(OPENSSL_INFO_CONFIG_DIR);

	if (folder == NULL)
		return false;
	snprintf(ret_path, size, "%s/fipsmodule.cnf", folder);
	return access(ret_path, R_OK) == 0;
}

/* The 3.0 API takes configurations from files only, so this one lies in memory under the name of a
 * file. It also activates the provider. */
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

/* The configuration first, where there is one: a provider that was loaded without it has failed its
 * self-test and stays unusable in this process. */
static bool fips_load(struct crypto *crypto)
{
	char module[512];

	if (!fips_module_find(module, sizeof(module)) || fips_configure(crypto->context, module))
		crypto->providers[0] = OSSL_PROVIDER_load(crypto->context, "fips");
	if (crypto->providers[0] == NULL) {
		crypto_log_error("the fips provider can't be loaded; [crypto] fips or the host's "
				 "OpenSSL asks for it, 'openssl fipsinstall' installs it");
		return false;
	}
	crypto->providers[1] = OSSL_PROVIDER_load(crypto->context, "base");
	return crypto->providers[1] != NULL &&
	       EVP_default_properties_enable_fips(crypto->context, 1) == 1;
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
