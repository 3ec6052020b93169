/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded KMS: its file, its states, its ciphertexts to the byte, its use by many at once. */
#include "base/file.h"
#include "base/free.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "kms/kms.h"
#include "kms/local/provider.h"
#include "pkcs11/providers.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A key of known id and material, and a ciphertext made from it by the Python of
 * docs/format-local-kms.md. */
#define KNOWN_ID "8b1f4f0e-3c5a-4b7e-9d58-0d0f6a2a9c11"
#define KNOWN_FILE                                                                                 \
	"{\"format\":\"cmek-local-keys\",\"version\":1,\"keys\":[{\"id\":\"" KNOWN_ID "\","        \
	"\"name\":\"known\",\"state\":\"Enabled\",\"created\":1,\"deletion\":0,\"materials\":["    \
	"{\"version\":1,\"created\":1,\"secret\":"                                                 \
	"\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"},"                                       \
	"{\"version\":3,\"created\":2,\"secret\":"                                                 \
	"\"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\"}]}]}\n"
static const char known_file[] = KNOWN_FILE;
static const char known_blob[] = "434c4b42018b1f4f0e3c5a4b7e9d580d0f6a2a9c1100000001"
				 "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
				 "b0b1b2b3b4b5b6b7b8b9babb"
				 "7e72d9db131af2a86bec928b91130ae7926ed74b7890539f4af25db44144ccad"
				 "f57d4f27f6";

static int64_t fake_now = INT64_C(1764000000000);

static int64_t read_fake(void *state)
{
	(void)state;
	return fake_now;
}

static const struct clock fake_clock = {read_fake, read_fake, NULL};

struct world {
	char folder[32];
	char path[64];
	struct kms_clients *clients;
	struct kms_client *kms;
};

static struct kms_clients *open_clients(const char *path)
{
	struct kms_local_settings section = {.path = path};
	const struct kms_settings settings = {.providers = module_providers,
					      .sections = {[PROVIDER_LOCAL] = &section},
					      .clock = &fake_clock};

	return kms_clients_new(&settings);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	strcpy(world->folder, "/tmp/cmek-test-XXXXXX");
	if (mkdtemp(world->folder) == NULL)
		return -1;
	snprintf(world->path, sizeof(world->path), "%s/sub/local.keys", world->folder);
	world->clients = open_clients(world->path);
	*state = world;
	return kms_clients_find(world->clients, "local", "us-west-2", NULL, &world->kms);
}

static int tear_down(void **state)
{
	struct world *world = *state;
	char command[64];

	kms_clients_free(world->clients);
	snprintf(command, sizeof(command), "rm -rf %s", world->folder);
	free(world);
	return system(command);
}

static void write_file(const struct world *world, const char *text, mode_t mode)
{
	char *folder = path_folder(world->path);
	int fd;

	assert_true(file_make_folders(folder));
	free(folder);
	unlink(world->path);
	fd = open(world->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_true(file_write_all(fd, bytes_of(text)));
	close(fd);
}

static enum kms_status try_create(struct world *world, const char *name, bool registered,
				  struct kms_report *report)
{
	bool made;

	return world->kms->operations->create(world->kms, name, registered, report, &made);
}

static void create(struct world *world, const char *name)
{
	bool made;

	assert_int_equal(world->kms->operations->create(world->kms, name, false, NULL, &made),
			 KMS_OK);
}

static enum kms_status set_state(struct world *world, enum kms_key_state state)
{
	return world->kms->operations->set_state(world->kms, "local:k", state, NULL);
}

static enum kms_status encrypt(struct world *world, const char *key)
{
	AUTO(buffer_clear) struct buffer blob = {0};

	return world->kms->operations->encrypt(world->kms, key, bytes_of("x"), NULL, NULL, &blob);
}

static enum kms_status decrypt_hex(struct world *world, const char *key, const char *hex,
				   const struct kms_context *context, struct buffer *plaintext)
{
	AUTO(buffer_clear) struct buffer blob = {0};

	return world->kms->operations->decrypt(world->kms, key, from_hex(&blob, hex), context, NULL,
					       plaintext);
}

static void nothing_is_written_before_the_first_key(void **state)
{
	struct world *world = *state;
	struct kms_key key;

	assert_int_equal(world->kms->operations->describe(world->kms, "local:k", NULL, &key),
			 KMS_MISCONFIGURED);
	assert_int_equal(access(world->path, F_OK), -1);
	create(world, "local:k");
	assert_int_equal(access(world->path, F_OK), 0);
}

static void the_file_is_for_its_owner_only(void **state)
{
	struct world *world = *state;
	struct kms_report report = {0};
	struct kms_key key;
	struct stat st;

	create(world, "local:k");
	assert_int_equal(stat(world->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(chmod(world->path, 0640), 0);
	assert_int_equal(world->kms->operations->describe(world->kms, "local:k", &report, &key),
			 KMS_MISCONFIGURED);
	assert_non_null(strstr(report.message, "chmod 600"));
}

static void creating_twice_keeps_the_key(void **state)
{
	struct world *world = *state;
	struct kms_key first, again;

	create(world, "local:k");
	assert_int_equal(world->kms->operations->describe(world->kms, "local:k", NULL, &first),
			 KMS_OK);
	create(world, "local:k");
	assert_int_equal(world->kms->operations->describe(world->kms, first.arn, NULL, &again),
			 KMS_OK);
	assert_string_equal(first.arn, again.arn);
	assert_string_equal(first.region, "local");
	assert_string_equal(first.provider, "local");
}

static void names_that_are_not_for_new_keys_are_refused(void **state)
{
	static const char *const names[] = {
		"k", "local:", "local:a b", "local:" KNOWN_ID, "arn:local:kms:local::key/" KNOWN_ID,
	};
	struct world *world = *state;

	bool made;

	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(
			world->kms->operations->create(world->kms, names[i], false, NULL, &made),
			KMS_INVALID_REQUEST);
}

static void it_is_told_whether_a_key_was_made(void **state)
{
	struct world *world = *state;
	bool made = false;

	assert_int_equal(world->kms->operations->create(world->kms, "local:k", false, NULL, &made),
			 KMS_OK);
	assert_true(made);
	assert_int_equal(world->kms->operations->create(world->kms, "local:k", false, NULL, &made),
			 KMS_OK);
	assert_false(made);
}

/* What a key that is not there is told by. */
static void says(struct world *world, const char *name, const char *words)
{
	struct kms_report report = {0};
	struct kms_key key;

	assert_int_equal(world->kms->operations->describe(world->kms, name, &report, &key),
			 access(world->path, F_OK) == 0 ? KMS_NOT_FOUND : KMS_MISCONFIGURED);
	assert_non_null(strstr(report.message, world->path));
	if (strstr(report.message, words) == NULL)
		fail_msg("'%s' does not say '%s'", report.message, words);
}

static void a_key_that_is_not_there_is_told_with_the_names_that_are_near(void **state)
{
	struct world *world = *state;

	says(world, "local:root", "or make a first key: cmek key create");
	create(world, "local:root");
	says(world, "local:known", "which has 1 key; to make it: cmek key create");
	create(world, "local:roots");
	create(world, "local:a");
	create(world, "local:production");
	says(world, "local:Roott", "name local:root or local:roots, or make it: cmek key create");
	says(world, "local:roots-x", "name local:roots, or make it");
	says(world, "local:prodcution", "name local:production, or make it");
	says(world, "local:b", "which has 4 keys; to make it");
	says(world, "local:" KNOWN_ID,
	     "which has 4 keys; if another host made it, copy its local.keys");
	says(world, "arn:local:kms:local::key/" KNOWN_ID, "copy its local.keys");
}

static void a_ciphertext_written_elsewhere_opens(void **state)
{
	const struct kms_pair pairs[] = {{"zone", "7"}, {"a", ""}, {"\xc3\xa4", "x"}};
	const struct kms_context context = {pairs, COUNT_OF(pairs)};
	struct world *world = *state;
	AUTO(buffer_clear) struct buffer plaintext = {0};

	write_file(world, known_file, 0600);
	assert_int_equal(decrypt_hex(world, "local:known", known_blob, &context, &plaintext),
			 KMS_OK);
	assert_bytes(buffer_bytes(&plaintext), bytes_of("sixteen or more bytes"));
}

static void every_flipped_bit_of_a_ciphertext_is_noticed(void **state)
{
	const struct kms_pair pairs[] = {{"a", ""}, {"zone", "7"}, {"\xc3\xa4", "x"}};
	const struct kms_context context = {pairs, COUNT_OF(pairs)};
	struct world *world = *state;
	AUTO(buffer_clear) struct buffer blob = {0}, plaintext = {0};

	write_file(world, known_file, 0600);
	log_configure(LOG_OFF, "stderr");
	from_hex(&blob, known_blob);
	for (size_t bit = 0; bit < 8 * blob.len; bit++) {
		enum kms_status status;

		blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		status = world->kms->operations->decrypt(
			world->kms, "local:known", buffer_bytes(&blob), &context, NULL, &plaintext);
		assert_true(status == KMS_INVALID_CIPHERTEXT || status == KMS_INCORRECT_KEY);
		blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 1; len < blob.len; len++)
		assert_int_equal(world->kms->operations->decrypt(world->kms, "local:known",
								 bytes(blob.data, len), &context,
								 NULL, &plaintext),
				 KMS_INVALID_CIPHERTEXT);
	log_configure(LOG_WARNING, "stderr");
	assert_int_equal(plaintext.len, 0);
}

static void the_newest_material_encrypts(void **state)
{
	struct world *world = *state;
	AUTO(buffer_clear) struct buffer blob = {0};

	write_file(world, known_file, 0600);
	assert_int_equal(world->kms->operations->encrypt(world->kms, "local:" KNOWN_ID,
							 bytes_of("x"), NULL, NULL, &blob),
			 KMS_OK);
	assert_int_equal(blob.len, 53 + 1 + 16);
	assert_bytes(bytes(blob.data + 21, 4), bytes("\0\0\0\3", 4));
}

static void a_disabled_key_refuses_until_enabled(void **state)
{
	struct world *world = *state;
	struct kms_key key;

	create(world, "local:k");
	assert_int_equal(set_state(world, KMS_KEY_DISABLED), KMS_OK);
	assert_int_equal(encrypt(world, "local:k"), KMS_DISABLED);
	assert_int_equal(world->kms->operations->describe(world->kms, "local:k", NULL, &key),
			 KMS_OK);
	assert_int_equal(key.state, KMS_KEY_DISABLED);
	assert_int_equal(set_state(world, KMS_KEY_ENABLED), KMS_OK);
	assert_int_equal(encrypt(world, "local:k"), KMS_OK);
	assert_int_equal(set_state(world, KMS_KEY_UNUSABLE), KMS_INVALID_REQUEST);
}

static void deletion_can_be_called_back_within_its_window(void **state)
{
	const int64_t day = INT64_C(86400000);
	struct world *world = *state;
	int64_t begin = fake_now;

	create(world, "local:k");
	assert_int_equal(set_state(world, KMS_KEY_PENDING_DELETION), KMS_OK);
	assert_int_equal(encrypt(world, "local:k"), KMS_PENDING_DELETION);
	fake_now = begin + 29 * day;
	assert_int_equal(set_state(world, KMS_KEY_PENDING_DELETION), KMS_OK);
	assert_int_equal(set_state(world, KMS_KEY_ENABLED), KMS_OK);
	assert_int_equal(encrypt(world, "local:k"), KMS_OK);
	assert_int_equal(set_state(world, KMS_KEY_PENDING_DELETION), KMS_OK);
	fake_now = begin + 59 * day;
	assert_int_equal(encrypt(world, "local:k"), KMS_NOT_FOUND);
	assert_int_equal(set_state(world, KMS_KEY_ENABLED), KMS_NOT_FOUND);
	create(world, "local:k");
	assert_int_equal(encrypt(world, "local:k"), KMS_OK);
	fake_now = begin;
}

static void asking_again_does_not_lengthen_the_window(void **state)
{
	const int64_t day = INT64_C(86400000);
	struct world *world = *state;
	int64_t begin = fake_now;

	create(world, "local:k");
	assert_int_equal(set_state(world, KMS_KEY_PENDING_DELETION), KMS_OK);
	fake_now = begin + 20 * day;
	assert_int_equal(set_state(world, KMS_KEY_PENDING_DELETION), KMS_OK);
	fake_now = begin + 30 * day;
	assert_int_equal(encrypt(world, "local:k"), KMS_NOT_FOUND);
	fake_now = begin;
}

static void a_damaged_file_is_told_and_left_alone(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{\"format\":\"cmek-local-keys\",\"version\":2,\"keys\":[]}",
		"{\"format\":\"other\",\"version\":1,\"keys\":[]}",
		"{\"format\":\"cmek-local-keys\",\"version\":1}",
		"{\"format\":\"cmek-local-keys\",\"version\":1,\"keys\":[{}]}",
		"{\"format\":\"cmek-local-keys\",\"version\":1,\"keys\":[{\"id\":\"" KNOWN_ID
		"\",\"name\":\"n\",\"state\":\"Enabled\",\"created\":1,\"deletion\":0,"
		"\"materials\":[{\"version\":1,\"created\":1,\"secret\":\"AAEC\"}]}]}",
		"{\"format\":\"cmek-local-keys\",\"version\":1,\"keys\":[{\"id\":\"" KNOWN_ID
		"\",\"name\":\"n\",\"state\":\"Enabled\",\"created\":1,\"deletion\":0,"
		"\"materials\":[]}]}",
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		AUTO(buffer_clear) struct buffer after = {0};

		write_file(world, texts[i], 0600);
		assert_int_equal(encrypt(world, "local:k"), KMS_MISCONFIGURED);
		assert_int_equal(world->kms->operations->create(world->kms, "local:k", false, NULL,
								&(bool){false}),
				 KMS_MISCONFIGURED);
		assert_true(file_read(world->path, 65536, &after));
		assert_bytes(buffer_bytes(&after), bytes_of(texts[i]));
	}
}

static void no_damage_of_the_file_is_more_than_a_refusal(void **state)
{
	struct world *world = *state;
	char text[] = KNOWN_FILE;

	log_configure(LOG_OFF, "stderr");
	for (size_t bit = 0; bit < 8 * strlen(KNOWN_FILE); bit += 3) {
		enum kms_status status;

		text[bit / 8] ^= (char)(1 << bit % 8);
		write_file(world, text, 0600);
		status = encrypt(world, "local:known");
		assert_true(status == KMS_OK || status == KMS_MISCONFIGURED ||
			    status == KMS_NOT_FOUND);
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	log_configure(LOG_WARNING, "stderr");
}

/* As another process sees it. */
static void reopen(struct world *world)
{
	kms_clients_free(world->clients);
	world->clients = open_clients(world->path);
	assert_int_equal(kms_clients_find(world->clients, "local", "", NULL, &world->kms), KMS_OK);
}

static void a_lost_file_is_not_begun_anew(void **state)
{
	struct world *world = *state;
	struct kms_report report = {0};
	struct buffer blob = {0};
	struct stat there;

	create(world, "local:k");
	assert_int_equal(unlink(world->path), 0);
	reopen(world);
	assert_int_equal(world->kms->operations->encrypt(world->kms, "local:k",
							 bytes_of("0123456789abcdef"), NULL,
							 &report, &blob),
			 KMS_MISCONFIGURED);
	assert_non_null(strstr(report.message, world->path));
	assert_non_null(strstr(report.message, "restore it from a backup"));
	assert_int_equal(world->kms->operations->create(world->kms, "local:k", true, &report,
							&(bool){false}),
			 KMS_MISCONFIGURED);
	assert_non_null(strstr(report.message, world->path));
	assert_int_not_equal(stat(world->path, &there), 0);
	/* Where nothing is registered, nothing is lost. */
	create(world, "local:k");
	assert_int_equal(encrypt(world, "local:k"), KMS_OK);
}

/* What passes by itself is an outage; a path that leads nowhere stays as it is set up. */
static void what_is_in_the_file_s_way_is_called_what_it_is(void **state)
{
	struct world *world = *state;
	struct kms_report report = {0};
	struct rlimit before, few;
	char folder[64];
	int next;

	create(world, "local:k");
	next = dup(STDERR_FILENO);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){(rlim_t)next, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(try_create(world, "local:l", true, &report), KMS_UNAVAILABLE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_non_null(strstr(report.message, strerror(EMFILE)));
	assert_non_null(strstr(report.message, "raise the limit on open files"));

	snprintf(folder, sizeof(folder), "%s/loop", world->folder);
	assert_int_equal(symlink("loop", folder), 0);
	strcat(folder, "/local.keys");
	kms_clients_free(world->clients);
	world->clients = open_clients(folder);
	assert_int_equal(kms_clients_find(world->clients, "local", "us-west-2", NULL, &world->kms),
			 KMS_OK);
	assert_int_equal(try_create(world, "local:l", false, &report), KMS_MISCONFIGURED);
	assert_non_null(strstr(report.message, strerror(ELOOP)));
}

/* A disk that is not mounted says nothing about a key, and no key belongs in its place. */
static void a_file_that_was_there_is_out_of_reach_until_it_is_back(void **state)
{
	struct world *world = *state;
	struct kms_report report = {0};
	char sub[96], aside[96], log[96];
	AUTO(buffer_clear) struct buffer lines = {0};
	struct stat there;

	snprintf(sub, sizeof(sub), "%s/sub", world->folder);
	snprintf(aside, sizeof(aside), "%s/aside", world->folder);
	snprintf(log, sizeof(log), "%s/log", world->folder);
	create(world, "local:k");
	assert_true(log_configure(LOG_WARNING, log));
	assert_int_equal(rename(sub, aside), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(encrypt(world, "local:k"), KMS_UNAVAILABLE);
		assert_int_equal(try_create(world, "local:l", false, &report), KMS_UNAVAILABLE);
		assert_non_null(strstr(report.message, "out of reach now"));
		assert_int_equal(set_state(world, KMS_KEY_DISABLED), KMS_UNAVAILABLE);
	}
	assert_int_equal(stat(sub, &there), -1);
	assert_int_equal(rename(aside, sub), 0);
	assert_int_equal(encrypt(world, "local:k"), KMS_OK);
	assert_int_equal(encrypt(world, "local:k"), KMS_OK);
	assert_true(log_configure(LOG_WARNING, "stderr"));
	assert_true(file_read(log, 4096, &lines));
	assert_non_null(strstr(buffer_text(&lines), "out of reach now"));
	assert_null(strstr(strstr(buffer_text(&lines), "out of reach now") + 1, "out of reach"));
	assert_non_null(strstr(buffer_text(&lines), "is back"));
}

static void a_link_to_the_file_stays_one(void **state)
{
	struct world *world = *state;
	struct kms_report report = {0};
	char *folder AUTO(freep) = path_folder(world->path);
	char real[64], lock[96];
	struct stat found;

	snprintf(real, sizeof(real), "%s/real", world->folder);
	snprintf(lock, sizeof(lock), "%s.lock", real);
	assert_true(file_make_folders(folder));
	assert_int_equal(symlink(real, world->path), 0);
	assert_int_equal(try_create(world, "local:k", false, &report), KMS_MISCONFIGURED);
	assert_non_null(strstr(report.message, "is a link, and what it leads to"));
	assert_int_equal(unlink(world->path), 0);
	reopen(world);
	create(world, "local:k");
	assert_int_equal(rename(world->path, real), 0);
	assert_int_equal(symlink(real, world->path), 0);
	create(world, "local:l");
	assert_int_equal(lstat(world->path, &found), 0);
	assert_true(S_ISLNK(found.st_mode));
	assert_int_equal(stat(lock, &found), 0); /* where those who know no link look for it */
	assert_int_equal(encrypt(world, "local:l"), KMS_OK);
}

static void *change_state(void *state)
{
	return (void *)(uintptr_t)set_state(state, KMS_KEY_DISABLED);
}

/* Without that, this test does not end. */
static void threads_that_use_keys_do_not_wait_for_one_that_changes_them(void **state)
{
	struct world *world = *state;
	char path[96];
	pthread_t thread;
	void *status;
	int fd;

	create(world, "local:k");
	snprintf(path, sizeof(path), "%s.lock", world->path);
	assert_int_equal(lock_try(path, world->path, true, &fd), LOCK_OURS);
	assert_int_equal(pthread_create(&thread, NULL, change_state, world), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(encrypt(world, "local:k"), KMS_OK);
		usleep(1000);
	}
	lock_release(fd);
	pthread_join(thread, &status);
	assert_int_equal((uintptr_t)status, KMS_OK);
	assert_int_equal(encrypt(world, "local:k"), KMS_DISABLED);
}

static void a_lock_that_another_holds_is_not_waited_for_for_ever(void **state)
{
	struct world *world = *state;
	struct kms_report report = {0};
	char path[96];
	int fd;

	create(world, "local:k");
	snprintf(path, sizeof(path), "%s.lock", world->path);
	assert_int_equal(lock_try(path, world->path, false, &fd), LOCK_OURS);
	assert_int_equal(try_create(world, "local:l", false, &report), KMS_UNAVAILABLE);
	assert_non_null(strstr(report.message, path));
	assert_non_null(strstr(report.message, "'fuser -v' on that file"));
	lock_release(fd);
	create(world, "local:l");
}

static void two_keys_of_one_name_or_id_are_damage(void **state)
{
	static const char key[] = "{\"id\":\"%s\",\"name\":\"%s\",\"state\":\"Enabled\","
				  "\"created\":1,\"deletion\":0,\"materials\":[{\"version\":1,"
				  "\"created\":1,\"secret\":"
				  "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}]}";
	static const char other_id[] = "00000000-3c5a-4b7e-9d58-0d0f6a2a9c11";
	struct world *world = *state;

	for (int same_name = 0; same_name < 2; same_name++) {
		AUTO(buffer_clear) struct buffer text = {0};

		buffer_put_text(&text, "{\"format\":\"cmek-local-keys\",\"version\":1,\"keys\":[");
		buffer_format(&text, key, KNOWN_ID, "a");
		buffer_put_text(&text, ",");
		buffer_format(&text, key, same_name ? other_id : KNOWN_ID, same_name ? "a" : "b");
		buffer_put_text(&text, "]}");
		write_file(world, buffer_text(&text), 0600);
		assert_int_equal(encrypt(world, "local:a"), KMS_MISCONFIGURED);
	}
}

static void another_process_s_change_is_seen_at_once(void **state)
{
	struct world *world = *state;
	struct kms_clients *others = open_clients(world->path);
	struct kms_client *other;

	assert_int_equal(kms_clients_find(others, "local", "", NULL, &other), KMS_OK);
	create(world, "local:k");
	assert_int_equal(other->operations->set_state(other, "local:k", KMS_KEY_DISABLED, NULL),
			 KMS_OK);
	assert_int_equal(encrypt(world, "local:k"), KMS_DISABLED);
	kms_clients_free(others);
}

static void make_keys(const char *path, int process, int count)
{
	struct kms_clients *clients = open_clients(path);
	struct kms_client *kms;
	int failed = kms_clients_find(clients, "local", "", NULL, &kms) != KMS_OK;

	for (int i = 0; i < count && !failed; i++) {
		char name[32];

		snprintf(name, sizeof(name), "local:p%d-%d", process, i);
		failed = kms->operations->create(kms, name, false, NULL, &(bool){false}) != KMS_OK;
	}
	kms_clients_free(clients);
	_exit(failed);
}

static void processes_that_make_keys_at_once_lose_none(void **state)
{
	enum { PROCESSES = 4, KEYS = 10 };
	struct world *world = *state;
	int status, failed = 0;

	for (int process = 0; process < PROCESSES; process++)
		if (fork() == 0) {
			crypto_abandon();
			if (!crypto_start(false))
				_exit(1);
			make_keys(world->path, process, KEYS);
		}
	for (int process = 0; process < PROCESSES; process++)
		failed |= wait(&status) < 0 || status != 0;
	assert_false(failed);
	for (int i = 0; i < PROCESSES * KEYS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "local:p%d-%d", i / KEYS, i % KEYS);
		assert_int_equal(encrypt(world, name), KMS_OK);
	}
}

static int start_crypto(void **state)
{
	(void)state;
	return crypto_start(false) ? 0 : -1;
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FILE(nothing_is_written_before_the_first_key),
		WITH_FILE(the_file_is_for_its_owner_only),
		WITH_FILE(creating_twice_keeps_the_key),
		WITH_FILE(names_that_are_not_for_new_keys_are_refused),
		WITH_FILE(it_is_told_whether_a_key_was_made),
		WITH_FILE(a_key_that_is_not_there_is_told_with_the_names_that_are_near),
		WITH_FILE(a_ciphertext_written_elsewhere_opens),
		WITH_FILE(every_flipped_bit_of_a_ciphertext_is_noticed),
		WITH_FILE(the_newest_material_encrypts),
		WITH_FILE(a_disabled_key_refuses_until_enabled),
		WITH_FILE(deletion_can_be_called_back_within_its_window),
		WITH_FILE(asking_again_does_not_lengthen_the_window),
		WITH_FILE(a_damaged_file_is_told_and_left_alone),
		WITH_FILE(no_damage_of_the_file_is_more_than_a_refusal),
		WITH_FILE(a_lost_file_is_not_begun_anew),
		WITH_FILE(what_is_in_the_file_s_way_is_called_what_it_is),
		WITH_FILE(a_file_that_was_there_is_out_of_reach_until_it_is_back),
		WITH_FILE(a_link_to_the_file_stays_one),
		WITH_FILE(threads_that_use_keys_do_not_wait_for_one_that_changes_them),
		WITH_FILE(a_lock_that_another_holds_is_not_waited_for_for_ever),
		WITH_FILE(two_keys_of_one_name_or_id_are_damage),
		WITH_FILE(another_process_s_change_is_seen_at_once),
		WITH_FILE(processes_that_make_keys_at_once_lose_none),
	};

	return cmocka_run_group_tests(tests, start_crypto, NULL);
}
