/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "library/options.h"

#include "base/macros.h"
#include "library/error.h"

#include <string.h>

enum cmek_status library_options(const void *given, size_t known, void *ret_known,
				 struct cmek_error *error)
{
	const uint8_t *more = given;
	size_t size;

	memset(ret_known, 0, known);
	if (given == NULL)
		return CMEK_OK;
	memcpy(&size, given, sizeof(size));
	/* No struct of any release ends in the middle of a field. */
	if (size < sizeof(size) || size > 4096 || size % sizeof(size) != 0)
		return library_fail(error, CMEK_REFUSED,
				    "options: size is %zu; set it to sizeof of the struct", size);
	for (size_t i = known; i < size; i++)
		if (more[i] != 0)
			return library_fail(error, CMEK_REFUSED,
					    "options: of a later release than this library (%s); "
					    "use that release's",
					    CMEK_VERSION);
	memcpy(ret_known, given, size < known ? size : known);
	return CMEK_OK;
}

enum cmek_status library_check_memory(const void *memory, size_t len, struct cmek_error *error)
{
	return memory != NULL || len == 0
		       ? CMEK_OK
		       : library_fail(error, CMEK_REFUSED,
				      "memory of %zu bytes that is NULL; say where it is", len);
}

/* Other languages write a byte, of which 0 alone is no. */
static void make_bool(bool *flag)
{
	uint8_t byte;

	memcpy(&byte, flag, sizeof(byte));
	*flag = byte != 0;
}

static enum cmek_status check_name(const void *name, size_t len, struct cmek_error *error)
{
	if (name == NULL && len > 0)
		return library_fail(error, CMEK_REFUSED,
				    "options: a name of %zu bytes that is NULL; give its bytes",
				    len);
	if (name != NULL && len == 0)
		return library_fail(error, CMEK_REFUSED,
				    "options: an empty name binds nothing; leave it NULL for none");
	return CMEK_OK;
}

enum cmek_status library_seal_options(const struct cmek_seal_options *given,
				      struct cmek_seal_options *ret_options,
				      struct cmek_error *error)
{
	TRY(library_options(given, sizeof(*ret_options), ret_options, error));
	make_bool(&ret_options->embed);
	return check_name(ret_options->name, ret_options->name_len, error);
}

enum cmek_status library_unseal_options(const struct cmek_unseal_options *given,
					struct cmek_unseal_options *ret_options,
					struct cmek_error *error)
{
	TRY(library_options(given, sizeof(*ret_options), ret_options, error));
	make_bool(&ret_options->trust_size);
	return check_name(ret_options->name, ret_options->name_len, error);
}
