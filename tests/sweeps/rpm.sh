#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Packages for systems with rpm, of what is here: built out of a release's archive, and looked into. They are not installed, since this
# may be no system of rpm's.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
for program in git meson rpmbuild rpm2cpio cpio; do
    command -v $program >/dev/null && continue
    skip "packages for systems with rpm are built" "$program is not here"
    finish
done
if [ ! -e "$root/.git" ]; then
    skip "packages for systems with rpm are built" "the archive is made of a git work tree"
    finish
fi
commit_all "$work/tree" && "$work/tree/tools/dist.sh" "$work/dist" >/dev/null || exit 1
version=$(sed -nE "s/^ *version: '([^']+)',$/\1/p" "$root/meson.build")
packages=$work/packages
ok "the packages are built" nice "$work/tree/tools/rpm.sh" "$work/dist/cmek-pkcs11-$version.tar.gz" "$packages" || finish
package() { # PART MACHINE: of cmek-pkcs11, or libcmek's own
    case $1 in lib*) echo "$packages/$1-$version-1.$2.rpm" ;; *) echo "$packages/cmek-pkcs11${1:+-$1}-$version-1.$2.rpm" ;; esac
}
machine=$(uname -m)
of_all() { for name in "$(package '' "$machine")" "$(package devel "$machine")" "$(package libcmek "$machine")" "$(package libcmek-devel "$machine")" "$(package doc noarch)" "$(package rescue noarch)"; do "$@" "$name" || return 1; done; }
ok "module with tool, headers, library, its header, pages, rescue.py: six, and the sources" of_all test -s
ok "and no others" test "$(find "$packages" -name '*.rpm' | wc -l)" -eq 7

# Together they have what is installed, each file once, but LICENSE, which goes where rpm puts licences.
meson install -C "$build" --no-rebuild --quiet --destdir "$work/place" >/dev/null
prefix=$(find "$work/place" -type f -path '*/bin/cmek')
prefix=${prefix%/bin/cmek}
# Whether a folder is lib64 or lib/TRIPLET, and whether manuals are packed, is the system's to say, as are links by build ids.
without_system() { sed -E 's|^lib(64\|/[a-z0-9_]+-linux-gnu[a-z0-9]*)/|lib/|; s|(/man[0-9]/.*)\.gz$|\1|; /^share\/p11-kit|^etc\/pkcs11|^lib\/\.build-id/d' | sort; }
packed() { of_all rpm --query --package --list | sed -n 's|^/usr/||p' | while read -r file; do if [ ! -d "$work/unpacked/usr/$file" ]; then echo "$file"; fi; done; }
unpack() { (cd "$work/unpacked" && rpm2cpio "$1" | cpio --extract --make-directories --quiet); }
mkdir "$work/unpacked"
ok "they can be unpacked" of_all unpack
installed() { (cd "$prefix" && find . ! -type d -printf '%P\n'); }
installed_but_licence() { installed | grep -v 'doc/cmek-pkcs11/LICENSE$' | without_system; }
packed_but_licence() { packed | grep -v '^share/licenses/' | without_system; }
same() { agree installed_but_licence packed_but_licence; }
ok "they have what 'make install' puts there, each file once" same
ok "p11-kit's file" test -s "$work/unpacked/usr/share/p11-kit/modules/cmek-pkcs11.module"
has_licence() { [ "$(rpm --query --package --licensefiles "$(package "$1" "$machine")" 2>/dev/null | wc -l)" -eq 1 ]; }
ok "and the licence, as one" has_licence ''
ok "as in the library's" has_licence libcmek

module=$(find "$work/unpacked" -name cmek-pkcs11.so)
ok "p11-kit's file and pkg-config's name the module where it will be" grep -qx "module: ${module#"$work/unpacked"}" "$work/unpacked/usr/share/p11-kit/modules/cmek-pkcs11.module"
new_home
ok "the tool works with the module" env CMEK_PKCS11_MODULE="$module" "$work/unpacked/usr/bin/cmek" project create demo
needs() { rpm --query --package --requires "$1" 2>/dev/null; }
needs_libraries() {
    local library
    for library in libcrypto.so.3 libcurl.so.4 libjansson.so.4 libsqlite3.so.0; do
        has_line "^$library" needs "$(package '' "$machine")" || return 1
    done
}
ok "what the module needs is named by rpm itself" needs_libraries
needs_same() { has_line "^$2.* = $version-1\$" needs "$(package "$1" "$machine")"; }
ok "the headers need the module of their version" needs_same devel cmek-pkcs11
ok "as does the library" needs_same libcmek cmek-pkcs11
ok "which its header needs" needs_same libcmek-devel libcmek
provides_library() { has_line '^libcmek\.so\.0' rpm --query --package --provides "$(package libcmek "$machine")" 2>/dev/null; }
ok "and which says by its SONAME what it is" provides_library
needs_python() { has_line '^python3-cryptography$' needs "$(package rescue noarch)"; }
ok "rescue.py needs Python's cryptography" needs_python
none() { silent rpm --query --package "$1" "$2" 2>/dev/null; }
ok "no package has a script that runs at installation" of_all none --scripts
ok "or a trigger" of_all none --triggers
mine() { rpm --query --package --queryformat '[%{FILEUSERNAME} %{FILEGROUPNAME} %{FILEMODES:octal}\n]' "$1" >"$work/modes" 2>/dev/null &&
    [ -s "$work/modes" ] && silent sed -E '/^root root (0?40755|100755|100644|120777)$/d' "$work/modes"; }
ok "all is root's, and nobody else may change it" of_all mine
finish
