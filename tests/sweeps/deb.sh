#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Debian packages of what is here: built out of a release's archive on Debian 12 and 13, each in a fresh system that nobody else uses,
# judged by lintian, the same bytes when they are built again elsewhere, and tried as a newcomer would (tests/packages/newcomer.sh), who
# then writes programs (tests/bindings/page.sh), meanwhile, in a further such system.
# Debian 13 builds by packaging/Containerfile's own commands. Nothing is installed on this machine.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if [ ! -e "$root/.git" ] || ! command -v git >/dev/null; then
    skip "Debian packages are built" "the archive is made of a git work tree"
    finish
fi
bases=() tried=()
commit_all "$work/tree" || exit 1
dist=$work/dist
ok "the archive is made" "$work/tree/tools/dist.sh" "$dist"
archive=$(basename "$dist"/*.tar.gz)
# What the recipe and 'make deb' ask for, and who judges.
packages="build-essential git fakeroot lintian $(sed -n '/^Build-Depends:/,/^[^ B]/{s/^Build-Depends://; s/^Standards.*//; s/<!nocheck>//; s/(.*)//; s/,//; s/ //g; s/-compat$//; p}' \
    "$root/packaging/debian/control" | xargs)"
fresh() { nice "$root/tools/fresh.sh" run "$@"; }

one() { # SUITE: builds, and tries what was built; prints TAP
    local exchange=$work/$1 suite=$1 whole=$work again page
    tap_count=0 tap_failed=0 work=$work/$1.work
    mkdir "$exchange" "$work"
    cp "$dist/$archive" "$exchange"
    if [ "$suite" = trixie ]; then
        "$root/tests/packages/containerfile.py" "$root/packaging/Containerfile" "$exchange"
        ok "Debian 13: the packages are built by the commands of the container's recipe" fresh trixie "$packages" "$exchange" \
            sh -c 'sh /exchange/stage-1.sh && cp /packages/* /exchange/packages/'
    else
        cp -R "$whole/tree" "$exchange"
        # Meanwhile once more, in another folder, time zone, mask and language.
        fresh "$suite" "$packages" "$exchange" sh -c "mkdir -p /srv/an/other && umask 077 && TMPDIR=/srv/an/other TZ=Asia/Tokyo LANG=C \
            /src/tools/deb.sh /exchange/$archive /exchange/again" >"$work/again" 2>&1 &
        again=$!
        ok "Debian 12: 'make deb' builds the packages" fresh "$suite" "$packages" "$exchange" sh -c 'cp -R /exchange/tree /srv && make -C /srv/tree deb &&
            cp -R /srv/tree/build/deb /exchange/packages && cp /srv/tree/build/dist/*.gz /exchange/packages'
        ok "out of the same archive" cmp "$exchange/$archive" "$exchange/packages/$archive"
    fi
    # Who maintains them says whoever publishes them (DEBEMAIL): the recipe has no address that could be bogus or not.
    ok "lintian finds no fault" fresh "$suite" "$packages" "$exchange" sh -c 'lintian --allow-root --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog --fail-on error,warning /exchange/packages/*.changes'
    says_nothing() { [ ! -s "$work/.last" ] || { cat "$work/.last"; return 1; }; }
    ok "and has nothing to say" says_nothing
    [ ! -e "$whole/moto.out" ] || cp "$whole/moto.out" "$exchange/packages/moto"
    # setuptools make the wheel, and Python takes the page apart; all else is fetched by the page's own lines.
    fresh "$suite" "python3-setuptools python3-wheel" "$exchange" /src/tests/bindings/page.sh /exchange/packages >"$work/page" 2>&1 &
    page=$!
    tap_program fresh "$suite" "" "$exchange" /src/tests/packages/newcomer.sh /exchange/packages
    tap_program page_ended "$page" "$work/page" page.sh
    if [ -n "${again:-}" ]; then
        ok "tools/deb.sh has built them once more, elsewhere" ended "$again" "$work/again"
        ok "with the same bytes" same "$exchange"
    fi
    if [ "$suite" = trixie ]; then
        ok "the container's last commands" fresh trixie "" "$exchange" sh /exchange/stage-2.sh
        ok "make its user a first project" says "a-project-in-a-container"
    fi
    finish
}
page_ended() { local status=0; wait "$1" || status=$?; cat "$2"; return $status; }
ended() { wait "$1" || { cat "$2"; return 1; }; }
same() {
    local file count=0
    for file in "$1"/packages/*.deb "$1"/packages/*.debian.tar.xz "$1"/packages/*.dsc; do
        cmp "$file" "$1/again/$(basename "$file")" || return 1
        count=$((count + 1))
    done
    [ $count -ge 8 ]
}

# A Debian that can't be made here is a skip, with the reason; two are made at once.
for suite in bookworm trixie; do "$root/tools/fresh.sh" base $suite >"$work/$suite.base" 2>&1 & bases+=($!); done
for base in "${bases[@]}"; do
    status=0
    wait "$base" || status=$?
    case $status in
    0) continue ;;
    77) skip "Debian packages are built and tried in fresh Debian 12 and 13" "$(cat "$work"/*.base | tail -n 1)" ;;
    *) tap_fail "a fresh Debian 12 and 13 are made" <(cat "$work"/*.base) ;;
    esac
    finish
done
# The systems have this one's loopback, and so its simulated KMS.
if python3 -c 'import boto3, moto.server' 2>/dev/null; then ok "a simulated KMS" start_moto --region us-west-2; fi
for suite in bookworm trixie; do (trap - EXIT; one $suite) >"$work/$suite.tap" 2>&1 & tried+=($!); done
wait "${tried[@]}" # and for no simulated KMS
for suite in bookworm trixie; do
    # shellcheck disable=SC2016 # the inner shell expands
    tap_program sh -c 'cat "$0"; ! grep -q "^not ok" "$0"' "$work/$suite.tap"
done
finish
