# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What tools/deb.sh and tools/rpm.sh share, who source it with their arguments, ARCHIVE [FOLDER], and $kind, deb or rpm:
#
#   $archive, $folder    both, as whole paths; the folder is build/deb or build/rpm unless told otherwise
#   $work                a folder of its own, which goes away at the end; what the archive unpacks to is $work/$name
#   $version             the archive's
#   SOURCE_DATE_EPOCH    is exported: when the archive's commit was made
#   fail TEXT...         ends, with a reason
#   need PROGRAM         fails unless it is here
#   unpack FILE...       these of the archive, with meson.build; all of it is $name
#   by PROGRAM COMMAND   runs it quietly; fails with its last words
#   hand_over FILE...    these, and what was said, are all that is in the folder then; the packages are named
#
# shellcheck shell=bash
set -euo pipefail
umask 022
: "${kind:?deb or rpm, by whoever sources this}"
archive=$(realpath "$1")
folder=$(realpath -m "${2:-$(dirname "$0")/../build/$kind}")
name=$(basename "$archive" .tar.gz)
# shellcheck disable=SC2034 # used by those who source it
version=${name#cmek-pkcs11-}
work=$(mktemp -d "${TMPDIR:-/tmp}/cmek-$kind.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM INT

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "No package is made: $1 is not here ('tools/deps.sh build $kind' installs what is needed)."
}

unpack() {
    tar --extract --gzip --no-same-owner --file "$archive" --directory "$work" "$@"
    SOURCE_DATE_EPOCH=$(stat -c %Y "$work/$name/meson.build") # of each file in it
    export SOURCE_DATE_EPOCH
}

by() {
    "${@:2}" >"$work/output.log" 2>&1 || { tail -n 40 "$work/output.log" >&2; fail "No package is made: $1 failed; its last words are above."; }
}

hand_over() {
    rm -rf "$folder"
    mkdir -p "$folder"
    cp -- "$@" "$work/output.log" "$folder"
    ls "$folder"/*."$kind"
}
