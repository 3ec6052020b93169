#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The examples of docs/library.md in each language: what one seals every other opens, the tool and rescue.py too; a range of an object
# in S3, as moto plays it; a rotation and a disabled key on the way.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
here=$root/examples/library
export GOFLAGS=-mod=readonly GOTOOLCHAIN=local GOPROXY=off PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/bindings/python/src

java_home() {
    local jdk found=
    for jdk in /usr/lib/jvm/*; do
        [ ! -L "$jdk" ] && [ -x "$jdk/bin/javac" ] || continue
        [ "$("$jdk/bin/javac" -version 2>&1 | sed -E 's/javac ([0-9]+).*/\1/')" -ge 22 ] && found=$jdk
    done
    echo "$found"
}
jdk=$(java_home)

# A program of that name in $work for each language that is here.
# shellcheck disable=SC2046 # words
build_c() { cc -std=gnu11 -Wall -Wextra -Werror $(pkg-config --cflags cmek) -o "$work/c" "$here/example.c" $(pkg-config --libs cmek) $(env -u PKG_CONFIG_SYSROOT_DIR pkg-config --libs libcurl); }
build_go() { (cd "$here/go" && go build -o "$work/go" .); }
build_python() { printf '#!/bin/sh\nexec python3 %s/example.py "$@"\n' "$here" >"$work/python" && chmod +x "$work/python"; }
build_java() {
    "$jdk/bin/javac" --release 22 -d "$work/classes" "$root"/bindings/java/src/main/java/cmek/*.java "$here/Example.java" &&
        printf '#!/bin/sh\nexec %s/bin/java --enable-native-access=ALL-UNNAMED -cp %s/classes Example "$@"\n' "$jdk" "$work" >"$work/java" &&
        chmod +x "$work/java"
}
ok "libcmek is installed" install_libcmek || finish
languages=()
add() { ok "the example in $1 is built" "build_$1" && languages+=("$1"); }
add c
add python
if has_go 21; then add go; else skip "the example in go is built" "there is no Go 1.21 or later"; fi
if [ -n "$jdk" ]; then add java; else skip "the example in java is built" "there is no JDK with java.lang.foreign, which is 22 or later"; fi

ok "each way takes ten lines at most" python3 "$root/tests/bindings/count_lines.py" "$here"

new_project acme
{
    "$cmek" cluster create --project acme prod --key root --region local &&
        "$cmek" database create --project acme --max-lease 0 prod/orders
} >"$work/.output" 2>&1 || tap_fail "a database is there" "$work/.output"
cd "$work" || exit 1
head -c 300000 /dev/urandom >plain
head -c 200100 plain | tail -c 100 >wanted

by() { local language=$1; shift; "$work/$language" "$@"; }
prints() { [ "$(by "$1" message prod/orders "a row")" = "a row" ]; }
streams() { by "$1" stream prod/orders <plain >"$1.cmek"; }
opens() { rm -f again && by "$1" open prod/orders "$2" again && cmp plain again; }
ranges() { by "$1" range prod/orders "$2" 200000 | cmp - wanted; }
objects() { by "$1" object prod/orders "$address" 200000 | cmp - wanted; }
for language in "${languages[@]}"; do
    ok "$language seals and opens a message" prints "$language"
    ok "$language seals a file" by "$language" file prod/orders plain "$language.cmek"
    ok "and a stream" streams "$language"
done
"$cmek" encrypt --project acme --database prod/orders plain tool.cmek
for language in "${languages[@]}"; do
    for other in "${languages[@]}" tool; do
        ok "$language opens what $other sealed" opens "$language" "$other.cmek"
        ok "and a range of it" ranges "$language" "$other.cmek"
    done
    decrypted() { rm -f again && "$cmek" decrypt "$language.cmek" again && cmp plain again; }
    rescued() { rm -f again && python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" "$language.cmek" again && cmp plain again; }
    ok "the tool opens what $language sealed" decrypted
    ok "and so does rescue.py, without the module" rescued
done

# --- S3

if python3 -c 'import boto3, moto.server' 2>/dev/null; then
    mkfifo s3.in
    exec 9<>s3.in
    python3 "$root/tests/bindings/s3_object.py" c.cmek <s3.in >s3.out 2>s3.err 9>&- &
    s3=$!
    for _ in $(seq 600); do
        [ -s s3.out ] || ! kill -0 $s3 2>/dev/null || { sleep 0.1; continue; }
        break
    done
    address=$(cat s3.out)
    for language in "${languages[@]}"; do
        ok "$language reads a range of an object in S3" objects "$language"
    done
    exec 9>&-
    kill $s3 2>/dev/null
    wait $s3 2>/dev/null
else
    skip "a range of an object in S3 is read" "moto or boto3 is not here; 'make deps' puts them into build/venv"
fi

# --- A rotation, and a key that is disabled and enabled

lives() { # LANGUAGE: one process, lines one after the other, and what the tool does between them
    rm -f in out
    mkfifo in
    by "$1" lines prod/orders <in >out 2>&1 &
    local pid=$!
    exec 7>in
    line() { # NUMBER WANTED
        echo row >&7
        for _ in $(seq 300); do
            [ "$(wc -l <out)" -ge "$1" ] && break
            sleep 0.1
        done
        has_line "^$2" sed -n "$1p" out >/dev/null || { cat out; return 1; }
    }
    sealed_again() { # a no is remembered for a moment
        local number
        for number in $(seq 4 40); do
            line "$number" sealed >said && return 0
            sleep 0.3
        done
        cat said
        return 1
    }
    line 1 sealed && "$cmek" database rotate --project acme prod/orders && line 2 sealed &&
        "$cmek" key disable --project acme root && line 3 'try again' && "$cmek" key enable --project acme root && sealed_again
    local status=$?
    exec 7>&-
    wait $pid
    return $status
}
for language in "${languages[@]}"; do
    ok "a process in $language lives through a rotation and a disabled key" lives "$language"
done
finish
