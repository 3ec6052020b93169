#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Builds into FOLDER: build.sh FOLDER [MESON OPTION...]; all, or $CMEK_TARGET of it. Prints only what goes wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
shift
mkdir -p "$folder"
quietly() { "$@" >"$folder/output.log" 2>&1 || { cat "$folder/output.log" >&2; return 1; }; }
# The folder may exist without a build in it: build/venv and build/node may be there first.
[ -e "$folder/build.ninja" ] || quietly meson setup "$folder" -Dtests=enabled "$@"
ninja -C "$folder" --quiet ${CMEK_TARGET:+"$CMEK_TARGET"}
