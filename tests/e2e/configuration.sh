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
ok "and where they all are" says "there is no setting 'lease' in [store]; the example conf/cmek.conf has them all"
printf '[stores]\npath = %s/store.db\n' "$home" >"$home/section.conf"
refused "an unknown section is refused" list_with "$home/section.conf"
printf '[kms]\nlease_seconds = soon\n' >"$home/number.conf"
refused "a number that is none is refused" list_with "$home/number.conf"
refused "a configuration that is named and missing is refused" list_with "$home/missing.conf"
ok "with what to do" says "missing.conf can't be read: No such file or directory; look at the file, or name another"

# What can't be written stops nobody, and doctor says it.
new_project demo
cp "$CMEK_PKCS11_CONF" "$home/logs.conf"
printf '[log]\naudit = %s/none/audit.jsonl\nto = %s\n' "$home" "$home" >>"$home/logs.conf"
doctor() { CMEK_PKCS11_CONF=$home/$1 "$cmek" doctor; }
ok "a log and an audit log that can't be written stop nobody" doctor logs.conf
ok "doctor says why of the one" says "warning: [log] to = $home can't be written: Is a directory; its lines are lost: look at"
ok "and of the other" says "warning: [log] audit = $home/none/audit.jsonl can't be written: No such file or directory; its lines are lost"
sed -i "s|/none/|/|; s|^to = .*|to = $home/log|" "$home/logs.conf"
no_warning() { doctor "$1" >"$work/report" && ! grep warning: "$work/report"; }
ok "of those that can be written it says nothing" no_warning logs.conf
ok "nor where there are none" no_warning cmek.conf
finish
