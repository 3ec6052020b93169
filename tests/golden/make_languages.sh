#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Adds to the golden files of a release what libcmek sealed from C, Python, Go and Java (tests/golden/library): make_languages.sh VERSION, once,
# after make.sh, with all four at hand. They are of the set's own database prod/one, so its store opens them; tests/bindings/golden.sh
# sees to it that each language does, tests/e2e/golden.sh that the tool and rescue.py do.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/bindings/languages.sh
. "$root/tests/bindings/languages.sh"
folder=$root/tests/golden/v$1
ok "libcmek is installed" install_libcmek || finish
programs "$root/tests/golden/library" golden
new_home
install -m 600 "$folder/local.keys" "$home/local.keys"
install -m 600 "$folder/store.db" "$home/store.db"

# way | name | bytes | file: those that begin with "kept" open with the set's store alone
sealed() { # LANGUAGE
    local way name bytes file plain
    while IFS='|' read -r way name bytes file; do
        plain=$work/plain.$bytes
        seq 100000 | head -c "$bytes" >"$plain" || true
        echo "$way|$name|$plain|$folder/${file/LANGUAGE/$1}" >>"$work/$1.lines"
        printf '%s|%s|%s\n' "$(sha256sum <"$plain" | cut -d' ' -f1)" "${file/LANGUAGE/$1}" "$name" >>"$work/$1.sums"
    done <<'LIST'
message|orders/3|500|kept_LANGUAGE_message.cmek
embedded|orders/4|500|LANGUAGE_message.cmek
file||1000|LANGUAGE_file.cmek
stream|ordner/größe ✓|70000|LANGUAGE_stream.cmek
LIST
    "$work/$1" seal <"$work/$1.lines"
}
ok "there are four languages" test ${#languages[@]} -eq 4 || finish
for language in "${languages[@]}"; do
    ok "$language seals" sealed "$language" && cat "$work/$language.sums" >>"$folder/sums"
done
chmod 644 "$folder"/*
finish
