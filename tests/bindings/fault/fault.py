# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""fault.c in Python, whose own memory it is where PYTHONMALLOC is malloc."""

import cmek._native as native

native.library.cmek_unsealed_size(bytes(2), 100)
