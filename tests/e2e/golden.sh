#!/usr/bin/env bash
# Envelopes that earlier releases wrote open for ever: by the tool in a fresh project that has their root key, and by
# tools/rescue.py. tests/golden/make.sh makes a set.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

opens_by_tool() { # SUM FILE NAME
    "$cmek" decrypt --force ${3:+--name "$3"} "$2" "$work/plain" && [ "$(sha256sum <"$work/plain" | cut -d' ' -f1)" = "$1" ]
}
opens_by_rescue() { # SUM FILE NAME
    python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" ${3:+--name "$3"} "$2" "$work/rescued" &&
        [ "$(sha256sum <"$work/rescued" | cut -d' ' -f1)" = "$1" ]
}

count=0
for folder in "$root"/tests/golden/v*/; do
    release=$(basename "$folder")
    new_home
    install -m 600 "$folder/local.keys" "$home/local.keys"
    ok "$release: a fresh project" "$cmek" project create fresh
    ok "$release: has the root key that is in its file" "$cmek" key add --project fresh local:golden
    while IFS='|' read -r sum file name; do
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
ok "there are golden files" test $count -ge 7
finish
