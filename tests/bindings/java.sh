#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The Java package on libcmek, where there is a JDK that has java.lang.foreign (22 and later).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/bindings/languages.sh
. "$root/tests/bindings/languages.sh"
here=$root/bindings/java

if [ -z "$jdk" ]; then
    skip "the Java package passes its tests" "there is no JDK with java.lang.foreign, which is 22 or later"
    finish
fi
compiles() { "$jdk/bin/javac" --release 22 -Xlint:all,-restricted -Werror -d "$work/classes" "$here"/src/main/java/cmek/*.java "$here"/src/test/java/cmek/*.java; }
ok "the Java package compiles without a warning" compiles || finish
read -ra under <<<"${CMEK_TEST_UNDER:-}" # a command before each of these
java=("${under[@]}" "$jdk/bin/java" --enable-native-access=ALL-UNNAMED -cp "$work/classes")
refused "without libcmek it says what to install" env CMEK_LIBRARY="$work/none" "${java[@]}" cmek.Tests "$work"
ok "namely" says "install the package libcmek0"
ok "libcmek is installed" install_libcmek || finish
new_hierarchy
mkdir "$work/files" "$work/latin"
printf bytes >"$work/files/b"$'\xe4'r
printf text >"$work/files/b"$'\xef\xbf\xbd'r
tap_program "${java[@]}" cmek.Tests "$work/files"

counts() { "${CC:-cc}" -shared -fPIC -I "$root/include" -o "$work/late.so" "$root/tests/bindings/late.c" -Wl,--no-as-needed "-L$LD_LIBRARY_PATH" -l:libcmek.so.0 -ldl -pthread; }
ok "a libcmek that counts its zones is built" counts &&
    tap_program env "CMEK_LIBRARY=$work/late.so" "${java[@]}" cmek.Tests "$work" lives
if command -v localedef >/dev/null && localedef -i de_DE -f ISO-8859-1 "$work/latin/de_DE" 2>/dev/null; then
    printf latin >"$work/latin/b"$'\xe4'r
    tap_program env "LOCPATH=$work/latin" LC_ALL=de_DE "${java[@]}" cmek.Tests "$work/latin" latin
else
    skip "paths go to C in the charset of the file system" "there is no localedef with de_DE (Debian: locales)"
fi
finish
