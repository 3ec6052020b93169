#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A command in a fresh Debian that is thrown away afterwards: fresh.sh base SUITE | run SUITE PACKAGES FOLDER COMMAND [ARGUMENT...]
#
# `base` makes the minimal system that `run` starts from, and tries it. `run` lays an empty folder over that (overlayfs), and under it, if PACKAGES
# is not empty, one in which those packages were installed once (`NAME:ARCHITECTURE` is known too). FOLDER, which must be there, is
# /exchange in it, the sources are /src, read-only. Where this can't be, it ends with 77 and a reason.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$PWD
self=$source/tools/fresh.sh
# shellcheck source=tools/debian.sh
. tools/debian.sh

over() { # LOWER-FOLDERS UPPER COMMAND...: one command, what it changes stays in UPPER
    local lower=$1 upper=$2
    shift 2
    mkdir -p "$upper"/{changes,work,root}
    env LOWER="$lower" UPPER="$upper" unshare "${apart[@]}" "$self" inside "$@"
}

inside() {
    local folders="lowerdir=$LOWER,upperdir=$UPPER/changes,workdir=$UPPER/work"
    # Nothing in it has to outlive a crash; kernels before 5.10 can't be told.
    mount -t overlay overlay -o "$folders,volatile" "$UPPER/root" 2>/dev/null || mount -t overlay overlay -o "$folders" "$UPPER/root" ||
        can_not "overlayfs can't be used here"
    debian_mount "$UPPER/root"
    if [ -n "${EXCHANGE:-}" ]; then
        mkdir -p "$UPPER/root/exchange"
        mount --bind "$EXCHANGE" "$UPPER/root/exchange"
    fi
    debian_run "$UPPER/root" "$@"
}

# shellcheck disable=SC2016 # the inner shell expands
install='set -e
for package; do case $package in *:*) dpkg --add-architecture "${package#*:}" ;; esac; done
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@"
apt-get clean'

layer() { # SUITE PACKAGES: prints its folder
    local folder=$source/build/debian/$1 made
    made=$folder/with-$(sha256sum <<<"$2" | cut -c1-12)
    exec 8>"$folder/.layer"
    flock 8
    if [ ! -e "$made/.ready" ]; then
        rm -rf "$made"
        # shellcheck disable=SC2086 # a list
        over "$folder/base" "$made" sh -c "$install" sh $2 >"$folder/packages.log" 2>&1 8>&- ||
            { tail -n 20 "$folder/packages.log" >&2; exit 1; }
        touch "$made/.ready"
    fi
    echo "$made/changes"
}

run() { # SUITE PACKAGES FOLDER COMMAND...
    local lower=$source/build/debian/$1/base packages=$2 top
    debian_can
    debian_base "$1"
    [ -z "$packages" ] || { top=$(layer "$1" "$packages") && lower=$top:$lower; }
    away=$(mktemp -d "$source/build/debian/$1/run.XXXXXX")
    trap 'rm -rf "$away"' EXIT
    trap 'exit 143' TERM INT
    EXCHANGE=$(cd "$3" && pwd)
    export EXCHANGE
    shift 3
    over "$lower" "$away" "$@"
}

case ${1:-} in
base) run "$2" "" . true ;;
run) shift && run "$@" ;;
inside) shift && inside "$@" ;;
*) sed -n '2,/^set/{/SPDX-/d; s/^# \{0,1\}//p}' "$0" && exit 2 ;;
esac
