#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Debian 13 in build/trixie, for programs newer than this machine's: trixie.sh make | run COMMAND [ARGUMENT...]
#
# `make` makes it out of the base of tools/debian.sh, unless it is there. It ends with 77 and a reason where that can't be. `run` runs a command in it: the sources are in /src, read-only, and
# /src/build is a build folder of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$PWD
self=$source/tools/trixie.sh
home=$PWD/build/trixie
root=$home/root
log=$home/output.log
# shellcheck source=tools/debian.sh
. tools/debian.sh

# Beside what deps.sh knows. That of backports is newer still.
packages='gnutls-bin softhsm2 python3-pykcs11 libp11-kit-dev p11-kit-modules openssl-provider-fips openjdk-25-jdk-headless libnss3-tools openssh-client'
backports='pkcs11-provider'

enter() { "$self" run "$@"; }

mount_all() {
    mkdir -p "$home/build" "$source/build"
    mount --bind "$root" "$root" # so that what runs in it can have mount namespaces too
    debian_mount "$root"
    mount --bind "$home/build" "$root/src/build"
}

use_backports() {
    sed -n 's/ trixie / trixie-backports /p' "$root/etc/apt/sources.list" >"$root/etc/apt/sources.list.d/backports.list"
    enter apt-get update -qq
}

add_packages() {
    enter tools/deps.sh build demo
    # shellcheck disable=SC2086 # a list
    enter apt-get install -y -qq --no-install-recommends $packages
    enter apt-get install -y -qq --no-install-recommends -t trixie-backports $backports
    enter apt-get clean
    # Debian's package leaves this to the administrator.
    enter sh -c 'openssl fipsinstall -quiet -module "$(openssl version -m | cut -d\" -f2)/fips.so" -out /etc/ssl/fipsmodule.cnf'
}

make_root() {
    local stamp=$home/.ready wanted mirror
    debian_can
    wanted=$({ cat tools/deps.sh && echo "$packages $backports" && declare -f add_packages; } | sha256sum)
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    rm -rf "$home"
    mkdir -p "$home"
    debian_base trixie
    cp -a build/debian/trixie/base "$root"
    "$self" backports >>"$log" 2>&1 || can_not "Debian 13 has no backports: $(tail -n 1 "$log" | cut -c1-200)"
    "$self" packages >>"$log" 2>&1 || { tail -n 20 "$log" && exit 1; }
    echo "$wanted" >"$stamp"
}

case ${1:-} in
make) make_root ;;
run) shift && exec unshare "${apart[@]}" "$self" inside "$@" ;; # exec: who ends this, ends all of it
# What it calls itself by, so that each stops at its first error:
backports) use_backports ;;
packages) add_packages ;;
inside) shift; mount_all; debian_run "$root" "$@" ;;
*) sed -n '2,/^set/{/SPDX-/d; s/^# \{0,1\}//p}' "$0" && exit 2 ;;
esac
