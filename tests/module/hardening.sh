#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What meson.build asks of compiler and linker against attacks, looked for in the built module, library and tool: a flag that is
# taken away, or that a distribution's own flags undo, is seen here.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

machine=$(uname -m)
library=$build/libcmek.so.0
objects() { find "$build/libcore.a.p" "$build/libtool.a.p" "$build/libconsumer.a.p" "$build/cmek.p" "$build/cmek-pkcs11.so.p" -name '*.o'; }
functions() { readelf --dyn-syms --wide "$1" | awk '$7 == "UND" { sub(/@.*/, "", $8); print $8 }' | sort -u; }
has_function() { has_line "^$2\$" functions "$1"; }
has_flag() { has_line "\($2\).*\b$3\b" readelf --dynamic --wide "$1"; }
segment() { readelf --program-headers --wide "$1" | awk -v name="$2" '$1 == name'; }
is_there() { has_line . segment "$1" "$2"; }
stack_is_data() { has_line ' RW ' segment "$1" GNU_STACK; }
nothing_writable_runs() { lacks ' RWE ' segment "$1" LOAD; }
lacks_entry() { lacks "\(($2)\)" readelf --dynamic --wide "$1"; }

# The linker keeps a note only if all objects have it, the C library's start files too; so ours are asked one by one.
all_noted() { # WORDS of the note
    local object bad=0
    objects >"$work/objects" && [ -s "$work/objects" ] || return 1
    while read -r object; do
        has_line "feature: .*$1" readelf --notes --wide "$object" >/dev/null 2>&1 || { echo "$object: no $1"; bad=1; }
    done <"$work/objects"
    return $bad
}

# Large frames are gone through page by page: gcc changes nothing in each. What clang does looks like any other store.
probes_pages() { has_line 'or[ql] +\$0x0,\(%rsp\)' objdump --disassemble --no-show-raw-insn "$module" >"$work/probes"; }
by_clang() { has_line clang readelf --string-dump=.comment "$module" >/dev/null; }

# A compiler's word for "not optimised" or "sanitized": then libc's checks are not built in (meson.build).
fortified_here() { [[ ${CMEK_OPTIMIZATION:-2} != [0p]* && ${CMEK_SANITIZE:-none} = none ]]; }

for program in readelf objdump; do
    command -v $program >/dev/null && continue
    skip "the module is hardened" "$program (binutils) is not here"
    finish
done
for file in "$module" "$library" "$cmek"; do
    name=$(basename "$file")
    ok "$name: all symbols are bound when it is loaded" has_flag "$file" FLAGS_1 NOW
    ok "$name: what is bound is read-only then" is_there "$file" GNU_RELRO
    ok "$name: its stack is not executable" stack_is_data "$file"
    ok "$name: nothing is both writable and executable" nothing_writable_runs "$file"
    ok "$name: no relocations in the text" lacks_entry "$file" TEXTREL
    ok "$name: no search path of its own" lacks_entry "$file" 'RPATH|RUNPATH'
    ok "$name: the stack has canaries" has_function "$file" __stack_chk_fail
    if fortified_here; then
        ok "$name: libc checks the sizes of buffers" has_function "$file" '__(mem|str|v?s?n?f?printf|read|fgets).*_chk'
    else
        skip "$name: libc checks the sizes of buffers" "this build is not optimised, or has sanitizers"
    fi
done
ok "cmek is loaded at an address of chance" has_flag "$cmek" FLAGS_1 PIE
case $machine in
x86_64)
    ok "each object lets jumps land only where they are meant to, and keeps returns" all_noted "IBT, SHSTK"
    if by_clang; then
        skip "large stack frames are gone through page by page" "not to be seen in what clang makes"
    else
        ok "large stack frames are gone through page by page" probes_pages
    fi
    ;;
aarch64) ok "each object lets jumps land only where they are meant to, and signs returns" all_noted "BTI, PAC" ;;
*) skip "jumps land only where they are meant to" "$machine has no such thing, or we don't know it" ;;
esac
finish
