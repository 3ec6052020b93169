/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the settings fit, before anything is asked. */
#include "base/arn.h"
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

/* Amazon DynamoDB Developer Guide, "Naming rules". */
enum { TABLE_MIN = 3, TABLE_MAX = 255 };

static enum zone_status check_table(const struct store_setting *table)
{
	size_t len = strlen(table->text);

	if (len >= TABLE_MIN && len <= TABLE_MAX &&
	    bytes_all_in(bytes_of(table->text),
			 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"))
		return ZONE_OK;
	return remote_refuse(
		table, "table", table->text,
		"should be the name of a table: 3 to 255 letters, digits, '-', '.' and '_'");
}

enum zone_status dynamodb_check(const struct store_settings *settings)
{
	const struct store_setting backend = {settings->backend, settings->backend_at};

	if (settings->table.text == NULL)
		return remote_refuse(&backend, "backend", settings->backend,
				     "needs [store] table = NAME (docs/store-dynamodb.md)");
	TRY(check_table(&settings->table));
	if (settings->region.text != NULL && !region_valid(bytes_of(settings->region.text)))
		return remote_refuse(&settings->region, "region", settings->region.text,
				     "should be a region of AWS, as eu-central-1");
	return settings->endpoint.text == NULL ? ZONE_OK
					       : remote_check_endpoint(&settings->endpoint);
}
