/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: the store. */
#include "base/macros.h"
#include "cli/commands.h"

/* clang-format off */

static const struct option_row upgrade_options[] = {
	BY_PROJECT,
	{ "to", "LEVEL", "no further than this level (default: the newest that this release knows)", false },
	DRY_RUN,
	END,
};

static const struct option_row downgrade_options[] = { BY_PROJECT, DRY_RUN, END };

static const struct option_row copy_options[] = {
	{ "to", "STORE", "the other store: a configuration file, by its [store], or sqlite:PATH", true },
	{ "from", "FILE", "the configuration of this store (default: the one in use)", false },
	{ "project", "P", "only this project, and what is archived on it", false },
	{ "undo", NULL, "take back a copy that has not reached its end", false },
	DRY_RUN,
	END,
};

static const struct command rows[] = {
	{ "store", "show", "", "the store's level, and who may read and change it",
	  "A store has a level, and says which level a release must know to read it and which to change\n"
	  "it. A release that is too old to change it goes on reading; one that is too old to read it opens\n"
	  "files that carry their key's record. Asks no KMS.\n\n"
	  "  level, needs                      the store's level, and the first release that knows it\n"
	  "  min_reader, min_writer            the level that reading and changing it asks for\n"
	  "  this_release, understands         this release, and the newest level that it knows\n"
	  "  reads, writes, writable           what it does with this store, and whether files let it\n"
	  "  way_back                          whether the level below would lose nothing\n",
	  no_options, store_show },
	{ "store", "create", "", "make what the store needs before the first project",
	  "With [store] backend = dynamodb: the table, billed on demand, with deletion protection and\n"
	  "point-in-time recovery, and waits until it is there. What is there stays as it is, but that\n"
	  "point-in-time recovery is switched on. The other engines need nothing made. Asks no KMS.\n\n"
	  "  cmek store create\n",
	  no_options, store_make },
	{ "store", "check", "", "where the store is, as whom it is asked, and whether it can be used",
	  "Asks the engine for all that it knows of itself, also where there is no project yet: the place,\n"
	  "the identity, rights as far as they can be seen, levels, how many rows; with DynamoDB the table's\n"
	  "state, billing, backups and protection; and how long it took to answer. Writes nothing. The exit\n"
	  "code says what is wrong. Asks no KMS.\n\n"
	  "  cmek store check\n",
	  no_options, store_check },
	{ "store", "upgrade", "", "bring the store to a newer level: switch a feature on",
	  "A new release changes nothing in a store before this. It says what is switched on, and which\n"
	  "releases can't change or read the store from then on: run it when no process of those is left.\n"
	  "Nobody sees a state between. `cmek store downgrade` leads back until the feature is used.\n\n"
	  "  cmek store upgrade --dry-run\n",
	  upgrade_options, store_upgrade },
	{ "store", "downgrade", "", "bring the store back to the level below",
	  "Nothing that was made since is lost. It is refused while the feature that the level switched on is\n"
	  "in use, since the level below could not keep that.\n",
	  downgrade_options, store_downgrade },
	{ "store", "copy", "", "move projects to another store, whole, as they are",
	  "Copies all that a project has, also what awaits deletion and what is gone for good, under the same\n"
	  "ids, then compares both stores. From then on the project lives in the other store: this one still\n"
	  "opens its files, and refuses to change it. Asks no KMS. What was cut off goes on when it is run\n"
	  "again, or is taken back with --undo. The way back, later: copy it from there to here.\n\n"
	  "  cmek store copy --to /etc/cmek-pkcs11/new.conf --dry-run\n"
	  "  cmek store copy --to /etc/cmek-pkcs11/new.conf\n"
	  "  cmek store copy --from new.conf --to sqlite:/var/lib/cmek-pkcs11/store.db\n",
	  copy_options, store_copy },
};

/* clang-format on */

const struct command_group store_commands = {rows, COUNT_OF(rows)};
