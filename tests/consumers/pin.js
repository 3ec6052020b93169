// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
// A database's key by pkcs11js, with the PIN of CMEK_TEST_PIN if there is one: it is found, wraps a data key, and unwraps it. Prints TAP.
'use strict';
const pkcs11 = require('pkcs11js');

const TEXT = Buffer.from('what the file says');
const WRAP = { mechanism: pkcs11.CKM_AES_KEY_WRAP, parameter: null };
const SEAL = { mechanism: pkcs11.CKM_AES_CBC_PAD, parameter: Buffer.alloc(16) };
const KEY = [
    { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
    { type: pkcs11.CKA_KEY_TYPE, value: pkcs11.CKK_AES },
    { type: pkcs11.CKA_TOKEN, value: false },
];
const pin = process.env.CMEK_TEST_PIN;
const token = new pkcs11.PKCS11();
token.load(process.argv[2]);
token.C_Initialize();
const slot = token.C_GetSlotList(true).find((id) => token.C_GetTokenInfo(id).label.trim() === 'acme');
const session = token.C_OpenSession(slot, pkcs11.CKF_RW_SESSION | pkcs11.CKF_SERIAL_SESSION);
if (pin) token.C_Login(session, pkcs11.CKU_USER, pin);

token.C_FindObjectsInit(session, [KEY[0], { type: pkcs11.CKA_LABEL, value: 'prod/orders' }]);
const found = token.C_FindObjects(session, 2);
token.C_FindObjectsFinal(session);
console.log(`${found.length === 1 ? 'ok' : 'not ok'} 1 - pkcs11js finds a database's key: ${found.length}`);
if (found.length !== 1) process.exit(1);

const key = token.C_GenerateKey(session, { mechanism: pkcs11.CKM_AES_KEY_GEN, parameter: null },
    [...KEY, { type: pkcs11.CKA_EXTRACTABLE, value: true }, { type: pkcs11.CKA_VALUE_LEN, value: 32 }]);
const again = token.C_UnwrapKey(session, WRAP, found[0], token.C_WrapKey(session, WRAP, found[0], key, Buffer.alloc(1024)), KEY);
token.C_EncryptInit(session, SEAL, key);
const sealed = token.C_Encrypt(session, TEXT, Buffer.alloc(64));
token.C_DecryptInit(session, SEAL, again);
const good = token.C_Decrypt(session, sealed, Buffer.alloc(64)).equals(TEXT);
console.log(`${good ? 'ok' : 'not ok'} 2 - by which a data key is wrapped and unwrapped\n1..2`);
token.C_Finalize();
process.exitCode = good ? 0 : 1;
