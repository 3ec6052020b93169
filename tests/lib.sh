# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# For shell suites: source it first. It prints TAP, makes a work folder that goes away at the end, and knows where the
# build is. A suite calls ok, refused and skip, and ends with finish.
#
#   ok      "sentence" COMMAND ARGUMENT...   passes if the command succeeds; its output is shown if not
#   refused "sentence" COMMAND ARGUMENT...   passes if it fails with an exit code below 125: no crash, no time-out
#   says TEXT                                whether the last command of ok or refused printed this
#   skip    "sentence" "reason"              counted as skipped, never as passed
#   new_home                                 a fresh store and configuration in $home, for the module and for cmek
#   new_project NAME                         that, with a project that has a root key on the embedded KMS
#   start_moto [OPTION...]                   a simulated AWS KMS (moto_server.py), its address and key ids exported
#   stop_moto                                ends it
#
# shellcheck shell=bash
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${CMEK_BUILD:-$root/build}
module=$build/cmek-pkcs11.so
# shellcheck disable=SC2034 # used by the suites
cmek=$build/cmek
export CMEK_PKCS11_MODULE=$module
export LC_ALL=C.UTF-8
export AWS_EC2_METADATA_DISABLED=true # no test leaves this machine
[ ! -d "$root/build/venv/bin" ] || PATH=$root/build/venv/bin:$PATH
export NODE_PATH=$root/build/node/node_modules

work=$(mktemp -d "${TMPDIR:-/tmp}/cmek-test.XXXXXXXX")
tap_count=0
tap_failed=0
moto_pid=

clean_up() {
    stop_moto
    chmod -R u+rwX "$work" 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 143' TERM INT

tap_line() { # VERDICT SENTENCE
    tap_count=$((tap_count + 1))
    echo "$1 $tap_count - $2"
}

tap_fail() { # SENTENCE LOG
    tap_failed=$((tap_failed + 1))
    tap_line "not ok" "$1"
    tail -n 40 "$2" | sed 's/^/# /'
}

tap_run() { # COMMAND...: its output to a file; "says" itself leaves the file of the command before
    if [ "$1" = says ]; then
        "$@" >"$work/.output" 2>&1 || { cat "$work/.last" >"$work/.output"; return 1; }
    else
        local status=0
        "$@" >"$work/.output" 2>&1 </dev/null || status=$?
        cp "$work/.output" "$work/.last"
        return $status
    fi
}

ok() {
    local sentence=$1
    shift
    if tap_run "$@"; then
        tap_line ok "$sentence"
    else
        echo "(status $? of: $*)" >>"$work/.output"
        tap_fail "$sentence" "$work/.output"
        return 1
    fi
}

refused() {
    local sentence=$1 status=0
    shift
    tap_run "$@" || status=$?
    if [ $status -gt 0 ] && [ $status -lt 125 ]; then
        tap_line ok "$sentence"
    else
        echo "(status $status, where a refusal was expected, of: $*)" >>"$work/.output"
        tap_fail "$sentence" "$work/.output"
        return 1
    fi
}

skip() { tap_line ok "$1 # SKIP $2"; }

says() { grep -qF -- "$1" "$work/.last"; }

finish() {
    echo "1..$tap_count"
    exit $((tap_failed > 0))
}

new_home() {
    home=$(mktemp -d "$work/home.XXXXXXXX")
    printf '[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n' "$home" "$home" >"$home/cmek.conf"
    export CMEK_PKCS11_CONF=$home/cmek.conf
}

new_project() { # or the suite ends here, failed
    new_home
    "$cmek" project create "$1" >"$work/.output" 2>&1 &&
        "$cmek" key create --project "$1" local:test-root --label root >>"$work/.output" 2>&1 && return 0
    tap_fail "a project with a root key is there" "$work/.output"
    finish
}

start_moto() {
    local tries=0
    rm -f "$work/moto.in" "$work/moto.out"
    mkfifo "$work/moto.in"
    exec 8<>"$work/moto.in" # it serves until its standard input ends
    python3 "$root/tests/e2e/moto_server.py" "$@" <"$work/moto.in" >"$work/moto.out" 2>"$work/moto.err" 8>&- &
    moto_pid=$!
    until grep -q '^$' "$work/moto.out" 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 600 ] || ! kill -0 $moto_pid 2>/dev/null; then
            sed 's/^/# moto: /' "$work/moto.err"
            moto_pid=
            return 1
        fi
        sleep 0.1
    done
    set -a
    . "$work/moto.out"
    export AWS_DEFAULT_REGION=$AWS_REGION # the one name that boto3 reads
    set +a
}

stop_moto() {
    [ -n "$moto_pid" ] || return 0
    kill "$moto_pid" 2>/dev/null
    wait "$moto_pid" 2>/dev/null
    moto_pid=
}
