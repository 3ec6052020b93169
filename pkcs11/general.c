/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11, "General-purpose functions". */
#include "base/log.h"
#include "base/macros.h"
#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "pkcs11/function_list.h"
#include "pkcs11/module.h"

/* We use the system's locks. An application that gives its own and does not allow the system's
 * can't be served. */
static CK_RV check_locking(const CK_C_INITIALIZE_ARGS *args)
{
	int given = (args->CreateMutex != NULL) + (args->DestroyMutex != NULL) +
		    (args->LockMutex != NULL) + (args->UnlockMutex != NULL);

	if (given != 0 && given != 4)
		return CKR_ARGUMENTS_BAD;
	if (given == 4 && !(args->flags & CKF_OS_LOCKING_OK)) {
		log_error("C_Initialize: the application's own locks are not supported; "
			  "CKF_OS_LOCKING_OK must be set");
		return CKR_CANT_LOCK;
	}
	return CKR_OK;
}

CK_RV C_Initialize(CK_VOID_PTR args)
{
	CK_C_INITIALIZE_ARGS copy = {0};

	if (args != NULL)
		memcpy(&copy, args, sizeof(copy));
	TRY(told(check_locking(&copy)));
	/* CKR_NEED_TO_CREATE_THREADS is never answered: we need no threads, and NSS always sets the
	 * flag. */
	return told(module_start(copy.pReserved,
				 (copy.flags & CKF_LIBRARY_CANT_CREATE_OS_THREADS) != 0));
}

CK_RV C_Finalize(CK_VOID_PTR reserved)
{
	return told(reserved != NULL ? CKR_ARGUMENTS_BAD : module_stop());
}

CK_RV info_of_version(CK_VERSION version, CK_INFO *ret_info)
{
	const CK_INFO info = {
		.cryptokiVersion = version,
		.manufacturerID = "cmek-pkcs11                     ",
		.libraryDescription = "Customer-managed encryption keys",
		.libraryVersion = {CMEK_VERSION_MAJOR, CMEK_VERSION_MINOR},
	};
	AUTO(module_return) struct module *module = NULL;

	TRY(module_borrow_for("C_GetInfo", &module));
	if (ret_info == NULL)
		return refusal_told("C_GetInfo", CKR_ARGUMENTS_BAD);
	memcpy((void *)ret_info, &info, sizeof(info));
	return CKR_OK;
}

CK_RV C_GetInfo(CK_INFO *ret_info)
{
	return info_of_version((CK_VERSION){2, 40}, ret_info);
}
