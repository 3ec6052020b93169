/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What remains of a key in the memory of a process: all writable memory is read from
 * /proc/self/mem. The test never holds the keys in the clear, or it would find its own copy.
 */
#include "rules.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEY_LEN = 32, ROUND_KEY = 16, ROUNDS = 14, SCHEDULE_LEN = (ROUNDS + 1) * ROUND_KEY };

/* Everything here is kept, and compared, under this. */
static const CK_BYTE mask = 0x5a;

/* A key as it is expanded (FIPS 197, section 5.2), masked: the key itself and 13 round keys. */
struct wanted {
	CK_BYTE schedule[SCHEDULE_LEN];
};

static CK_BYTE times_two(CK_BYTE x)
{
	return (CK_BYTE)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

static CK_BYTE product(CK_BYTE a, CK_BYTE b)
{
	CK_BYTE sum = 0;

	for (; b != 0; b >>= 1, a = times_two(a))
		sum ^= b & 1 ? a : 0;
	return sum;
}

static CK_BYTE substitute(CK_BYTE x)
{
	CK_BYTE inverse = 0, sum;

	for (unsigned y = 1; y < 256 && x != 0; y++)
		if (product(x, (CK_BYTE)y) == 1)
			inverse = (CK_BYTE)y;
	sum = inverse;
	for (int i = 1; i < 5; i++)
		sum ^= (CK_BYTE)(inverse << i | inverse >> (8 - i));
	return sum ^ 0x63;
}

static void expand(struct wanted *wanted)
{
	CK_BYTE *words = wanted->schedule, round = 1;

	for (size_t at = KEY_LEN; at < SCHEDULE_LEN; at += 4) {
		CK_BYTE word[4];

		for (size_t i = 0; i < 4; i++)
			word[i] = words[at - 4 + (at % KEY_LEN == 0 ? (i + 1) % 4 : i)] ^ mask;
		for (size_t i = 0; i < 4 && at % 16 == 0; i++)
			word[i] = substitute(word[i]);
		if (at % KEY_LEN == 0) {
			word[0] ^= round;
			round = times_two(round);
		}
		for (size_t i = 0; i < 4; i++)
			words[at + i] = words[at + i - KEY_LEN] ^ word[i];
		memset(word, 0, sizeof(word));
	}
}

/* --- Looking */

/* Its first block, or one of its round keys. Of AES in hardware; where others arrange round keys
 * otherwise, the key itself is still found. */
static const CK_BYTE *match(const struct wanted *wanted, const CK_BYTE *at)
{
	for (size_t of = 0; of < SCHEDULE_LEN; of += ROUND_KEY) {
		const CK_BYTE *key = wanted->schedule + of;
		size_t same = 0;

		while (same < ROUND_KEY && (at[same] ^ mask) == key[same])
			same++;
		if (same == ROUND_KEY)
			return at;
	}
	return NULL;
}

static size_t count_in(const struct wanted *wanted, const CK_BYTE *memory, size_t len)
{
	bool first[256] = {false};
	size_t count = 0;

	for (size_t of = 0; of < SCHEDULE_LEN; of += ROUND_KEY)
		first[wanted->schedule[of] ^ mask] = true;
	for (size_t at = 0; at + ROUND_KEY <= len; at++)
		count += first[memory[at]] && match(wanted, memory + at) != NULL;
	return count;
}

/* A window of its own, that is not looked into and holds nothing afterwards. */
enum { WINDOW = 1 << 20 };
static CK_BYTE *window;

static size_t count_mapping(const struct wanted *wanted, int memory, size_t from, size_t to)
{
	size_t count = 0;

	while (from < to) {
		size_t want = to - from < WINDOW ? to - from : WINDOW;
		ssize_t got = pread(memory, window, want, (off_t)from);

		if (got <= 0)
			break;
		count += count_in(wanted, window, (size_t)got);
		memset(window, 0, (size_t)got);
		/* What lies across the border is read once more. */
		from += (size_t)got == want && want == WINDOW ? want - ROUND_KEY : (size_t)got;
	}
	return count;
}

/* How often the key, or a round key of it, lies in the memory of this process. */
static size_t lies_in_memory(const struct wanted *wanted)
{
	int memory = open("/proc/self/mem", O_RDONLY);
	FILE *maps = fopen("/proc/self/maps", "r");
	size_t count = 0, from, to;
	char line[512], rights[5];

	assert_true(memory >= 0 && maps != NULL);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%zx-%zx %4s", &from, &to, rights) != 3 || rights[1] != 'w' ||
		    from == (size_t)(uintptr_t)window)
			continue;
		count += count_mapping(wanted, memory, from, to);
	}
	fclose(maps);
	close(memory);
	return count;
}

/* --- Keys */

/* A key of a session whose value is known, under the mask, to this test. */
static CK_OBJECT_HANDLE make(CK_SESSION_HANDLE session, struct wanted *wanted, bool token)
{
	static CK_BBOOL yes = CK_TRUE, on_token;
	static CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	static CK_KEY_TYPE type = CKK_AES;
	CK_BYTE value[KEY_LEN];
	CK_ATTRIBUTE rows[] = {{CKA_CLASS, &class, sizeof(class)},
			       {CKA_KEY_TYPE, &type, sizeof(type)},
			       {CKA_TOKEN, &on_token, sizeof(on_token)},
			       {CKA_EXTRACTABLE, &yes, sizeof(yes)},
			       {CKA_VALUE, value, sizeof(value)}};
	CK_OBJECT_HANDLE key;

	on_token = token;
	check(p11->C_GenerateRandom(session, wanted->schedule, KEY_LEN));
	expand(wanted);
	for (size_t i = 0; i < KEY_LEN; i++)
		value[i] = wanted->schedule[i] ^ mask;
	check(p11->C_CreateObject(session, rows, sizeof(rows) / sizeof(*rows), &key));
	memset(value, 0, sizeof(value));
	__asm__ volatile("" : : "r"(value) : "memory");
	return key;
}

static void use(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	for (size_t i = 0; i < crypt_count && i < 5; i++) {
		CK_BYTE data[64] = {0}, out[128];
		CK_ULONG len = sizeof(out);

		check(p11->C_EncryptInit(session, fitting(crypt_mechanisms[i]), key));
		check(p11->C_Encrypt(session, data, sizeof(data), out, &len));
	}
}

static void a_destroyed_key_leaves_nothing_behind(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, idle = session_new();
	struct wanted wanted;

	for (int token = 0; token < 2; token++) {
		CK_OBJECT_HANDLE key = make(session, &wanted, token);

		assert_in_range(lies_in_memory(&wanted), 1, 1000);
		use(session, key);
		use(idle, key);
		/* Else nothing is shown: as many schedules as modes, in both sessions. */
		assert_in_range(lies_in_memory(&wanted), 10, 1000);
		check(p11->C_DestroyObject(session, key));
		assert_int_equal(lies_in_memory(&wanted), 0);
	}
}

static void a_key_goes_from_memory_with_its_session(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, maker = session_new();
	struct wanted wanted;
	CK_OBJECT_HANDLE key = make(maker, &wanted, false);

	use(maker, key);
	use(session, key);
	check(p11->C_CloseSession(maker));
	assert_int_equal(lies_in_memory(&wanted), 0);
}

static void a_key_that_was_wrapped_and_unwrapped_leaves_nothing_behind(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key, again;
	struct wanted wanted;

	for (size_t i = 0; i < wrap_count; i++) {
		CK_BYTE wrapped[128];
		CK_ULONG len = sizeof(wrapped);

		key = make(session, &wanted, false);
		check(wrap_by(session, fitting(wrap_mechanisms[i]), zone, key, wrapped, &len));
		check(unwrap_by(session, fitting(wrap_mechanisms[i]), zone, wrapped, len, &again));
		use(session, again);
		check(p11->C_DestroyObject(session, key));
		check(p11->C_DestroyObject(session, again));
		assert_int_equal(lies_in_memory(&wanted), 0);
	}
}

/* --- Of messages */

/* The key of a message, under the mask; and its words as a digest has them in its state. */
static void derive(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE dek, CK_BYTE number,
		   struct wanted *wanted, struct wanted *words)
{
	CK_BYTE info[] = "cmek/1/message\0\0\0.", value[KEY_LEN];
	CK_HKDF_PARAMS hkdf = {.bExpand = CK_TRUE,
			       .prfHashMechanism = CKM_SHA256,
			       .ulSaltType = CKF_HKDF_SALT_NULL,
			       .pInfo = info,
			       .ulInfoLen = sizeof(info) - 1};
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, KEY_LEN);
	CK_OBJECT_HANDLE key;

	info[17] = number;
	check(p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &hkdf, sizeof(hkdf)), dek,
			       t->rows, t->count, &key));
	attribute_bytes(session, key, CKA_VALUE, value, sizeof(value));
	check(p11->C_DestroyObject(session, key));
	for (size_t i = 0; i < KEY_LEN; i++)
		wanted->schedule[i] = value[i] ^ mask;
	memset(value, 0, sizeof(value));
	__asm__ volatile("" : : "r"(value) : "memory");
	expand(wanted);
	for (size_t i = 0; i < SCHEDULE_LEN; i++)
		words->schedule[i] = wanted->schedule[i % KEY_LEN ^ 3];
}

static void pass(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE dek, CK_BYTE number, bool opens,
		 CK_BYTE sealed[static 17])
{
	CK_CMEK_MESSAGE_PARAMS parameters = {.ulNumber = number};
	CK_MECHANISM *by = mechanism_with(CKM_CMEK_MESSAGE, &parameters, sizeof(parameters));
	CK_ULONG len = 17;

	if (!opens)
		check(p11->C_EncryptInit(session, by, dek));
	else
		check(p11->C_DecryptInit(session, by, dek));
	if (!opens)
		check(p11->C_Encrypt(session, (CK_BYTE *)"x", 1, sealed, &len));
	else
		check(p11->C_Decrypt(session, sealed, 17, (CK_BYTE[17]){0}, &len));
}

static void a_messages_key_goes_when_the_message_is_done(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, KEY_LEN);
	CK_OBJECT_HANDLE dek = key_generate(session, with_bool(t, CKA_DERIVE, true));
	CK_CMEK_MESSAGE_PARAMS parameters = {.ulNumber = 2};
	CK_MECHANISM *by = mechanism_with(CKM_CMEK_MESSAGE, &parameters, sizeof(parameters));
	struct wanted wanted, words;
	CK_BYTE sealed[17];

	for (CK_BYTE number = 0; number < 2; number++) {
		derive(session, dek, number, &wanted, &words);
		for (int opens = 0; opens < 2; opens++) {
			pass(session, dek, number, opens, sealed);
			assert_int_equal(lies_in_memory(&wanted) + lies_in_memory(&words), 0);
		}
	}
	derive(session, dek, 2, &wanted, &words);
	check(p11->C_EncryptInit(session, by, dek));
	/* Else nothing is shown: the schedule of one that is under way. */
	assert_in_range(lies_in_memory(&wanted), 10, 20);
	assert_int_equal(lies_in_memory(&words), 0);
	check(p11->C_EncryptInit(session, NULL, 0));
	assert_int_equal(lies_in_memory(&wanted), 0);
}

/* --- Leases */

static int begin_short(void **state)
{
	p11->C_Finalize(NULL);
	token_configure("lease_seconds = 1\n");
	return initialize() == CKR_OK ? session_setup(state) : -1;
}

static int end_short(void **state)
{
	session_teardown(state);
	p11->C_Finalize(NULL);
	token_configure("");
	return initialize() == CKR_OK ? 0 : -1;
}

static void call_slots(CK_SESSION_HANDLE session)
{
	CK_INFO info;

	(void)session;
	check(p11->C_GetInfo(&info));
}

static void call_session_info(CK_SESSION_HANDLE session)
{
	CK_SESSION_INFO info;

	check(p11->C_GetSessionInfo(session, &info));
}

static void call_random(CK_SESSION_HANDLE session)
{
	CK_BYTE random[16];

	check(p11->C_GenerateRandom(session, random, sizeof(random)));
}

static void call_close(CK_SESSION_HANDLE session)
{
	(void)session;
	fails(p11->C_CloseSession(CK_INVALID_HANDLE));
}

static void call_missing(CK_SESSION_HANDLE session)
{
	check(p11->C_FindObjectsInit(session, NULL, 0));
	check(p11->C_FindObjectsFinal(session));
}

/* No thread uses the key or its zone; any call may come first. */
static void the_first_call_after_a_lease_leaves_nothing_of_its_keys(void **state)
{
	static void (*const calls[])(CK_SESSION_HANDLE) = {call_slots, call_session_info,
							   call_random, call_close, call_missing};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, idle = session_new();
	CK_OBJECT_HANDLE zone = some_zone(session), key;
	struct wanted wanted;

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		key = make(session, &wanted, false);
		check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, key, (CK_BYTE[128]){0},
			      &(CK_ULONG){128}));
		use(session, key);
		use(idle, key);
		assert_in_range(lies_in_memory(&wanted), 10, 1000);
		usleep(1200 * 1000);
		calls[i](session);
		assert_int_equal(lies_in_memory(&wanted), 0);
		/* And is there again when it is used. */
		use(idle, key);
		assert_in_range(lies_in_memory(&wanted), 1, 1000);
		check(p11->C_DestroyObject(session, key));
	}
}

/* --- Forks */

static void a_child_inherits_no_key_of_an_idle_session(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct wanted wanted;
	CK_OBJECT_HANDLE key = make(session, &wanted, false);
	int status;
	pid_t child;

	use(session, key);
	assert_in_range(lies_in_memory(&wanted), 5, 1000);
	child = fork();
	if (child == 0)
		_exit(lies_in_memory(&wanted) == 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	use(session, key);
}

/* Sanitizers and valgrind keep memory of their own, which is beyond measure and not ours. */
static bool is_watched(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#endif
	return preloaded != NULL && strstr(preloaded, "valgrind") != NULL;
}

static void what_stays_is_not_looked_for_here(void **state)
{
	(void)state;
	skip_because("memory is not read under a sanitizer or valgrind");
}

int rules_memory(void)
{
	const struct CMUnitTest none[] = {
		cmocka_unit_test(what_stays_is_not_looked_for_here),
	};
	const struct CMUnitTest tests[] = {
		in_session(a_destroyed_key_leaves_nothing_behind),
		in_session(a_key_goes_from_memory_with_its_session),
		in_session(a_key_that_was_wrapped_and_unwrapped_leaves_nothing_behind),
		in_session(a_messages_key_goes_when_the_message_is_done),
		cmocka_unit_test_setup_teardown(
			the_first_call_after_a_lease_leaves_nothing_of_its_keys, begin_short,
			end_short),
		in_session(a_child_inherits_no_key_of_an_idle_session),
	};

	if (is_watched())
		return run_group("memory", none, NULL, NULL);
	/* Shared, so that the kernel does not make it one with a neighbour. */
	window = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return window == MAP_FAILED ? 1 : run_group("memory", tests, token_setup, token_teardown);
}
