# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
#
# Programs that are there once in each language, sourced after tests/lib.sh:
#
#   java_home                              prints the folder of the JDK that has java.lang.foreign (22 and later); nothing: there is none
#   programs FOLDER NAME [PACKAGE...]      FOLDER's NAME.c (with those packages of pkg-config), NAME.py, go/ and Name.java, as $work/LANGUAGE
#                                          for each one of ${languages[@]}; what can't be built here is skipped. After install_libcmek
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # $root and $work are of tests/lib.sh

java_home() {
    local jdk found=
    for jdk in /usr/lib/jvm/*; do
        [ ! -L "$jdk" ] && [ -x "$jdk/bin/javac" ] || continue
        [ "$("$jdk/bin/javac" -version 2>&1 | sed -E 's/javac ([0-9]+).*/\1/')" -ge 22 ] && found=$jdk
    done
    echo "$found"
}
jdk=$(java_home)

# shellcheck disable=SC2046,SC2086 # words
build_c() { # FOLDER NAME PACKAGE...
    cc -std=gnu11 -Wall -Wextra -Werror $(pkg-config --cflags cmek) -o "$work/c" "$1/$2.c" $(pkg-config --libs cmek) \
        ${3:+$(env -u PKG_CONFIG_SYSROOT_DIR pkg-config --libs "${@:3}")}
}
build_go() { (cd "$1/go" && go build -o "$work/go" .); }
build_python() { printf '#!/bin/sh\nexec python3 %s/%s.py "$@"\n' "$1" "$2" >"$work/python" && chmod +x "$work/python"; }
build_java() {
    "$jdk/bin/javac" --release 22 -d "$work/classes" "$root"/bindings/java/src/main/java/cmek/*.java "$1/${2^}.java" &&
        printf '#!/bin/sh\nexec %s/bin/java --enable-native-access=ALL-UNNAMED -cp %s/classes %s "$@"\n' "$jdk" "$work" "${2^}" >"$work/java" &&
        chmod +x "$work/java"
}

programs() {
    local language why
    export GOFLAGS="${GOFLAGS:-} -mod=readonly" GOTOOLCHAIN=local GOPROXY=off PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/bindings/python/src
    languages=()
    for language in c python go java; do
        why=
        [ $language != go ] || has_go 21 || why="there is no Go 1.21 or later"
        [ $language != java ] || [ -n "$jdk" ] || why="there is no JDK with java.lang.foreign, which is 22 or later"
        if [ -n "$why" ]; then
            skip "the $2 in $language is built" "$why"
        else
            ok "the $2 in $language is built" "build_$language" "$@" && languages+=("$language")
        fi
    done
}
