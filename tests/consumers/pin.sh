#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Projects with a PIN, and tokens that only want a login, under stock programs: pkcs11-tool, p11tool, python-pkcs11, and cmek.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_home
printf '[slots]\nfree = true\n' >>"$home/cmek.conf"
so=9876543210 user=12345678
echo "$so" >"$work/so"
echo "$user" >"$work/user"
echo wrong-one >"$work/wrong"
by_so=(--so-pin-file "$work/so")
by_user=(--pin-file "$work/user")
tool=(pkcs11-tool --module "$module" --token-label lab)

free_slot() { pkcs11-tool --module "$module" --list-slots | sed -nE 's/.*\(0x([0-9a-f]+)\): free: .*/0x\1/p' | tail -1; }
make_token() { pkcs11-tool --module "$module" --slot "$(free_slot)" --init-token --label lab --so-pin $so; }
make_key() { "${tool[@]}" "$@" --keygen --key-type AES:32 --label main/d --id 0a --usage-wrap --usage-decrypt; }
keys() { "${tool[@]}" "$@" --list-objects --type secrkey; }
sees_the_key() { has_line main/d keys "$@"; }
does_not_see() { keys "$@" >"$work/keys" && ! grep -F main/d "$work/keys"; }

use="
import sys, pkcs11
from pkcs11 import Attribute, KeyType, Mechanism
library = pkcs11.lib(sys.argv[1])
with library.get_token(token_label='lab').open(rw=True, user_pin=sys.argv[2]) as session:
    zone = session.get_key(label='main/d')
    key = session.generate_key(KeyType.AES, 256, template={Attribute.EXTRACTABLE: True})
    wrapped = zone.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP)
    assert wrapped == zone.wrap_key(zone.unwrap_key(pkcs11.ObjectClass.SECRET_KEY, KeyType.AES, wrapped, mechanism=Mechanism.AES_KEY_WRAP),
                                    mechanism=Mechanism.AES_KEY_WRAP)
"
python_uses() { python3 -c "$use" "$module" "$1"; }
by_python() { # ok|refused SENTENCE PIN
    if python3 -c 'from pkcs11 import Attribute' 2>/dev/null; then
        "$1" "$2" python_uses "$3"
    else
        skip "$2" "python-pkcs11 is not here; 'make deps' puts it into build/venv"
    fi
}
uri='pkcs11:token=lab;object=main%2Fd;type=secret-key'
p11tool_sees() { has_line 'main/d' p11tool --provider "$module" --login --set-pin "$1" --list-all "$uri"; }

in_both_modes() { # TITLE PIN
    ok "$1: pkcs11-tool sees and uses keys after --login" sees_the_key --login --pin "$2"
    ok "$1: without, it sees none" does_not_see
    by_python ok "$1: python-pkcs11 wraps and unwraps" "$2"
    ok "$1: p11tool sees them" p11tool_sees "$2"
}

ok "pkcs11-tool makes a token with a PIN of its security officer" make_token
ok "and with a login that is needed" "${tool[@]}" --list-token-slots
ok "which its flags say" says "login required"
refused "the user does not get in before he has a PIN" make_key --login --pin $user
ok "the security officer gives him one" "${tool[@]}" --login --login-type so --so-pin $so --init-pin --new-pin $user
by_pkcs11() { # PYTHON: in a session without a login
    python3 -c "
import sys, PyKCS11
lib = PyKCS11.PyKCS11Lib(); lib.load(sys.argv[1])
slot = [slot for slot in lib.getSlotList(tokenPresent=True) if lib.getTokenInfo(slot).label.strip() == 'lab'][0]
session = lib.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)
$1" "$module"
}
refused "nobody makes a cluster without a login" by_pkcs11 "
session.createObject([(PyKCS11.CKA_CLASS, 0x80434D01), (PyKCS11.CKA_TOKEN, True), (PyKCS11.CKA_LABEL, 'stray')])"
ok "for want of a login" says CKR_USER_NOT_LOGGED_IN
refused "the user does not add root keys" "$cmek" key create --project lab "${by_user[@]}" local:lab
ok "and is told whose they are" says "--so-pin-file"
refused "nobody does without a PIN" "$cmek" key create --project lab local:lab
ok "the security officer does" "$cmek" key create --project lab "${by_so[@]}" local:lab --label root
ok "clusters are his as well" "$cmek" cluster create --project lab "${by_so[@]}" main --key root --region local
refused "but no databases" make_key --login --login-type so --so-pin $so
ok "the user makes them" make_key --login --pin $user
in_both_modes "with a PIN" $user
by_python refused "with a wrong PIN python-pkcs11 gets nowhere" 00000000
refused "nor p11tool" p11tool_sees 00000000
ok "the user changes his PIN" "${tool[@]}" --login --pin $user --change-pin --new-pin new-one-1
ok "and uses the new one" sees_the_key --login --pin new-one-1
ok "and changes it back" "${tool[@]}" --login --pin new-one-1 --change-pin --new-pin $user

printf text >"$work/text"
ok "cmek reads the PIN from a file" "$cmek" encrypt --project lab --database main/d "${by_user[@]}" "$work/text" "$work/text.cmek"
ok "or from the environment" env CMEK_PIN=$user "$cmek" decrypt --project lab "$work/text.cmek" "$work/again"
large() { # the other threads' sessions are logged in too
    head -c 1000000 /dev/urandom >"$work/large" && "$cmek" encrypt --jobs 3 --project lab --database main/d "${by_user[@]}" "$work/large" "$work/large.cmek" &&
        "$cmek" decrypt --jobs 3 "${by_user[@]}" "$work/large.cmek" - | cmp - "$work/large"
}
ok "also for a large file, by three threads" large
ok "the same text comes back" cmp "$work/text" "$work/again"
refused "a wrong one is refused" "$cmek" database list --project lab --pin-file "$work/wrong"
ok "and said" says "the PIN is wrong"
ok "without one it lists what is public" "$cmek" key list --project lab
denied() { # COMMAND...: exit code 5, and nothing else
    local status=0
    "$@" || status=$?
    [ $status -eq 5 ]
}
ok "but no databases" denied "$cmek" database list --project lab
ok "and says why" says "has a PIN"
ok "a backup is the user's to make" "$cmek" backup --project lab "${by_user[@]}" "$work/backup"

locks() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        denied "$cmek" database list --project lab --pin-file "$work/wrong" || return 1
    done
    denied "$cmek" database list --project lab "${by_user[@]}"
}
ok "ten wrong ones, each of another process, lock the user out" locks
ok "which is said" says "locked"
ok "and shown" "${tool[@]}" --list-token-slots
ok "in its flags" says "user PIN locked"
ok "the security officer lets him in again" "${tool[@]}" --login --login-type so --so-pin $so --init-pin --new-pin $user
ok "with all that he had" sees_the_key --login --pin $user
refused "nor restores it without a PIN" "$cmek" restore "$work/backup"
ok "which is said" says "log in"
refused "nor under another name" "$cmek" restore --as copied "$work/backup"
ok "the user restores it" "$cmek" restore "${by_user[@]}" "$work/backup"
refused "nobody moves it to another store without the security officer's PIN" "$cmek" store copy --project lab --to "sqlite:$work/moved.db"
ok "with it that is planned" "$cmek" store copy --project lab "${by_so[@]}" --to "sqlite:$work/moved.db" --dry-run
refused "the token is not initialised with a wrong PIN" "${tool[@]}" --init-token --label lab --so-pin 11112222

old=$home
new_home
printf '[slots]\nfree = true\nlogin_required = true\n' >>"$home/cmek.conf"
cp "$old/local.keys" "$home"
ok "a backup is restored into another store" "$cmek" restore "$work/backup"
ok "where the token has no PIN" "$cmek" database list --project lab
ok "so that its keys are seen" says main/d
anybody=(pkcs11-tool --module "$module" --token-label lab --login --login-type so --so-pin 00000000)
refused "nobody gives the user a PIN before the security officer has one" "${anybody[@]}" --init-pin --new-pin $user
in_both_modes "where the configuration wants a login, any PIN" 0000
ok "cmek makes a project with both PINs" "$cmek" project create both "${by_so[@]}" "${by_user[@]}"
ok "and its root key" "$cmek" key create --project both "${by_so[@]}" local:both --label root
ok "and a database, in the cluster that is made on demand" "$cmek" database create --project both "${by_user[@]}" default/d
refused "nobody removes what is due in the store by a project without a PIN" "$cmek" maintain --project lab
ok "which says whose it is" says "project both has a PIN"
ok "a security officer does" "$cmek" maintain --project both "${by_so[@]}"
ok "who also asks what another level would change" "$cmek" store upgrade --project both "${by_so[@]}" --dry-run
ok "he is at the lowest" "$cmek" store downgrade --project both "${by_so[@]}" --dry-run
refused "no project gets a PIN of the user alone" "$cmek" project create alone "${by_user[@]}"
ok "which says whose it needs" says "--so-pin-file"
ok "a restored project gets its security officer's PIN" "${anybody[@]}" --change-pin --new-pin $so
ok "and with that the user's" "${tool[@]}" --login --login-type so --so-pin $so --init-pin --new-pin $user
ok "who uses his keys as before" sees_the_key --login --pin $user
refused "and nobody else" sees_the_key --login --pin 00000000

# What is not asked for in the suites of its own program.
by_bindings() { # PACKAGE HERE NONE WRONG PROGRAM...
    local none=$3 wrong=$4
    $2 || { skip "$1 uses a key by a PIN" "$1 is not here; 'make deps' puts it into build"; return; }
    shift 4
    new_hierarchy
    by_login "$none" "$@"
    by_pin "$none" "$wrong" "$@"
}
has_pykcs11() { python3 -c 'import PyKCS11' 2>/dev/null; }
has_pkcs11js() { node -e 'require("pkcs11js")' 2>/dev/null; }
by_bindings PyKCS11 has_pykcs11 "key: 0" CKR_PIN_INCORRECT python3 "$root/tests/consumers/pin.py" "$module"
by_bindings pkcs11js has_pkcs11js "key: 0" CKR_PIN_INCORRECT node "$root/tests/consumers/pin.js" "$module"
finish
