#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The built module as the dynamic linker sees it: what it exports, needs and promises.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

known_libraries='libc libm libpthread ld-linux-x86-64 ld-linux-aarch64 libcrypto libssl libcurl libjansson libsqlite3
libasan libubsan libtsan'
known_libraries=${known_libraries//$'\n'/ }

exports() { # without the absolute symbols that name a version node
    readelf --dyn-syms --wide "$module" |
        awk '$1 ~ /^[0-9]+:/ && $5 != "LOCAL" && $7 != "UND" && $7 != "ABS" { print $8 }' | sort -u
}

# Those that include/pkcs11_functions.h lists for any version.
standards_functions() {
    sed -n '/#define CK_FUNCTIONS_/,/^$/p' "$root/include/pkcs11_functions.h" | grep -oE '\bC_[A-Za-z]+' | sort -u
}
exports_the_standards_functions() { agree standards_functions exports; }

# As programs do that look each function up by its name. SoftHSM, where it is here, gave its own to the whole process before.
by_name='
import ctypes, glob, os, sys
for other in glob.glob("/usr/lib/softhsm/libsofthsm2.so"):
    ctypes.CDLL(other, os.RTLD_NOW | os.RTLD_GLOBAL).C_GetFunctionList
ours = ctypes.CDLL(sys.argv[1], os.RTLD_NOW | os.RTLD_GLOBAL)
info, count, functions = ctypes.create_string_buffer(256), ctypes.c_ulong(), ctypes.POINTER(ctypes.c_void_p)()
assert ours.C_GetFunctionList(ctypes.byref(functions)) == 0
assert functions[1] == ctypes.cast(ours.C_Initialize, ctypes.c_void_p).value, "the list has a function of somebody else"
assert ours.C_Initialize(None) == 0 and ours.C_GetInfo(info) == 0
assert info.raw[2:34].split()[0] == b"cmek-pkcs11", info.raw[2:34]
assert ours.C_GetSlotList(0, None, ctypes.byref(count)) == 0
assert ours.C_Finalize(None) == 0
'
works_by_name() {
    printf '[store]\npath = %s\n' "$work/store.db" >"$work/cmek.conf"
    CMEK_PKCS11_CONF=$work/cmek.conf python3 -c "$by_name" "$module"
}

version_node_is_anonymous() { lacks 'Version definition section' readelf --version-info "$module"; }

needs_only_known_libraries() {
    local library bad=0
    dynamic NEEDED | sed -E 's/.*\[(.*)\].*/\1/' >"$work/needed" || return 1
    while read -r library; do
        [[ " $known_libraries " == *" ${library%%.so*} "* ]] || { echo "unexpected: $library"; bad=1; }
    done <"$work/needed"
    return $bad
}

dynamic() { readelf --dynamic --wide "$module" | grep "($1)"; }

never_unloaded() { has_line '\bNODELETE\b' dynamic FLAGS_1; }

binds_to_itself() { has_line '\(FLAGS\).*SYMBOLIC|\(SYMBOLIC\)' readelf --dynamic --wide "$module"; }

all_symbols_bound_at_load() { has_line '\bNOW\b' dynamic FLAGS_1; }

# The compiler's start files bring one entry each (frame_dummy, __do_global_dtors_aux); more would be ours.
entries_in() { # SECTION of pointers
    local size
    size=$(readelf --sections --wide "$module" | sed 's/^ *\[ *[0-9]*\] *//' |
        awk -v name="$1" '$1 == name { print $5 }')
    echo $((16#${size:-0} / 8))
}
no_constructors() { [ "$(entries_in .init_array)" -le 1 ] && [ "$(entries_in .ctors)" -eq 0 ]; }
no_destructors() { [ "$(entries_in .fini_array)" -le 1 ] && [ "$(entries_in .dtors)" -eq 0 ]; }
# The names of all dynamic symbols, without their versions.
names() { readelf --dyn-syms --wide "$module" | awk '{ sub(/@.*/, "", $8); print $8 }'; }
no_exit_handlers() { lacks '^(atexit|__cxa_atexit|on_exit|__cxa_thread_atexit_impl)$' names; }

# Standard output, the end of the process, its environment, threads, signals and locale are the host's.
hosts_own='stdout puts putchar printf vprintf __printf_chk __vprintf_chk getenv setenv putenv exit _exit abort pthread_create signal sigaction
setlocale curl_global_cleanup'
leaves_the_host_alone() { lacks "^(${hosts_own//[[:space:]]/|})\$" names; }

stack_not_executable() { has_line 'GNU_STACK.* RW ' readelf --program-headers --wide "$module"; }

# The library above the module exports what its header declares, with a version, and brings nothing along.
librarys_functions() { sed '/^typedef/d; s/^ \*.*//' "$root/include/cmek/cmek.h" | tr '\n' ' ' | grep -oE '\bcmek_[a-z_]+\(' | tr -d '(' | sort -u; }
library_exports() { module=$library exports | sed 's/@@CMEK_0$//'; }
library_exports_its_header() { agree librarys_functions library_exports; }
packages_functions() { sed -n 's/^ \(cmek_[a-z_]*\)@CMEK_0 .*/\1/p' "$root/packaging/debian/libcmek0.symbols"; }
package_names_them() { agree librarys_functions packages_functions; }
others_needed() { dynamic NEEDED >"$work/needed" && sed -E '/\[(libc|libpthread|libdl|libasan|libubsan|libtsan|ld-linux[-a-z0-9_]*)\.so/d' "$work/needed"; }
library_needs_libc_alone() { module=$library silent others_needed; }
library_has_its_name() { module=$library has_line '\[libcmek\.so\.0\]' dynamic SONAME; }
# It starts threads where its caller's options ask for them, and no others.
library_leaves_the_host_alone() { hosts_own=${hosts_own/ pthread_create/} module=$library leaves_the_host_alone; }
library=$build/libcmek.so.0

if [ ! -e "$module" ]; then
    skip "the module exports the functions of PKCS #11" "$module is not built"
    finish
fi
if ! command -v readelf >/dev/null; then
    skip "the module exports the functions of PKCS #11" "readelf (binutils) is not here"
    finish
fi
ok "the module exports the functions of PKCS #11 and nothing else" exports_the_standards_functions
ok "looked up by their names, they are its own, whatever other modules the process has" works_by_name
ok "its version node is anonymous" version_node_is_anonymous
ok "it needs only libraries that docs/dependencies.md names" needs_only_known_libraries
ok "it stays loaded after dlclose" never_unloaded
ok "its own symbols bind to itself" binds_to_itself
ok "all its symbols are bound when it is loaded" all_symbols_bound_at_load
ok "it has no constructors" no_constructors
ok "it has no destructors" no_destructors
ok "it registers nothing to run at exit" no_exit_handlers
ok "it calls nothing that is the host's own: standard output, exit, environment, threads, signals" leaves_the_host_alone
ok "its stack is not executable" stack_not_executable
ok "libcmek exports the functions of its header and nothing else" library_exports_its_header
ok "and the Debian package libcmek0 names them" package_names_them
ok "libcmek needs the C library alone" library_needs_libc_alone
ok "libcmek is found by its name and its version" library_has_its_name
ok "libcmek calls nothing that is the host's own either" library_leaves_the_host_alone
finish
