#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The direction of includes: a folder may know those below it and never one above it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$root" || exit 1

layers="base crypto kms zones objects session pkcs11 envelope cli"

# Folder N may include folders up to N, with these exceptions:
#  - pkcs11/pkcs11.h and pkcs11/cmek.h only declare the standard and our numbers: objects/ and session/ may have them;
#  - envelope/ and cli/ are plain PKCS#11 consumers: below them only base/ and those two headers.
allowed() { # FOLDER HEADER
    local at=${2%%/*} folder
    [ "$at" = "$1" ] && return 0
    case $1 in
    envelope | cli)
        [ "$at" = base ] || [ "$1/$at" = cli/envelope ] || is_declaration "$2"
        return
        ;;
    objects | session) is_declaration "$2" && return 0 ;;
    esac
    for folder in $layers; do
        [ "$folder" = "$1" ] && return 1
        [ "$folder" = "$at" ] && return 0
    done
    return 1
}

is_declaration() { [ "$1" = pkcs11/pkcs11.h ] || [ "$1" = pkcs11/cmek.h ]; }

# Lines "source header" for each #include "..." of a folder.
includes() { grep -HnoE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[^"]+"' "$1"/*.[ch] 2>/dev/null |
    sed -E 's/^([^:]+:[0-9]+):.*"([^"]+)"$/\1 \2/'; }

no_upward_include() {
    local folder=$1 bad=0 source header
    while read -r source header; do
        if [[ $header != */* ]]; then
            echo "$source: \"$header\" should carry its folder"
            bad=1
        elif ! allowed "$folder" "$header"; then
            echo "$source: $folder/ may not include \"$header\""
            bad=1
        fi
    done < <(includes "$folder")
    return $bad
}

only_here() { # HEADER FOLDER: a library's header is the business of one folder
    # shellcheck disable=SC2046 # each is a pattern
    ! grep -lE "^[[:space:]]*#[[:space:]]*include[[:space:]]*<$1" $(printf '%s/*.[ch] ' ${layers/$2 /}) 2>/dev/null
}

own_header_first() {
    local source bad=0 first
    for source in $(printf '%s/*.c ' $layers); do
        [ -e "${source%.c}.h" ] || continue
        first=$(grep -m1 -E '^[[:space:]]*#[[:space:]]*include' "$source")
        [[ $first == *"\"${source%.c}.h\""* ]] || { echo "$source includes something before its own header"; bad=1; }
    done
    return $bad
}

no_aws_above_the_domain() {
    ! grep -nE '\bAWS_[A-Z]|amazonaws' {objects,session,pkcs11,envelope}/*.[ch] 2>/dev/null
}

for folder in $layers; do
    ok "$folder/ includes only downward" no_upward_include "$folder"
done
ok "only crypto/ includes OpenSSL" only_here openssl/ crypto
ok "only kms/ includes curl" only_here curl/ kms
ok "only zones/ includes SQLite" only_here sqlite3 zones
ok "each source includes its own header first" own_header_first
ok "objects/ and above know no AWS" no_aws_above_the_domain
finish
