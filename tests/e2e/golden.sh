#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Envelopes that earlier releases wrote open for ever: by the tool in a fresh project that has their root key, and by
# tools/rescue.py; those of a database that keeps its key, and messages without a record (kept*), only with the store of the set. tests/golden/make.sh makes a set.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

opens_by_tool() { # SUM FILE NAME
    "$cmek" decrypt --force ${3:+--name "$3"} "$2" "$work/plain" && [ "$(sha256sum <"$work/plain" | cut -d' ' -f1)" = "$1" ]
}
opens_by_rescue() { # SUM FILE NAME
    python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" ${3:+--name "$3"} "$2" "$work/rescued" &&
        [ "$(sha256sum <"$work/rescued" | cut -d' ' -f1)" = "$1" ]
}

with_its_store() { # COMMAND...: in a home that has the store of the set
    CMEK_PKCS11_CONF=$home/kept/cmek.conf "$@"
}
opens_by_rescue_with_store() { # SUM FILE NAME
    python3 "$root/tools/rescue.py" --store "$home/kept/store.db" --local-keys "$home/local.keys" ${3:+--name "$3"} "$2" "$work/rescued" &&
        [ "$(sha256sum <"$work/rescued" | cut -d' ' -f1)" = "$1" ]
}
count=0
for folder in "$root"/tests/golden/v*/; do
    release=$(basename "$folder")
    new_home
    install -m 600 "$folder/local.keys" "$home/local.keys"
    ok "$release: a fresh project" "$cmek" project create fresh
    ok "$release: has the root key that is in its file" "$cmek" key add --project fresh local:golden
    ok "$release: and that of a second owner" "$cmek" key add --project fresh local:golden-second
    if [ -e "$folder/store.db" ]; then
        mkdir "$home/kept"
        install -m 600 "$folder/store.db" "$home/kept/store.db"
        printf '[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n' "$home/kept" "$home" >"$home/kept/cmek.conf"
    fi
    while IFS='|' read -r sum file name; do
        if [[ $file = kept* ]]; then
            refused "$release: $file does not open without its store" opens_by_tool "$sum" "$folder/$file" "$name"
            refused "$release: $file nor by rescue.py" opens_by_rescue "$sum" "$folder/$file" "$name"
            ok "$release: $file opens with it" with_its_store opens_by_tool "$sum" "$folder/$file" "$name"
            ok "$release: $file by rescue.py too" opens_by_rescue_with_store "$sum" "$folder/$file" "$name"
            ok "$release: $file is what it says it is" "$cmek" inspect "$folder/$file"
            count=$((count + 1))
            continue
        fi
        ok "$release: $file opens" opens_by_tool "$sum" "$folder/$file" "$name"
        ok "$release: $file opens by rescue.py" opens_by_rescue "$sum" "$folder/$file" "$name"
        ok "$release: $file is what it says it is" "$cmek" inspect "$folder/$file"
        count=$((count + 1))
    done <"$folder/sums"
done
ok "rescue.py tells a record that is cut off anywhere" python3 -c 'import struct, sys
sys.path.insert(0, sys.argv[1])
import rescue
with open(sys.argv[2], "rb") as file:
    record = rescue.Envelope(file).slots[0][2]
for end in range(len(record)):
    try:
        rescue.Record(record[:end])
    except (rescue.Refused, struct.error):
        continue
    sys.exit(f"{end} bytes are taken")' "$root/tools" "$root/tests/golden/v1/limited.cmek"
ok "there are golden files" test $count -ge 10
finish
