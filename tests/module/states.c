/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations as state machines: steps by chance in several sessions, all kinds of operation
 * interleaved, in one thread and in many, beside a model that says what each step answers and what
 * comes out. The seed of a walk that failed is printed; with CMEK_TEST_SEED=N the first is N.
 * Threads keep what went wrong; cmocka's assertions are the test's.
 */
#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { SESSIONS = 3, THREADS = 6, STEPS = 10000, DATA_MAX = 4096, PART_MAX = 40 };
enum { TEXT = 48, TAG = 16, NONCE = 12, MAC = 32 };

/* A plain operation, a series of messages. */
enum kind { ENCRYPT, DECRYPT, DIGEST, SIGN, VERIFY, PLAIN_COUNT, SEAL = PLAIN_COUNT, OPEN, COUNT };
enum stage { NONE, FRESH, PARTS };
static const CK_FLAGS flags[COUNT] = {CKF_ENCRYPT,	  CKF_DECRYPT, CKF_DIGEST,
				      CKF_SIGN,		  CKF_VERIFY,  CKF_MESSAGE_ENCRYPT,
				      CKF_MESSAGE_DECRYPT};

struct machine {
	enum stage stage; /* of messages: of the one that is under way */
	bool series;
	CK_BYTE in[DATA_MAX], out[DATA_MAX];
	CK_ULONG in_len, out_len;
};

struct walk {
	unsigned seed, random;
	int step;
	char why[160]; /* empty: nothing went wrong */
	CK_SESSION_HANDLE sessions[SESSIONS], reference;
	struct machine machines[SESSIONS][COUNT];
};

/* What all walks share: keys, and a message that was sealed. */
static CK_OBJECT_HANDLE aes, secret;
static CK_BYTE nonce[NONCE], text[TEXT], sealed[TEXT + TAG], counter[16], header[5];

static unsigned any(struct walk *walk, unsigned below)
{
	walk->random = walk->random * 1103515245 + 12345;
	return (walk->random >> 16) % below;
}

static void wrong(struct walk *walk, const char *what, CK_RV rv, CK_RV expected)
{
	if (walk->why[0] == '\0')
		snprintf(walk->why, sizeof(walk->why), "seed %u, step %d: %s answered %s, not %s",
			 walk->seed, walk->step, what, rv_name(rv), rv_name(expected));
}

static bool is(struct walk *walk, const char *what, CK_RV rv, CK_RV expected)
{
	if (rv != expected)
		wrong(walk, what, rv, expected);
	return rv == expected;
}

static void same(struct walk *walk, const char *what, const CK_BYTE *out, const CK_BYTE *expected,
		 CK_ULONG len)
{
	if (memcmp(out, expected, len) != 0 && walk->why[0] == '\0')
		snprintf(walk->why, sizeof(walk->why), "seed %u, step %d: %s gave other bytes",
			 walk->seed, walk->step, what);
}

/* --- The calls of a plain operation */

static CK_RV begin(CK_SESSION_HANDLE session, enum kind kind, bool good)
{
	CK_AES_CTR_PARAMS ctr = {.ulCounterBits = 128};
	CK_ULONG junk = 0;
	CK_MECHANISM by[] = {{CKM_AES_CTR, &ctr, good ? sizeof(ctr) : 1},
			     {CKM_SHA256, &junk, good ? 0 : 1},
			     {CKM_SHA256_HMAC, &junk, good ? 0 : 1}};

	memcpy(ctr.cb, counter, sizeof(ctr.cb));
	switch (kind) {
	case ENCRYPT:
		return p11->C_EncryptInit(session, &by[0], aes);
	case DECRYPT:
		return p11->C_DecryptInit(session, &by[0], aes);
	case DIGEST:
		return p11->C_DigestInit(session, &by[1]);
	case SIGN:
		return p11->C_SignInit(session, &by[2], secret);
	default:
		return p11->C_VerifyInit(session, &by[2], secret);
	}
}

static CK_RV cancel(CK_SESSION_HANDLE session, enum kind kind)
{
	switch (kind) {
	case ENCRYPT:
		return p11->C_EncryptInit(session, NULL, 0);
	case DECRYPT:
		return p11->C_DecryptInit(session, NULL, 0);
	case DIGEST:
		return p11->C_DigestInit(session, NULL);
	case SIGN:
		return p11->C_SignInit(session, NULL, 0);
	case VERIFY:
		return p11->C_VerifyInit(session, NULL, 0);
	case SEAL:
		return p30->C_MessageEncryptInit(session, NULL, 0);
	default:
		return p30->C_MessageDecryptInit(session, NULL, 0);
	}
}

static CK_RV once(CK_SESSION_HANDLE session, enum kind kind, CK_BYTE *in, CK_ULONG in_len,
		  CK_BYTE *out, CK_ULONG *len)
{
	switch (kind) {
	case ENCRYPT:
		return p11->C_Encrypt(session, in, in_len, out, len);
	case DECRYPT:
		return p11->C_Decrypt(session, in, in_len, out, len);
	case DIGEST:
		return p11->C_Digest(session, in, in_len, out, len);
	case SIGN:
		return p11->C_Sign(session, in, in_len, out, len);
	default:
		return p11->C_Verify(session, in, in_len, out, MAC);
	}
}

static CK_RV part(CK_SESSION_HANDLE session, enum kind kind, CK_BYTE *in, CK_ULONG in_len,
		  CK_BYTE *out, CK_ULONG *len)
{
	switch (kind) {
	case ENCRYPT:
		return p11->C_EncryptUpdate(session, in, in_len, out, len);
	case DECRYPT:
		return p11->C_DecryptUpdate(session, in, in_len, out, len);
	case DIGEST:
		*len = 0;
		return p11->C_DigestUpdate(session, in, in_len);
	case SIGN:
		*len = 0;
		return p11->C_SignUpdate(session, in, in_len);
	default:
		*len = 0;
		return p11->C_VerifyUpdate(session, in, in_len);
	}
}

static CK_RV last(CK_SESSION_HANDLE session, enum kind kind, CK_BYTE *out, CK_ULONG *len)
{
	switch (kind) {
	case ENCRYPT:
		return p11->C_EncryptFinal(session, out, len);
	case DECRYPT:
		return p11->C_DecryptFinal(session, out, len);
	case DIGEST:
		return p11->C_DigestFinal(session, out, len);
	case SIGN:
		return p11->C_SignFinal(session, out, len);
	default:
		return p11->C_VerifyFinal(session, out, MAC);
	}
}

static CK_ULONG output_len(enum kind kind, CK_ULONG in_len)
{
	return kind <= DECRYPT ? in_len : MAC;
}

/* What comes out of it where nothing is in the way. A verification gets what a signature is. */
static void expected_of(struct walk *walk, enum kind kind, CK_BYTE *in, CK_ULONG in_len,
			CK_BYTE *out)
{
	enum kind made = kind == VERIFY ? SIGN : kind;
	CK_ULONG len = output_len(made, in_len);

	is(walk, "the reference", begin(walk->reference, made, true), CKR_OK);
	is(walk, "the reference", once(walk->reference, made, in, in_len, out, &len), CKR_OK);
}

/* --- Steps of a plain operation */

static void restart(struct machine *m, enum stage stage)
{
	m->stage = stage;
	m->in_len = m->out_len = 0;
}

static void step_begin(struct walk *walk, CK_SESSION_HANDLE session, enum kind kind,
		       struct machine *m)
{
	bool good = any(walk, 4) > 0;
	CK_RV fresh = good ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
	CK_RV expected = m->stage == NONE ? fresh : CKR_OPERATION_ACTIVE;

	is(walk, "Init", begin(session, kind, good), expected);
	if (expected == CKR_OK)
		restart(m, FRESH);
}

/* At once: with too little room, without any, or as it should be. */
static void step_once(struct walk *walk, CK_SESSION_HANDLE session, enum kind kind,
		      struct machine *m)
{
	CK_BYTE in[PART_MAX], out[PART_MAX + MAC], expected[PART_MAX + MAC];
	CK_ULONG in_len = 1 + any(walk, PART_MAX), needed = output_len(kind, in_len);
	unsigned how = kind == VERIFY ? 2 + any(walk, 2) : any(walk, 3);
	CK_ULONG len = how == 0 ? needed - 1 : needed;
	CK_RV rv = how == 0 ? CKR_BUFFER_TOO_SMALL : CKR_OK;

	for (CK_ULONG i = 0; i < in_len; i++)
		in[i] = (CK_BYTE)any(walk, 256);
	expected_of(walk, kind, in, in_len, expected);
	memcpy(out, expected, MAC);
	if (how == 3)
		out[any(walk, MAC)] ^= 1, rv = CKR_SIGNATURE_INVALID;
	if (m->stage != FRESH)
		rv = CKR_OPERATION_NOT_INITIALIZED;
	is(walk, "at once", once(session, kind, in, in_len, how == 1 ? NULL : out, &len), rv);
	if (rv == CKR_OK && how != 1)
		same(walk, "at once", out, expected, needed);
	if (m->stage != FRESH || how >= 2)
		restart(m, NONE);
}

static void step_part(struct walk *walk, CK_SESSION_HANDLE session, enum kind kind,
		      struct machine *m)
{
	CK_ULONG in_len = any(walk, PART_MAX), len = PART_MAX;
	bool good = any(walk, 8) > 0;
	CK_RV fresh = good ? CKR_OK : CKR_ARGUMENTS_BAD;
	CK_RV rv = m->stage == NONE ? CKR_OPERATION_NOT_INITIALIZED : fresh;

	if (m->in_len + in_len > DATA_MAX)
		return;
	for (CK_ULONG i = 0; i < in_len; i++)
		m->in[m->in_len + i] = (CK_BYTE)any(walk, 256);
	is(walk, "a part",
	   part(session, kind, good ? m->in + m->in_len : NULL, good ? in_len : 1,
		m->out + m->out_len, &len),
	   rv);
	if (rv != CKR_OK) {
		restart(m, NONE);
		return;
	}
	m->stage = PARTS;
	m->in_len += in_len;
	m->out_len += len;
}

static void step_last(struct walk *walk, CK_SESSION_HANDLE session, enum kind kind,
		      struct machine *m)
{
	CK_BYTE expected[DATA_MAX];
	CK_ULONG len = MAC;
	CK_RV rv = m->stage == NONE ? CKR_OPERATION_NOT_INITIALIZED : CKR_OK;

	if (rv == CKR_OK)
		expected_of(walk, kind, m->in, m->in_len, expected);
	if (kind == VERIFY && rv == CKR_OK)
		memcpy(m->out, expected, MAC);
	is(walk, "the end", last(session, kind, m->out + (kind == VERIFY ? 0 : m->out_len), &len),
	   rv);
	if (rv == CKR_OK)
		same(walk, "all parts", m->out, expected, output_len(kind, m->in_len));
	restart(m, NONE);
}

/* --- Steps of messages, which CCM seals and opens: each has TEXT bytes */

static CK_CCM_MESSAGE_PARAMS about(CK_BYTE *iv, CK_BYTE *tag)
{
	return (CK_CCM_MESSAGE_PARAMS){TEXT, iv, NONCE, 0, CKG_NO_GENERATE, tag, TAG};
}

static CK_RV begin_series(CK_SESSION_HANDLE session, enum kind kind)
{
	CK_MECHANISM by = {CKM_AES_CCM, NULL, 0};

	return kind == SEAL ? p30->C_MessageEncryptInit(session, &by, aes)
			    : p30->C_MessageDecryptInit(session, &by, aes);
}

/* Both ways give the same bytes each time, since the nonce is the same. */
static void step_message(struct walk *walk, CK_SESSION_HANDLE session, enum kind kind,
			 struct machine *m)
{
	CK_BYTE iv[NONCE], tag[TAG], out[TEXT], *in = kind == SEAL ? text : sealed;
	CK_CCM_MESSAGE_PARAMS ccm = about(iv, tag);
	bool good = any(walk, 4) > 0;
	CK_ULONG in_len = good ? TEXT : TEXT - 1, len = TEXT;
	CK_RV fresh =
		good ? CKR_OK : (kind == SEAL ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE);
	CK_RV rv = m->stage != NONE ? CKR_OPERATION_ACTIVE : fresh;

	memcpy(iv, nonce, NONCE);
	memcpy(tag, sealed + TEXT, TAG);
	rv = m->series ? rv : CKR_OPERATION_NOT_INITIALIZED;
	is(walk, "a message",
	   kind == SEAL ? p30->C_EncryptMessage(session, &ccm, sizeof(ccm), header, sizeof(header),
						in, in_len, out, &len)
			: p30->C_DecryptMessage(session, &ccm, sizeof(ccm), header, sizeof(header),
						in, in_len, out, &len),
	   rv);
	if (rv == CKR_OK)
		same(walk, "a message", out, kind == SEAL ? sealed : text, TEXT);
}

static void step_message_begin(struct walk *walk, CK_SESSION_HANDLE session, enum kind kind,
			       struct machine *m)
{
	CK_BYTE iv[NONCE];
	CK_CCM_MESSAGE_PARAMS ccm = about(iv, NULL);
	CK_RV rv = m->stage != NONE ? CKR_OPERATION_ACTIVE : CKR_OK;

	memcpy(iv, nonce, NONCE);
	rv = m->series ? rv : CKR_OPERATION_NOT_INITIALIZED;
	is(walk, "the begin of a message",
	   kind == SEAL
		   ? p30->C_EncryptMessageBegin(session, &ccm, sizeof(ccm), header, sizeof(header))
		   : p30->C_DecryptMessageBegin(session, &ccm, sizeof(ccm), header, sizeof(header)),
	   rv);
	if (rv == CKR_OK)
		restart(m, FRESH);
}

/* A part of the message, or its end, which now and then comes too early. */
static void step_message_next(struct walk *walk, CK_SESSION_HANDLE session, enum kind kind,
			      struct machine *m)
{
	CK_BYTE iv[NONCE], tag[TAG], out[TEXT], *in = (kind == SEAL ? text : sealed) + m->in_len;
	CK_CCM_MESSAGE_PARAMS ccm = about(iv, tag);
	CK_ULONG rest = TEXT - m->in_len, len = TEXT;
	CK_ULONG in_len = any(walk, 2) == 0 ? rest : any(walk, (unsigned)rest + 1);
	bool ends = in_len == rest || any(walk, 8) == 0;
	CK_RV early = kind == SEAL ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE;
	CK_RV rv = ends && in_len < rest ? early : CKR_OK;

	memcpy(iv, nonce, NONCE);
	memcpy(tag, sealed + TEXT, TAG);
	rv = m->stage == NONE ? CKR_OPERATION_NOT_INITIALIZED : rv;
	is(walk, "a part of a message",
	   kind == SEAL ? p30->C_EncryptMessageNext(session, &ccm, sizeof(ccm), in, in_len, out,
						    &len, ends ? CKF_END_OF_MESSAGE : 0)
			: p30->C_DecryptMessageNext(session, &ccm, sizeof(ccm), in, in_len, out,
						    &len, ends ? CKF_END_OF_MESSAGE : 0),
	   rv);
	if (rv == CKR_OK && ends)
		same(walk, "a message in parts", out, kind == SEAL ? sealed : text, TEXT);
	m->in_len += in_len;
	m->stage = m->stage == NONE ? NONE : PARTS;
	if (rv != CKR_OK || ends)
		restart(m, NONE);
}

static void step_series(struct walk *walk, CK_SESSION_HANDLE session, enum kind kind,
			struct machine *m)
{
	if (any(walk, 3) > 0) {
		is(walk, "the begin of a series", begin_series(session, kind),
		   m->series ? CKR_OPERATION_ACTIVE : CKR_OK);
		m->series = true;
		return;
	}
	is(walk, "the end of a series",
	   kind == SEAL ? p30->C_MessageEncryptFinal(session) : p30->C_MessageDecryptFinal(session),
	   m->series ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED);
	m->series = false;
	restart(m, NONE);
}

/* --- A walk */

static void step_cancel(struct walk *walk, CK_SESSION_HANDLE session, enum kind kind,
			struct machine *m)
{
	is(walk, "a cancel",
	   any(walk, 2) == 0 ? cancel(session, kind) : p30->C_SessionCancel(session, flags[kind]),
	   CKR_OK);
	m->series = false;
	restart(m, NONE);
}

static CK_RV open_session(CK_SESSION_HANDLE *session)
{
	return p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, session);
}

static void step_session(struct walk *walk, unsigned which)
{
	is(walk, "C_CloseSession", p11->C_CloseSession(walk->sessions[which]), CKR_OK);
	is(walk, "C_OpenSession", open_session(&walk->sessions[which]), CKR_OK);
	memset(walk->machines[which], 0, sizeof(walk->machines[which]));
}

typedef void step(struct walk *walk, CK_SESSION_HANDLE session, enum kind kind, struct machine *m);

static void take_step(struct walk *walk)
{
	static step *const plain[] = {step_begin, step_begin, step_once, step_part,
				      step_part,  step_part,  step_last};
	static step *const messages[] = {step_series,	     step_message,	step_message_begin,
					 step_message_begin, step_message_next, step_message_next,
					 step_message_next};
	unsigned which = any(walk, SESSIONS), chance = any(walk, 100);
	enum kind kind = (enum kind)any(walk, COUNT);
	struct machine *m = &walk->machines[which][kind];

	if (chance == 0)
		step_session(walk, which);
	else if (chance < 4)
		step_cancel(walk, walk->sessions[which], kind, m);
	else
		(kind < PLAIN_COUNT ? plain : messages)[any(walk, 7)](walk, walk->sessions[which],
								      kind, m);
}

static void *walk_all(void *argument)
{
	struct walk *walk = argument;

	walk->random = walk->seed * 2654435761U;
	is(walk, "C_OpenSession", open_session(&walk->reference), CKR_OK);
	for (int i = 0; i < SESSIONS; i++)
		is(walk, "C_OpenSession", open_session(&walk->sessions[i]), CKR_OK);
	for (walk->step = 0; walk->step < STEPS && walk->why[0] == '\0'; walk->step++)
		take_step(walk);
	for (int i = 0; i < SESSIONS; i++)
		is(walk, "C_CloseSession", p11->C_CloseSession(walk->sessions[i]), CKR_OK);
	is(walk, "C_CloseSession", p11->C_CloseSession(walk->reference), CKR_OK);
	return NULL;
}

static unsigned first_seed(void)
{
	const char *said = getenv("CMEK_TEST_SEED");

	return said == NULL ? 1 : (unsigned)strtoul(said, NULL, 10);
}

static void make_what_is_shared(CK_SESSION_HANDLE session)
{
	struct template *t = with_number(aes_template(), CKA_KEY_TYPE, CKK_GENERIC_SECRET);
	CK_MECHANISM *by = mechanism_ccm(TEXT, nonce, NONCE, header, sizeof(header), TAG);
	CK_ULONG len = sizeof(sealed);

	aes = key_generate(session, with_number(aes_template(), CKA_VALUE_LEN, 32));
	with_bool(t, CKA_SIGN, true);
	with_bool(t, CKA_VERIFY, true);
	with(t, CKA_VALUE, "a secret that signs and verifies", 32);
	check(p11->C_CreateObject(session, t->rows, t->count, &secret));
	for (int i = 0; i < TEXT; i++)
		text[i] = (CK_BYTE)i;
	check(p11->C_EncryptInit(session, by, aes));
	check(p11->C_Encrypt(session, text, TEXT, sealed, &len));
}

static void operations_of_one_thread_are_interleaved(void **state)
{
	static struct walk walk;

	make_what_is_shared((CK_SESSION_HANDLE)*state);
	walk = (struct walk){.seed = first_seed()};
	walk_all(&walk);
	if (walk.why[0] != '\0')
		fail_msg("%s", walk.why);
}

static void operations_of_many_threads_are_interleaved(void **state)
{
	static struct walk walks[THREADS];
	pthread_t threads[THREADS];

	make_what_is_shared((CK_SESSION_HANDLE)*state);
	for (unsigned i = 0; i < THREADS; i++) {
		walks[i] = (struct walk){.seed = first_seed() + 1 + i};
		assert_int_equal(pthread_create(&threads[i], NULL, walk_all, &walks[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		if (walks[i].why[0] != '\0')
			fail_msg("%s", walks[i].why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_session(operations_of_one_thread_are_interleaved),
		in_session(operations_of_many_threads_are_interleaved),
	};

	return run_group("states", tests, token_setup, token_teardown);
}
