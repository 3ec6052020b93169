#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Each allocation fails, one after the other; see there.
SHORTAGE_STEP=1 exec "$(dirname "$0")/../e2e/memory_shortage.sh" cloud
