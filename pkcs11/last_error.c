/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Our own interface (include/cmek.h): the thread's last error, where there is no session. */
#include "base/log.h"
#include "base/macros.h"
#include "objects/error.h"
#include "pkcs11/doctor.h"
#include "pkcs11/function_list.h"
#include "pkcs11/module.h"

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

static const char *setting(const char *key)
{
	AUTO(module_return) struct module *module = NULL;
	const char *value = NULL;

	if (key == NULL || module_borrow_for("CMEK_Setting", &module) != CKR_OK)
		return "";
	if (strcmp(key, "project") == 0)
		value = module->config.cli_project;
	if (strcmp(key, "database") == 0)
		value = module->config.cli_database;
	return value == NULL ? "" : value;
}

static const char *last_request(void)
{
	return log_last_request();
}

#define FUNCTIONS                                                                                  \
	.CMEK_LastError = last_error, .CMEK_Loss = loss, .CMEK_Doctor = doctor_look,               \
	.CMEK_Setting = setting, .CMEK_StoreCreate = cmek_store_create,                            \
	.CMEK_StoreCheck = cmek_store_check, .CMEK_DoctorAtOnce = doctor_look_at_once,             \
	.CMEK_LastRequest = last_request

struct CMEK_FUNCTIONS function_list_cmek = {.version = {1, 3}, FUNCTIONS};
/* For whoever asks for the version that they know. */
struct CMEK_FUNCTIONS function_list_cmek_1_2 = {.version = {1, 2}, FUNCTIONS};
struct CMEK_FUNCTIONS function_list_cmek_1_1 = {.version = {1, 1}, FUNCTIONS};
struct CMEK_FUNCTIONS function_list_cmek_1_0 = {.version = {1, 0}, FUNCTIONS};
