/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: databases, and the versions of their keys. */
#include "base/macros.h"
#include "cli/commands.h"

/* clang-format off */

static const struct option_row retire_options[] = {
	PROJECT,
	{ "version", "N", "the version of its key", true },
	DRY_RUN,
	END,
};

static const struct option_row unretire_options[] = {
	PROJECT,
	{ "version", "N", "the version of its key", true },
	END,
};

static const struct option_row erase_options[] = {
	PROJECT,
	{ "yes-erase", "CLUSTER/DB", "its name once more: this can't be undone", true },
	{ "version", "N", "only this version of its key, which is retired", false },
	ONE_OF,
	END,
};

static const struct option_row database_options[] = {
	PROJECT,
	{ "max-lease", "SECONDS", "the greatest lease of its key, for good; 0: each operation asks the KMS", false },
	{ "max-stale", "SECONDS", "how long it works at most while the KMS is out of reach; 0: its lease", false },
	{ "usage", "LIST", "what its key may do: wrap (data keys; the default), encrypt, or wrap,encrypt", false },
	{ "both", "L1,L2", "it needs these two root keys together, those of two owners", false },
	{ "no-embed", NULL, "keep its key in the store alone: what it encrypts ends with the store", false },
	{ "rotate-days", "DAYS", "give it a new key version after so long, by whoever writes; 0: only when asked", false },
	{ "from-file", "LIST", "the names, one a line; -: standard input", false },
	END,
};

static const struct option_row rotate_options[] = {
	PROJECT,
	{ "all", NULL, "every database of the project", false },
	{ "older-than", "DAYS", "only those whose newest version is at least so old", false },
	DRY_RUN,
	END,
};

static const struct option_row set_options[] = {
	PROJECT,
	{ "rotate-days", "DAYS", "give it a new key version after so long, by whoever writes; 0: only when asked", false },
	{ "raw-version", "N", "the version that mechanisms without a version field use", false },
	{ "min-version", "N", "fence: older versions open nothing until this is lowered again", false },
	{ "trusted", "yes|no", "whether it wraps keys that only trusted keys may wrap; by the security officer", false },
	{ "force", NULL, "fence also versions that stored keys still need", false },
	END,
};

static const struct option_row set_keys_options[] = {
	PROJECT,
	{ "any", "L1,L2", "its root keys by their labels: any one of them opens it", false },
	{ "both", "L1,L2", "the same: it needs these two together, those of two owners", false },
	END,
};

static const struct option_row database_rewrap_options[] = {
	PROJECT,
	{ "key", "L", "the root key to go to, by its label", false },
	{ "token-keys", NULL, "instead: wrap token keys anew by their database's newest version", false },
	{ "all", NULL, "all clusters of the project", false },
	{ "rate", "N", "at most N databases a second", false },
	{ "prove", NULL, "open what was moved and not opened since (needs kms:Decrypt)", false },
	{ "again", NULL, "also those that are under the key already: by its newest material", false },
	DRY_RUN,
	END,
};

static const struct command rows[] = {
	{ "database", "create", "[CLUSTER/DB...]", "make a database: an encryption zone with its own key",
	  "Makes the zone's key (EZK), encrypts it by the cluster's root key and stores it. Data of one\n"
	  "database never opens by the key of another. Data written before is not encrypted by this:\n"
	  "cmek migrate does that.\n\n"
	  "Its greatest lease and stale time hold wherever its key is used, whatever is configured there,\n"
	  "and never change. Without the options they are [zones] max_lease_seconds and max_stale_seconds.\n\n"
	  "With --no-embed ([zones] embed_ezk = false) no file carries the encrypted key, as files do otherwise:\n"
	  "they open only where the store is, and never again when no copy of the store has the key, which\n"
	  "erases them all. Back up the store: its loss is theirs.\n\n"
	  "With --both, each of two owners holds one of two shares of its key: whoever opens it needs the yes of\n"
	  "both root keys, and either owner's no ends its use (docs/lifecycle.md, \"Two owners\").\n\n"
	  "Several names, or a list of them, are made at once: all, or none if one of them can't be.\n\n"
	  "  cmek database create --project payments prod/orders\n"
	  "  cmek database create --project payments --max-lease 3600 --max-stale 0 prod/cards\n"
	  "  cmek database create --project payments --no-embed prod/tenant-7\n"
	  "  cmek database create --project payments --both ours,theirs prod/escrow\n"
	  "  cmek database create --project payments --usage encrypt,wrap prod/seal\n"
	  "  cmek database create --project payments --from-file tenants.txt\n",
	  database_options, database_create },
	{ "database", "list", "", "the databases of a project",
	  "Name, zone id, key version and root key of each.\n",
	  list_options, database_list },
	{ "database", "show", "CLUSTER/DB", "one database",
	  "What is known of the database and its zone, and the versions of its key: which of them wraps\n"
	  "new data keys, which opens, and the root keys that encrypt each.\n",
	  project_only, database_show },
	{ "database", "rotate", "[CLUSTER/DB]", "a new version of a database's key",
	  "The root key encrypts a new EZK, which wraps all data keys from now on, here at once and in other\n"
	  "processes within a second. What was written before opens as before, by the older versions, and\n"
	  "no file is touched (`cmek rewrap` does). With CLUSTER/ each database of that cluster is\n"
	  "rotated, with --all each of the project, one KMS call each; one that fails does not stop the\n"
	  "others. Needs kms:Encrypt, as the role `admin` of `cmek policy` has it.\n\n"
	  "  cmek database rotate --project payments prod/orders\n"
	  "  cmek database rotate --project payments prod/ --older-than 90\n"
	  "  cmek database rotate --project payments --all --dry-run\n",
	  rotate_options, database_rotate },
	{ "database", "set", "CLUSTER/DB", "when it is rotated, and which versions of its key are used",
	  "--rotate-days has whoever writes to the database rotate it after so many days, if allowed to.\n\n"
	  "--min-version fences older versions off: they open nothing, here or in any process with this store,\n"
	  "until it is lowered again. It can't pass the raw version, and is refused while stored keys need\n"
	  "older versions, unless with --force. `cmek scan` says which versions files need.\n\n"
	  "--raw-version moves the version that mechanisms without a version field use (AES-GCM by the\n"
	  "database's key itself): what they encrypted before opens only when it is moved back.\n\n"
	  "--trusted, which is given alone, says whether it wraps keys with CKA_WRAP_WITH_TRUSTED; where the\n"
	  "project has PINs, that is for its security officer to say.\n\n"
	  "  cmek database set --project payments --rotate-days 90 prod/orders\n"
	  "  cmek database set --project payments --min-version 3 prod/orders\n",
	  set_options, database_set },
	{ "database", "rewrap", "[CLUSTER/DB]", "bring databases, or token keys, under another key",
	  "CLUSTER/DB is one database, CLUSTER/ a whole cluster with its root key for new databases, and\n"
	  "--all every cluster of the project. Each database moves in one transaction, with all versions of\n"
	  "its key, while it is in use; its files stay as they are. The KMS re-encrypts the key without showing\n"
	  "it, if both root keys are in one region and kms:ReEncrypt* is allowed (the role rewrapper); else it is\n"
	  "decrypted and encrypted here. Only a whole cluster may go to another provider.\n\n"
	  "Stop it at will (Ctrl-C): the same command goes on with the rest. The root key before is needed until\n"
	  "each moved key has been opened once, by whoever uses the database or by --prove.\n\n"
	  "With --token-keys, and without --key, the keys that the store keeps (token objects) are wrapped anew,\n"
	  "each by the primary version of its database's key: do that after a rotation, before older versions\n"
	  "are fenced off or retired. One transaction each; whoever uses them sees no difference.\n\n"
	  "  cmek database rewrap --project payments --key root-2027 prod/\n"
	  "  cmek database rewrap --project payments --key root-2027 --prove prod/\n"
	  "  cmek database rewrap --project payments --token-keys prod/orders\n",
	  database_rewrap_options, database_rewrap },
	{ "database", "set-keys", "CLUSTER/DB", "give a database several root keys",
	  "With --any, each of 1 to 4 root keys opens the database: a second one in another region, or one that is\n"
	  "kept for an emergency (break-glass). They are asked in this order, the next only where the one before does\n"
	  "not say yes, so to take the data away all of them must be disabled. The first is in the cluster's\n"
	  "region; the others, of the same provider, may be in others. With one key alone the others go.\n\n"
	  "With --both it needs two root keys together, those of two owners. Its key is then opened and split anew,\n"
	  "which needs kms:Decrypt by all root keys of before and after; so does the way back. Files that were\n"
	  "written before still open by the root key of that time: rotate the database, and run `cmek rewrap\n"
	  "--wipe-old`. To replace one owner's key, name the other's again: its share stays as it is.\n\n"
	  "  cmek database set-keys --project payments --any root,break-glass prod/orders\n"
	  "  cmek database set-keys --project payments --both ours,theirs prod/escrow\n",
	  set_keys_options, database_set_keys },
	{ "database", "delete", "CLUSTER/DB", "delete a database: its data opens no more, anywhere the store is",
	  "At once, in every process that has the store, by its name and by the record in each file. Until\n"
	  "its purge_date (deletion_window_days from now) it can be brought back: cmek database undelete.\n"
	  "Then its key goes for good (cmek maintain). What that means for files: docs/erasure.md. What copies\n"
	  "(cmek restore --as) in this store have imported of it ends with it.\n"
	  "--dry-run is the drill: it lists what would not open any more.\n\n"
	  "  cmek database delete --project payments --dry-run prod/orders\n",
	  delete_options, database_delete },
	{ "database", "undelete", "CLUSTER/DB", "bring back a database that was deleted",
	  "Until its purge_date (cmek database list --deleted). Where the name is taken by now, give another.\n\n"
	  "  cmek database undelete --project payments --label prod/orders-old prod/orders\n",
	  undelete_options, database_undelete },
	{ "database", "erase", "CLUSTER/DB", "destroy a deleted database's key now, for good",
	  "Only of one that was deleted before. The key and the token keys under it are removed from the\n"
	  "store and overwritten, also from what copies in this store (cmek restore --as) have imported; nothing\n"
	  "brings them back but another copy of the store. It says what is left to do by hand. A database\n"
	  "that was made with --no-embed is then erased wherever its files are; the files of any other carry its\n"
	  "key, and end with the root key (docs/erasure.md).\n\n"
	  "  cmek database erase --project payments --yes-erase prod/tenant-7 prod/tenant-7\n",
	  erase_options, database_erase },
	{ "database", "retire", "CLUSTER/DB", "retire an old version of a database's key",
	  "What that version encrypted opens no more, at once and by every way in, until it is brought back\n"
	  "(cmek database unretire); from its purge_date on it is gone for good. The version must be below\n"
	  "the fence, and no token key may need it; files must have been moved to a newer one before.\n\n"
	  "  cmek database retire --project payments --version 1 prod/orders\n",
	  retire_options, database_retire },
	{ "database", "unretire", "CLUSTER/DB", "bring back a retired version of a database's key",
	  "The opposite of `cmek database retire`, until the purge_date.\n",
	  unretire_options, database_unretire },
};

/* clang-format on */

const struct command_group database_commands = {rows, COUNT_OF(rows)};
