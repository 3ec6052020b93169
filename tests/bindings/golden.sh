#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What earlier releases sealed, with the tool or by libcmek from any language, opens for ever in each language: with the store of its set, and
# but for what is kept (kept*) also in a fresh project that has the root key. tests/e2e/golden.sh has the tool and rescue.py.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/bindings/languages.sh
. "$root/tests/bindings/languages.sh"
ok "libcmek is installed" install_libcmek || finish
programs "$root/tests/golden/library" golden

lines() { # FOLDER SED...: each file by the ways that it has
    local sum file name
    while IFS='|' read -r sum file name; do
        case $file in
        *message*) echo "message|$name|$1/$file|$work/$file.message" ;;
        *) printf '%s|%s|%s|%s\n' file "$name" "$1/$file" "$work/$file.file" stream "$name" "$1/$file" "$work/$file.stream" \
            message "$name" "$1/$file" "$work/$file.message" ;;
        esac
    done <"$1/sums" | sed "${@:2}"
}
opens() { # LANGUAGE FOLDER SED...
    local out file sum
    rm -f "$work"/*.cmek.*
    lines "${@:2}" >"$work/lines"
    "$work/$1" open <"$work/lines" || return 1
    while IFS='|' read -r _ _ file out; do
        sum=$(sed -n "s/^\([0-9a-f]*\)|$(basename "$file")|.*/\1/p" "$2/sums")
        [ "$(sha256sum <"$out" | cut -d' ' -f1)" = "$sum" ] || { echo "$out has other bytes than were sealed"; return 1; }
    done <"$work/lines"
}
sealed_by() { # FOLDER: what each language sealed is among them
    local language way
    for language in c python go java; do
        for way in file stream message; do
            grep -q "|${language}_$way\.cmek|" "$1/sums" || return 1
        done
        grep -q "|kept_${language}_message\.cmek|" "$1/sums" || return 1
    done
}
for folder in "$root"/tests/golden/v*; do
    release=$(basename "$folder")
    ok "$release has what each language sealed" sealed_by "$folder"
    for language in "${languages[@]}"; do
        new_home
        install -m 600 "$folder/local.keys" "$home/local.keys"
        install -m 600 "$folder/store.db" "$home/store.db"
        ok "$language opens all of $release with its store" opens "$language" "$folder" -e ''
        refused "but nothing by a name that it was not sealed with" opens "$language" "$folder" -e 's/orders/others/'
        rm "$home"/store.db*
        ok "a fresh project with its root key" "$cmek" project create fresh
        ok "and that of a second owner" "$cmek" key add --project fresh local:golden
        ok "is there" "$cmek" key add --project fresh local:golden-second
        ok "$language opens there what is not kept" opens "$language" "$folder" -e '/kept/d'
        refused "and not what is" opens "$language" "$folder" -e '/kept/!d'
    done
done
finish
