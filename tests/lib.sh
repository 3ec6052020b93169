# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# For shell suites: source it first. It prints TAP, makes a work folder that goes away at the end, and knows where the
# build is. A suite calls ok, refused and skip, and ends with finish.
#
#   ok      "sentence" COMMAND ARGUMENT...   passes if the command succeeds; its output is shown if not
#   refused "sentence" COMMAND ARGUMENT...   passes if it fails with an exit code below 125: no crash, no time-out
#   says TEXT                                whether the last command of ok or refused printed this
#   has_line PATTERN COMMAND...              whether it succeeds and a line of what it prints matches (an extended regular expression)
#   lacks PATTERN COMMAND...                 whether it succeeds, prints something, and no line of that matches
#   silent COMMAND...                        whether it succeeds and prints nothing
#   agree FUNCTION FUNCTION                  whether both succeed and print the same, and something
#   skip    "sentence" "reason"              counted as skipped, never as passed
#   tap_program COMMAND ARGUMENT...          a program that prints TAP of its own: its tests are among those of the suite
#   consumer NAME VERSION TIER               what follows are steps of this stock program (tools/consumers.py)
#   new_home                                 a fresh store and configuration in $home, for the module and for cmek
#   new_project NAME                         that, with a project that has a root key on the embedded KMS
#   new_hierarchy                            that, named acme, with the databases of docs/consumers.md
#   want_login                               from now on the token of $home wants a login, by any PIN
#   give_pins PROJECT                        to it, which has none: $so_pin to the security officer, $user_pin to the user
#   by_login NONE COMMAND...                 a program that prints TAP and finds its PIN, if it is to have one, in $CMEK_TEST_PIN: where
#                                            acme wants a login it works with any PIN, and without one fails and prints NONE
#   by_pin NONE WRONG COMMAND...             the same where acme has a PIN; with a wrong one it fails and prints WRONG
#   commit_all FOLDER                        the sources, committed or not, as the one commit of a work tree of its own
#   has_go MINOR                             whether there is Go 1.MINOR or later
#   install_libcmek                          the build into $work/place, where pkg-config and the loader find libcmek
#   start_moto [OPTION...]                   a simulated AWS KMS (moto_server.py), its address and key ids exported
#   stop_moto                                ends it
#
# shellcheck shell=bash
set -uo pipefail # a pipe fails with any of its parts
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

tap_program() {
    local status=0 results failures
    "$@" >"$work/.program" 2>"$work/.output" </dev/null || status=$?
    sed 's/^/# /' "$work/.output" >&2
    results=$(grep -cE '^(not )?ok\b' "$work/.program")
    failures=$(grep -c '^not ok\b' "$work/.program")
    grep -v '^1\.\.' "$work/.program"
    tap_count=$((tap_count + results))
    tap_failed=$((tap_failed + failures))
    grep -q '^1\.\.' "$work/.program" && [ $((status > 0)) -eq $((failures > 0)) ] && return 0
    echo "(status $status of: $*)" >>"$work/.output"
    tap_fail "a program goes to its end: $(basename "${*: -2:1}")" "$work/.output"
}

consumer() { # the version may be the name of a Debian package that says it
    local version=$2
    [[ $version = [0-9]* || $version = - ]] || version=$(dpkg-query -W -f '${Version}' "$2" 2>/dev/null | sed 's/^[0-9]*://; s/[-+~].*//')
    echo "# consumer: $1 | ${version:-?} | $3"
}

says() { grep -qF -- "$1" "$work/.last"; }

# A command that fails answers none of these with yes, as `! COMMAND | grep` would; and it is read to its end, which grep -q in a
# pipe does not do. What it printed is shown where the answer is no.
printed() { "$@" >"$work/.printed" || { local status=$?; cat "$work/.printed"; return $status; }; }
has_line() { printed "${@:2}" && { grep -qaE -- "$1" "$work/.printed" || { cat "$work/.printed"; return 1; }; }; }
lacks() {
    local status=0
    printed "${@:2}" && [ -s "$work/.printed" ] || return 1
    grep -aE -- "$1" "$work/.printed" || status=$?
    [ $status -eq 1 ]
}
silent() { printed "$@" && { [ ! -s "$work/.printed" ] || { cat "$work/.printed"; return 1; }; }; }
agree() { "$1" >"$work/.one" && "$2" >"$work/.other" && [ -s "$work/.one" ] && diff "$work/.one" "$work/.other"; }

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

# Without a login. prod/orders and prod/users wrap data keys; prod/bao encrypts by its own key as well.
new_hierarchy() {
    new_project acme
    {
        "$cmek" cluster create --project acme prod --key root --region local &&
            "$cmek" database create --project acme prod/orders && "$cmek" database create --project acme prod/users &&
            "$cmek" database create --project acme --usage encrypt,wrap prod/bao
    } >"$work/.output" 2>&1 && return 0
    tap_fail "a project with three databases is there" "$work/.output"
    finish
}

commit_all() {
    export GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_NOSYSTEM=1
    printf '[user]\n\tname = nobody\n\temail = nobody@localhost\n[safe]\n\tdirectory = *\n' >"$GIT_CONFIG_GLOBAL"
    mkdir "$1"
    (cd "$root" && if [ -e .git ]; then git ls-files -coz --exclude-standard; else find . -path './build*' -prune -o -type f -print0; fi |
        xargs --null sh -c 'for file; do [ -e "$file" ] && printf "%s\0" "$file"; done' sh |
        tar --create --null --files-from=-) | tar --extract --directory "$1"
    git -C "$1" init --quiet && git -C "$1" add --all && git -C "$1" commit --quiet --message=all
}

want_login() { printf '[slots]\nlogin_required = true\n' >>"$home/cmek.conf"; }

by_login() {
    local none=$1
    shift
    want_login
    CMEK_TEST_PIN=1234 tap_program "$@"
    refused "without a login, where one is wanted, it gets nowhere" env -u CMEK_TEST_PIN "$@"
    ok "and says so" says "$none"
}

by_pin() {
    local none=$1 wrong=$2
    shift 2
    give_pins acme
    CMEK_TEST_PIN=$user_pin tap_program "$@"
    refused "without the project's PIN it gets nowhere" env -u CMEK_TEST_PIN "$@"
    ok "and says so" says "$none"
    refused "with a wrong PIN it gets nowhere" env CMEK_TEST_PIN=00000000 "$@"
    ok "and says why" says "$wrong"
}

so_pin=9876543210
user_pin=12345678
give_pins() {
    local officer=(pkcs11-tool --module "$module" --token-label "$1" --login --login-type so)
    ok "the project's security officer gets a PIN" "${officer[@]}" --so-pin 0000 --change-pin --new-pin $so_pin
    ok "and gives the user one" "${officer[@]}" --so-pin $so_pin --init-pin --new-pin $user_pin
}

has_go() { command -v go >/dev/null && [ "$(go version | sed -E 's/.* go1\.([0-9]+).*/\1/')" -ge "$1" ]; }

install_libcmek() {
    meson install -C "$build" --no-rebuild --quiet --destdir "$work/place" || return 1
    PKG_CONFIG_PATH=$(dirname "$(find "$work/place" -type f -name cmek.pc)")
    export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR=$work/place
    CMEK_LIBRARY=$(find "$work/place" -name libcmek.so.0)
    LD_LIBRARY_PATH=$(dirname "$CMEK_LIBRARY")
    CGO_LDFLAGS=-L$LD_LIBRARY_PATH # Go's cache keeps what pkg-config said of an earlier place
    export CMEK_LIBRARY LD_LIBRARY_PATH CGO_LDFLAGS
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
