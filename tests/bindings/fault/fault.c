/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Says 100 bytes where there are two, as the programs beside it do in their languages: libcmek
 * reads behind them, which a sanitizer tells. */
#include <cmek/cmek.h>

#include <stdlib.h>

int main(void)
{
	return cmek_unsealed_size(calloc(2, 1), 100) == 0;
}
