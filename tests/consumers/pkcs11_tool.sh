#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# OpenSC's pkcs11-tool on the module: look, make, encrypt, wrap, unwrap, its own tests.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_project lab
consumer "pkcs11-tool" opensc "whole hierarchy"

iv=000102030405060708090a0b0c0d0e0f
tool=(pkcs11-tool --module "$module" --token-label lab)
crypt=("${tool[@]}" --mechanism AES-CBC-PAD --iv "$iv")

make_zone() { # LABEL ID; named usages are the only ones
    "${tool[@]}" --keygen --key-type AES:32 --label "$1" --id "$2" --usage-decrypt --usage-wrap
}
make_key() { "${tool[@]}" --keygen --key-type AES:32 --label "$1" --id "$2" --extractable; }
encrypt() { "${crypt[@]}" --encrypt --id "$1" --input-file "$2" --output-file "$3"; }
decrypt() { "${crypt[@]}" --decrypt --id "$1" --input-file "$2" --output-file "$3"; }
wrap() { # MECHANISM ID OF-KEY OUT
    "${tool[@]}" --wrap --mechanism "$1" --id "$2" --application-id "$3" --output-file "$4"
}
unwrap() { # MECHANISM ID IN NEW-ID
    "${tool[@]}" --unwrap --mechanism "$1" --id "$2" --input-file "$3" --key-type AES: \
        --application-id "$4" --application-label "again-$4" --extractable
}
opens_otherwise() { ! decrypt "$1" "$2" "$work/wrong" || ! cmp "$work/text" "$work/wrong"; }

echo 'what the file says' >"$work/text"
mib=$work/mib
head -c 1048577 /dev/urandom >"$mib"

ok "it shows the module" pkcs11-tool --module "$module" --show-info
ok "it lists the token" pkcs11-tool --module "$module" --list-token-slots
ok "the project's name is the token's label" says lab
ok "it lists the mechanisms" "${tool[@]}" --list-mechanisms
ok "AES-GCM is one of them" says AES-GCM
ok "AES-KEY-WRAP is one of them" says AES-KEY-WRAP

ok "a zone is made by keygen" make_zone default/default 0a01
ok "it is never extractable" says "never extractable"
ok "another zone is made" make_zone default/other 0a02
refused "a second zone of the same label is refused" make_zone default/other 0a03
ok "an extractable key is made" make_key plain-key 0b01
ok "the objects are listed" "${tool[@]}" --list-objects --type secrkey
ok "the zone is in the list" says default/default
ok "the key is in the list" says plain-key

ok "a text is encrypted under the zone" encrypt 0a01 "$work/text" "$work/text.enc"
ok "it is decrypted by another process" decrypt 0a01 "$work/text.enc" "$work/text.dec"
ok "it is the same" cmp "$work/text" "$work/text.dec"
ok "the other zone does not open it" opens_otherwise 0a02 "$work/text.enc"
ok "a mebibyte and a byte goes through in parts" encrypt 0b01 "$mib" "$mib.enc"
ok "and comes back" decrypt 0b01 "$mib.enc" "$mib.dec"
ok "the same" cmp "$mib" "$mib.dec"

gcm=("${tool[@]}" --mechanism AES-GCM --iv 000102030405060708090a0b --tag-bits-len 128)
if [[ $(pkcs11-tool --help 2>&1) == *tag-bits-len* ]]; then
    ok "a text is encrypted by AES-GCM" "${gcm[@]}" --aad 0a0b0c --encrypt --id 0a01 -i "$work/text" -o "$work/text.gcm"
    ok "it is decrypted" "${gcm[@]}" --aad 0a0b0c --decrypt --id 0a01 -i "$work/text.gcm" -o "$work/text.dec"
    ok "it is the same" cmp "$work/text" "$work/text.dec"
    ok "with its tag it is 16 bytes longer" test "$(stat -c %s "$work/text.gcm")" -eq $(($(stat -c %s "$work/text") + 16))
    refused "with other associated data it is not" "${gcm[@]}" --aad 0a0b0d --decrypt --id 0a01 -i "$work/text.gcm" -o "$work/wrong"
    refused "nor by the other zone" "${gcm[@]}" --aad 0a0b0c --decrypt --id 0a02 -i "$work/text.gcm" -o "$work/wrong"
    refused "a tag of no length is refused" "${tool[@]}" --mechanism AES-GCM --iv 000102030405060708090a0b --encrypt \
        --id 0a01 -i "$work/text" -o "$work/wrong"
else
    skip "a text is encrypted by AES-GCM" "this pkcs11-tool can't; OpenSC 0.26 can"
fi

mechanisms=(AES-KEY-WRAP 0x210A 0x210B AES-CBC-PAD)
if [[ $(pkcs11-tool --help 2>&1) == *tag-bits-len* ]]; then
    mechanisms=(AES-KEY-WRAP-PAD "${mechanisms[@]}")
else
    skip "a key is wrapped by AES-KEY-WRAP-PAD" "this pkcs11-tool knows it only by its number; OpenSC 0.26 by its name"
fi
id=10
for mechanism in "${mechanisms[@]}"; do
    [ $mechanism != AES-CBC-PAD ] || tool+=(--iv "$iv")
    ok "a key is wrapped by the zone by $mechanism" wrap $mechanism 0a01 0b01 "$work/wrapped"
    ok "it is unwrapped by $mechanism" unwrap $mechanism 0a01 "$work/wrapped" 0b$id
    ok "what it encrypts by $mechanism, the first opens" encrypt 0b$id "$work/text" "$work/again.enc"
    ok "by the first key" decrypt 0b01 "$work/again.enc" "$work/again.dec"
    ok "and it is the same text" cmp "$work/text" "$work/again.dec"
    refused "the other zone does not wrap it by $mechanism" wrap $mechanism 0a02 0b01 "$work/wrapped.other"
    id=$((id + 1))
done
tool=(pkcs11-tool --module "$module" --token-label lab)
ok "it is wrapped once more" wrap AES-KEY-WRAP 0a01 0b01 "$work/wrapped"
refused "the other zone does not unwrap it" unwrap AES-KEY-WRAP 0a02 "$work/wrapped" 0b20
ok "a key is made for the other zone by its label" make_key default/other/key 0b30
ok "that zone wraps it" wrap AES-KEY-WRAP 0a02 0b30 "$work/wrapped.other"
refused "the first does not" wrap AES-KEY-WRAP 0a01 0b30 "$work/wrapped.wrong"
refused "a key for a zone that is not there is refused" make_key default/nowhere/key 0b31
ok "and the message says what is missing" says default/nowhere
refused "a zone is not wrapped by a zone" wrap AES-KEY-WRAP 0a01 0a02 "$work/wrapped.zone"
ok "a key is read back from the store by a new process" encrypt 0b10 "$work/text" "$work/again.enc"

write() { "${tool[@]}" --write-object "$1" --type "$2" --label "default/other/$2" --id 0d01 "${@:3}"; }
read_back() { "${tool[@]}" --read-object --type "$1" --label "default/other/$1" --output-file "$work/back"; }
ok "data is written" write "$work/text" data --application-label lab --application-id 1.2.840.1
ok "it is listed" "${tool[@]}" --list-objects --type data
ok "by its application" says "'lab'"
ok "it is read back by another process" read_back data
ok "the same" cmp "$work/text" "$work/back"
refused "a label of a database that is not there is refused" "${tool[@]}" --write-object "$work/text" --type data --label default/nowhere/data
ok "it is deleted" "${tool[@]}" --delete-object --type data --label default/other/data
refused "and is gone" read_back data
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=lab -keyout "$work/key.pem" -outform der -out "$work/cert" 2>/dev/null
ok "a certificate is written" write "$work/cert" cert
ok "it is listed" "${tool[@]}" --list-objects --type cert
ok "by its subject" says "CN=lab"
ok "it is read back" read_back cert
ok "the same" cmp "$work/cert" "$work/back"

ok "it logs in with any PIN where there is none" "${tool[@]}" --login --pin 1234 --list-objects
ok "it makes random bytes" "${tool[@]}" --generate-random 64 --output-file "$work/random"
ok "it digests" "${tool[@]}" --hash --mechanism SHA256 --input-file "$work/text" --output-file "$work/digest"
ok "as sha256sum does" test "$(sha256sum <"$work/text" | cut -c1-64)" = "$(od -An -tx1 "$work/digest" | tr -d ' \n')"
ok "a key is deleted" "${tool[@]}" --delete-object --type secrkey --id 0b11
refused "and is gone" encrypt 0b11 "$work/text" "$work/gone"

ok "its own tests pass" "${tool[@]}" --login --pin 1234 --test
ok "without an error" says "No errors"
ok "its fork test passes" pkcs11-tool --module "$module" --test-fork --show-info
ok "it works with locking asked for" pkcs11-tool --module "$module" --use-locking --list-token-slots
# What a tool initialises is put aside whole, and comes back.
ok "a token that is in use is initialised anew" "${tool[@]}" --init-token --label after --so-pin ""
refused "the project is gone" "$cmek" project show lab
ok "cmek brings it back" "$cmek" project restore after
ok "by its name" says lab
ok "it lists the token's objects" "${tool[@]}" --list-objects --type secrkey
ok "its zones are there" says default/other
ok "and its successor is" "$cmek" project show after
refused "which has nothing more to give back" "$cmek" project restore after
ok "and says so" says "has not taken the place"

finish
