/* What encrypt, decrypt and inspect have in common. */
#pragma once

#include "cli/cli.h"
#include "cli/stream.h"
#include "cli/token.h"

/* One line for a failure of envelope/, with the remedy; the exit code. */
int envelope_report(struct stream *stream, enum envelope_status status,
		    const struct envelope_error *error);
