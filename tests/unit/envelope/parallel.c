/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The chunks of a stream by several threads, over work that only notes what it was given:
 * tests/module/envelopes.c and tests/e2e/large_files.py do it over the real module. */
#include "base/macros.h"
#include "envelope/parallel.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/* Four of them are a part. */
enum { CHUNK = 1 << 20, LONGEST = 23 * CHUNK + 5, MOST = 64 };

/* --- A token that has sessions and nothing else ---------------------------------------------- */

static atomic_ulong sessions, handles, refused_from;
static atomic_ulong refuses_to_open; /* the CK_RV of C_DecryptInit */

static CK_RV get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
	(void)session;
	*info = (CK_SESSION_INFO){.slotID = 7, .flags = CKF_SERIAL_SESSION};
	return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
			  CK_SESSION_HANDLE *ret_session)
{
	(void)application, (void)notify;
	assert_int_equal(slot, 7);
	assert_int_equal(flags, CKF_SERIAL_SESSION);
	if (refused_from != 0 && sessions >= refused_from)
		return CKR_SESSION_COUNT;
	sessions++;
	*ret_session = ++handles;
	return CKR_OK;
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
	assert_in_range(session, 2, handles);
	sessions--;
	return CKR_OK;
}

static CK_RV decrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	(void)mechanism, (void)key;
	assert_int_equal(session, 1); /* the caller's */
	return refuses_to_open;
}

static CK_RV decrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
		     CK_ULONG *out_len)
{
	(void)session, (void)in, (void)in_len, (void)out, (void)out_len;
	return CKR_ENCRYPTED_DATA_INVALID;
}

static CK_FUNCTION_LIST functions = {.C_GetSessionInfo = get_session_info,
				     .C_OpenSession = open_session,
				     .C_CloseSession = close_session,
				     .C_DecryptInit = decrypt_init,
				     .C_Decrypt = decrypt};
static struct envelope_token token;
static struct envelope_payload payload;

/* --- A stream -------------------------------------------------------------------------------- */

static struct {
	uint8_t *plain;
	size_t len, at, piece; /* greatest read; 0: any */
	size_t fail_read_at, fail_write_at;
	bool grows; /* after its end has been seen */
	bool ended;
	struct buffer out;
	atomic_int readers, writers;
} stream;

static ssize_t stream_read(void *state, uint8_t *out, size_t len)
{
	size_t left = stream.len - stream.at;

	(void)state;
	assert_int_equal(atomic_fetch_add(&stream.readers, 1), 0);
	if (stream.piece != 0 && len > stream.piece)
		len = stream.piece;
	len = len < left ? len : left;
	if (stream.ended && stream.grows)
		fail_msg("read after its end");
	stream.ended |= len == 0;
	if (stream.fail_read_at != 0 && stream.at + len > stream.fail_read_at) {
		atomic_fetch_sub(&stream.readers, 1);
		errno = EIO;
		return -1;
	}
	if (len > 0)
		memcpy(out, stream.plain + stream.at, len);
	stream.at += len;
	atomic_fetch_sub(&stream.readers, 1);
	return (ssize_t)len;
}

static bool stream_write(void *state, struct bytes bytes)
{
	(void)state;
	assert_int_equal(atomic_fetch_add(&stream.writers, 1), 0);
	if (stream.fail_write_at != 0 && stream.out.len + bytes.len > stream.fail_write_at) {
		atomic_fetch_sub(&stream.writers, 1);
		errno = ENOSPC;
		return false;
	}
	buffer_append(&stream.out, bytes);
	atomic_fetch_sub(&stream.writers, 1);
	return true;
}

static const struct envelope_io io = {.read = stream_read, .write = stream_write};

/* --- The work -------------------------------------------------------------------------------- */

static struct {
	atomic_ulong begun; /* the next in order */
	atomic_ulong lasts, under_way[MOST];
	atomic_ulong fail_begin_at, fail_at; /* 1 + chunk */
	enum envelope_status fails_with;
	pthread_t caller;
	atomic_bool fails_elsewhere; /* only in other threads than the caller's, who waits for it */
	atomic_bool failed;
	atomic_ulong open_signals; /* chunks done elsewhere where a handler could have run */
	atomic_bool wants_signals; /* one thread that is not the caller's, who waits for it, */
	atomic_bool signalled;	   /* has had a signal sent to the process, and two to itself */
} seen;

/* What a program may have a handler for, and what a thread has only itself to blame for. */
static void look_at_signals(void)
{
	sigset_t blocked;

	if (pthread_equal(seen.caller, pthread_self()))
		return;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	seen.open_signals += !sigismember(&blocked, SIGALRM) || !sigismember(&blocked, SIGINT) ||
			     !sigismember(&blocked, SIGPIPE) || sigismember(&blocked, SIGSEGV);
}

/* As another process does, and as a write to a pipe or beyond a limit. */
static void send_signals(void)
{
	if (!seen.wants_signals)
		return;
	if (pthread_equal(seen.caller, pthread_self())) {
		while (!seen.signalled)
			sched_yield();
	} else if (!atomic_exchange(&seen.signalled, true)) {
		kill(getpid(), SIGUSR1);
		raise(SIGPIPE);
		raise(SIGXFSZ);
	}
}

static bool is_to_fail(unsigned long at, uint64_t index)
{
	if (seen.fails_elsewhere && pthread_equal(seen.caller, pthread_self())) {
		while (!seen.failed)
			sched_yield();
		return false;
	}
	seen.failed = seen.failed || (at != 0 && index + 1 >= at);
	return at != 0 && index + 1 >= at;
}

static enum envelope_status begin(const struct envelope_payload *given, uint64_t index, bool last,
				  struct envelope_error *error)
{
	CK_SESSION_HANDLE session = given->token->session;

	(void)error;
	assert_int_equal(atomic_fetch_add(&seen.begun, 1), index);
	assert_int_equal(seen.lasts, 0);
	seen.lasts += last;
	assert_in_range(session, 1, MOST - 1);
	assert_int_equal(atomic_fetch_add(&seen.under_way[session], 1), 0);
	return is_to_fail(seen.fail_begin_at, index) ? seen.fails_with : ENVELOPE_OK;
}

/* The chunk with its number and whether it is the last behind it. */
static enum envelope_status run(const struct envelope_payload *given, uint64_t index, bool last,
				struct bytes in, uint8_t *out, size_t *ret_len,
				struct envelope_error *error)
{
	assert_true(given->key == payload.key && given->aad.data == payload.aad.data);
	seen.under_way[given->token->session % MOST] = 0;
	look_at_signals();
	send_signals();
	if (is_to_fail(seen.fail_at, index)) {
		snprintf(error->text, sizeof(error->text), "chunk %lu", (unsigned long)index);
		return seen.fails_with;
	}
	if (in.len > 0)
		memcpy(out, in.data, in.len);
	memset(out + in.len, last, ENVELOPE_TAG);
	out[in.len] = (uint8_t)index;
	*ret_len = in.len + ENVELOPE_TAG;
	return ENVELOPE_OK;
}

static const struct envelope_work both = {begin, run}, one = {NULL, run};

static int fresh(void **state)
{
	(void)state;
	if (stream.plain == NULL) {
		stream.plain = malloc(LONGEST);
		for (size_t i = 0; stream.plain != NULL && i < LONGEST; i++)
			stream.plain[i] = (uint8_t)(i * 7 + i / 251);
	}
	buffer_clear(&stream.out);
	stream.len = stream.at = stream.piece = stream.fail_read_at = stream.fail_write_at = 0;
	stream.grows = stream.ended = false;
	memset(&seen, 0, sizeof(seen));
	seen.caller = pthread_self();
	sessions = handles = 1;
	refused_from = 0;
	refuses_to_open = CKR_OK;
	token = (struct envelope_token){.functions = &functions, .session = 1};
	payload = (struct envelope_payload){.token = &token, .key = 5, .aad = bytes("aad", 3)};
	return stream.plain == NULL;
}

static int end(void **state)
{
	(void)state;
	buffer_clear(&stream.out);
	free(TAKE(stream.plain));
	return 0;
}

/* What a stream of this length becomes. */
static void expect(size_t len, struct buffer *ret)
{
	uint64_t index = 0;
	size_t at = 0;

	do {
		size_t part = len - at < CHUNK ? len - at : CHUNK;
		uint8_t tag[ENVELOPE_TAG];

		memset(tag, at + part == len, sizeof(tag));
		tag[0] = (uint8_t)index++;
		buffer_append(ret, bytes(stream.plain + at, part));
		buffer_append(ret, bytes(tag, sizeof(tag)));
		at += part;
	} while (at < len);
}

static enum envelope_status run_with(const struct envelope_work *work, size_t len, unsigned threads,
				     struct envelope_error *error)
{
	enum envelope_status status;

	stream.len = len;
	status = envelope_run_parallel(&payload, work, CHUNK, threads, &io, error);
	assert_int_equal(sessions, 1); /* the caller's is left to him, the others are closed */
	return status;
}

static void assert_is_beginning(size_t whole)
{
	AUTO(buffer_clear) struct buffer expected = {0};

	expect(whole, &expected);
	assert_true(stream.out.len < expected.len);
	assert_memory_equal(stream.out.len == 0 ? expected.data : stream.out.data, expected.data,
			    stream.out.len);
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void any_number_of_threads_makes_the_same(void **state)
{
	const size_t lens[] = {0,
			       1,
			       CHUNK - 1,
			       CHUNK,
			       CHUNK + 1,
			       4 * CHUNK - 1,
			       4 * CHUNK,
			       4 * CHUNK + 1,
			       5 * CHUNK,
			       8 * CHUNK - 1,
			       8 * CHUNK,
			       8 * CHUNK + 1,
			       12 * CHUNK + 77,
			       LONGEST};

	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		AUTO(buffer_clear) struct buffer expected = {0};

		fresh(state);
		expect(lens[i], &expected);
		for (unsigned threads = 0; threads <= 4; threads++)
			for (int way = 0; way < 3; way++) {
				struct envelope_error error = {0};

				fresh(state);
				stream.piece = way == 2 ? 100000 : 0;
				assert_int_equal(
					run_with(way == 0 ? &both : &one, lens[i], threads, &error),
					ENVELOPE_OK);
				assert_bytes(buffer_bytes(&stream.out), buffer_bytes(&expected));
			}
	}
}

static void a_small_stream_is_the_callers_alone(void **state)
{
	struct envelope_error error = {0};

	(void)state;
	assert_int_equal(run_with(&one, 4 * CHUNK, 4, &error), ENVELOPE_OK);
	assert_int_equal(handles, 1);
	fresh(state);
	assert_int_equal(run_with(&one, 4 * CHUNK + 1, 4, &error), ENVELOPE_OK);
	assert_int_equal(handles, 4);
}

static void a_short_part_is_the_last_even_if_the_file_grows(void **state)
{
	struct envelope_error error = {0};

	(void)state;
	stream.grows = true;
	assert_int_equal(run_with(&one, 4 * CHUNK + 100, 3, &error), ENVELOPE_OK);
	fresh(state);
	stream.grows = true;
	assert_int_equal(run_with(&one, 8 * CHUNK, 3, &error), ENVELOPE_OK);
}

static void a_chunk_that_fails_ends_all_with_what_came_before_it(void **state)
{
	const unsigned long chunks[] = {0, 1, 4, 9, 22, 23};

	for (size_t i = 0; i < COUNT_OF(chunks); i++)
		for (unsigned threads = 1; threads <= 4; threads++) {
			struct envelope_error error = {0};
			char text[32];

			fresh(state);
			seen.fail_at = chunks[i] + 1; /* and each after it */
			seen.fails_with = ENVELOPE_DAMAGED;
			assert_int_equal(run_with(&both, LONGEST, threads, &error),
					 ENVELOPE_DAMAGED);
			snprintf(text, sizeof(text), "chunk %lu", chunks[i]);
			assert_string_equal(error.text, text);
			assert_int_equal(stream.out.len, chunks[i] * (CHUNK + ENVELOPE_TAG));
			assert_is_beginning(LONGEST);
		}
}

static void one_that_can_not_begin_does_too(void **state)
{
	for (unsigned threads = 1; threads <= 4; threads++) {
		struct envelope_error error = {0};

		fresh(state);
		seen.fail_begin_at = 10;
		seen.fails_with = ENVELOPE_TOO_LARGE;
		assert_int_equal(run_with(&both, LONGEST, threads, &error), ENVELOPE_TOO_LARGE);
		assert_int_equal(stream.out.len, 9 * (CHUNK + ENVELOPE_TAG));
		assert_int_equal(seen.begun, 10); /* none after it */
		assert_is_beginning(LONGEST);
	}
}

static void what_can_not_be_read_ends_all(void **state)
{
	for (unsigned threads = 1; threads <= 4; threads++) {
		struct envelope_error error = {0};

		fresh(state);
		stream.fail_read_at = 9 * CHUNK;
		assert_int_equal(run_with(&both, LONGEST, threads, &error), ENVELOPE_INPUT);
		assert_int_equal(error.system_error, EIO);
		assert_int_equal(stream.out.len, 8 * (CHUNK + ENVELOPE_TAG));
		assert_is_beginning(LONGEST);
	}
}

static void what_can_not_be_written_ends_all(void **state)
{
	for (unsigned threads = 1; threads <= 4; threads++) {
		struct envelope_error error = {0};

		fresh(state);
		stream.fail_write_at = 9 * CHUNK;
		assert_int_equal(run_with(&both, LONGEST, threads, &error), ENVELOPE_OUTPUT);
		assert_int_equal(error.system_error, ENOSPC);
		assert_is_beginning(LONGEST);
	}
}

/* As where the KMS has withdrawn the key while the file was under way. */
static void the_module_tells_the_caller_why(void **state)
{
	struct envelope_error error = {0};

	(void)state;
	seen.fail_at = 1;
	seen.fails_with = ENVELOPE_MODULE;
	seen.fails_elsewhere = true;
	refuses_to_open = CKR_DEVICE_ERROR;
	assert_int_equal(run_with(&one, LONGEST, 4, &error), ENVELOPE_MODULE);
	assert_string_equal(error.function, "C_DecryptInit");
	assert_int_equal(error.rv, CKR_DEVICE_ERROR);
	/* A reason that has passed meanwhile is none for the data to be damaged. */
	fresh(state);
	seen.fail_at = 1;
	seen.fails_with = ENVELOPE_MODULE;
	seen.fails_elsewhere = true;
	assert_int_equal(run_with(&one, LONGEST, 4, &error), ENVELOPE_MODULE);
}

static void no_thread_of_ours_runs_the_programs_handlers(void **state)
{
	struct envelope_error error = {0};
	sigset_t blocked;

	(void)state;
	assert_int_equal(run_with(&one, LONGEST, 4, &error), ENVELOPE_OK);
	assert_int_equal(handles, 4);
	assert_int_equal(seen.open_signals, 0);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_false(sigismember(&blocked, SIGALRM));
}

static atomic_uint handled, handled_elsewhere;

static void handle(int number)
{
	(void)number;
	handled++;
	handled_elsewhere += !pthread_equal(seen.caller, pthread_self());
}

/* Of the process, and of a write that the program's own thread would have been told of. */
static void signals_are_handled_by_the_programs_threads(void **state)
{
	static const int numbers[] = {SIGUSR1, SIGPIPE, SIGXFSZ};
	const struct sigaction action = {.sa_handler = handle};
	struct sigaction before[COUNT_OF(numbers)];
	struct envelope_error error = {0};
	sigset_t blocked, mask;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		sigaction(numbers[i], &action, &before[i]);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, &mask);
	seen.wants_signals = true;
	assert_int_equal(run_with(&one, LONGEST, 4, &error), ENVELOPE_OK);
	assert_int_equal(handled_elsewhere, 0);
	assert_int_equal(handled, 2);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	assert_int_equal(handled_elsewhere, 0);
	assert_int_equal(handled, 3);
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		sigaction(numbers[i], &before[i], NULL);
}

static ssize_t read_cancelled(void *state, uint8_t *out, size_t len)
{
	pthread_cancel(seen.caller);
	pthread_testcancel();
	return stream_read(state, out, len);
}

static void *run_cancelled(void *state)
{
	const struct envelope_io cancelled = {.read = read_cancelled, .write = stream_write};
	struct envelope_error error = {0};

	seen.caller = pthread_self();
	*(enum envelope_status *)state =
		envelope_run_parallel(&payload, &one, CHUNK, 4, &cancelled, &error);
	pthread_testcancel();
	return NULL;
}

/* The others work with what lies on its stack. */
static void a_thread_that_is_cancelled_ends_when_all_is_done(void **state)
{
	AUTO(buffer_clear) struct buffer expected = {0};
	enum envelope_status status = ENVELOPE_MODULE;
	pthread_t thread;
	void *result;

	(void)state;
	expect(LONGEST, &expected);
	stream.len = LONGEST;
	assert_int_equal(pthread_create(&thread, NULL, run_cancelled, &status), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	assert_int_equal(status, ENVELOPE_OK);
	assert_int_equal(sessions, 1);
	assert_bytes(buffer_bytes(&stream.out), buffer_bytes(&expected));
}

static void threads_without_a_session_are_done_without(void **state)
{
	AUTO(buffer_clear) struct buffer expected = {0};
	struct envelope_error error = {0};

	(void)state;
	refused_from = 6; /* four of the caller's thread, and two of another */
	expect(LONGEST, &expected);
	assert_int_equal(run_with(&both, LONGEST, 4, &error), ENVELOPE_OK);
	assert_bytes(buffer_bytes(&stream.out), buffer_bytes(&expected));
	fresh(state);
	refused_from = 2;
	assert_int_equal(run_with(&both, LONGEST, 4, &error), ENVELOPE_MODULE);
	assert_string_equal(error.function, "C_OpenSession");
	assert_int_equal(stream.out.len, 2 * (CHUNK + ENVELOPE_TAG));
	assert_is_beginning(LONGEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(any_number_of_threads_makes_the_same, fresh),
		cmocka_unit_test_setup(a_small_stream_is_the_callers_alone, fresh),
		cmocka_unit_test_setup(a_short_part_is_the_last_even_if_the_file_grows, fresh),
		cmocka_unit_test_setup(a_chunk_that_fails_ends_all_with_what_came_before_it, fresh),
		cmocka_unit_test_setup(one_that_can_not_begin_does_too, fresh),
		cmocka_unit_test_setup(what_can_not_be_read_ends_all, fresh),
		cmocka_unit_test_setup(what_can_not_be_written_ends_all, fresh),
		cmocka_unit_test_setup(the_module_tells_the_caller_why, fresh),
		cmocka_unit_test_setup(no_thread_of_ours_runs_the_programs_handlers, fresh),
		cmocka_unit_test_setup(signals_are_handled_by_the_programs_threads, fresh),
		cmocka_unit_test_setup(a_thread_that_is_cancelled_ends_when_all_is_done, fresh),
		cmocka_unit_test_setup(threads_without_a_session_are_done_without, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
