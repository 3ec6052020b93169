#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The store is lost: ten thousand envelopes open with the KMS alone, by a fresh project, and by tools/rescue.py, which
# shares no code with the module.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
driver=$build/tests/module/envelope_driver
rescue=$root/tools/rescue.py

new_project demo
ok "a cluster" "$cmek" cluster create --project demo prod --key root --region us-west-2
seal() { # DATABASE COUNT
    mkdir "$work/$1" && "$cmek" database create --project demo "prod/$1" && "$driver" seal demo "prod/$1" "$work/$1" "$2"
}
ok "4000 envelopes of a first zone" seal one 4000
ok "3000 of a second" seal two 3000
ok "3000 of a third" seal three 3000

encrypt() { "$cmek" encrypt --project demo --database prod/one "$@"; }
cd "$work" || exit 1
: >empty
head -c 5000001 /dev/urandom >large
echo "what the file says" >text
ok "an empty file's" encrypt empty empty.sealed
ok "a large file's" encrypt large large.sealed
ok "one that is bound to a name" encrypt --name 'a/b ü' text bound.sealed

ok "a key for emergencies" "$cmek" key create --project demo local:break-glass
ok "a database that it opens, too" "$cmek" database create --project demo prod/two-keys
ok "after the other" "$cmek" database set-keys --project demo --any root,break-glass prod/two-keys
ok "a file of it" "$cmek" encrypt --project demo --database prod/two-keys text two-keys.sealed

rm -f "$home"/store.db*
ok "the store is gone; a fresh project" "$cmek" project create fresh
refused "knows nothing" "$cmek" decrypt large.sealed new
ok "but says which root key is needed" says "if you trust that key: cmek key add"
ok "with it" "$cmek" key add --project fresh local:test-root
ok "all of them open" "$driver" open fresh one two three
ok "ten thousand" says "10000 envelopes"
ok "none has a header over 4 KiB" test "$(sed -n 's/.*longest header //p' "$work/.last")" -le 4096
ok "so does the large one" "$cmek" decrypt large.sealed large.again
ok "as it was" cmp large large.again

status_is() { local code=$1 status=0; shift; "$@" || status=$?; [ $status -eq "$code" ]; }
ok "the root key is disabled" "$cmek" key disable --project fresh test-root
ok "then the KMS says no here as well" status_is 5 "$cmek" decrypt large.sealed new
ok "by name" says "enable the key"
ok "and so for a file that only this key opens here" status_is 5 "$cmek" decrypt two-keys.sealed new
ok "with the key for emergencies" "$cmek" key add --project fresh local:break-glass
opens_text() { "$cmek" decrypt --force two-keys.sealed new && cmp text new; }
ok "that file opens" opens_text
ok "which is disabled in its turn" "$cmek" key disable --project fresh break-glass
ok "then no key opens it" status_is 5 "$cmek" decrypt --force two-keys.sealed new
ok "enabled again" "$cmek" key enable --project fresh test-root
ok "it opens by the first" opens_text
rm new

# The other program
by_rescue() { python3 "$rescue" --local-keys "$home/local.keys" "$@"; }
ok "fifty of them open by rescue.py" python3 "$root/tests/e2e/rescue_many.py" "$home/local.keys" 50 one two three
ok "an empty one too" by_rescue empty.sealed empty.rescued
ok "as it was" cmp empty empty.rescued
ok "and a large one" by_rescue large.sealed large.rescued
ok "as it was" cmp large large.rescued
ok "and one with a name" by_rescue --name 'a/b ü' bound.sealed text.rescued
ok "as it was" cmp text text.rescued
through() { by_rescue - - <large.sealed | cmp - large; }
ok "from standard input to standard output" through
ok "it tells what an envelope is" by_rescue --inspect bound.sealed
ok "with its root key" says '"root_keys": ["arn:local:kms:'
refused "the wrong name is refused" by_rescue --name other bound.sealed new
refused "and none" by_rescue bound.sealed new
refused "and one where none is bound" by_rescue --name other large.sealed new
ok "unless whatever name is accepted" by_rescue --any-name bound.sealed text.rescued
refused "a root key that is not the trusted one is refused" by_rescue --root-key arn:local:kms:local::key/x empty.sealed new
damaged() { # COMMAND that writes `cut` from large.sealed
    "$@" && ! by_rescue cut new
}
ok "cut in the header" damaged sh -c 'head -c 1000 large.sealed >cut'
ok "cut by a byte" damaged sh -c 'head -c -1 large.sealed >cut'
ok "cut by a chunk" damaged sh -c 'head -c -$((5000001 % 65536 + 16)) large.sealed >cut'
ok "longer by a byte" damaged sh -c '{ cat large.sealed; echo; } >cut'
ok "no envelope at all" damaged cp large cut
ok "and none of these has left anything" test ! -e new

# Two slots
two_slots() { # IN OUT BROKEN-SLOT...: the second slot is filled as a rewrap would, then some are broken
    python3 - "$@" <<'PYTHON'
import struct, sys, zlib
data = bytearray(open(sys.argv[1], "rb").read())
size = struct.unpack_from(">I", data, 12)[0]
slot = bytearray(data[128:128 + size - 4])
slot[0:8] = (2).to_bytes(8, "big")
data[128 + size:128 + 2 * size] = slot + zlib.crc32(b"\1" + slot).to_bytes(4, "big")
for broken in map(int, sys.argv[3:]):
    data[128 + broken * size + 40] ^= 1
open(sys.argv[2], "wb").write(data)
PYTHON
}
both_open() { # BROKEN-SLOT...
    rm -f new new.rescued
    two_slots bound.sealed two.sealed "$@" && "$cmek" decrypt --name 'a/b ü' two.sealed new && cmp text new &&
        by_rescue --name 'a/b ü' two.sealed new.rescued && cmp text new.rescued
}
ok "an envelope with two slots opens" both_open
ok "and with the first one torn" both_open 0
ok "and with the second one torn" both_open 1
rm -f new new.rescued
both_refuse() {
    two_slots bound.sealed two.sealed 0 1 && ! "$cmek" decrypt --name 'a/b ü' two.sealed new &&
        ! by_rescue --name 'a/b ü' two.sealed new
}
ok "with both torn it does not" both_refuse
ok "and leaves nothing" test ! -e new
finish
