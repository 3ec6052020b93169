/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "net/url.h"
#include "zones/store/remote/remote.h"

enum zone_status remote_refuse(const struct store_setting *setting, const char *name,
			       const char *shown, const char *why)
{
	log_error("%s%s[store] %s%s%s: %s", setting->at == NULL ? "" : setting->at,
		  setting->at == NULL ? "" : ": ", name, shown == NULL ? "" : " = ",
		  shown == NULL ? "" : shown, why);
	return ZONE_INVALID;
}

enum zone_status remote_check_endpoint(const struct store_setting *endpoint)
{
	struct bytes host, path;
	bool plain;

	if (!url_split(endpoint->text, &plain, &host, &path) || path.len > 1)
		return remote_refuse(endpoint, "endpoint", url_told(endpoint->text),
				     "should be https://HOST[:PORT]");
	if (plain && !url_is_loopback(host))
		return remote_refuse(endpoint, "endpoint", endpoint->text,
				     "http is only for this machine itself; use https");
	return ZONE_OK;
}
