# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What tools/trixie.sh and tools/fresh.sh share, who source it: Debian systems in build/, made by debootstrap, and commands that run in
# them. Both need root. Whatever is mounted is in a mount namespace of the command's own, and so are its processes: nothing is left
# of them, however it ends.
#
#   can_not REASON          ends with 77: this machine can't do that
#   debian_can              comes back if this machine can, or ends with 77
#   debian_base SUITE       makes build/debian/SUITE/base, a minimal system of that release that nobody changes, unless it is there;
#                           from the mirror in apt's configuration (or $CMEK_DEBIAN_MIRROR), or ends with 77
#   debian_mount ROOT       /proc, /dev, /tmp, and the sources in /src, read-only
#   debian_run ROOT COMMAND...  in /src there, with nothing of the caller's environment but proxies
#
# shellcheck shell=bash
PATH=$PATH:/usr/sbin:/sbin
# shellcheck disable=SC2034 # used by those who source it
apart=(--mount --pid --fork --kill-child)

can_not() {
    echo "$1"
    exit 77
}

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

debian_can() {
    use_apts_proxy
    [ "$(id -u)" -eq 0 ] || can_not "making and entering a Debian of another release needs root"
    command -v debootstrap >/dev/null || can_not "debootstrap is not here"
    unshare "${apart[@]}" true 2>/dev/null || can_not "mount namespaces are not allowed here"
}

debian_base() (
    local folder=${source:?the sources, by whoever sources this}/build/debian/$1 mirror
    mkdir -p "$folder"
    exec 9>"$folder/.lock"
    flock 9 # who comes second finds it made
    [ ! -e "$folder/.ready" ] || exit 0
    mirror=$(find_mirror)
    [ -n "$mirror" ] || can_not "apt has no Debian mirror here, and CMEK_DEBIAN_MIRROR names none"
    rm -rf "$folder/base"
    mkdir -p "$folder/base/etc/dpkg/dpkg.cfg.d"
    echo force-unsafe-io >"$folder/base/etc/dpkg/dpkg.cfg.d/unsafe-io" # nothing in it has to outlive a crash
    unshare "${apart[@]}" debootstrap --variant=minbase --include=ca-certificates "$1" "$folder/base" "$mirror" >"$folder/output.log" 2>&1 9>&- ||
        can_not "Debian's $1 could not be made: $(tail -n 1 "$folder/output.log" | cut -c1-200)"
    touch "$folder/.ready"
)

debian_mount() {
    mkdir -p "$1/src"
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount -t tmpfs tmpfs "$1/tmp"
    mount --bind "$source" "$1/src"
    mount -o remount,bind,ro "$1/src"
    cp --dereference /etc/resolv.conf /etc/hosts "$1/etc/"
}

debian_run() {
    local inside=$1 proxies
    shift
    mapfile -t proxies < <(env | grep -iE '^(http|https|no)_proxy=')
    exec env -i "${proxies[@]}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive TERM=dumb chroot "$inside" \
        sh -c 'cd /src && exec "$@"' sh "$@" </dev/null
}
