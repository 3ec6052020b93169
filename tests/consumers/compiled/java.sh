#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Java's SunPKCS11, of each JDK that is here: Hierarchy.java prints the TAP.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
seen=0
none="no password provided"
for java in /usr/lib/jvm/*/bin/java; do
    jdk=${java%/bin/java}
    [ ! -L "$jdk" ] && [ -e "$jdk/bin/javac" ] || continue
    seen=$((seen + 1))
    new_hierarchy
    program=("$java" -Xshare:auto -XX:TieredStopAtLevel=1 "$root/tests/consumers/compiled/Hierarchy.java" "$module" "$root/conf/sunpkcs11.cfg")
    tap_program "${program[@]}"
    by_login "$none" "${program[@]}"
    by_pin "$none" CKR_PIN_INCORRECT "${program[@]}"
done
[ $seen -gt 0 ] || { consumer "Java SunPKCS11" - "not here" && skip "a Java program encrypts by the token's keys" "there is no JDK in /usr/lib/jvm"; }
finish
