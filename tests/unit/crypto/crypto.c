/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The private library context: its start, random bytes, forks, and what it leaves alone. */
#include "base/file.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/aes.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "crypto/internal.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void nothing_works_before_the_start(void **state)
{
	const uint8_t key[32] = {0};
	uint8_t out[32];

	(void)state;
	assert_false(crypto_started());
	assert_false(crypto_random(out, sizeof(out)));
	assert_false(crypto_random_add(bytes_of("seed")));
	assert_null(aes_new(AES_GCM, true, bytes(key, 32)));
	assert_null(digest_new(DIGEST_SHA256));
	assert_false(digest_once(DIGEST_SHA256, bytes_of("x"), out));
	assert_false(kdf_counter(bytes(key, 32), "label", bytes_of("x"), out));
	assert_null(crypto_context_enter());
	crypto_context_leave(NULL);
}

static void *start_now(void *unused)
{
	(void)unused;
	return crypto_start(false) ? (void *)crypto_get() : NULL;
}

static void threads_that_start_at_once_share_one_context(void **state)
{
	pthread_t threads[8];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, start_now, NULL), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++) {
		void *seen = NULL;

		pthread_join(threads[i], &seen);
		assert_ptr_equal(seen, crypto_get());
	}
	assert_true(crypto_start(false));
	assert_true(crypto_started());
}

static void hosts_context_gets_no_provider_from_us(void **state)
{
	OSSL_LIB_CTX *hosts = OSSL_LIB_CTX_get0_global_default(), *ours;

	(void)state;
	ours = OSSL_LIB_CTX_set0_default(NULL);
	assert_ptr_equal(ours, hosts);
	assert_ptr_not_equal(crypto_get()->context, hosts);
}

static void threads_default_context_is_swapped_and_put_back(void **state)
{
	OSSL_LIB_CTX *before = OSSL_LIB_CTX_set0_default(NULL);
	void *previous = crypto_context_enter();

	(void)state;
	assert_ptr_equal(OSSL_LIB_CTX_set0_default(NULL), crypto_get()->context);
	crypto_context_leave(previous);
	assert_ptr_equal(OSSL_LIB_CTX_set0_default(NULL), before);
}

/* Runs this program anew with a configuration of OpenSSL's that offers nothing. */
static int run_with_useless_configuration(const char *argument)
{
	char path[] = "/tmp/cmek-test-XXXXXX";
	const char *text = "openssl_conf = init\n[init]\nalg_section = algorithms\n"
			   "[algorithms]\ndefault_properties = provider=nowhere\n";
	char program[PATH_MAX] = "";
	int fd = mkstemp(path), status = 1;
	pid_t pid;

	/* Under valgrind the link is the program, the name is valgrind. */
	assert_true(readlink("/proc/self/exe", program, sizeof(program) - 1) > 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	pid = fork();
	if (pid == 0) {
		setenv("OPENSSL_CONF", path, 1);
		execl(program, program, argument, NULL);
		/* The kernel knows no program of another machine; what runs this one does. */
		if (errno == ENOEXEC)
			execlp("sh", "sh", "-c", "exec $CMEK_TEST_UNDER \"$0\" \"$1\"", program,
			       argument, NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unlink(path);
	return status;
}

static bool works_though_the_host_has_nothing(void)
{
	uint8_t digest[32];
	EVP_MD *hosts;

	if (!crypto_start(false) || !digest_once(DIGEST_SHA256, bytes_of("x"), digest))
		return false;
	hosts = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_free(hosts);
	return hosts == NULL;
}

static void hosts_configuration_does_not_reach_us(void **state)
{
	(void)state;
	assert_int_equal(run_with_useless_configuration("useless"), 0);
}

static void random_bytes_differ(void **state)
{
	uint8_t one[32] = {0}, other[32] = {0};

	(void)state;
	assert_true(crypto_random(one, sizeof(one)));
	assert_true(crypto_random(other, sizeof(other)));
	assert_memory_not_equal(one, other, sizeof(one));
	assert_true(crypto_random(one, 0));
	assert_true(crypto_random_add(bytes_of("what the application brings")));
	assert_true(crypto_random_add(bytes(NULL, 0)));
	assert_true(crypto_random(one, sizeof(one)));
}

static void version_is_compared_as_a_whole(void **state)
{
	char text[64];

	(void)state;
	snprintf(text, sizeof(text), "OpenSSL/%s", crypto_openssl_version());
	assert_true(crypto_same_openssl(text));
	strcat(text, " zlib");
	assert_true(crypto_same_openssl(text));
	/* Built in, but not in use. */
	snprintf(text, sizeof(text), "(OpenSSL/%s) mbedTLS/3.6.0", crypto_openssl_version());
	assert_false(crypto_same_openssl(text));
	snprintf(text, sizeof(text), "OpenSSL/%s (mbedTLS/3.6.0)", crypto_openssl_version());
	assert_true(crypto_same_openssl(text));
	snprintf(text, sizeof(text), "OpenSSL/%s1", crypto_openssl_version());
	assert_false(crypto_same_openssl(text));
	assert_false(crypto_same_openssl("OpenSSL/3"));
	assert_false(crypto_same_openssl("GnuTLS/3.7.9"));
	assert_false(crypto_same_openssl("OpenSSL/"));
	assert_false(crypto_same_openssl(NULL));
}

static bool child_starts_anew(void)
{
	const struct crypto *parents = crypto_get();
	uint8_t out[32];

	crypto_abandon();
	return !crypto_started() && !crypto_random(out, 32) && crypto_start(false) &&
	       crypto_get() != parents && crypto_random(out, 32) &&
	       write(STDIN_FILENO, out, 32) == 32;
}

static void children_make_contexts_and_random_bytes_of_their_own(void **state)
{
	uint8_t answers[2][32] = {{0}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		int ends[2], status;
		pid_t pid;

		assert_int_equal(pipe(ends), 0);
		pid = fork();
		if (pid == 0) {
			dup2(ends[1], STDIN_FILENO);
			_exit(child_starts_anew() ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(read(ends[0], answers[i], 32), 32);
		close(ends[0]);
		close(ends[1]);
	}
	assert_memory_not_equal(answers[0], answers[1], 32);
}

static bool is_from(const OSSL_PROVIDER *provider, const char *name)
{
	return strcmp(OSSL_PROVIDER_get0_name(provider), name) == 0;
}

/* Every algorithm, and the generator of random numbers. */
static bool all_is_from(const char *name)
{
	const struct crypto *crypto = crypto_get();
	bool good = is_from(
		EVP_RAND_get0_provider(EVP_RAND_CTX_get0_rand(RAND_get0_private(crypto->context))),
		name);

	for (size_t mode = 0; mode < AES_MODE_COUNT; mode++)
		for (size_t size = 0; size < AES_KEY_SIZE_COUNT; size++)
			good &= is_from(EVP_CIPHER_get0_provider(crypto->ciphers[mode][size]),
					name);
	for (size_t kind = 0; kind < DIGEST_COUNT; kind++)
		good &= is_from(EVP_MD_get0_provider(crypto->digests[kind]), name);
	good &= is_from(EVP_MAC_get0_provider(crypto->hmac), name);
	return good && !OSSL_PROVIDER_available(crypto->context, "default");
}

/* 0: starts and works, 2: no fips provider here, and that is an error. */
static int start_with_fips(void)
{
	uint8_t digest[32];

	crypto_abandon();
	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(true))
		return crypto_started() || crypto_is_fips() ? 1 : 2;
	return crypto_is_fips() && crypto_start(false) && all_is_from("fips") &&
			       digest_once(DIGEST_SHA256, bytes_of("x"), digest) &&
			       crypto_random(digest, 32)
		       ? 0
		       : 1;
}

static int status_of(int (*child)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void fips_is_loaded_and_alone(void **state)
{
	int status = status_of(start_with_fips);

	(void)state;
	if (status == 2) {
		print_message("# reason: there is no FIPS provider of OpenSSL here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* Nothing starts, and a line says `expected`. */
static int is_refused(const char *log, const char *expected)
{
	AUTO(buffer_clear) struct buffer lines = {0};

	crypto_abandon();
	unlink(log);
	log_configure(LOG_ERROR, log);
	if (crypto_start_fips("[crypto] fips in FILE line 12") || crypto_started())
		return 1;
	if (!file_read(log, 65536, &lines))
		return 2;
	buffer_append(&lines, bytes("", 1));
	/* By whose setting; in one line, and in words alone. */
	if (strstr((const char *)lines.data, "error: [crypto] fips in FILE line 12: ") == NULL ||
	    strstr((const char *)lines.data, "error:0") != NULL ||
	    strchr((const char *)lines.data, '\n') != (const char *)lines.data + lines.len - 2)
		return 4;
	return strstr((const char *)lines.data, expected) == NULL ? 3 : 0;
}

static char place[] = "/tmp/cmek-crypto.XXXXXX";

static const char *in_place(const char *name)
{
	static char path[2][64];
	static int turn;

	turn = 1 - turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", place, name);
	return path[turn];
}

static int without_provider(void)
{
	setenv("OPENSSL_MODULES", place, 1);
	setenv("OPENSSL_CONF", "", 1);
	return is_refused(in_place("log"), in_place("fips.so"));
}

/* The checksum is that of another file; or, where no provider is installed here, the file is no
 * provider at all. */
static int with_damaged_configuration(void)
{
	FILE *file = fopen(in_place("openssl.cnf"), "w");
	char real[256];

	fclose(file);
	snprintf(real, sizeof(real), "%s/fips.so", OPENSSL_info(OPENSSL_INFO_MODULES_DIR));
	if (access(real, F_OK) != 0) {
		file = fopen(in_place("fips.so"), "w");
		fclose(file);
		setenv("OPENSSL_MODULES", place, 1);
	}
	file = fopen(in_place("fipsmodule.cnf"), "w");
	fputs("[fips_sect]\nactivate = 1\ninstall-version = 1\nmodule-mac = 00:11:22:33\n", file);
	fclose(file);
	setenv("OPENSSL_CONF", in_place("openssl.cnf"), 1);
	return is_refused(in_place("log"), in_place("fipsmodule.cnf"));
}

static void fips_that_does_not_start_stops_the_start(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(place));
	assert_int_equal(status_of(without_provider), 0);
	if (!crypto_is_fips()) /* else it has read a good one, once for the process */
		assert_int_equal(status_of(with_damaged_configuration), 0);
	unlink(in_place("log"));
	unlink(in_place("openssl.cnf"));
	unlink(in_place("fipsmodule.cnf"));
	unlink(in_place("fips.so"));
	assert_int_equal(rmdir(place), 0);
}

static int ask_for_it_later(void)
{
	crypto_abandon();
	log_configure(LOG_OFF, "stderr");
	return crypto_start(false) && (crypto_is_fips() || !crypto_start(true)) &&
			       crypto_start(false)
		       ? 0
		       : 1;
}

/* As when the configuration has changed before another C_Initialize. */
static void fips_is_not_had_from_what_started_without(void **state)
{
	(void)state;
	assert_int_equal(status_of(ask_for_it_later), 0);
}

/* As in a host whose exit handlers run OpenSSL's first, and the module's C_Finalize after it. */
static bool frees_after_cleanup(void)
{
	const uint8_t key[32] = {0};
	struct aes *aes = aes_new(AES_GCM, true, bytes(key, 32));
	struct digest *digest = digest_new(DIGEST_SHA256);
	uint8_t out[32];

	if (aes == NULL || digest == NULL || !crypto_random(out, sizeof(out)))
		return false;
	OPENSSL_cleanup();
	aes_free(aes);
	digest_free(digest);
	return true;
}

static void objects_can_be_freed_after_openssl_cleaned_up(void **state)
{
	int status = 1;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(frees_after_cleanup() ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void all_of_libcrypto_is_one_copy(void **state)
{
	(void)state;
	assert_true(crypto_check_origin());
}

static void errors_are_not_left_behind(void **state)
{
	(void)state;
	assert_int_equal(ERR_peek_error(), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_works_before_the_start),
		cmocka_unit_test(threads_that_start_at_once_share_one_context),
		cmocka_unit_test(hosts_context_gets_no_provider_from_us),
		cmocka_unit_test(threads_default_context_is_swapped_and_put_back),
		cmocka_unit_test(hosts_configuration_does_not_reach_us),
		cmocka_unit_test(random_bytes_differ),
		cmocka_unit_test(version_is_compared_as_a_whole),
		cmocka_unit_test(children_make_contexts_and_random_bytes_of_their_own),
		cmocka_unit_test(fips_is_loaded_and_alone),
		cmocka_unit_test(fips_that_does_not_start_stops_the_start),
		cmocka_unit_test(fips_is_not_had_from_what_started_without),
		cmocka_unit_test(objects_can_be_freed_after_openssl_cleaned_up),
		cmocka_unit_test(all_of_libcrypto_is_one_copy),
		cmocka_unit_test(errors_are_not_left_behind),
	};

	(void)argv;
	if (argc > 1)
		return works_though_the_host_has_nothing() ? 0 : 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
