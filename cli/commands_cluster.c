/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: clusters. */
#include "base/macros.h"
#include "cli/commands.h"

/* clang-format off */

static const struct option_row cluster_options[] = {
	PROJECT,
	{ "key", "L", "the root key, by its label: what new databases get", true },
	{ "region", "R", "the cluster's region; it must be the root key's (a local key fits any)", true },
	{ "provider", "NAME", "its provider, as aws or local; it must be the root key's (default: that)", false },
	END,
};

static const struct command rows[] = {
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
};

/* clang-format on */

const struct command_group cluster_commands = {rows, COUNT_OF(rows)};
