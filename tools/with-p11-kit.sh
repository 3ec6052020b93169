#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Runs a command for which p11-kit knows a module: with-p11-kit.sh MODULE COMMAND [ARGUMENT...]
# Nothing is left behind in the system. p11-kit reads a user's own module files, except for root: for root the folder
# is laid over /etc/pkcs11/modules in a mount namespace of the command's own, or, where that is not allowed, a file
# stands there until the command ends.
set -euo pipefail
module=$(realpath "$1")
shift
folder=$(mktemp -d "${TMPDIR:-/tmp}/cmek-p11-kit.XXXXXXXX")
system_file=
trap 'rm -rf "$folder" $system_file' EXIT
mkdir -p "$folder/pkcs11/modules"
sed "s|@MODULE@|$module|" "$(dirname "$0")/../conf/cmek-pkcs11.module.in" >"$folder/pkcs11/modules/cmek-pkcs11.module"

if [ "$(id -u)" -ne 0 ]; then
    XDG_CONFIG_HOME=$folder "$@"
    exit
fi
mkdir -p /etc/pkcs11/modules
# shellcheck disable=SC2016 # the inner shell expands
over='mount --bind "$0" /etc/pkcs11/modules'
if unshare --mount sh -c "$over" "$folder/pkcs11/modules" 2>/dev/null; then
    unshare --mount sh -c "$over"' && exec "$@"' "$folder/pkcs11/modules" "$@"
else
    system_file=/etc/pkcs11/modules/cmek-pkcs11-$$.module
    cp "$folder/pkcs11/modules/cmek-pkcs11.module" "$system_file"
    "$@"
fi
