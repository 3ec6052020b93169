/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/parallel.h"

#include "base/cancel.h"
#include "base/macros.h"
#include "base/secret.h"
#include "envelope/writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* A part of the stream is read and written at once: a large one, since a thread that waits for its
 * turn sleeps. All of them, with what becomes of them, have no more than MEMORY_MAX, unless one
 * has; more threads would wait for the one that writes. */
enum { PART = 1 << 22, SESSIONS_MAX = 64, MEMORY_MAX = 1 << 26, LANES_MAX = 8 };

/* What the threads share. */
struct crew {
	const struct envelope_work *work;
	const struct envelope_io *io;
	const struct envelope_payload *payload; /* the caller's */
	size_t chunk_len;			/* as read */
	size_t chunks;				/* in a part */
	size_t sessions;			/* of a thread: a chunk that was begun has one */
	atomic_bool stopped;			/* nothing further is read or written */

	pthread_mutex_t reading; /* held by whose turn it is to read; guards: */
	uint64_t next;		 /* the part to be read */
	bool ended;		 /* there is none */
	bool has_ahead;		 /* a byte of that part: so there is one */
	uint8_t ahead;

	pthread_mutex_t lock;		 /* guards: */
	pthread_cond_t turns[LANES_MAX]; /* to write; by part */
	uint64_t written;		 /* parts: whose thread has the next one has the turn */
	enum envelope_status status;
	struct envelope_error error;
	bool elsewhere; /* it failed in another thread than the caller's */
};

/* A thread, and the part of the stream that it has. */
struct lane {
	struct crew *crew;
	pthread_t thread;
	struct envelope_token token; /* with the session that is in use */
	CK_SESSION_HANDLE sessions[SESSIONS_MAX];
	size_t open;		  /* sessions; the caller's first stays his */
	uint8_t *in, *out;	  /* one piece of memory */
	size_t in_used, out_used; /* the most that was ever in it */
	uint64_t part;
	size_t in_len, out_len, count; /* bytes; chunks, of which the last may be short */
	bool last;		       /* part of the stream */
	size_t begun;		       /* chunks */
	enum envelope_status status;   /* of reading the part and of the work on it */
	struct envelope_error error;
	bool is_mine;	 /* the caller's */
	sigset_t raised; /* by its writes; of another's thread */
};

/* --- A thread's memory and sessions ---------------------------------------------------------- */

static size_t in_size(const struct crew *crew)
{
	return crew->chunks * crew->chunk_len;
}

static size_t lane_size(const struct crew *crew)
{
	return in_size(crew) + crew->chunks * (crew->chunk_len + ENVELOPE_TAG);
}

static CK_RV open_session(const struct envelope_token *token, CK_SESSION_HANDLE *ret_session)
{
	CK_SESSION_INFO info;

	TRY(token->functions->C_GetSessionInfo(token->session, &info));
	return token->functions->C_OpenSession(info.slotID,
					       CKF_SERIAL_SESSION | (info.flags & CKF_RW_SESSION),
					       NULL, NULL, ret_session);
}

/* At least so many. */
static enum envelope_status open_sessions(struct lane *lane, size_t count,
					  struct envelope_error *error)
{
	struct envelope_token *by = lane->crew->payload->token;

	for (; lane->open < count && lane->open < lane->crew->sessions; lane->open++) {
		CK_RV rv = open_session(by, &lane->sessions[lane->open]);

		if (rv != CKR_OK)
			return envelope_failed(by, error, "C_OpenSession", rv);
	}
	return ENVELOPE_OK;
}

static bool lane_init(struct lane *lane, struct crew *crew)
{
	lane->crew = crew;
	lane->token.functions = crew->payload->token->functions;
	lane->in = malloc(lane_size(crew));
	lane->out = lane->in == NULL ? NULL : lane->in + in_size(crew);
	return lane->in != NULL;
}

/* The caller's opens the sessions when it needs them: most files are small. */
static bool lane_init_mine(struct lane *lane, struct crew *crew)
{
	lane->is_mine = true;
	lane->sessions[lane->open++] = crew->payload->token->session;
	return lane_init(lane, crew);
}

static void lane_clear(struct lane *lane)
{
	for (size_t i = lane->is_mine; i < lane->open; i++)
		lane->token.functions->C_CloseSession(lane->sessions[i]);
	if (lane->in != NULL) {
		wipe(lane->in, lane->in_used);
		wipe(lane->out, lane->out_used);
	}
	free(lane->in);
}

/* --- Reading --------------------------------------------------------------------------------- */

static ssize_t read_full(const struct envelope_io *io, uint8_t *out, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t count = io->read(io->state, out + got, len - got);

		if (count < 0)
			return -1;
		if (count == 0)
			break;
		got += (size_t)count;
	}
	return (ssize_t)got;
}

/* A short part is the last, even if the file is still being written and grows. Only a stream
 * without a byte has an empty one, which is one chunk. */
static bool read_part(struct crew *crew, struct lane *lane)
{
	size_t size = in_size(crew), begun = crew->has_ahead;
	ssize_t count, more = 0;

	lane->in_used = size;
	lane->in[0] = crew->ahead;
	count = read_full(crew->io, lane->in + begun, size - begun);
	if (count >= 0 && begun + (size_t)count == size)
		more = read_full(crew->io, &crew->ahead, 1);
	if (count < 0 || more < 0)
		return false;
	lane->in_len = begun + (size_t)count;
	if (lane->part == 0)
		lane->in_used = lane->in_len;
	lane->last = more == 0;
	lane->count =
		lane->in_len == 0 ? 1 : (lane->in_len + crew->chunk_len - 1) / crew->chunk_len;
	crew->has_ahead = more > 0;
	return true;
}

/* By the chunk's session. */
static struct envelope_payload payload_of(struct lane *lane, size_t chunk)
{
	struct envelope_payload payload = *lane->crew->payload;

	lane->token.session = lane->sessions[chunk % lane->crew->sessions];
	payload.token = &lane->token;
	return payload;
}

static uint64_t index_of(const struct lane *lane, size_t chunk)
{
	return lane->part * lane->crew->chunks + chunk;
}

static bool is_last(const struct lane *lane, size_t chunk)
{
	return lane->last && chunk + 1 == lane->count;
}

static enum envelope_status begin_chunk(struct lane *lane, size_t chunk)
{
	const struct envelope_work *work = lane->crew->work;
	struct envelope_payload payload;

	if (work->begin == NULL)
		return ENVELOPE_OK;
	TRY(open_sessions(lane, chunk + 1, &lane->error));
	payload = payload_of(lane, chunk);
	return work->begin(&payload, index_of(lane, chunk), is_last(lane, chunk), &lane->error);
}

static void begin_part(struct lane *lane)
{
	while (lane->begun < lane->count && lane->status == ENVELOPE_OK) {
		lane->status = begin_chunk(lane, lane->begun);
		lane->begun += lane->status == ENVELOPE_OK;
	}
}

/* False: there is nothing more to read. A failure is told when it is the part's turn. */
static bool take_part(struct lane *lane)
{
	struct crew *crew = lane->crew;
	bool taken;

	pthread_mutex_lock(&crew->reading);
	taken = !crew->ended && !atomic_load(&crew->stopped);
	if (taken) {
		lane->part = crew->next++;
		lane->begun = 0;
		lane->error = (struct envelope_error){0};
		lane->status = ENVELOPE_OK;
		if (read_part(crew, lane)) {
			begin_part(lane);
		} else {
			lane->status = ENVELOPE_INPUT;
			lane->error.system_error = errno;
		}
		crew->ended = lane->last || lane->status != ENVELOPE_OK;
	}
	pthread_mutex_unlock(&crew->reading);
	return taken;
}

/* --- The work -------------------------------------------------------------------------------- */

/* The chunks that were begun: of which the caller's session has the first. */
static void run_part(struct lane *lane)
{
	const struct crew *crew = lane->crew;

	lane->out_len = 0;
	for (size_t i = 0; i < lane->begun; i++) {
		struct envelope_payload payload = payload_of(lane, i);
		size_t at = i * crew->chunk_len, rest = lane->in_len - at, len = 0;
		struct bytes in =
			bytes(lane->in + at, rest < crew->chunk_len ? rest : crew->chunk_len);
		struct envelope_error error = {0};
		enum envelope_status status =
			crew->work->run(&payload, index_of(lane, i), is_last(lane, i), in,
					lane->out + lane->out_len, &len, &error);

		if (lane->out_used < lane->out_len + in.len + ENVELOPE_TAG)
			lane->out_used = lane->out_len + in.len + ENVELOPE_TAG;
		if (status != ENVELOPE_OK) {
			lane->status = status;
			lane->error = error;
			return;
		}
		lane->out_len += len;
	}
}

/* --- Writing --------------------------------------------------------------------------------- */

static pthread_cond_t *turn_of(struct crew *crew, uint64_t part)
{
	return &crew->turns[part % LANES_MAX];
}

static bool wait_for_turn(const struct lane *lane)
{
	struct crew *crew = lane->crew;
	bool stopped;

	pthread_mutex_lock(&crew->lock);
	while (crew->written != lane->part && !atomic_load(&crew->stopped))
		pthread_cond_wait(turn_of(crew, lane->part), &crew->lock);
	stopped = atomic_load(&crew->stopped);
	pthread_mutex_unlock(&crew->lock);
	return !stopped;
}

static void end_turn(const struct lane *lane)
{
	struct crew *crew = lane->crew;

	pthread_mutex_lock(&crew->lock);
	crew->written++;
	if (lane->status != ENVELOPE_OK) {
		crew->status = lane->status;
		crew->error = lane->error;
		crew->elsewhere = !lane->is_mine;
		atomic_store(&crew->stopped, true);
		for (uint64_t i = 0; i < LANES_MAX; i++)
			pthread_cond_signal(turn_of(crew, i));
	}
	pthread_cond_signal(turn_of(crew, crew->written));
	pthread_mutex_unlock(&crew->lock);
}

/* Also what comes before a chunk that failed. False: all is over. */
static bool write_part(struct lane *lane)
{
	const struct envelope_io *io = lane->crew->io;

	if (!wait_for_turn(lane))
		return false;
	if (lane->out_len > 0 && !io->write(io->state, bytes(lane->out, lane->out_len))) {
		lane->status = ENVELOPE_OUTPUT;
		lane->error = (struct envelope_error){.system_error = errno};
	}
	end_turn(lane);
	return lane->status == ENVELOPE_OK;
}

static bool finish_part(struct lane *lane)
{
	run_part(lane);
	return write_part(lane);
}

static void run_lane(struct lane *lane)
{
	while (take_part(lane) && finish_part(lane))
		continue;
}

/* --- Threads --------------------------------------------------------------------------------- */

/* The kernel lets no thread block them. */
static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
/* What a write raises, in its thread. */
static const int of_writes[] = {SIGPIPE, SIGXFSZ};

static void take_raised(sigset_t *ret_raised)
{
	const struct timespec at_once = {0};
	sigset_t set;
	int number;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT_OF(of_writes); i++)
		sigaddset(&set, of_writes[i]);
	sigemptyset(ret_raised);
	while ((number = sigtimedwait(&set, NULL, &at_once)) > 0)
		sigaddset(ret_raised, number);
}

static void *run_thread(void *state)
{
	struct lane *lane = state;

	run_lane(lane);
	take_raised(&lane->raised);
	return NULL;
}

/* In the caller's thread, as if its own write had. */
static void raise_here(const struct lane *lane)
{
	for (size_t i = 0; i < COUNT_OF(of_writes); i++)
		if (sigismember(&lane->raised, of_writes[i]) == 1)
			raise(of_writes[i]);
}

/* The program's handlers run in the program's threads. */
static bool start_thread(struct lane *lane)
{
	sigset_t blocked, before;
	bool started;

	sigfillset(&blocked);
	for (size_t i = 0; i < COUNT_OF(faults); i++)
		sigdelset(&blocked, faults[i]);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	started = pthread_create(&lane->thread, NULL, run_thread, lane) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

static bool start(struct lane *lane, struct crew *crew)
{
	struct envelope_error ignored = {0};

	if (lane_init(lane, crew) && open_sessions(lane, crew->sessions, &ignored) == ENVELOPE_OK &&
	    start_thread(lane))
		return true;
	lane_clear(lane);
	return false;
}

/* The module tells its reason to the thread that it refuses. So where that was another, the
 * caller's asks for the same key, to open a chunk that is none; and unless the reason has passed
 * meanwhile, that is the answer. */
static void ask_again(struct crew *crew)
{
	const uint8_t none[ENVELOPE_TAG] = {0};
	struct envelope_error error = {0};
	uint8_t out[ENVELOPE_TAG];
	size_t len;

	if (crew->status != ENVELOPE_MODULE || !crew->elsewhere ||
	    envelope_chunk_open(crew->payload, 0, true, bytes(none, sizeof(none)), out, &len,
				&error) != ENVELOPE_MODULE)
		return;
	crew->error = error;
}

/* The first lane is the caller's; those that can't be started are done without. */
static void run_lanes(struct crew *crew, struct lane *lanes, unsigned count)
{
	unsigned started = 1;

	take_part(&lanes[0]);
	while (!lanes[0].last && lanes[0].status == ENVELOPE_OK && started < count &&
	       start(&lanes[started], crew))
		started++;
	if (finish_part(&lanes[0]))
		run_lane(&lanes[0]);
	for (unsigned i = 1; i < started; i++)
		pthread_join(lanes[i].thread, NULL);
	for (unsigned i = 1; i < started; i++)
		lane_clear(&lanes[i]);
	for (unsigned i = 1; i < started; i++)
		raise_here(&lanes[i]);
	ask_again(crew);
}

static unsigned lane_count(const struct crew *crew, unsigned threads)
{
	size_t most = MEMORY_MAX / lane_size(crew);

	if (most > LANES_MAX)
		most = LANES_MAX;
	if (threads > most)
		threads = (unsigned)most;
	return threads == 0 ? 1 : threads;
}

static void crew_init(struct crew *crew, size_t chunk_len)
{
	crew->chunk_len = chunk_len;
	crew->chunks = (PART + chunk_len / 2) / chunk_len;
	if (crew->work->begin != NULL && crew->chunks > SESSIONS_MAX)
		crew->chunks = SESSIONS_MAX;
	if (crew->chunks == 0)
		crew->chunks = 1;
	crew->sessions = crew->work->begin == NULL ? 1 : crew->chunks;
	pthread_mutex_init(&crew->reading, NULL);
	pthread_mutex_init(&crew->lock, NULL);
	for (size_t i = 0; i < LANES_MAX; i++)
		pthread_cond_init(&crew->turns[i], NULL);
}

static void crew_clear(struct crew *crew)
{
	for (size_t i = 0; i < LANES_MAX; i++)
		pthread_cond_destroy(&crew->turns[i]);
	pthread_mutex_destroy(&crew->lock);
	pthread_mutex_destroy(&crew->reading);
}

enum envelope_status envelope_run_parallel(const struct envelope_payload *payload,
					   const struct envelope_work *work, size_t chunk_len,
					   unsigned threads, const struct envelope_io *io,
					   struct envelope_error *error)
{
	/* The others work with what is on this thread's stack. */
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct crew crew = {.work = work, .io = io, .payload = payload};
	struct lane *lanes;
	unsigned count;

	crew_init(&crew, chunk_len);
	count = lane_count(&crew, threads);
	lanes = calloc(count, sizeof(*lanes));
	if (lanes != NULL && lane_init_mine(&lanes[0], &crew))
		run_lanes(&crew, lanes, count);
	else
		crew.status = ENVELOPE_NO_MEMORY;
	if (lanes != NULL)
		lane_clear(&lanes[0]);
	free(lanes);
	crew_clear(&crew);
	if (crew.status != ENVELOPE_OK)
		*error = crew.error;
	return crew.status;
}

/* --- Both ways ------------------------------------------------------------------------------- */

static enum envelope_status finish_chunk(const struct envelope_payload *payload, uint64_t index,
					 bool last, struct bytes in, uint8_t *out, size_t *ret_len,
					 struct envelope_error *error)
{
	(void)index, (void)last;
	*ret_len = in.len + ENVELOPE_TAG;
	return envelope_chunk_finish(payload, in, out, error);
}

enum envelope_status envelope_seal_parallel(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					    const struct envelope_options *options,
					    unsigned threads, const struct envelope_io *io,
					    struct envelope_error *error)
{
	static const struct envelope_work seal = {envelope_chunk_begin, finish_chunk};
	AUTO(envelope_writer_clear) struct envelope_writer writer = {0};

	TRY(envelope_writer_begin(&writer, token, ezk, options, io, error));
	return threads == 0 ? envelope_writer_take(&writer, io, error)
			    : envelope_run_parallel(&writer.payload, &seal,
						    writer.payload.chunk_len, threads, io, error);
}

enum envelope_status envelope_open_parallel(struct envelope_token *token,
					    const struct envelope_header *header,
					    const struct envelope_keys *keys, unsigned threads,
					    const struct envelope_io *io,
					    struct envelope_error *error)
{
	static const struct envelope_work open = {NULL, envelope_chunk_open};
	struct envelope_payload payload = envelope_payload_of(token, header, keys);

	return threads == 0
		       ? envelope_open_payload(token, header, keys, io, error)
		       : envelope_run_parallel(&payload, &open, payload.chunk_len + ENVELOPE_TAG,
					       threads, io, error);
}
