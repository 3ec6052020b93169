/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: root keys. */
#include "base/macros.h"
#include "cli/commands.h"

/* clang-format off */

static const struct option_row remove_options[] = {
	PROJECT,
	{ "now", NULL, "for good at once; refused unless nothing at all stands on it", false },
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

static const struct command rows[] = {
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
	{ "key", "show", "LABEL", "one root key",
	  "What is known of the key registered as L, and its state, for which the KMS is asked: in the\n"
	  "words of `cmek tree`, with the reason if it is not active. And what stands on it: databases,\n"
	  "versions of their keys, clusters, token keys; and when the KMS saw it used last by anybody\n"
	  "(kms:GetKeyLastUsage; a refusal of that is told and harms nothing).\n\n"
	  "  cmek key show --project payments payments-root\n",
	  key_show_options, key_show },
	{ "key", "disable", "LABEL", "disable a key of the embedded KMS",
	  "Everything below the key stops being readable until it is enabled again. A cloud key is\n"
	  "disabled in its cloud, not here; this command then says where.\n",
	  project_only, key_disable },
	{ "key", "enable", "LABEL", "enable a key of the embedded KMS",
	  "The opposite of `cmek key disable`.\n",
	  project_only, key_enable },
	{ "key", "remove", "LABEL", "take a root key out of a project",
	  "The registration goes, never the key in its KMS, which can be added again. It is refused while a\n"
	  "database or cluster needs the key, and then says which. Until its purge_date it can be restored,\n"
	  "and counts among the project's 20; with --now it goes at once, if nothing at all stands on it,\n"
	  "not even what awaits deletion: for a key that was added by mistake.\n\n"
	  "  cmek key remove --project payments --dry-run old-root\n"
	  "  cmek key remove --project payments --now mistyped\n",
	  remove_options, key_remove },
	{ "key", "restore", "LABEL", "bring back a root key that was removed",
	  "Until its purge_date (cmek key list --deleted). The KMS is not asked.\n",
	  undelete_options, key_restore },
};

/* clang-format on */

const struct command_group key_commands = {rows, COUNT_OF(rows)};
