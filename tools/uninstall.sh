#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Removes what `meson install` of a build puts there: uninstall.sh BUILD [DESTDIR]. Says what it leaves: settings, stores,
# and what somebody else put into our folders.
#
# The list is what the build installs now, not what some run of it wrote down: that file is lost or is of another place as
# soon as the build is made anew or installed elsewhere.
set -euo pipefail
build=$1
place=${2:-} # where meson is told a relative one, it is within the build
[[ -z $place || $place == /* ]] || place=$(cd "$build" && pwd)/$place

list=$(mktemp -d)
trap 'rm -rf "$list"' EXIT
trap 'exit 143' TERM INT
meson install -C "$build" --no-rebuild --quiet --destdir "$list/tree" >/dev/null
(cd "$list/tree" && find . ! -type d -printf '%P\0') >"$list/files"
(cd "$list/tree" && find . -type d -name cmek-pkcs11 -prune -printf '%P\0') >"$list/folders"

removed=0
while IFS= read -r -d '' file; do
    [ -e "$place/$file" ] || [ -L "$place/$file" ] || continue
    rm -- "$place/$file"
    removed=$((removed + 1))
done <"$list/files"
echo "Removed $removed files${place:+ below $place}."

# Folders that have our name; all others are the system's, even if nothing is in them now.
left=()
while IFS= read -r -d '' folder; do
    [ -d "$place/$folder" ] || continue
    find "$place/$folder" -depth -type d -empty -delete
    [ ! -d "$place/$folder" ] || left+=("$place/$folder")
done <"$list/folders"
if [ ${#left[@]} -gt 0 ]; then
    echo "Left, since this build did not put it there:"
    find "${left[@]}" ! -type d -printf '    %p\n'
fi

kept=("$place/etc/cmek-pkcs11" "$place/var/lib/cmek-pkcs11")
[ -n "$place" ] || [ -z "${HOME:-}" ] || kept+=("$HOME/.config/cmek-pkcs11" "${XDG_DATA_HOME:-$HOME/.local/share}/cmek-pkcs11")
found=()
for folder in "${kept[@]}"; do
    [ ! -e "$folder" ] || found+=("$folder")
done
if [ ${#found[@]} -gt 0 ]; then
    echo "Left, since keys and data depend on it:"
    printf '    %s\n' "${found[@]}"
fi
echo "Settings (/etc/cmek-pkcs11, ~/.config/cmek-pkcs11) and stores (/var/lib/cmek-pkcs11, ~/.local/share/cmek-pkcs11, or as"
echo "[store] path says) are never removed: with a store go the databases that are in it alone (docs/erasure.md)."
