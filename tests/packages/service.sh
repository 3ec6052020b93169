#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The example of a service with a store of its own, in a fresh Debian with the package: service.sh FOLDER, which has the example. It is
# set up by the commands in its own comment; systemd does not run here, so its ExecStart is run as its user instead.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
unset CMEK_PKCS11_MODULE AWS_EC2_METADATA_DISABLED
PATH=/usr/sbin:/usr/bin:/sbin:/bin
unit=$1/nightly.service
cd "$1" || exit 1
ok "systemd is installed, and man, which it asks for the manuals" apt-get install -y -qq --no-install-recommends systemd man-db
mkdir -p /etc/cmek-pkcs11 /etc/sysusers.d
sed -n 's/^#   //p' "$unit" | grep -v '^systemctl ' >"$work/commands"
ok "the example names its commands" test "$(wc -l <"$work/commands")" -ge 8
ok "which set the service up" bash -e "$work/commands"
ok "systemd finds no fault with its units" systemd-analyze verify /etc/systemd/system/nightly.service /etc/systemd/system/nightly.timer
ok "nor says anything" test ! -s "$work/.last"
ok "and calls it safe" systemd-analyze security --offline=yes --threshold=20 nightly.service
echo "card 4111-0000" >/var/lib/nightly/dumps/orders
chown nightly /var/lib/nightly/dumps/orders
mapfile -t settings < <(sed -n 's/^Environment=//p' "$unit")
read -ra start < <(sed -n 's/^ExecStart=//p' "$unit")
# shellcheck disable=SC2016 # $0 is the inner shell's
as_service() { setpriv --reuid nightly --regid nightly --clear-groups --no-new-privs --bounding-set=-all env -i "${settings[@]}" "$@"; }
ok "it encrypts the dumps, as its user" as_service "${start[@]}"
ok "into its folder" test -s /var/lib/nightly/sealed/orders.cmek
ok "and again the next night" as_service "${start[@]}"
ok "they open" as_service cmek decrypt -o /var/lib/nightly/opened /var/lib/nightly/sealed/orders.cmek
ok "as they were" cmp /var/lib/nightly/opened /var/lib/nightly/dumps/orders
private() { [ "$(stat -c '%U %a' /var/lib/nightly/store/store.db)" = "nightly 600" ] && [ ! -e /var/lib/cmek-pkcs11/store.db ]; }
ok "the store is its own, and nobody else's" private
finish
