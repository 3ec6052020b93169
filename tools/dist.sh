#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Makes a release's archive of the commit that is checked out: dist.sh [FOLDER], build/dist unless told otherwise.
#
# FOLDER gets cmek-pkcs11-VERSION.tar.gz and, beside it, its SHA-256. The same commit gives the same bytes wherever it is
# made: the files and the time of the commit, root's, by name; nothing of this machine. The archive has no git in it:
# `meson setup`, `meson test` and `meson install` work in what it unpacks to.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-build/dist}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

[ -e .git ] || fail "No archive is made: this is no git work tree, but what an archive unpacks to, or a copy."
command -v git >/dev/null || fail "No archive is made: git is not here."
changed=$(git status --porcelain) || fail "No archive is made: git can't read this work tree."
[ -z "$changed" ] || fail "No archive is made: the work tree has what no commit has ($(head -n 1 <<<"$changed" | cut -c4-)$(
    count=$(wc -l <<<"$changed"); [ "$count" -eq 1 ] || echo " and $((count - 1)) more")). Commit or remove it; 'git status' shows all."

version=$(sed -nE "s/^ *version: '([^']+)',$/\1/p" meson.build | head -n 1)
[ -n "$version" ] || fail "No archive is made: meson.build names no version."
name=cmek-pkcs11-$version
mkdir -p "$folder"
cd "$folder"
out=$PWD
cd - >/dev/null
aside=$(mktemp "$out/.$name.XXXXXX")
trap 'rm -f "$aside"' EXIT
trap 'exit 143' TERM INT

# What the user's own configuration of git would change is set here: modes, ends of lines, attributes.
git -c tar.umask=0022 -c core.autocrlf=false -c core.attributesFile=/dev/null \
    archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$aside"
chmod 644 "$aside"
mv "$aside" "$out/$name.tar.gz"
(cd "$out" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$folder/$name.tar.gz"
cat "$out/$name.tar.gz.sha256"
[ "$(git tag --points-at HEAD --list "v$version")" ] ||
    echo "Note: this commit does not have the tag v$version, so this is no release yet (docs/release.md)."
