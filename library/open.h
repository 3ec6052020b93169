/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A file's envelope that was opened: its header and its keys, on a session that is taken for as
 * long as they are needed. */
#pragma once

#include "envelope/envelope.h"
#include "library/find.h"

struct library_opened {
	cmek_client *client;
	struct buffer storage; /* the header's bytes */
	struct envelope_header header;
	struct envelope_keys keys;
	struct library_worker *worker;
	/* What a failure of the session was last, so that it is not kept. */
	enum envelope_status failed;
	struct envelope_error cause;
};

/* What the options demand. The name is borrowed; the zone is not, so that it may be freed. */
struct envelope_expectation library_expected(const struct cmek_unseal_options *options);

/* Reads the header, checks what is expected, and opens the keys. Zeroed before. */
enum cmek_status library_opened_read(struct library_opened *opened, cmek_client *client,
				     const struct envelope_expectation *expected,
				     const struct envelope_io *io, const char *which,
				     struct cmek_error *error);
/* The keys of a header that was read before. */
enum cmek_status library_opened_unlock(struct library_opened *opened,
				       const struct envelope_expectation *expected,
				       const char *which, struct cmek_error *error);
/* Tells a failure of what was done with it, and later the first one again; CMEK_OK is passed on. */
enum cmek_status library_opened_failed(struct library_opened *opened, const char *which,
				       enum envelope_status status,
				       const struct envelope_error *cause,
				       struct cmek_error *error);
void library_opened_clear(struct library_opened *opened); /* for AUTO */

enum cmek_status library_check_room(uint64_t needed, size_t room, struct cmek_error *error);
