#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# `make demo STORE=etcd` runs to its end, which it only does when each of its steps shows what it says.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! command -v etcd >/dev/null; then
    skip "two hosts share a store in etcd" "etcd is not installed (etcd-server)"
    finish
fi
ok "two hosts share a store in etcd, and one that is cut off works to its lease's end" env CMEK_BUILD="$build" "$root/tools/demo_fleet.py"
ok "in all of its steps" says "Done: 7 steps"
if [ -x "$root/build/venv/bin/moto_server" ]; then
    ok "the same on AWS KMS as moto simulates it" env CMEK_BUILD="$build" "$root/build/venv/bin/python" "$root/tools/demo_fleet.py" moto
    ok "in all of its steps" says "Done: 7 steps"
else
    skip "the same on AWS KMS as moto simulates it" "build/venv has no moto_server"
fi
finish
