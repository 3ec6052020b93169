/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Our own interface (include/cmek.h): the thread's last error, where there is no session. */
#include "base/log.h"
#include "objects/error.h"
#include "pkcs11/function_list.h"

static const char *last_error(CK_ULONG *ret_reason)
{
	if (ret_reason != NULL)
		*ret_reason = error_last_reason();
	return log_last();
}

static const char *loss(CK_ULONG index, CK_ULONG *ret_more)
{
	unsigned more = 0;
	const char *text = log_kept(index, &more);

	if (ret_more != NULL)
		*ret_more = more;
	return text;
}

struct CMEK_FUNCTIONS function_list_cmek = {
	.version = {1, 0}, .CMEK_LastError = last_error, .CMEK_Loss = loss};
