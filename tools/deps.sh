#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Installs what a target needs and lacks: deps.sh GROUP... with the groups build, demo, demo-etcd, moto, check, check-all, deb, rpm, bindings, arm64, bench.
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
demo-etcd|cmd etcd|etcd-server|the store that two hosts share
moto|py ensurepip|python3-venv|the folder build/venv for moto, a simulated AWS KMS
check|cmd softhsm2-util|softhsm2|the other module our tests run on
check|cmd readelf|binutils|looks at the exported symbols
check|cmd clang-format|clang-format|the layout of the sources
check|cmd shellcheck|shellcheck|looks at the scripts
check|cmd mandoc|mandoc|looks at the man page
check|cmd file|file|names encrypted files by our magic
check|cmd git|git|lists the sources
check|cmd openssl|openssl|certificates for servers of tests
check|cmd etcd|etcd-server|a store for several hosts, for tests of it
check|cmd etcdctl|etcd-client|gives the rights that cmek policy prints
check|cmd setfacl|acl|the same for a store in a file
check|lib p11-kit-1 0.23|libp11-kit-dev|its PKCS #11 header, compared with ours
check|cmd p11tool|gnutls-bin|a stock PKCS#11 program
check|cmd strace|strace|shows what is synced
check|cmd zsh|zsh|completion is tried in it
check|cmd fish|fish|completion is tried in it
check|cmd modutil|libnss3-tools|a stock PKCS#11 program
check|glob /usr/lib/*/engines-3/pkcs11.so|libengine-pkcs11-openssl|the engine of OpenSSL 3 for PKCS#11
check|cmd ssh-keygen|openssh-client|a stock PKCS#11 program
check|cmd node|nodejs|PKCS#11 from JavaScript
check|cmd npm|npm|brings pkcs11js
check|node node_api.h|libnode-dev|builds pkcs11js
check|cmd g++|g++|builds pkcs11js
check|cmd make|make|builds pkcs11js
check-all|cmd redis-server|redis-server|the broker of examples/queue
check-all|lib hiredis 0.14|libhiredis-dev|its client in examples/queue
check-all|glob /usr/lib/jvm/*/bin/javac|openjdk-17-jdk-headless|PKCS#11 from Java
check-all|py setuptools|python3-setuptools|builds the package for Python
check-all|py wheel|python3-wheel|its format
check-all|cmd go|golang-go|PKCS#11 from Go
check-all|cmd cargo|cargo-web|PKCS#11 from Rust; newer than the package cargo
check-all|cmd clang|clang|the second compiler
check-all|file /usr/sbin/debootstrap|debootstrap|Debian 12 and 13 in build/, for newer stock programs and for packages
check-all|cmd abidw|abigail-tools|whether libcmek kept its functions and types
check-all|cmd rpmbuild|rpm|packages for systems with rpm
check-all|cmd cpio|cpio|unpacks those
check-all|cmd musl-gcc|musl-tools|the sources compile with another C library
check-all|cmd chromium|chromium|opens the page of cmek tree --html
check-all|glob /usr/lib/*/libssh2.a|libssh2-1-dev|in a module with a hidden OpenSSL
check-all|lib libnghttp2 1.0|libnghttp2-dev|of the static libcurl
check-all|lib libidn2 2.0|libidn2-dev|of the static libcurl
check-all|file /usr/include/librtmp/rtmp.h|librtmp-dev|of the static libcurl
check-all|lib libpsl 0.20|libpsl-dev|of the static libcurl
check-all|lib krb5-gssapi 1|libkrb5-dev|of the static libcurl
check-all|file /usr/include/ldap.h|libldap-dev|of the static libcurl
check-all|lib libzstd 1.0|libzstd-dev|of the static libcurl
check-all|lib libbrotlidec 1.0|libbrotli-dev|of the static libcurl
check-all|glob /usr/lib/*/libjemalloc.so.2|libjemalloc2|another malloc in the process
check-all|cmd valgrind|valgrind|memory checks
check-all|file /usr/lib/debug/.build-id|libc6-dbg|valgrind needs the names in libc
deb|cmd dpkg-buildpackage|dpkg-dev|builds Debian packages
deb|cmd dh|debhelper|the steps of that
deb|cmd git|git|makes the archive that they are built from
rpm|cmd rpmbuild|rpm|builds packages for systems with rpm
rpm|cmd git|git|makes the archive that they are built from
bindings|py setuptools|python3-setuptools|builds the package for Python
bindings|py wheel|python3-wheel|its format
arm64|file /usr/sbin/debootstrap|debootstrap|a Debian in build/ that has a compiler for arm64
bench|cmd softhsm2-util|softhsm2|measured beside ours
bench|lib nss 3|libnss3-dev|measured beside ours
bench|cmd age|age|measured beside cmek encrypt
bench|cmd openssl|openssl|measured beside cmek encrypt
bench|file /usr/sbin/debootstrap|debootstrap|Debian 13 in build/, for its OpenSSL
'

python() { if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else python3 "$@"; fi; }

is_there() {
    case $1 in
    cmd) command -v "$2" >/dev/null ;;
    file) [ -e "$2" ] ;;
    glob) compgen -G "$2" >/dev/null ;;
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
        (set -f; is_there $how) || echo "$package|$why"
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
    echo "This takes a minute or two; each package is named when it is fetched:"
    build/venv/bin/python -m pip install --progress-bar off --disable-pip-version-check -r tests/requirements.txt |
        sed -un 's/^Collecting \([^ ]*\).*/  \1/p'
    cp tests/requirements.txt $stamp
}

# What plays DynamoDB, apart from the others: it asks for an older botocore than they do.
make_ministack() {
    local stamp=build/ministack/.ready
    cmp -s tests/requirements-ministack.txt $stamp && return 0
    echo "Installing into build/ministack: $(grep -v '^#' tests/requirements-ministack.txt | tr '\n' ' ')"
    rm -rf build/ministack
    build/venv/bin/python -m pip install --quiet --disable-pip-version-check --target build/ministack \
        -r tests/requirements-ministack.txt 2>/dev/null
    cp tests/requirements-ministack.txt $stamp
}

# pkcs11js and graphene-pk11, which is built on it, in build/node. The install script of pkcs11js would download node's headers, so
# node-gyp runs here instead.
make_node() {
    local version=2.1.7 graphene=2.3.6 stamp gyp prefix
    stamp=build/node/.ready
    [ "$(cat $stamp 2>/dev/null)" = "$version $graphene $(node --version)" ] && return 0
    echo "Building in build/node: pkcs11js $version; with it graphene-pk11 $graphene"
    mkdir -p build/node
    npm install --prefix build/node --ignore-scripts --no-audit --no-fund --silent "pkcs11js@$version" "graphene-pk11@$graphene"
    prefix=$(node_prefix node_api.h)
    for gyp in "$(npm root -g)/npm/node_modules/node-gyp/bin/node-gyp.js" /usr/share/nodejs/node-gyp/bin/node-gyp.js; do
        [ -e "$gyp" ] && break
    done
    (cd build/node/node_modules/pkcs11js && node "$gyp" rebuild --nodedir="$prefix") >build/node/build.log 2>&1 ||
        { tail -20 build/node/build.log >&2; return 1; }
    echo "$version $graphene $(node --version)" >$stamp
}

# OpenStack Barbican in an environment of its own, build/barbican: it brings ninety packages.
make_barbican() {
    local version=23.0.0 stamp=build/barbican/.ready
    [ "$(cat $stamp 2>/dev/null)" = "$version" ] && return 0
    echo "Installing into build/barbican: barbican $version"
    mkdir -p build
    python -m venv --clear build/barbican
    build/barbican/bin/python -m pip install --quiet --disable-pip-version-check "barbican==$version"
    echo $version >$stamp
}

# What libcmek is measured beside, in an environment of its own, build/peers: it pins what the tests have in other versions.
make_peers() {
    local stamp=build/peers/.ready
    cmp -s bench/library/requirements.txt $stamp && return 0
    echo "Installing into build/peers: $(grep -v '^#' bench/library/requirements.txt | tr '\n' ' ')"
    mkdir -p build
    python -m venv --clear build/peers
    build/peers/bin/python -m pip install --quiet --disable-pip-version-check -r bench/library/requirements.txt || return 1
    cp bench/library/requirements.txt $stamp
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
[[ " $* " != *" check "* ]] || { make_node && make_ministack; }
[[ " $* " != *" check-all "* ]] || make_barbican
# The table has its other rows without them.
[[ " $* " != *" bench "* ]] || make_peers || echo "build/peers is left out: bench/library/run.py says so." >&2
