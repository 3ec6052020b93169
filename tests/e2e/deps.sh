#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# How a machine that lacks something is told: tools/deps.sh where there is no compiler, with and without apt.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# A machine that has what the script itself uses, and nothing of what it looks for but what lies in files.
chmod a+x "$work"
machine=$work/machine
mkdir "$machine"
for program in bash sh cut sort sed grep id dirname cat env; do ln -s "$(command -v $program)" "$machine/$program"; done
on_machine() { env -i PATH="$machine" "$machine/bash" "$root/tools/deps.sh" "$@"; }

as_user() { if [ "$(id -u)" -eq 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi; }

refused "on a system that is not Debian's" on_machine build
ok "each package is named, with what it is for" says "gcc                    C compiler"
ok "another" says "meson                  build system"
ok "and that the user has to install them" says "These are Debian's names. Please install their equivalents, then run this again."

# apt that only writes down what it was asked for.
# shellcheck disable=SC2016 # the script itself expands
printf '#!%s/sh\necho "$@" >>"%s/asked"\n' "$machine" "$work" >"$machine/apt-get"
chmod 755 "$machine/apt-get"
if [ "$(id -u)" -eq 0 ]; then
    refused "on Debian, if the packages can't be had," on_machine build
    ok "it has said first what is missing" says "Missing here:"
    ok "and that it installs that" says "Installing them with apt-get:"
    ok "what is still missing in the end is named" says "gcc: C compiler"
    ok "the list of packages was fetched" grep -q '^update' "$work/asked"
    ok "those that are missing were asked for" grep -qE '^install -y .* gcc .* meson' "$work/asked"
    refused "and no others" grep -E 'opensc|valgrind|softhsm2' "$work/asked"
else
    skip "on Debian the packages are installed" "as somebody else than root it would ask for a password"
fi
if as_user test -r "$root/tools/deps.sh" -a -x "$machine/bash"; then
    refused "somebody else than root, without sudo," as_user env -i PATH="$machine" "$machine/bash" "$root/tools/deps.sh" build
    ok "the message has the command for root" says "Please run as root: apt-get install"
else
    skip "somebody else than root is told the command" "the sources are not readable by another user"
fi

# `make demo KMS=moto` on a machine without build/venv: pip takes minutes, and a silent one looks as if it hung.
tree=$work/tree
mkdir -p "$tree/tools" "$tree/tests" "$work/fakes/pip"
cp "$root/tools/deps.sh" "$tree/tools" && cp "$root/tests/requirements.txt" "$tree/tests"
: >"$work/fakes/pip/__init__.py"
cat >"$work/fakes/pip/__main__.py" <<'FAKE'
print("Collecting moto==5\n  Downloading moto.whl\nCollecting boto3 (from moto)\nInstalling collected packages")
FAKE
if python3 -c 'import ensurepip' 2>/dev/null; then
    ok "the packages of make demo KMS=moto are installed" env PYTHONPATH="$work/fakes" "$tree/tools/deps.sh" moto
    ok "it says first what, and where to" says "Installing into build/venv: "
    ok "and how long that takes" says "This takes a minute or two; each package is named when it is fetched:"
    fetched() { [ "$(grep -c '^  ' "$work/.last")" -eq 2 ] && grep -qx '  moto==5' "$work/.last" && grep -qx '  boto3' "$work/.last"; }
    ok "and names each that it fetches, and nothing else" fetched
    ok "a second time nothing is installed" test -z "$(env PYTHONPATH="$work/fakes" "$tree/tools/deps.sh" moto)"
else
    skip "make demo KMS=moto says what it installs" "python3 has no ensurepip (python3-venv)"
fi

ok "where nothing is missing it says nothing" "$root/tools/deps.sh" build
ok "in truth" test ! -s "$work/.last"
finish
