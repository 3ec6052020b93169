#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What `make install` lays down, and that it works from there: the tool finds the module where it was installed, the
# files for p11-kit and pkg-config name it, programs compile against the headers. `make uninstall` takes it away again.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! command -v meson >/dev/null; then
    skip "the build is installed" "meson is not here"
    finish
fi
new_home
place=$work/place
ok "the build is installed" meson install -C "$build" --no-rebuild --quiet --destdir "$place"
tool=$(find "$place" -type f -path '*/bin/cmek')
prefix=${tool%/bin/cmek}
prefix=${prefix#"$place"}
installed=$(find "$place" -type f -name cmek-pkcs11.so)
is_there() { [ -s "$place$prefix/$1" ] || { find "$place" -type f; return 1; }; }
for file in bin/cmek include/cmek/cmek.h include/cmek-pkcs11/cmek.h include/cmek-pkcs11/pkcs11.h share/man/man1/cmek.1 share/man/man5/cmek.conf.5 share/man/man8/cmek-pkcs11.8 share/cmek-pkcs11/cmek.conf share/cmek-pkcs11/cmek.magic share/cmek-pkcs11/service/nightly.service share/cmek-pkcs11/openssl.cnf share/cmek-pkcs11/sunpkcs11.cfg \
    share/cmek-pkcs11/iam-policy.json share/cmek-pkcs11/rescue.py share/bash-completion/completions/cmek share/zsh/site-functions/_cmek \
    share/fish/vendor_completions.d/cmek.fish share/doc/cmek-pkcs11/LICENSE \
    share/doc/cmek-pkcs11/SECURITY.md share/doc/cmek-pkcs11/docs/leases.md share/doc/cmek-pkcs11/docs/erasure.md; do
    ok "$file is there" is_there $file
done
for file in "$installed" "$tool"; do
    ok "anybody may run $(basename "$file"), and nobody but its owner change it" test "$(stat -c %a "$file")" = 755
done
described=$(find "$place" -type f -name cmek-pkcs11.module)
ok "the file for p11-kit names the module where it is" grep -qx "module: ${installed#"$place"}" "$described"
ok "and is readable for all" test "$(stat -c %a "$described")" = 644

library=$(find "$place" -name libcmek.so.0)
beside() { [ "$(dirname "$library")/pkcs11/cmek-pkcs11.so" = "$installed" ] && [ -s "$(dirname "$library")/pkgconfig/cmek.pc" ]; }
ok "the library lies where it finds the module, and pkg-config finds it" beside

# For programs: pkg-config is told where the prefix lies for now, as it would be told of another system's.
describing=$(find "$place" -type f -name cmek-pkcs11.pc)
package() { PKG_CONFIG_LIBDIR=$(dirname "$describing") pkg-config "$@" cmek-pkcs11; }
names_module() { [ "$(package --variable=p11_module_path)" = "${installed#"$place"}" ] || { package --variable=p11_module_path; return 1; }; }
has_version() { [ "$(package --modversion)" = "$("$tool" --version | sed 's/.* //')" ]; }
links_nothing() { [ -z "$(package --libs | tr -d ' ')" ]; }
names_built() { [ "$(PKG_CONFIG_LIBDIR=$build/meson-uninstalled pkg-config --variable=p11_module_path cmek-pkcs11)" = "$module" ]; }
ok "pkg-config names the module where it is" names_module
ok "and, told of the build, where it was built" names_built
ok "and has the tool's version" has_version
ok "and nothing for a linker" links_nothing

# One program, as C and as C++; %s is what it includes.
program='%s
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	CK_C_GetFunctionList get;
	CK_FUNCTION_LIST *functions = NULL_PTR;
	CK_INFO info;
	void *found = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");

	if (found == NULL)
		return 1;
	*(void **)(&get) = found;
	if (get(&functions) != CKR_OK || functions->C_Initialize(NULL_PTR) != CKR_OK || functions->C_GetInfo(&info) != CKR_OK)
		return 2;
	printf("%%.32s, %%lx\\n", (const char *)info.libraryDescription, (unsigned long)(CKM_CMEK_DEK_WRAP));
	return functions->C_Finalize(NULL_PTR) == CKR_OK ? 0 : 3;
}'
strict="-Wall -Wextra -Wpedantic -Werror"
builds() { # COMPILER EXTENSION FLAGS LINE...: a program that begins with these lines
    local compiler=$1 source=$work/consumer.$2 flags=$3
    shift 3
    # shellcheck disable=SC2059 # the text is its format
    printf "$program\n" "$(printf '%s\n' "$@")" >"$source"
    # shellcheck disable=SC2086 # words
    $compiler $strict $flags -o "$work/consumer" "$source" -ldl && "$work/consumer" "$installed"
}
flags=$(package --define-variable=prefix="$place$prefix" --cflags)
alone() { # EXTENSION COMPILER...: each header that is installed, on its own
    local header extension=$1
    shift
    for header in "$place$prefix"/include/cmek-pkcs11/*.h; do
        printf '#include <%s>\nint here;\n' "$(basename "$header")" >"$work/alone.$extension"
        # shellcheck disable=SC2086 # words
        "$@" $strict $flags -fsyntax-only "$work/alone.$extension" || return 1
    done
}
others=$(pkg-config --cflags p11-kit-1 2>/dev/null)
for language in "cc -std=c11|c" "c++ -std=c++11|cc"; do
    compiler=${language%|*} extension=${language#*|}
    if ! command -v "${compiler%% *}" >/dev/null; then
        skip "a program compiles with ${compiler%% *}" "${compiler%% *} is not here"
        continue
    fi
    # shellcheck disable=SC2086 # words
    ok "$compiler: each header that is installed stands alone" alone $extension $compiler
    ok "$compiler: a program that includes <cmek.h> compiles and runs" builds "$compiler" $extension "$flags" "#include <cmek.h>"
    ok "and says what it speaks to" says "Customer-managed encryption keys, 80434d02"
    ok "$compiler: and with <cmek-pkcs11/pkcs11.h> first" builds "$compiler" $extension "$flags" \
        "#include <cmek-pkcs11/pkcs11.h>" "#include <cmek-pkcs11/cmek.h>"
    if [ -n "$others" ] || [ -e /usr/include/p11-kit/pkcs11.h ]; then
        ok "$compiler: and with p11-kit's pkcs11.h first" builds "$compiler" $extension "$flags $others" \
            "#include <p11-kit/pkcs11.h>" "#include <cmek.h>"
    else
        skip "$compiler: and with p11-kit's pkcs11.h first" "p11-kit's headers are not here"
    fi
done

# As if it were the system's: the prefix is laid over the system's, for one command.
# shellcheck disable=SC2016 # the inner shell expands
over='mount --bind "$0" "$1" && shift && exec "$@"'
in_place() { env -u CMEK_PKCS11_MODULE unshare --mount sh -c "$over" "$place$prefix" "$prefix" "$@"; }
if [ -d "$prefix" ] && in_place true 2>/dev/null; then
    # Not beside the tool, so that it has to look where it was installed.
    ok "the tool finds the module where it was installed" in_place "$prefix/bin/cmek" project create demo
    ok "and works" in_place "$prefix/bin/cmek" project show demo
else
    skip "the tool finds the module where it was installed" "laying one folder over another needs root's rights"
fi

# And away again, with one file that somebody else put there, and a store.
stranger=$place$prefix/share/cmek-pkcs11/notes.txt
mkdir -p "$place/var/lib/cmek-pkcs11"
touch "$stranger" "$place/var/lib/cmek-pkcs11/store.db" "$place$prefix/bin/other"
ok "the build is uninstalled" "$root/tools/uninstall.sh" "$build" "$place"
ok "it names the file that is somebody else's" says "$stranger"
ok "and the store" says "    $place/var/lib/cmek-pkcs11"
only_strangers() { [ "$(cd "$place" && find . ! -type d | sort)" = "$(printf '%s\n' ".$prefix/bin/other" ".$prefix/share/cmek-pkcs11/notes.txt" ./var/lib/cmek-pkcs11/store.db | sort)" ] ||
    { find "$place" ! -type d; return 1; }; }
ok "these are left, and nothing else" only_strangers
ok "without the folders that had our name" test ! -e "$place$prefix/include/cmek-pkcs11" -a ! -e "$place$prefix/share/doc/cmek-pkcs11"
ok "once more finds nothing to do" "$root/tools/uninstall.sh" "$build" "$place"
ok "and says so" says "Removed 0 files"
finish
