/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: backups. */
#include "base/macros.h"
#include "cli/commands.h"

/* clang-format off */

static const struct option_row backup_options[] = {
	PROJECT,
	{ "database", "C/D", "this database alone", false },
	{ "embedding-only", NULL, "leave out databases made with --no-embed", false },
	FORCE,
	END,
};

static const struct option_row verify_options[] = {
	{ "offline", NULL, "look at its structure alone, and ask no KMS", false },
	END,
};

static const struct option_row restore_options[] = {
	{ "as", "PROJECT", "as a new project of that name, with new ids and keys, beside the original", false },
	{ "revive", "C/D,...", "bring back these databases even if they were deleted here", false },
	{ "map", "OLD=NEW,...", "put the root key NEW in the place of OLD", false },
	DRY_RUN,
	END,
};

static const struct command rows[] = {
	{ "backup", "verify", "IN", "whether a backup is whole, authentic and opens",
	  "Each of its root keys is asked for the key of its MAC; no store is needed. With --offline its\n"
	  "structure alone is looked at: that finds a cut or damaged file, and not who made it.\n"
	  "`-` is standard input.\n\n"
	  "  cmek backup verify payments.backup\n",
	  verify_options, backup_verify },
	{ "backup", NULL, "OUT", "write a project's keys, encrypted as they are, to a file",
	  "Root keys (their names), clusters, databases with all versions of their keys, and token keys:\n"
	  "encrypted as in the store, so that the file opens nothing without the root keys. The KMS makes it\n"
	  "authentic, by one call for each root key. `-` is standard output; a file that is there is\n"
	  "replaced with --force alone. It has databases made with --no-embed, and says so: whoever erases\n"
	  "one must erase this too. Data is not in it: back that up as it is, encrypted.\n\n"
	  "  cmek backup --project payments payments-$(date +%F).backup\n"
	  "  cmek backup --project payments --database prod/orders orders.backup\n",
	  backup_options, backup_make },
	{ "restore", NULL, "IN", "bring a backup back into the store",
	  "Adds what is missing, under its old ids, in one step; a store that is not there is made. What is\n"
	  "here stays: no version goes back to an older one, and what was deleted here stays so unless\n"
	  "--revive names it. What does not fit is told, entry by entry, and then nothing is written.\n"
	  "With --map the keys are encrypted anew by another root key, which needs the right to decrypt\n"
	  "with the old one. `-` is standard input.\n\n"
	  "With --as a new project is made, beside the original or in another store: databases have new ids and\n"
	  "keys, stored keys are wrapped by those, and the old keys are imported to read what they encrypted, and\n"
	  "for nothing else. cmek rewrap --to brings files over; the original stays as it is.\n\n"
	  "  cmek restore --dry-run payments.backup\n"
	  "  cmek restore payments.backup\n"
	  "  cmek restore --as payments-test payments.backup\n"
	  "  cmek restore --map payments-root=alias/new-root payments.backup\n",
	  restore_options, restore_backup },
};

/* clang-format on */

const struct command_group backup_commands = {rows, COUNT_OF(rows)};
