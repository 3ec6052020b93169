/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: files and messages. */
#include "base/macros.h"
#include "cli/commands.h"

/* clang-format off */

#define DATABASE(what) { "database", "C/D", what " (default: CMEK_DATABASE, [cli] database, or the only one)", false, 0, true }
#define MANY_FILES \
	{ "recursive", NULL, "folders too, with all below them; with -o FOLDER or --suffix", false, 'r' }, \
	{ "output", "OUT", "where to: a file for one FILE, or a folder for many, which is made (those above it are not)", false, 'o' }, \
	{ "suffix", "S", "what envelopes' names end in (default: .cmek); without -o: each beside its FILE", false }, \
	{ "files-from", "LIST", "also the files that LIST names, one a line; -: standard input", false }, \
	{ "null", NULL, "names in the list end by NUL, which is standard input unless --files-from says", false, '0' }, \
	{ "jobs", "N", "so many files, or parts of a large one, at once (default: as many as there are processors)", false, 'j' }, \
	{ "quiet", NULL, "no progress line, no summary", false, 'q' }

static const struct option_row encrypt_options[] = {
	PROJECT,
	DATABASE("the database whose files they become"),
	{ "name", "OBJECT", "bind this object path in: decrypting then needs the same", false },
	{ "message", NULL, "make the envelope of a message for a queue: 128 bytes more than IN, of 64 MiB at most", false },
	{ "collection", "N", "with --message: a number that it carries in clear, authenticated", false },
	{ "embed", NULL, "with --message: put the key's record in, for queues that must outlive the store", false },
	FORCE,
	MANY_FILES,
	END,
};

static const struct option_row decrypt_options[] = {
	ANY_PROJECT,
	{ "database", "C/D", "fail unless the envelope belongs to this database", false },
	{ "name", "OBJECT", "the object path the envelope is bound to", false },
	FORCE,
	MANY_FILES,
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
	DATABASE("the database whose files they become"),
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

static const struct command rows[] = {
	{ "encrypt", NULL, "[FILE...]", "encrypt files into envelopes",
	  "  cmek encrypt IN OUT                    one file; - is standard input or output\n"
	  "  cmek encrypt FILE                      into FILE.cmek; with -o OUT into OUT\n"
	  "  cmek encrypt --suffix .cmek FILE...    each beside its file\n"
	  "  cmek encrypt -o FOLDER FILE...         all into FOLDER; with -r folders with all below them\n\n"
	  "The envelope holds the file, its data key encrypted by the database's key, and that key's\n"
	  "record encrypted by the root key; so it opens wherever the root key may be used. Of a database\n"
	  "made with --no-embed it holds no such record, and opens only with the store as well. An output\n"
	  "appears only whole; one that is there is replaced with --force alone, and an input never. In IN OUT,\n"
	  "--force replaces no OUT but an envelope or an empty file (*.db may have had two matches); -o OUT does.\n\n"
	  "Of many files one that fails is reported, and the others go on; the exit code tells. Two that would\n"
	  "have one output are refused before anything is written. Links and special files in folders are left\n"
	  "alone, and counted; no link is followed below a folder. Holes of sparse files become zeros.\n\n"
	  "One file prints nothing, many a summary; with --json, what was done (OUT is a file then). With\n"
	  "--message it is a small envelope without that record (docs/messages.md), which decrypt and inspect\n"
	  "recognise.\n\n"
	  "  cmek encrypt --project payments --database prod/orders dump.sql\n"
	  "  pg_dump orders | cmek encrypt --project payments --database prod/orders - orders.cmek\n"
	  "  cmek encrypt --project payments --database prod/orders -r -o /backup /data\n"
	  "  find /data -newer stamp -print0 | cmek encrypt --project payments --database prod/orders -0 -o new\n",
	  encrypt_options, encrypt_file },
	{ "decrypt", NULL, "[FILE...]", "decrypt envelopes",
	  "  cmek decrypt IN OUT                    one file; - is standard input or output\n"
	  "  cmek decrypt FILE.cmek                 into FILE; with -o OUT into OUT\n"
	  "  cmek decrypt --suffix .cmek FILE...    each beside its envelope\n"
	  "  cmek decrypt -o FOLDER FILE...         all into FOLDER; with -r folders with all below them\n\n"
	  "The key is found by the zone id in the envelope. Where no project knows the zone, the record\n"
	  "in the envelope is used, if its root key is registered with a project here (cmek key add).\n"
	  "An output appears only whole, standard output gets verified data only. An OUT that is there is\n"
	  "replaced with --force alone, and IN itself never. In IN OUT, --force replaces no OUT that is an\n"
	  "envelope (*.cmek may have had two matches); -o OUT does.\n\n"
	  "Many files are done as `cmek encrypt` does them. In a folder, files that are neither envelopes nor\n"
	  "called like one are left alone, and counted. One file prints nothing, many a summary; with --json,\n"
	  "what was done (OUT is a file then).\n\n"
	  "  cmek decrypt dump.sql.cmek\n"
	  "  cmek decrypt dump.sql.cmek dump.sql\n"
	  "  cmek decrypt -r -o /data /backup\n",
	  decrypt_options, decrypt_file },
	{ "inspect", NULL, "FILE", "what an envelope is; needs no key",
	  "Zone, EZK version, root key, sizes and whether a name is bound, as the envelope states them:\n"
	  "nothing of it is verified. Of a message also its collection, data key and number.\n",
	  no_options, inspect_file },
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
};

/* clang-format on */

const struct command_group files_commands = {rows, COUNT_OF(rows)};
