// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
// The whole hierarchy from node, as an application would do it: a project, a root key and a cluster, two zones, DEKs
// wrapped by them, data encrypted by the DEKs, and what must not work. Prints TAP.
'use strict';
const assert = require('assert');
const pkcs11 = require('pkcs11js');

const CKM_CMEK_DEK_WRAP = 0x80434d02;
const CKO_CMEK_CLUSTER = 0x80434d01;
const [CKA_CMEK_KMS_KEY, CKA_CMEK_REGION, CKA_CMEK_ROOT_KEY, CKA_CMEK_CREATE] = [0x80434d01, 0x80434d03, 0x80434d09, 0x80434d11];
const CKR_KEY_NOT_WRAPPABLE = 0x69;
const WRAPS = {
    'AES-KEY-WRAP': { mechanism: pkcs11.CKM_AES_KEY_WRAP, parameter: null },
    'AES-KEY-WRAP-KWP': { mechanism: 0x210b, parameter: null },
    'CMEK-DEK-WRAP': { mechanism: CKM_CMEK_DEK_WRAP, parameter: Buffer.from('files/1') },
};
const gcm = (aad) => ({
    mechanism: pkcs11.CKM_AES_GCM,
    parameter: {
        type: pkcs11.CK_PARAMS_AES_GCM, iv: Buffer.alloc(12, 7), aad: Buffer.from(aad), ivBits: 96, tagBits: 128,
    },
});

console.log(`# consumer: Node pkcs11js | ${require('pkcs11js/package.json').version} | whole hierarchy`);
const module_ = new pkcs11.PKCS11();
module_.load(process.argv[2]);
module_.C_Initialize();
const slot = project('lab');
let session = open();
let count = 0;
let failed = 0;

// The slot of the project, which is made if it is new.
function project(label) {
    const tokens = module_.C_GetSlotList(true).map((id) => ({ id, info: module_.C_GetTokenInfo(id) }));
    const known = tokens.find((token) => token.info.label.trim() === label);
    if (known) return known.id;
    const free = tokens.find((token) => (token.info.flags & pkcs11.CKF_TOKEN_INITIALIZED) === 0);
    module_.C_InitToken(free.id, '', label.padEnd(32));
    return free.id;
}

function makeRootKey(name) {
    return module_.C_CreateObject(session, secretKey(
        { type: pkcs11.CKA_TOKEN, value: true },
        { type: CKA_CMEK_KMS_KEY, value: name },
        { type: CKA_CMEK_CREATE, value: true }));
}

function makeCluster(label, rootKey) {
    const [arn] = module_.C_GetAttributeValue(session, rootKey, [{ type: CKA_CMEK_ROOT_KEY }]);
    return module_.C_CreateObject(session, [
        { type: pkcs11.CKA_CLASS, value: CKO_CMEK_CLUSTER },
        { type: pkcs11.CKA_TOKEN, value: true },
        { type: pkcs11.CKA_LABEL, value: label },
        { type: CKA_CMEK_REGION, value: 'local' },
        { type: CKA_CMEK_ROOT_KEY, value: arn.value },
    ]);
}

function open() {
    return module_.C_OpenSession(slot, pkcs11.CKF_RW_SESSION | pkcs11.CKF_SERIAL_SESSION);
}

function test(sentence, check) {
    count += 1;
    try {
        check();
        console.log(`ok ${count} - ${sentence}`);
    } catch (error) {
        failed += 1;
        console.log(`not ok ${count} - ${sentence}`);
        console.log(String(error.stack).replace(/^/gm, '# '));
    }
}

function refused(check, code) {
    assert.throws(check, (error) => error.name === 'Pkcs11Error' && (code === undefined || error.code === code));
}

function secretKey(...more) {
    return [
        { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
        { type: pkcs11.CKA_KEY_TYPE, value: pkcs11.CKK_AES },
        ...more,
    ];
}

function makeZone(label) {
    return module_.C_GenerateKey(session, { mechanism: pkcs11.CKM_AES_KEY_GEN, parameter: null }, secretKey(
        { type: pkcs11.CKA_TOKEN, value: true },
        { type: pkcs11.CKA_LABEL, value: label },
        { type: pkcs11.CKA_VALUE_LEN, value: 32 }));
}

function makeDek() {
    return module_.C_GenerateKey(session, { mechanism: pkcs11.CKM_AES_KEY_GEN, parameter: null }, secretKey(
        { type: pkcs11.CKA_TOKEN, value: false },
        { type: pkcs11.CKA_EXTRACTABLE, value: true },
        { type: pkcs11.CKA_VALUE_LEN, value: 32 }));
}

function find(label) {
    module_.C_FindObjectsInit(session, [
        { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
        { type: pkcs11.CKA_LABEL, value: label },
    ]);
    const found = module_.C_FindObjects(session, 10);
    module_.C_FindObjectsFinal(session);
    return found;
}

const wrap = (mechanism, zone, dek) => module_.C_WrapKey(session, mechanism, zone, dek, Buffer.alloc(1024));
const unwrap = (mechanism, zone, blob) => module_.C_UnwrapKey(session, mechanism, zone, blob,
    secretKey({ type: pkcs11.CKA_TOKEN, value: false }));

function encrypt(key, aad, text) {
    module_.C_EncryptInit(session, gcm(aad), key);
    return module_.C_Encrypt(session, Buffer.from(text), Buffer.alloc(1024));
}

function decrypt(key, aad, data) {
    module_.C_DecryptInit(session, gcm(aad), key);
    return module_.C_Decrypt(session, data, Buffer.alloc(1024)).toString();
}

let rootKey;
test('a root key and a cluster are made', () => {
    rootKey = makeRootKey('local:node');
    makeCluster('default', rootKey);
});
// Not refused(): pkcs11js gives C_CreateObject's errors another form.
test('the root key is refused a second time', () => assert.throws(() => makeRootKey('local:node'), /CKR_TEMPLATE_INCONSISTENT/));
let one;
let two;
test('two zones are made', () => {
    one = makeZone('default/one');
    two = makeZone('default/two');
    assert.strictEqual(find('default/one').length, 1);
});

for (const [name, mechanism] of Object.entries(WRAPS)) {
    const dek = makeDek();
    let blob;
    let data;
    test(`a file is encrypted by a DEK and the DEK wrapped by ${name}`, () => {
        data = encrypt(dek, 'files/1', 'what the file says');
        blob = wrap(mechanism, one, dek);
    });
    test(`the file is read by the DEK that ${name} unwraps`, () => {
        assert.strictEqual(decrypt(unwrap(mechanism, one, blob), 'files/1', data), 'what the file says');
    });
    test(`with other associated data it is not, after ${name}`, () => {
        refused(() => decrypt(unwrap(mechanism, one, blob), 'files/2', data));
    });
    test(`the other zone does not unwrap the DEK by ${name}`, () => refused(() => unwrap(mechanism, two, blob)));
    test(`the other zone does not wrap it by ${name}`, () => {
        refused(() => wrap(mechanism, two, dek), CKR_KEY_NOT_WRAPPABLE);
    });
    test(`a wrapped DEK of which a bit is flipped is refused by ${name}`, () => {
        const bad = Buffer.from(blob);
        bad[bad.length - 1] ^= 1;
        refused(() => unwrap(mechanism, one, bad));
    });
}

test('a DEK that was wrapped for one path is not unwrapped for another', () => {
    const blob = wrap(WRAPS['CMEK-DEK-WRAP'], one, makeDek());
    refused(() => unwrap({ mechanism: CKM_CMEK_DEK_WRAP, parameter: Buffer.from('files/2') }, one, blob));
});

test('a zone tells nobody its value', () => {
    refused(() => module_.C_GetAttributeValue(session, one, [{ type: pkcs11.CKA_VALUE }]),
        pkcs11.CKR_ATTRIBUTE_SENSITIVE);
});

test('a zone works again after the module was started anew', () => {
    const dek = makeDek();
    const data = encrypt(dek, '', 'kept');
    const blob = wrap(WRAPS['AES-KEY-WRAP'], one, dek);
    module_.C_CloseSession(session);
    module_.C_Finalize();
    module_.C_Initialize();
    session = open();
    one = find('default/one')[0];
    assert.strictEqual(decrypt(unwrap(WRAPS['AES-KEY-WRAP'], one, blob), '', data), 'kept');
});

module_.C_CloseSession(session);
module_.C_Finalize();
console.log(`1..${count}`);
process.exitCode = failed ? 1 : 0;
