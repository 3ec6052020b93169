#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# GnuTLS's p11tool: tokens, mechanisms, objects.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_project lab
consumer "GnuTLS p11tool" gnutls-bin "loads and lists"
export GNUTLS_PIN=1234

ok "a zone is there" pkcs11-tool --module "$module" --token-label lab --keygen --key-type AES:32 --label prod --id 0a01
ok "p11tool lists the token" p11tool --provider "$module" --list-tokens
ok "by its label" says "Label: lab"
ok "it lists mechanisms" p11tool --provider "$module" --list-mechanisms pkcs11:token=lab
ok "AES-GCM is one of them" says CKM_AES_GCM
ok "it lists the zone" p11tool --provider "$module" --list-all pkcs11:token=lab
ok "by its label" says "Label: prod"
ok "it lists it after a login too" p11tool --provider "$module" --login --list-all pkcs11:token=lab
ok "by its label" says "Label: prod"
finish
