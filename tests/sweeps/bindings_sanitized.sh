#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The tests of the Python package once more, on a module and a libcmek that are built with the address and undefined sanitizers
# (build-asan, as tools/check.py builds it for the unit tests): what an interpreter hands over that is too short, freed or misaligned ends the
# program. Python is not built so: the sanitizer's library is loaded first. Leaks are left to the unit tests, since an
# interpreter itself leaves memory behind, reached from nowhere that the sanitizer looks at.
root=$(cd "$(dirname "$0")/../.." && pwd)
export CMEK_BUILD=${CMEK_TEST_SANITIZED:-$root/build-asan}
# shellcheck source=tests/lib.sh
. "$root/tests/lib.sh"

asan=$(gcc -print-file-name=libasan.so 2>/dev/null)
if [ ! -e "$asan" ]; then
    skip "the bindings' tests run with sanitizers" "gcc, with its libasan, is not here"
    finish
fi
builds() { CC=gcc "$root/tools/build.sh" "$CMEK_BUILD" -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Dc_args=-g1; }
export ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
ok "module and libcmek are built with sanitizers" builds || finish
ok "libcmek is installed" install_libcmek || finish
new_hierarchy
sanitized() { LD_PRELOAD=$asan "$@"; }

export PYTHONPATH=$root/bindings/python/src PYTHONDONTWRITEBYTECODE=1
too_short() { # C is told of more bytes than there are
    sanitized python3 -c 'import ctypes, cmek._native as native
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
native.library.cmek_unsealed_size(libc.malloc(2), 100)'
}
refused "a read behind what Python gave" too_short
ok "is told" says "AddressSanitizer: heap-buffer-overflow"
ok "by what cmek_unsealed_size calls" says "cmek_unsealed_size"
tap_program sanitized timeout 600 python3 "$root/tests/bindings/python.py"
finish
