/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where the file is: whether it can be reached, where links lead, and what may be done there. */
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "zones/store/sqlite/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

bool store_exists(const struct store_sqlite *store)
{
	struct stat found;

	return stat(store->path, &found) == 0 || errno != ENOENT;
}

bool store_is_writable(const struct store_sqlite *store)
{
	return faccessat(AT_FDCWD, store->folder, W_OK | X_OK, AT_EACCESS) == 0 &&
	       faccessat(AT_FDCWD, store->target, W_OK, AT_EACCESS) == 0;
}

enum zone_status store_check_reach(struct store_sqlite *store)
{
	struct stat found;

	if (store->id[0] == '\0' || stat(store->path, &found) == 0)
		return ZONE_OK;
	if (!store->gone)
		store->said = ZONE_OK; /* whatever was said before: this is news */
	store->gone = true;
	return store_says(store, ZONE_STORE_UNAVAILABLE,
			  "it was there and is out of reach now: %s; what is known of it stays in "
			  "use, and nothing is written until it is back",
			  system_error_text(errno));
}

static bool put_name(const char *path, const char *suffix, char **name)
{
	struct buffer text = {0};

	buffer_format(&text, "%s%s", path, suffix);
	free(*name);
	*name = buffer_take_text(&text);
	return *name != NULL;
}

/* Takes the target. */
static enum zone_status go_to(struct store_sqlite *store, char *target)
{
	free(store->target);
	free(store->folder);
	store->target = target;
	store->folder = path_folder(target);
	if (put_name(target, "-journal", &store->journal_path) &&
	    put_name(target, ".lock", &store->lock_path) &&
	    put_name(target, ".new", &store->new_path) && store->folder != NULL)
		return ZONE_OK;
	free(TAKE(store->target)); /* so that the next one does it anew */
	return ZONE_NO_MEMORY;
}

enum zone_status store_follow(struct store_sqlite *store)
{
	AUTO(freep) char *target = path_target(store->path);

	if (target == NULL && errno == ENOENT)
		return store_says(store, ZONE_STORE_UNAVAILABLE,
				  "it is a link, and what it leads to is not there; make that, or "
				  "remove the link");
	if (target == NULL && errno == ENOMEM)
		return ZONE_NO_MEMORY;
	if (target == NULL) /* the next attempt there will report what is in the way */
		target = strdup(store->path);
	if (target == NULL)
		return ZONE_NO_MEMORY;
	if (store->target != NULL && strcmp(target, store->target) == 0)
		return ZONE_OK;
	return go_to(store, TAKE(target));
}
