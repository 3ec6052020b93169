// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0
// The hierarchy from node by graphene-pk11. Prints TAP.
'use strict';
const assert = require('assert');
const graphene = require('graphene-pk11');

const TEXT = Buffer.from('what the file says');
const gcm = (aad) => ({ name: 'AES_GCM', params: new graphene.AesGcmParams(Buffer.alloc(12, 7), Buffer.from(aad), 128) });
let count = 0;
let failed = 0;

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

const pin = process.env.CMEK_TEST_PIN; // where the token wants a login
if (!pin) console.log(`# consumer: Node graphene-pk11 | ${require('graphene-pk11/package.json').version} | whole hierarchy`);
const mod = graphene.Module.load(process.argv[2], 'cmek');
mod.initialize();
const slots = mod.getSlots(true);
const slot = [...Array(slots.length).keys()].map((i) => slots.items(i)).find((one) => one.getToken().label.trim() === 'acme');
const session = slot.open(graphene.SessionFlag.RW_SESSION | graphene.SessionFlag.SERIAL_SESSION);
if (pin) session.login(pin);

const find = (label) => session.find({ class: graphene.ObjectClass.SECRET_KEY, label }).items(0).toType();
const newKey = () => session.generateKey(graphene.KeyGenMechanism.AES, {
    class: graphene.ObjectClass.SECRET_KEY, keyType: graphene.KeyType.AES, token: false, valueLen: 32, extractable: true, encrypt: true, decrypt: true,
});
const unwrapped = { class: graphene.ObjectClass.SECRET_KEY, keyType: graphene.KeyType.AES, token: false, encrypt: true, decrypt: true };
const encrypt = (dek, aad) => session.createCipher(gcm(aad), dek).once(TEXT, Buffer.alloc(TEXT.length + 16));
const decrypt = (dek, aad, data) => session.createDecipher(gcm(aad), dek).once(data, Buffer.alloc(data.length));

let ezk;
let users;
test('the zones are found by their labels', () => {
    ezk = find('prod/orders');
    users = find('prod/users');
});
for (const how of ['AES_KEY_WRAP', 'AES_KEY_WRAP_PAD']) {
    const dek = newKey();
    let w;
    let again;
    const data = encrypt(dek, 'files/1');
    test(`a data key encrypts and is wrapped by ${how}`, () => { w = session.wrapKey(how, ezk, dek); });
    test(`it is unwrapped by ${how} and decrypts`, () => {
        again = session.unwrapKey(how, ezk, w, unwrapped);
        assert.ok(decrypt(again, 'files/1', data).equals(TEXT));
    });
    test(`not with other associated data, after ${how}`, () => assert.throws(() => decrypt(again, 'files/2', data), /CKR_ENCRYPTED_DATA_INVALID/));
    test(`the other zone does not unwrap it by ${how}`, () => assert.throws(() => session.unwrapKey(how, users, w, unwrapped), /CKR_WRAPPED_KEY_INVALID/));
    test(`the other zone does not wrap it by ${how}`, () => assert.throws(() => session.wrapKey(how, users, dek), /CKR_KEY_NOT_WRAPPABLE/));
}
test('each object of a search without a class is of a class that graphene knows', () => {
    const found = session.find();
    assert.ok(found.length >= 3);
    for (let i = 0; i < found.length; i += 1) found.items(i).toType();
});
session.close();
mod.finalize();
console.log(`1..${count}`);
process.exitCode = failed ? 1 : 0;
