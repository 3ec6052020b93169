#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# libcmek as a program meets it: installed, found by pkg-config, and what it writes opened by the tool and by tools/rescue.py, and the
# other way round. The example of docs/library.md.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! command -v meson >/dev/null; then
    skip "the library is installed" "meson is not here"
    finish
fi
new_project demo
ok "a cluster" "$cmek" cluster create --project demo prod --key root --region us-west-2
ok "a database" "$cmek" database create --project demo --max-lease 0 prod/orders
place=$work/place
ok "the build is installed" meson install -C "$build" --no-rebuild --quiet --destdir "$place"
describing=$(find "$place" -type f -name cmek.pc)
libraries=$(dirname "$(dirname "$describing")")
prefix=${libraries%/lib*}
package() { PKG_CONFIG_LIBDIR=$(dirname "$describing") pkg-config --define-variable=prefix="$prefix" "$@" cmek; }
curl() { pkg-config "$@" libcurl; }
has_version() { [ "$(package --modversion)" = "$("$cmek" --version | sed 's/.* //')" ]; }
ok "pkg-config has its version" has_version

example=$work/example
strict="-Wall -Wextra -Wpedantic -Werror"
# shellcheck disable=SC2046,SC2086 # words
builds() { "$@" $strict $(package --cflags) -o "$example" "$root/examples/library/example.c" $(package --libs) $(curl --libs); }
ok "the example is built by what pkg-config says alone" builds cc -std=gnu11
# shellcheck disable=SC2046,SC2086 # words
as_cxx() { printf '#include <cmek/cmek.h>\nint main() { return cmek_version() == nullptr; }\n' >"$work/as.cc" &&
    c++ -std=c++11 $strict $(package --cflags) -o "$work/as" "$work/as.cc" $(package --libs) && run "$work/as"; }
run() { LD_LIBRARY_PATH=$libraries "$@"; }
if command -v c++ >/dev/null; then
    ok "the header is C++ too" as_cxx
else
    skip "the header is C++ too" "c++ is not here"
fi
cd "$work" || exit 1
exits() { # CODE COMMAND...
    local code=$1 status=0
    shift
    "$@" || status=$?
    [ $status -eq "$code" ] || { echo "exit code $status, not $code"; return 1; }
}
head -c 300000 /dev/urandom >plain
rescue() { python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" "$@"; }
same() { rm -f again && "$@" && cmp plain again; }
ok "a message is sealed, opened and printed" run "$example" message prod/orders "a row"
ok "which says what it was" says "a row"
ok "a file is sealed" run "$example" file prod/orders plain sealed
ok "the tool opens it" same "$cmek" decrypt sealed again
ok "rescue.py opens it" same rescue sealed again
stream() { run "$example" stream prod/orders <plain >sealed; }
ok "a stream is sealed" stream
ok "the tool opens it, too" same "$cmek" decrypt sealed again
ok "and rescue.py" same rescue sealed again
is_range() { run "$example" range prod/orders sealed 200000 >part && head -c 200100 plain | tail -c 100 | cmp - part; }
ok "a range of it is what lies there" is_range
ok "the tool seals a file" "$cmek" encrypt --project demo --database prod/orders --force plain sealed
ok "the library opens it" same run "$example" open prod/orders sealed again
ok "and a range of it" is_range

ok "the database's key is rotated" "$cmek" database rotate --project demo prod/orders
ok "what was sealed before opens" same run "$example" open prod/orders sealed again
ok "and a file is sealed under the new key" run "$example" file prod/orders plain sealed
ok "which opens" same run "$example" open prod/orders sealed again
ok "the root key is disabled" "$cmek" key disable --project demo root
rm again
ok "then nothing opens" exits 1 run "$example" open prod/orders sealed again
ok "in words" says "the key is disabled"
ok "and no file appears" test ! -e again
ok "nothing is sealed either" exits 1 run "$example" file prod/orders plain sealed
ok "the root key is enabled" "$cmek" key enable --project demo root
ok "and all is as before" same run "$example" open prod/orders sealed again
ok "a database that is not there is not found" exits 3 run "$example" file prod/none plain sealed
ok "in words, with what to do" says "see cmek tree"

# Memory is short at one allocation or another, after the module has begun with its store: a kind of failure, in a line.
shortage=$build/tests/module/libshortage_allocator.so
short_of_memory() {
    local at status
    for at in $(seq 1 83 2400); do
        status=0
        LD_PRELOAD=$shortage SHORTAGE_AT=$at run "$example" message prod/orders row >said 2>error || status=$?
        [ $status -le 10 ] && [ "$(wc -l <error)" -eq $((status > 0)) ] && continue
        echo "allocation $at: status $status"
        cat error
        return 1
    done
}
if [ -e "$shortage" ]; then
    ok "short of memory it fails in a line, and in no other way" short_of_memory
else
    skip "short of memory it fails in a line, and in no other way" "$shortage is not built"
fi
finish
