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
java=("$jdk/bin/java" --enable-native-access=ALL-UNNAMED -cp "$work/classes")
refused "without libcmek it says what to install" env CMEK_LIBRARY="$work/none" "${java[@]}" cmek.Tests "$work"
ok "namely" says "install the package libcmek0"
ok "libcmek is installed" install_libcmek || finish
new_hierarchy
tap_program "${java[@]}" cmek.Tests "$work"
finish
