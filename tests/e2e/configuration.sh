#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The example configuration: every setting that it explains exists, and one that does not is refused with its line.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_home

of_etcd='endpoint|prefix|ca_bundle|client_certificate|client_key|user|password_file|look_every|index_max'
of_others="$of_etcd|table|region|profile"
set_all() { # every commented setting set, but those of another store; those that name a place moved into the work folder
    sed -E -e "/^\[store\]/,/^\[slots\]/s/^#($of_others) = /# &/" -e 's/^#([a-z_]+ = )/\1/' -e "s|^path = .*/([a-z.]+)$|path = $home/\1|" \
        -e "s|^audit = .*|audit = $home/audit.jsonl|" -e 's/^fips = .*/fips = false/' "$root/conf/cmek.conf"
}

list_with() { CMEK_PKCS11_CONF=$1 "$cmek" project list; }

set_all >"$home/all.conf"
ok "the example is accepted as it is" list_with "$root/conf/cmek.conf"
ok "each of its settings is known" list_with "$home/all.conf"
ok "the manual cmek.conf(5) is made from it as it is" "$root/tools/conf_man.py" --check

# What a message in parts may keep before its tag is known.
new_project parts
decrypts_in_parts() { # CONFIGURATION: 2 MiB by AES-GCM
    CMEK_PKCS11_CONF=$1 python3 - "$root/tests" <<'PYTHON'
import ctypes, sys
sys.path.insert(0, sys.argv[1])
import p11
module = p11.Module().start("parts")
key, part, length = module.generate(), bytes(1 << 20), ctypes.c_ulong(0)
module.call("DecryptInit", module.session, ctypes.byref(p11.gcm()), key)
for _ in range(2):
    out = ctypes.create_string_buffer(1 << 22)
    length.value = len(out)
    module.call("DecryptUpdate", module.session, part, ctypes.c_ulong(len(part)), out, ctypes.byref(length))
PYTHON
}
{ cat "$home/cmek.conf"; printf '[crypto]\nkeep_max_mib = 1\n'; } >"$home/keeps.conf"
ok "a message in parts is kept until its tag is known" decrypts_in_parts "$home/cmek.conf"
refused "and as far as the setting allows" decrypts_in_parts "$home/keeps.conf"
ok "which the log says by its name" says "keep_max_mib"

# The settings of a store that others reach too: what does not fit is refused before anything is asked.
with_etcd() { # LINE...: beside those of the example
    sed -E -n "/^\[store\]/,/^\[slots\]/s/^#($of_etcd) = /\1 = /p" "$root/conf/cmek.conf" >"$home/etcd.lines"
    { echo '[store]'; echo 'backend = etcd'; grep -vE "^($1) =" "$home/etcd.lines"; shift; printf '%s\n' "$@"; } >"$home/etcd.conf"
    list_with "$home/etcd.conf"
}
refused "all settings of etcd are taken, and nobody answers" with_etcd 'endpoint|ca_bundle|client_[a-z]*' 'endpoint = http://127.0.0.1:1'
ok "which is told with the store's name" says "store http://127.0.0.1:1/cmek-pkcs11/"
refused "etcd without an address is refused" with_etcd 'endpoint'
ok "with the line of the engine" says "etcd.conf line 2: [store] backend = etcd: needs [store] endpoint"
refused "plain http to another machine is refused" with_etcd 'endpoint' 'endpoint = http://etcd.example.com:2379'
ok "and says what to use" says "[store] endpoint = http://etcd.example.com:2379: http is only for this machine itself; use https"
refused "a user without a password is refused" with_etcd 'password_file'
ok "and says what is missing" says "[store] user: needs [store] password_file as well"
refused "a certificate without its key is refused" with_etcd 'client_key'
ok "and says which" says "[store] client_certificate: needs [store] client_key as well"
printf '[store]\nprefix = /fleet\n' >"$home/file.conf"
refused "a setting of etcd is refused with a file" list_with "$home/file.conf"
ok "with its line" says "file.conf line 2: [store] prefix is not for backend = sqlite"

printf '[store]\npath = %s/store.db\nlease = 5\n' "$home" >"$home/typo.conf"
refused "an unknown setting is refused" list_with "$home/typo.conf"
ok "with the file's name and line" says "typo.conf line 3"
ok "and where they all are" says "there is no setting 'lease' in [store]; the example conf/cmek.conf has them all"
printf '[stores]\npath = %s/store.db\n' "$home" >"$home/section.conf"
refused "an unknown section is refused" list_with "$home/section.conf"
printf '[kms]\nlease_seconds = soon\n' >"$home/number.conf"
refused "an invalid number is refused" list_with "$home/number.conf"
printf '[store]\npath = %s/store.db\nbackend = sqlit\n' "$home" >"$home/engine.conf"
refused "a store's engine that is not known is refused" list_with "$home/engine.conf"
ok "with the line, and those that are" says "engine.conf line 3: [store] backend = sqlit: should be one of: sqlite etcd dynamodb"
refused "a configuration that is named and missing is refused" list_with "$home/missing.conf"
ok "with what to do" says "missing.conf can't be read: No such file or directory; look at the path, or name another"

# Nothing else is used where the FIPS provider does not start.
printf '[crypto]\nfips = true\n' >"$home/fips.conf"
without_fips() { OPENSSL_MODULES=$home CMEK_PKCS11_CONF=$home/fips.conf "$cmek" project list; }
refused "fips = true without the provider is refused" without_fips
ok "with the setting" says "the module does not start: [crypto] fips in $home/fips.conf line 2: no FIPS provider $home/fips.so"
ok "and what to do" says "Debian 13: apt install openssl-provider-fips, Debian 12: none (docs/fips.md)"

# A path is taken for what was meant, or refused: it never names another place in silence.
meant_or_refused() { # PATH AS WRITTEN
    printf '[store]\npath = %s\n' "$1" >"$home/path.conf"
    refused "path = $1 is refused" list_with "$home/path.conf" && ok "with its line" says "path.conf line 2: [store] path = $1: should be"
}
for written in "\"$home/store.db\"" "'$home/store.db'" "\$HOME/store.db" '%h/store.db' "$home/store.db ; the store" "$home/store.db # the store" store.db; do
    meant_or_refused "$written"
done
cd "$home" && refused "a configuration by a relative path is refused" list_with all.conf
ok "with what to write" says "CMEK_PKCS11_CONF=all.conf: should be an absolute path, or one that begins with ~/"
relative_module() { (cd "$build" && CMEK_PKCS11_MODULE=cmek-pkcs11.so "$cmek" project list); }
refused "so is a module" relative_module
ok "by the same rule" says "CMEK_PKCS11_MODULE=cmek-pkcs11.so: should be an absolute path, or one that begins with ~/"

# Nobody may ever write into a pipe.
mkfifo "$home/pipe.conf"
refused "a configuration that is a pipe is refused at once" timeout 60 env CMEK_PKCS11_CONF="$home/pipe.conf" "$cmek" project list
ok "for what it is" says "pipe.conf can't be read: It is a pipe; name a file instead"
new_project piped
mkfifo "$home/store.db-journal"
refused "and so is a store whose journal is one" timeout 60 "$cmek" project list
ok "which is named" says "store.db-journal, is not a file; remove it"

# A log that can't be written stops nobody, and is reported.
new_project demo
cp "$CMEK_PKCS11_CONF" "$home/logs.conf"
printf '[log]\naudit = %s/none/audit.jsonl\nto = %s\n' "$home" "$home" >>"$home/logs.conf"
doctor() { CMEK_PKCS11_CONF=$home/$1 "$cmek" doctor; }
ok "a log and an audit log that can't be written stop nobody" doctor logs.conf
ok "doctor says why of the one" says "warning: [log] to = $home can't be written: Is a directory; its lines are lost: look at"
ok "and of the other" says "warning: [log] audit = $home/none/audit.jsonl can't be written: Its folder does not exist; its lines are lost"
with() { CMEK_PKCS11_CONF=$home/$1 "$cmek" "${@:2}"; }
ok "nor is a change stopped" with logs.conf cluster create --project demo c --key root --region us-west-2
ok "which says once that its lines are lost" says "cmek: warning: the audit log $home/none/audit.jsonl can't be written: Its folder does not exist; a line is lost: "
cp "$work/.last" "$work/warned"
ok "and where the log went" says "cmek: warning: [log] to = $home can't be opened: Is a directory"
once() { [ "$(grep -c '^cmek: warning: the audit log' "$work/warned")" -eq 1 ]; }
ok "and no more often" once

# Unless its lines are required.
sed 's|^audit = .*|&\naudit_required = true|' "$home/logs.conf" >"$home/required.conf"
refused "where lines are required, a change without one is refused" with required.conf cluster create --project demo d --key root --region us-west-2
ok "for what it is" says "the audit log $home/none/audit.jsonl can't be written: Its folder does not exist; nothing is done that it could not tell of ([log] audit_required)"
unavailable() { local rc=0; "$@" || rc=$?; [ $rc -eq 6 ]; }
ok "as something that is out of reach" unavailable with required.conf database create --project demo c/orders
no_such() { ! "$cmek" "$@"; }
ok "and nothing of it is there" no_such cluster show --project demo d
ok "nor of the database" no_such database show --project demo c/orders
ok "what needs no line goes on" with required.conf cluster list --project demo
mkdir "$home/none"
ok "when the log can be written, so does the rest" with required.conf database create --project demo c/orders
ok "with its lines" grep -q '"event":"zone","action":"created"' "$home/none/audit.jsonl"
rm -r "$home/none"
printf '[log]\naudit_required = true\n' >"$home/nofile.conf"
refused "lines that are required need a file" with nofile.conf project list
ok "which is said" says "nofile.conf: [log] audit_required = true, but there is no audit log"

sed -i "s|/none/|/|; s|^to = .*|to = $home/log|" "$home/logs.conf"
no_warning() { doctor "$1" >"$work/report" && ! grep warning: "$work/report"; }
ok "of those that can be written it says nothing" no_warning logs.conf
ok "nor where there are none" no_warning cmek.conf
finish
