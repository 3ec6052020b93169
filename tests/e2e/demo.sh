#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# `make demo` runs to its end, which it only does when each of its steps shows what it says.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
ok "the demo shows what it says, on the embedded KMS" env CMEK_BUILD="$build" "$root/tools/demo.sh"
ok "in all of its steps" says "Done: 24 steps"
if [ -x "$root/build/venv/bin/moto_server" ]; then
    ok "and on AWS KMS as moto simulates it" env CMEK_BUILD="$build" "$root/tools/demo.sh" moto
    ok "in all of its steps" says "Done: 23 steps"
else
    skip "and on AWS KMS as moto simulates it" "build/venv has no moto_server"
fi
finish
