/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/selection.h"

#include "base/clock.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/versions.h"

#include <stdlib.h>
#include <string.h>

void selection_clear(struct selection *selection)
{
	free(selection->zones);
}

/* "C/": the databases of a cluster. */
static bool is_cluster(const char *name)
{
	const char *slash = strchr(name, '/');

	return slash != NULL && slash != name && slash[1] == '\0';
}

static bool lies_in(const struct token *token, CK_OBJECT_HANDLE zone, const char *cluster)
{
	AUTO(freep) char *label = object_text(token, zone, CKA_CMEK_CLUSTER);
	size_t len = strlen(cluster) - 1; /* without the slash */

	return label != NULL && strlen(label) == len && memcmp(label, cluster, len) == 0;
}

static int keep_cluster(const struct token *token, const char *cluster, struct selection *selection)
{
	size_t kept = 0;

	for (size_t i = 0; i < selection->count; i++)
		if (lies_in(token, selection->zones[i], cluster))
			selection->zones[kept++] = selection->zones[i];
	selection->count = kept;
	if (kept > 0)
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_NOT_FOUND, "project %s has no databases in a cluster %s",
		    token->project, cluster);
}

/* One that is as young as that needs nothing. */
static void keep_old(const struct token *token, int64_t days, struct selection *selection)
{
	int64_t before = clock_system.realtime_ms(clock_system.state) - days * DAY_MS;
	size_t kept = 0;

	for (size_t i = 0; i < selection->count; i++)
		if (versions_primary_made(token, selection->zones[i]) <= before)
			selection->zones[kept++] = selection->zones[i];
	selection->count = kept;
}

static int find_one(const struct token *token, const char *name, struct selection *selection)
{
	selection->zones = calloc(1, sizeof(*selection->zones));
	if (selection->zones == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	selection->single = true;
	selection->count = 1;
	return token_find_one(token, &kind_database, name, selection->zones);
}

int selection_find(const struct arguments *arguments, const struct token *token,
		   struct selection *selection)
{
	const char *name = arguments->positional[0];
	uint64_t days = 0;

	TRY(arguments_days(arguments, "older-than", &days));
	if (name != NULL && !is_cluster(name)) {
		TRY(find_one(token, name, selection));
	} else {
		TRY(token_find(token, &kind_database, NULL, &selection->zones, &selection->count));
		if (name != NULL)
			TRY(keep_cluster(token, name, selection));
	}
	if (arguments_value(arguments, "older-than") != NULL)
		keep_old(token, (int64_t)days, selection);
	return CMEK_EXIT_OK;
}

int selection_check(const struct arguments *arguments)
{
	bool all = arguments_value(arguments, "all") != NULL;

	if (all != (arguments->positional[0] != NULL))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_USAGE,
		    "name a database (CLUSTER/DB) or a cluster (CLUSTER/), or give "
		    "--all for each database of the project");
}
