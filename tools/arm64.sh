#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Builds what is here for arm64, and runs its units under qemu-user: arm64.sh. As root, in a Debian 13 that is thrown away afterwards, so
# that nothing is installed on this machine; the build stays in build/arm64. Ends with the count of the tests and why some are skipped, or
# with 77 and a reason where it can't be.
set -euo pipefail
cd "$(dirname "$0")/.."

packages='build-essential gcc-aarch64-linux-gnu meson ninja-build pkgconf python3 qemu-user etcd-server libc6-dev:arm64 libssl-dev:arm64
    libcurl4-openssl-dev:arm64 libjansson-dev:arm64 libsqlite3-dev:arm64 libcmocka-dev:arm64'

# shellcheck disable=SC2016 # the inner shell expands
inside='set -e
export QEMU_LD_PREFIX=/ CMEK_TEST_UNDER=qemu-aarch64
[ -e /exchange/build/build.ninja ] ||
    meson setup /exchange/build --cross-file packaging/arm64.ini --wrap-mode=nodownload -Dtests=enabled -Dwerror=true
ninja -C /exchange/build --quiet
aarch64-linux-gnu-readelf -h /exchange/build/cmek-pkcs11.so | grep AArch64
qemu-aarch64 /exchange/build/cmek --version
tools/check.py units /exchange/build'

mkdir -p build/arm64
exec nice tools/fresh.sh run trixie "$(xargs <<<"$packages")" build/arm64 sh -c "$inside"
