#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Every third allocation fails, or it and all after it, in turns; with SHORTAGE_STEP=1 each of them, both ways.
SHORTAGE_STEP=${SHORTAGE_STEP:-3} exec "$(dirname "$0")/../e2e/memory_shortage.sh" tool
