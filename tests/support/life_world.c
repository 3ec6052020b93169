/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/life_world.h"

#include "tests/support/unit.h"

#include <inttypes.h>

enum { MASK = 0x5a /* of the fake KMS */ };

/* --- Telling */

void life_tell(struct life_world *w, const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	buffer_put_text(&w->story, line);
}

_Noreturn void life_fail(struct life_world *w, const char *format, ...)
{
	char why[512];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	/* cmocka's own message has an end. */
	printf("# CMEK_TEST_SEED=%" PRIu64 " CMEK_LIFE_RUNS=1, %s store, lease %s:\n%s\n# %s\n",
	       w->seed, w->f->engine->name, w->leased ? "300 s" : "0", buffer_text(&w->story), why);
	fflush(stdout);
	fail_msg("%s", why);
	abort();
}

/* --- Chance */

uint64_t life_draw(struct life_world *w)
{
	uint64_t x = w->random += 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

int life_below(struct life_world *w, int limit)
{
	return (int)(life_draw(w) % (uint64_t)limit);
}

bool life_one_in(struct life_world *w, int count)
{
	return life_below(w, count) == 0;
}

int life_draw_key(struct life_world *w)
{
	static const int favourites[] = {0, 1, 2, LIFE_WEST_KEYS, LIFE_KEYS - 1};

	return life_one_in(w, 8) ? life_below(w, LIFE_KEYS)
				 : favourites[life_below(w, COUNT_OF(favourites))];
}

/* --- The KMS */

static struct fake_kms *kms_of(struct life_world *w, int key)
{
	return life_key_place(key) == LIFE_LOCAL ? &w->f->local : &w->f->aws;
}

void life_begin_kms(struct life_world *w)
{
	static const char *const forms[] = {
		[LIFE_WEST] = "arn:aws:kms:us-west-2:111122223333:key/"
			      "10000000-0000-0000-0000-0000000000%02d",
		[LIFE_EAST] = "arn:aws:kms:us-east-1:111122223333:key/"
			      "20000000-0000-0000-0000-0000000000%02d",
		[LIFE_LOCAL] = "arn:local:kms:local::key/30000000-0000-4000-8000-0000000000%02d",
	};

	fake_kms_init(&w->f->aws, "aws");
	fake_kms_init(&w->f->local, "local");
	for (int i = 0; i < LIFE_KEYS; i++) {
		switch (life_key_place(i)) { /* a format that is written out can be checked */
		case LIFE_WEST:
			snprintf(w->arns[i], sizeof(w->arns[i]), forms[LIFE_WEST], i);
			break;
		case LIFE_EAST:
			snprintf(w->arns[i], sizeof(w->arns[i]), forms[LIFE_EAST], i);
			break;
		default:
			snprintf(w->arns[i], sizeof(w->arns[i]), forms[LIFE_LOCAL], i);
		}
		fake_kms_add(kms_of(w, i), w->arns[i], NULL);
		w->answers[i] = KMS_OK;
	}
}

void life_set_answer(struct life_world *w, int key, enum kms_status answer)
{
	bool disabled = answer == KMS_DISABLED;

	fake_kms_set(kms_of(w, key), w->arns[key], disabled ? KMS_KEY_DISABLED : KMS_KEY_ENABLED,
		     disabled ? KMS_OK : answer);
	w->answers[key] = answer;
}

unsigned life_calls(struct life_world *w, enum fake_kms_call call)
{
	return fake_kms_calls(&w->f->aws, call) + fake_kms_calls(&w->f->local, call);
}

struct bytes life_blob_arn(struct bytes blob)
{
	size_t len = (size_t)blob.data[12] << 8 | blob.data[13];

	return bytes(blob.data + 14, len);
}

void life_blob_key(struct bytes blob, uint8_t ret_ezk[static LIFE_EZK])
{
	for (size_t i = 0; i < LIFE_EZK; i++)
		ret_ezk[i] = blob.data[blob.len - LIFE_EZK + i] ^ MASK;
}

/* --- The store */

void life_refresh(struct life_world *w, struct zones *zones)
{
	enum zone_status status = zones_refresh(zones, true);

	LIFE_HOLDS(w, status == ZONE_OK, "the store can't be read: %s", zone_status_text(status));
}
