/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "base/macros.h"
#include "cli/cli.h"

/* The commands as a table: parsing, --help and the list of commands all read it. */

/* clang-format off */

#define PROJECT { "project", "P", "the project (a PKCS #11 token's label)", true }
#define ANY_PROJECT { "project", "P", "only this project", false }
#define END { NULL, NULL, NULL, false }

static const struct option_row none[] = { END };
static const struct option_row project_only[] = { PROJECT, END };
static const struct option_row any_project[] = { ANY_PROJECT, END };
static const struct option_row tree_options[] = {
	ANY_PROJECT,
	{ "states", NULL, "ask the KMS for the state of each root key, however long that takes", false },
	{ "usage", NULL, "also the versions of each database's key, and when the KMS saw root keys used last", false },
	{ "offline", NULL, "ask no KMS: no states", false },
	END,
};
#define DRY_RUN { "dry-run", NULL, "say what would be done, and change nothing", false }
#define DELETED { "deleted", NULL, "those that await deletion, and until when they can come back", false }
#define ONE_OF { "id", "ID", "which one, if several of that name await deletion: its id, of a database its zone", false }

static const struct option_row list_options[] = { PROJECT, DELETED, END };
static const struct option_row delete_options[] = { PROJECT, DRY_RUN, END };
static const struct option_row remove_options[] = {
	PROJECT,
	{ "now", NULL, "for good at once; refused unless nothing at all stands on it", false },
	DRY_RUN,
	END,
};
static const struct option_row undelete_options[] = {
	PROJECT,
	{ "label", "NEW", "under this name, where the old one is taken", false },
	ONE_OF,
	END,
};
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
static const struct option_row maintain_options[] = {
	{ "now", NULL, "remove all that is due by this computer's clock, announced or not", false },
	DRY_RUN,
	END,
};
static const struct option_row key_show_options[] = {
	PROJECT,
	{ "offline", NULL, "ask no KMS: neither its state nor when it was used last", false },
	END,
};
static const struct option_row key_add_options[] = {
	PROJECT,
	{ "label", "L", "what to call it here (default: its alias, local name or key id)", false },
	END,
};
static const struct option_row cluster_options[] = {
	PROJECT,
	{ "key", "L", "the root key, by its label: what new databases get", true },
	{ "region", "R", "the cluster's region; it must be the root key's (a local key fits any)", true },
	{ "provider", "NAME", "its provider, as aws or local; it must be the root key's (default: that)", false },
	END,
};
static const struct option_row database_options[] = {
	PROJECT,
	{ "max-lease", "SECONDS", "the greatest lease of its key, for good; 0: each operation asks the KMS", false },
	{ "max-stale", "SECONDS", "how long it works at most while the KMS is out of reach; 0: its lease", false },
	{ "both", "L1,L2", "it needs these two root keys together, those of two owners", false },
	{ "no-embed", NULL, "keep its key in the store alone: what it encrypts ends with the store", false },
	{ "rotate-days", "DAYS", "give it a new key version after so long, by whoever writes; 0: only when asked", false },
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
static const struct option_row upgrade_options[] = {
	{ "to", "LEVEL", "no further than this level (default: the newest that this release knows)", false },
	DRY_RUN,
	END,
};
static const struct option_row downgrade_options[] = { DRY_RUN, END };
#define FORCE { "force", NULL, "replace OUT if it is there", false }

static const struct option_row encrypt_options[] = {
	PROJECT,
	{ "database", "C/D", "the database whose zone the file belongs to", true },
	{ "name", "OBJECT", "bind this object path in: decrypting then needs the same", false },
	{ "message", NULL, "make the envelope of a message for a queue: 128 bytes more than IN, of 64 MiB at most", false },
	{ "collection", "N", "with --message: a number that it carries in clear, authenticated", false },
	{ "embed", NULL, "with --message: put the key's record in, for queues that must outlive the store", false },
	FORCE,
	END,
};
static const struct option_row decrypt_options[] = {
	ANY_PROJECT,
	{ "database", "C/D", "fail unless the envelope belongs to this database", false },
	{ "name", "OBJECT", "the object path the envelope is bound to", false },
	FORCE,
	END,
};

static const struct option_row rewrap_options[] = {
	{ "recursive", NULL, "folders too, with all below them", false, 'r' },
	{ "project", "P", "only files of this project; with --to, the project of C/D", false },
	{ "to", "C/D", "encrypt the data anew, for another database", false },
	{ "output", "OUT", "with --to or --rewrite: write the one FILE here, and leave it", false, 'o' },
	{ "rewrite", NULL, "write a file anew whose header has no room", false },
	{ "wipe-old", NULL, "leave no older wrap in the header", false },
	DRY_RUN,
	END,
};
static const struct option_row migrate_options[] = {
	PROJECT,
	{ "database", "C/D", "the database whose files they become", true },
	{ "remove", NULL, "remove each plain file once its envelope has been read back", false },
	{ "in-place", NULL, "let each envelope take its file's place, under its name", false },
	DRY_RUN,
	END,
};
static const struct option_row export_options[] = {
	ANY_PROJECT,
	{ "remove", NULL, "remove each envelope once its file has been read back", false },
	{ "in-place", NULL, "let each file take its envelope's place, under its name", false },
	DRY_RUN,
	END,
};
static const struct option_row scan_options[] = {
	ANY_PROJECT,
	{ "older-than-primary", NULL, "list the files whose data key an older version wraps", false },
	{ "version", "N", "list the files whose data key version N wraps", false },
	{ "old-root-key", NULL, "list the files that name a root key which their database has left", false },
	{ "plain", NULL, "list the files that are not encrypted", false },
	{ "null", NULL, "end each path in a list by NUL, for xargs -0", false, '0' },
	END,
};

static const struct option_row policy_options[] = {
	PROJECT,
	{ "role", "ROLE", "reader, writer, rewrapper or admin", true },
	{ "max-lease", "SECONDS", "only zones whose greatest lease is no greater", false },
	{ "max-stale", "SECONDS", "only zones whose greatest stale time is no greater", false },
	{ "principal", "ARN", "who gets it, for the key policy (default: a placeholder)", false },
	END,
};

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
	{ "revive", "C/D,…", "bring back these databases even if they were deleted here", false },
	{ "map", "OLD=NEW,…", "put the root key NEW in the place of OLD", false },
	DRY_RUN,
	END,
};

const struct command commands[] = {
	{ "project", "create", "NAME", "make a project: a token with its own root keys",
	  "A project is a PKCS #11 token. Root keys belong to it, at most 20, and nothing is shared\n"
	  "between projects. NAME is 1 to 32 bytes.\n\n"
	  "  cmek project create payments\n",
	  none, project_create },
	{ "project", "list", "", "the projects of the store",
	  "Name and slot number of each project.\n",
	  none, project_list },
	{ "project", "show", "NAME", "one project",
	  "The token's details and how much it holds.\n",
	  none, project_show },
	{ "project", "restore", "NAME", "bring back the project whose slot NAME has taken",
	  "C_InitToken on a project (`pkcs11-tool --init-token`) does not erase it: the new project, NAME,\n"
	  "takes its slot, and keeps it whole, at least for the deletion window (deletion_window_days). This\n"
	  "brings the old one back, in a slot of its own; NAME stays.\n",
	  none, project_restore },
	{ "key", "create", "local:NAME", "make a root key of the embedded KMS, for a project",
	  "The embedded KMS keeps its keys in the file local.keys beside the store: for trying out, and for\n"
	  "machines with no cloud. Whoever has that file has everything; without it nothing opens. The key is\n"
	  "made and registered with the project. A name that is there already is refused.\n\n"
	  "  cmek key create --project demo local:root --label demo-root\n",
	  key_add_options, key_create },
	{ "key", "add", "KEY", "register a root key of a KMS with a project",
	  "KEY is a key ARN, an alias ARN, alias/NAME or a key id (looked up in the region of [aws]), or a\n"
	  "key of the embedded KMS: local:NAME, or its ARN. The key must be there (`cmek key create` makes\n"
	  "one of the embedded KMS); it is described and tried (encrypt and decrypt) before it is registered.\n"
	  "A key that is registered already is refused, however it is named.\n\n"
	  "  cmek key add --project payments alias/payments-root\n"
	  "  cmek key add --project reports local:root\n",
	  key_add_options, key_add },
	{ "key", "list", "", "the root keys of a project",
	  "Label, provider, region and ARN of each. Asks no KMS.\n",
	  list_options, key_list },
	{ "key", "show", "L", "one root key",
	  "What is known of the key registered as L, and its state, for which the KMS is asked: in the\n"
	  "words of `cmek tree`, with the reason if it is not active. And what stands on it: databases,\n"
	  "versions of their keys, clusters, token keys; and when the KMS saw it used last by anybody\n"
	  "(kms:GetKeyLastUsage; a refusal of that is told and harms nothing).\n\n"
	  "  cmek key show --project payments payments-root\n",
	  key_show_options, key_show },
	{ "key", "disable", "L", "disable a key of the embedded KMS",
	  "Everything below the key stops being readable until it is enabled again. A cloud key is\n"
	  "disabled in its cloud, not here; this command then says where.\n",
	  project_only, key_disable },
	{ "key", "enable", "L", "enable a key of the embedded KMS",
	  "The opposite of `cmek key disable`.\n",
	  project_only, key_enable },
	{ "key", "remove", "L", "take a root key out of a project",
	  "The registration goes, never the key in its KMS, which can be added again. It is refused while a\n"
	  "database or cluster needs the key, and then says which. Until its purge_date it can be restored,\n"
	  "and counts among the project's 20; with --now it goes at once, if nothing at all stands on it,\n"
	  "not even what awaits deletion: for a key that was added by mistake.\n\n"
	  "  cmek key remove --project payments --dry-run old-root\n"
	  "  cmek key remove --project payments --now mistyped\n",
	  remove_options, key_remove },
	{ "key", "restore", "L", "bring back a root key that was removed",
	  "Until its purge_date (cmek key list --deleted). The KMS is not asked.\n",
	  undelete_options, key_restore },
	{ "cluster", "create", "NAME", "make a cluster: provider, region, root key of its databases",
	  "Provider and region must be those of the root key, so that data and key stay together.\n\n"
	  "  cmek cluster create --project payments prod --key payments-root --region us-west-2\n",
	  cluster_options, cluster_create },
	{ "cluster", "list", "", "the clusters of a project",
	  "Name, provider, region and root key of each.\n",
	  list_options, cluster_list },
	{ "cluster", "show", "NAME", "one cluster",
	  "What is known of the cluster.\n",
	  project_only, cluster_show },
	{ "cluster", "delete", "NAME", "delete a cluster that has no databases",
	  "Until its purge_date it can be brought back (cmek cluster undelete).\n",
	  delete_options, cluster_delete },
	{ "cluster", "undelete", "NAME", "bring back a cluster that was deleted",
	  "Until its purge_date (cmek cluster list --deleted). Its root key must be there.\n",
	  undelete_options, cluster_undelete },
	{ "database", "create", "CLUSTER/DB", "make a database: an encryption zone with its own key",
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
	  "  cmek database create --project payments prod/orders\n"
	  "  cmek database create --project payments --max-lease 3600 --max-stale 0 prod/cards\n"
	  "  cmek database create --project payments --no-embed prod/tenant-7\n"
	  "  cmek database create --project payments --both ours,theirs prod/escrow\n",
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
	{ "encrypt", NULL, "IN OUT", "encrypt a file into an envelope",
	  "The envelope holds the file, its data key encrypted by the database's key, and that key's\n"
	  "record encrypted by the root key; so it opens wherever the root key may be used. Of a database\n"
	  "made with --no-embed it holds no such record, and opens only with the store as well. `-` is\n"
	  "standard input or output. OUT appears only whole; one that is there is replaced with --force\n"
	  "alone, and IN itself never. Prints nothing; with --json, what was done (OUT is a file then).\n\n"
	  "With --message it is a small envelope without that record (docs/messages.md), which decrypt and\n"
	  "inspect recognise.\n\n"
	  "  cmek encrypt --project payments --database prod/orders dump.sql dump.sql.cmek\n"
	  "  pg_dump orders | cmek encrypt --project payments --database prod/orders - orders.cmek\n",
	  encrypt_options, encrypt_file },
	{ "decrypt", NULL, "IN OUT", "decrypt an envelope",
	  "The key is found by the zone id in the envelope. Where no project knows the zone, the record\n"
	  "in the envelope is used, if its root key is registered with a project here (cmek key add).\n"
	  "`-` is standard input or output; OUT appears only whole, standard output gets verified data\n"
	  "only. An OUT that is there is replaced with --force alone, and IN itself never. Prints nothing;\n"
	  "with --json, what was done (OUT is a file then).\n\n"
	  "  cmek decrypt dump.sql.cmek dump.sql\n",
	  decrypt_options, decrypt_file },
	{ "inspect", NULL, "FILE", "what an envelope is; needs no key",
	  "Zone, EZK version, root key, sizes and whether a name is bound, as the envelope states them:\n"
	  "nothing of it is verified. Of a message also its collection, data key and number.\n",
	  none, inspect_file },
	{ "rewrap", NULL, "FILE...", "bring files' wrapped keys to the newest version of their database's",
	  "Only the wrapped data key in each file's header is made anew, under the database's primary key\n"
	  "version, with its key record as it is now, so a new root key comes along too. It is written into the\n"
	  "half of the header that is not in use; a crash leaves a file that opens. The data is not read, and\n"
	  "an object's name need not be given. The file's time of change moves, so that backups see it. Files\n"
	  "that are up to date are skipped; one that fails does not stop the others. `-` reads the paths from\n"
	  "standard input, each ended by NUL.\n\n"
	  "The older wrap stays in the other half, until the next rewrap: it opens as long as its key does.\n"
	  "--wipe-old writes the new one there too. Files of older releases may have no room for a longer\n"
	  "record: --rewrite encrypts those anew, and puts the new file in the old one's place. --to does this\n"
	  "for all, into another database.\n\n"
	  "  cmek rewrap -r /data\n"
	  "  cmek scan --null --older-than-primary /data | cmek rewrap -\n"
	  "  cmek rewrap --project payments --to prod/archive orders-2023.cmek\n",
	  rewrap_options, rewrap_files },
	{ "migrate", NULL, "DIR...", "encrypt a tree of plain files for a database",
	  "Switching encryption on changes nothing that was written before: this does. Each file below DIR (`-`:\n"
	  "of a list, each path ended by NUL) gets an envelope FILE.cmek beside it, which has its owner, mode,\n"
	  "attributes and times. It is synced, read back and compared with the file before it gets its name; only\n"
	  "then does --remove remove the file, or --in-place put the envelope in its place. Run it again after an\n"
	  "interruption: it goes on. An envelope of this database is skipped, one of another refused. The files\n"
	  "must not be written meanwhile: one that was changed is reported, and stays.\n\n"
	  "  cmek migrate --project payments --database prod/orders --dry-run /data\n"
	  "  cmek migrate --project payments --database prod/orders --in-place /data\n",
	  migrate_options, migrate_files },
	{ "export", NULL, "DIR...", "decrypt a tree of envelopes: the way back",
	  "The opposite of `cmek migrate`, with the same care: each envelope FILE.cmek below DIR gets its FILE\n"
	  "beside it; --in-place puts it in the envelope's place, whatever its name. Envelopes that a name is\n"
	  "bound to are reported: `cmek decrypt` takes the name.\n\n"
	  "  cmek export --remove /data\n",
	  export_options, export_files },
	{ "scan", NULL, "DIR...", "how many files of which database, under which key version",
	  "Reads the headers of all files below DIR (or of files), and counts them by database and key version:\n"
	  "what is to be known before a version is retired or a root key is disabled. Needs no key, asks no\n"
	  "KMS, and verifies nothing. What the store says of a database is said too, if it is here.\n\n"
	  "  old_root_key   files whose record names a root key that their database has left\n"
	  "  old_slots      files that have an older wrap in the other half of their header (cmek rewrap --wipe-old)\n\n"
	  "Exit code 0: all could be read, whatever they are; 7: an envelope is damaged; other codes: a file or\n"
	  "folder could not be read (1 where there are several faults).\n\n"
	  "  cmek scan /data\n"
	  "  cmek scan --null --old-root-key /data | cmek rewrap --wipe-old -\n",
	  scan_options, scan_files },
	{ "tree", NULL, "", "the hierarchy, drawn",
	  "Projects, root keys with their states, clusters and databases. The KMS is asked for the states,\n"
	  "by one call for each root key that is active and a few for others, until ten seconds have\n"
	  "passed; the rest are 'not asked'. With --states all are asked about, with --offline none, and\n"
	  "nothing goes over the network.\n\n"
	  "With --usage each database has the versions of its key, and each root key when its KMS saw it\n"
	  "used last.\n\n"
	  "  active            it works for you\n"
	  "  disabled, pending deletion (until when), pending import, unavailable (its custom key store),\n"
	  "  not usable (any other state), not found: what the KMS says of the key\n"
	  "  access denied     you can open no database below it\n"
	  "  not reachable, no credentials, credentials refused: the KMS was not heard\n"
	  "  not known         none of these could be found out; `cmek key show` has the reason\n",
	  tree_options, tree_draw },
	{ "policy", NULL, "[CLUSTER/DB]", "the IAM and key policy for a role",
	  "Prints two JSON documents in one: identity_policy, for the identity that runs the program, and\n"
	  "key_policy, statements for the KMS key's own policy. Conditions on the encryption context keep to\n"
	  "the database, or, without one, to the project.\n\n"
	  "  reader     opens the zone (reading and writing both need its key: to the KMS they are one)\n"
	  "  writer     the same; for a whole project also makes databases\n"
	  "  rewrapper  has the KMS move the zone's key to another root key, without ever seeing it\n"
	  "             (kms:ReEncrypt; cmek database rewrap)\n"
	  "  admin      all but the rewrapper's; rotates, also a single database; also adds root keys, imports\n"
	  "             keys, backs up and restores\n\n"
	  "With --max-lease or --max-stale the policies let nobody open or make a zone that may go on for\n"
	  "longer after a yes of the KMS.\n\n"
	  "  cmek policy --project payments --role reader prod/orders\n"
	  "  cmek policy --project payments --role writer --max-lease 3600\n",
	  policy_options, policy_print },
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
	{ "store", "show", "", "the store's level, and who may read and change it",
	  "A store has a level, and says which level a release must know to read it and which to change\n"
	  "it. A release that is too old to change it goes on reading; one that is too old to read it opens\n"
	  "files that carry their key's record. Asks no KMS.\n\n"
	  "  level, needs                      the store's level, and the first release that knows it\n"
	  "  min_reader, min_writer            the level that reading and changing it asks for\n"
	  "  this_release, understands         this release, and the newest level that it knows\n"
	  "  reads, writes, writable           what it does with this store, and whether files let it\n"
	  "  way_back                          whether the level below would lose nothing\n",
	  none, store_show },
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
	{ "maintain", NULL, "", "remove for good what awaits deletion and is due",
	  "What is due (its purge_date has passed) is announced first, in the log and the audit log, and\n"
	  "goes a day later, so that a clock that is wrong ends no window. Programs that use the store do\n"
	  "the same once a day; this does it now, for all projects, and lists what awaits deletion: what is\n"
	  "restorable, what is due, and what is gone. With --now it waits for no announcement.\n\n"
	  "  cmek maintain --dry-run\n",
	  maintain_options, maintain_run },
	{ "completion", NULL, "SHELL", "what bash, zsh or fish needs to complete cmek's words",
	  "Installed packages bring it. Else, for the shell that is running:\n\n"
	  "  source <(cmek completion bash)\n"
	  "  cmek completion zsh >~/.zfunc/_cmek      (a folder of $fpath)\n"
	  "  cmek completion fish >~/.config/fish/completions/cmek.fish\n",
	  none, completion_print },
	{ "doctor", NULL, "", "check configuration, store, credentials, root keys and zones",
	  "Asks the KMS about each root key and opens each zone, and says what is wrong and what to do.\n"
	  "Exit code 0 means all is well; else it is that of the gravest fault: 7 something is damaged,\n"
	  "5 the KMS said no, 6 something is out of reach, 4 the configuration refuses a root key or a\n"
	  "name. Only 6 is worth trying again as it is.\n",
	  any_project, doctor_run },
};

/* clang-format on */

const size_t command_count = COUNT_OF(commands);
