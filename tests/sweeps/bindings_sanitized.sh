#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The tests of the packages for Python, Go and Java once more, on a module and a libcmek that are built with the address and undefined
# sanitizers (build-asan, as tools/check.py builds it for the unit tests): what a language hands over that is too short, freed or misaligned
# ends the program, and so does what it leaves behind (Go: from 1.25). Go is built so too, and guards its own memory; the others are not, and
# have the sanitizer's library loaded first. Python takes each object from malloc, which is seen then; the JVM's heap is its own, and its leaks
# are not looked for, since that stops at the JVM.
root=$(cd "$(dirname "$0")/../.." && pwd)
export CMEK_BUILD=${CMEK_TEST_SANITIZED:-$root/build-asan}
# shellcheck source=tests/lib.sh
. "$root/tests/lib.sh"
# shellcheck source=tests/bindings/languages.sh
. "$root/tests/bindings/languages.sh"

asan=$(gcc -print-file-name=libasan.so 2>/dev/null)
if [ ! -e "$asan" ]; then
    skip "the bindings' tests run with sanitizers" "gcc, with its libasan, is not here"
    finish
fi
builds() { CC=gcc "$root/tools/build.sh" "$CMEK_BUILD" -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Dc_args=-g1; }
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
ok "module and libcmek are built with sanitizers" builds || finish
ok "libcmek is installed" install_libcmek || finish
new_hierarchy

under=(env "LD_PRELOAD=$asan")
export CC=gcc GOFLAGS=-asan PYTHONMALLOC=malloc CMEK_TEST_UNDER="${under[*]}"
programs "$root/tests/bindings/fault" fault
for language in "${languages[@]}"; do
    refused "C reads behind what $language gave" "${under[@]}" "$work/$language"
    ok "and is told so" says "ERROR: AddressSanitizer"
    ok "with the call" says " in cmek_unsealed_size "
done
# The leak sanitizer looks into each thread, and may fail itself on one that is just ending: that says nothing of ours.
looked_through() { # COMMAND...
    local status
    for _ in 1 2 3; do
        status=0
        "$@" >"$work/looked" 2>&1 || status=$?
        grep -qF "LeakSanitizer has encountered a fatal error" "$work/looked" || break
    done
    cat "$work/looked"
    return $status
}
tap_program looked_through "${under[@]}" timeout 600 python3 "$root/tests/bindings/python.py"
tap_program looked_through timeout 600 "$root/tests/bindings/go.sh"
ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 tap_program timeout 600 "$root/tests/bindings/java.sh"
finish
