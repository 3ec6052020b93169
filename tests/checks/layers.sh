#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The direction of includes: a room may know those below it and never one above it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$root" || exit 1

# From below to above; a room within a room is one of its own.
rooms="include base crypto net aws aws/credentials kms kms/aws kms/local zones/model zones/store zones/store/sqlite zones/index zones/kms zones/ezk zones/domain zones objects mechanisms session pkcs11 envelope cli"
# Includes that go up and wait for a cut: lines "source header". The list only gets shorter.
waiting=tests/checks/upward.txt

# envelope/ and cli/ are plain PKCS#11 consumers: below them only base/ and include/.
allowed() { # ROOM HEADER
    local at=${2%/*} room
    [ "$at" = "$1" ] && return 0
    # What is installed is found beside the header that names it.
    [ "$1" = include ] && [ -e "include/$2" ] && return 0
    case $1 in
    envelope | cli)
        [ "$at" = base ] || [ "$at" = include ] || [ "$1/$at" = cli/envelope ]
        return
        ;;
    esac
    for room in $rooms; do
        [ "$room" = "$1" ] && return 1
        [ "$room" = "$at" ] && return 0
    done
    return 1
}

# Lines "source header" for each #include "..." of a room.
includes() { grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[^"]+"' "$1"/*.[ch] 2>/dev/null |
    sed -E 's/^([^:]+):.*"([^"]+)"$/\1 \2/'; }

upward() {
    local source header
    while read -r source header; do
        allowed "$1" "$header" || echo "$source $header"
    done < <(includes "$1")
}

no_upward_include() {
    local bad=0 line
    while read -r line; do
        grep -qxF "$line" "$waiting" || { echo "${line% *}: $1/ may not include \"${line#* }\""; bad=1; }
    done < <(upward "$1")
    return $bad
}

none_waits_in_vain() {
    local bad=0 line
    while read -r line; do
        grep -qE "^[[:space:]]*#[[:space:]]*include[[:space:]]+\"${line#* }\"" "${line% *}" 2>/dev/null ||
            { echo "$waiting: $line is no more"; bad=1; }
    done <"$waiting"
    return $bad
}

only_here() { # HEADER ROOM: a library's header is the business of one room
    ! grep -rlE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*<$1" include base crypto net aws kms zones objects mechanisms session pkcs11 envelope cli 2>/dev/null | grep -v "^$2/"
}

own_header_first() {
    local source bad=0 first
    for source in $(printf '%s/*.c ' $rooms); do
        [ -e "${source%.c}.h" ] || continue
        first=$(grep -m1 -E '^[[:space:]]*#[[:space:]]*include' "$source")
        [[ $first == *"\"${source%.c}.h\""* ]] || { echo "$source includes something before its own header"; bad=1; }
    done
    return $bad
}

no_aws_above_the_domain() {
    ! grep -nE '\bAWS_[A-Z]|amazonaws' {objects,mechanisms,session,pkcs11,envelope}/*.[ch] 2>/dev/null
}

for room in $rooms; do
    [ -d "$room" ] && ok "$room/ includes only downward" no_upward_include "$room"
done
ok "what waits for a cut is there" none_waits_in_vain
ok "only crypto/ includes OpenSSL" only_here openssl/ crypto
ok "only net/ includes curl" only_here curl/ net
ok "only zones/store/sqlite/ includes SQLite" only_here sqlite3 zones/store/sqlite
ok "each source includes its own header first" own_header_first
ok "objects/ and above know no AWS" no_aws_above_the_domain
finish
