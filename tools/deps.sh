#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Installs what a target needs and lacks: deps.sh GROUP... with the groups build, demo, moto, check, check-all, bench.
# Says what and why first. On Debian and its kin apt does it (through sudo unless root); elsewhere the packages are
# named and the script stops. Quick when nothing is missing, and safe to repeat.
set -euo pipefail
cd "$(dirname "$0")/.."

# group | how to see that it is there | Debian's package | what for
needs='
build|cmd gcc|gcc|C compiler
build|file /usr/include/stdio.h|libc6-dev|C library headers
build|cmd meson|meson|build system
build|cmd ninja|ninja-build|build system
build|cmd pkg-config|pkg-config|finds the libraries
build|lib libcrypto 3.0|libssl-dev|cryptography
build|lib libcurl 7.81|libcurl4-openssl-dev|HTTPS to the KMS
build|lib jansson 2.13|libjansson-dev|the JSON of the KMS
build|lib sqlite3 3.35|libsqlite3-dev|the store
build|lib cmocka 1.1|libcmocka-dev|unit tests
build|file /etc/ssl/certs/ca-certificates.crt|ca-certificates|trusted roots for HTTPS
build|cmd python3|python3|test runner and tools
demo|cmd pkcs11-tool|opensc|a stock PKCS#11 program
demo|cmd p11-kit|p11-kit|a stock PKCS#11 program
demo|cmd sqlite3|sqlite3|makes the database the demo encrypts
demo|py cryptography|python3-cryptography|tools/rescue.py
demo|cmd redis-server|redis-server|the broker of examples/queue
demo|lib hiredis 0.14|libhiredis-dev|its client in examples/queue
moto|py ensurepip|python3-venv|the folder build/venv for moto, a simulated AWS KMS
check|cmd softhsm2-util|softhsm2|the other module our tests run on
check|cmd readelf|binutils|looks at the exported symbols
check|cmd clang-format|clang-format|the layout of the sources
check|cmd shellcheck|shellcheck|looks at the scripts
check|cmd mandoc|mandoc|looks at the man page
check|cmd git|git|lists the sources
check|cmd openssl|openssl|certificates for servers of tests
check|cmd etcd|etcd-server|a store for several hosts, for tests of it
check|lib p11-kit-1 0.23|libp11-kit-dev|its PKCS #11 header, compared with ours
check|cmd p11tool|gnutls-bin|a stock PKCS#11 program
check|cmd zsh|zsh|completion is tried in it
check|cmd fish|fish|completion is tried in it
check|cmd node|nodejs|PKCS#11 from JavaScript
check|cmd npm|npm|brings pkcs11js
check|node node_api.h|libnode-dev|builds pkcs11js
check|cmd g++|g++|builds pkcs11js
check|cmd make|make|builds pkcs11js
check-all|cmd redis-server|redis-server|the broker of examples/queue
check-all|lib hiredis 0.14|libhiredis-dev|its client in examples/queue
check-all|cmd clang|clang|the second compiler
check-all|file /usr/sbin/debootstrap|debootstrap|a Debian 13 in build/trixie, for newer stock programs
check-all|cmd valgrind|valgrind|memory checks
check-all|file /usr/lib/debug/.build-id|libc6-dbg|valgrind needs the names in libc
bench|cmd softhsm2-util|softhsm2|measured beside ours
bench|lib nss 3|libnss3-dev|measured beside ours
'

python() { if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else python3 "$@"; fi; }

is_there() {
    case $1 in
    cmd) command -v "$2" >/dev/null ;;
    file) [ -e "$2" ] ;;
    lib) pkg-config --atleast-version="$3" "$2" 2>/dev/null ;;
    py) python -c "import $2" 2>/dev/null ;;
    node) [ -n "$(node_prefix "$2")" ] ;;
    esac
}

# The folder whose include/node has the headers of the node that runs here; node-gyp would else download them.
node_prefix() {
    local prefix
    command -v node >/dev/null || return 0
    for prefix in "$(node -p 'path.dirname(path.dirname(fs.realpathSync(process.execPath)))')" /usr; do
        [ -e "$prefix/include/node/$1" ] && echo "$prefix" && return 0
    done
    return 0
}

find_missing() { # lines "package|why" of the groups in $@
    local group how package why
    while IFS='|' read -r group how package why; do
        [[ -n $group && " $* " == *" $group "* ]] || continue
        # shellcheck disable=SC2086
        is_there $how || echo "$package|$why"
    done <<<"$needs"
}

install_packages() {
    local lines=$1 as_root=() packages
    mapfile -t packages < <(cut -d'|' -f1 <<<"$lines" | sort -u)
    echo "Missing here:"
    sort -u <<<"$lines" | while IFS='|' read -r package why; do printf '    %-22s %s\n' "$package" "$why"; done
    if ! command -v apt-get >/dev/null; then
        echo "These are Debian's names. Please install their equivalents, then run this again." >&2
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Please run as root: apt-get install ${packages[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "Installing them with apt-get:"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null >/dev/null
}

# Python packages at the versions of tests/requirements.txt, in build/venv; made anew when that file changes.
make_venv() {
    local stamp=build/venv/.ready
    cmp -s tests/requirements.txt $stamp && return 0
    echo "Installing into build/venv: $(grep -v '^#' tests/requirements.txt | tr '\n' ' ')"
    mkdir -p build
    python -m venv --clear build/venv
    build/venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
    cp tests/requirements.txt $stamp
}

# pkcs11js in build/node. Its own install script would download node's headers, so node-gyp runs here instead.
make_node() {
    local version=2.1.7 stamp gyp prefix
    stamp=build/node/.ready
    [ "$(cat $stamp 2>/dev/null)" = "$version $(node --version)" ] && return 0
    echo "Building in build/node: pkcs11js $version"
    mkdir -p build/node
    npm install --prefix build/node --ignore-scripts --no-audit --no-fund --silent "pkcs11js@$version"
    prefix=$(node_prefix node_api.h)
    for gyp in "$(npm root -g)/npm/node_modules/node-gyp/bin/node-gyp.js" /usr/share/nodejs/node-gyp/bin/node-gyp.js; do
        [ -e "$gyp" ] && break
    done
    (cd build/node/node_modules/pkcs11js && node "$gyp" rebuild --nodedir="$prefix") >build/node/build.log 2>&1 ||
        { tail -20 build/node/build.log >&2; return 1; }
    echo "$version $(node --version)" >$stamp
}

missing=$(find_missing "$@")
if [ -n "$missing" ]; then
    install_packages "$missing"
    missing=$(find_missing "$@")
    if [ -n "$missing" ]; then
        echo "Still missing after the installation:" >&2
        sed 's/|/: /; s/^/    /' <<<"$missing" >&2
        exit 1
    fi
fi
[[ " $* " != *" moto "* ]] || make_venv
[[ " $* " != *" check "* ]] || make_node
