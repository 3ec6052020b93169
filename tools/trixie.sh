#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Debian 13 in build/trixie, for programs newer than this machine's: trixie.sh make | run COMMAND [ARGUMENT...]
#
# `make` makes it by debootstrap, from the mirror in apt's configuration (or $CMEK_DEBIAN_MIRROR), unless it is there.
# It ends with 77 and a reason where that can't be. `run` runs a command in it: the sources are in /src, read-only, and
# /src/build is a build folder of its own. Both need root. Whatever they mount is in a mount namespace of the command's
# own, and so are its processes: nothing is left of them, however it ends.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$PWD
self=$source/tools/trixie.sh
home=$PWD/build/trixie
root=$home/root
log=$home/output.log
apart=(--mount --pid --fork --kill-child)
PATH=$PATH:/usr/sbin:/sbin

# Beside what deps.sh knows. That of backports is newer still.
packages='gnutls-bin softhsm2 python3-pykcs11 libp11-kit-dev p11-kit-modules openssl-provider-fips'
backports='pkcs11-provider'

can_not() {
    echo "$1"
    exit 77
}

last_words() { tail -n 1 "$log" | cut -c1-200; }

find_mirror() {
    local ID='' VERSION_CODENAME=''
    [ -z "${CMEK_DEBIAN_MIRROR:-}" ] || { echo "$CMEK_DEBIAN_MIRROR"; return; }
    . /etc/os-release
    [ "$ID" = debian ] || return 0
    apt-get indextargets 'Created-By: Packages' "Release: $VERSION_CODENAME" --format '$(SITE)' | head -n 1
}

# A proxy that only apt knows of, for wget and for the apt inside.
use_apts_proxy() {
    local proxy=''
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    [ -z "$proxy" ] || export http_proxy=${http_proxy:-$proxy}
}

enter() { "$self" run "$@"; }

mount_all() {
    mkdir -p "$root/src" "$home/build" "$source/build"
    mount --bind "$root" "$root" # so that what runs in it can have mount namespaces too
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    mount --bind "$source" "$root/src"
    mount -o remount,bind,ro "$root/src"
    mount --bind "$home/build" "$root/src/build"
    cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
}

run_inside() {
    local proxies
    mapfile -t proxies < <(env | grep -iE '^(http|https|no)_proxy=')
    exec env -i "${proxies[@]}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive TERM=dumb chroot "$root" \
        sh -c 'cd /src && exec "$@"' sh "$@" </dev/null
}

make_base() { # MIRROR
    unshare "${apart[@]}" debootstrap --variant=minbase --include=ca-certificates trixie "$root" "$1"
    printf 'deb %s %s main\n' "$1" trixie "$1" trixie-backports >"$root/etc/apt/sources.list"
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
    [ "$(id -u)" -eq 0 ] || can_not "making and entering a Debian 13 needs root"
    wanted=$({ cat tools/deps.sh && echo "$packages $backports" && declare -f add_packages; } | sha256sum)
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    command -v debootstrap >/dev/null || can_not "debootstrap is not here"
    unshare "${apart[@]}" true 2>/dev/null || can_not "mount namespaces are not allowed here"
    mirror=$(find_mirror)
    [ -n "$mirror" ] || can_not "apt has no Debian mirror here, and CMEK_DEBIAN_MIRROR names none"
    rm -rf "$home"
    mkdir -p "$home"
    use_apts_proxy
    "$self" base "$mirror" >"$log" 2>&1 || can_not "Debian 13 could not be made: $(last_words)"
    "$self" packages >>"$log" 2>&1 || { tail -n 20 "$log" && exit 1; }
    echo "$wanted" >"$stamp"
}

case ${1:-} in
make) make_root ;;
run) shift && exec unshare "${apart[@]}" "$self" inside "$@" ;; # exec: who ends this, ends all of it
# What it calls itself by, so that each stops at its first error:
base) make_base "$2" ;;
packages) add_packages ;;
inside) shift; mount_all; run_inside "$@" ;;
*) sed -n '2,/^set/{/SPDX-/d; s/^# \{0,1\}//p}' "$0" && exit 2 ;;
esac
