#!/usr/bin/env bash
# The example configuration: every setting that it explains exists, and one that does not is refused with its line.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_home

set_all() { # every commented setting set, those that name a place moved into the work folder
    sed -E -e 's/^#([a-z_]+ = )/\1/' -e "s|^path = .*/([a-z.]+)$|path = $home/\1|" \
        -e "s|^audit = .*|audit = $home/audit.jsonl|" -e 's/^fips = .*/fips = false/' "$root/conf/cmek.conf"
}

list_with() { CMEK_PKCS11_CONF=$1 "$cmek" project list; }

set_all >"$home/all.conf"
ok "the example is accepted as it is" list_with "$root/conf/cmek.conf"
ok "each of its settings is known" list_with "$home/all.conf"

printf '[store]\npath = %s/store.db\nlease = 5\n' "$home" >"$home/typo.conf"
refused "an unknown setting is refused" list_with "$home/typo.conf"
ok "with the file's name and line" says "typo.conf line 3"
printf '[stores]\npath = %s/store.db\n' "$home" >"$home/section.conf"
refused "an unknown section is refused" list_with "$home/section.conf"
printf '[kms]\nlease_seconds = soon\n' >"$home/number.conf"
refused "a number that is none is refused" list_with "$home/number.conf"
refused "a configuration that is named and missing is refused" list_with "$home/missing.conf"
finish
