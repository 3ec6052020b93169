// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

// The hierarchy from Go by miekg/pkcs11, then the calls of programs that are built on it: OpenBao's seal and its external
// keys, a KMS plugin of Kubernetes. Prints TAP.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/miekg/pkcs11"
)

const (
	dekWrap   = 0x80434D02 // CKM_CMEK_DEK_WRAP
	zoneOfKey = 0x80434D05 // CKA_CMEK_ZONE
	kwp       = 0x210B     // CKM_AES_KEY_WRAP_KWP
)

var (
	pin    = os.Getenv("CMEK_TEST_PIN") // where the token wants a login
	text   = []byte("what the file says")
	count  int
	failed bool
)

func check(sentence string, err error) {
	count++
	if err == nil {
		fmt.Printf("ok %d - %s\n", count, sentence)
		return
	}
	failed = true
	fmt.Printf("not ok %d - %s\n# %v\n", count, sentence, err)
}

func consumer(name string, tier string) {
	if pin == "" {
		fmt.Printf("# consumer: %s | 1.1.2 | %s\n", name, tier)
	}
}

func refused(err error, codes ...uint) error {
	for _, code := range codes {
		if errors.Is(err, pkcs11.Error(code)) {
			return nil
		}
	}
	return fmt.Errorf("this was not refused as it should be: %v", err)
}

func same(one []byte, err error) error {
	if err == nil && !bytes.Equal(one, text) {
		return errors.New("the texts differ")
	}
	return err
}

type token struct {
	*pkcs11.Ctx
	session pkcs11.SessionHandle
}

func open(module string) (*token, error) {
	p := pkcs11.New(module)
	if p == nil {
		return nil, errors.New("the module does not load")
	}
	if err := p.Initialize(); err != nil {
		return nil, err
	}
	slots, err := p.GetSlotList(true)
	if err != nil {
		return nil, err
	}
	for _, slot := range slots {
		info, err := p.GetTokenInfo(slot)
		if err != nil {
			return nil, err
		}
		if info.Label == "acme" {
			s, err := p.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
			if err == nil && pin != "" {
				err = p.Login(s, pkcs11.CKU_USER, pin)
			}
			return &token{p, s}, err
		}
	}
	return nil, errors.New("no token acme")
}

func (t *token) find(label string) (pkcs11.ObjectHandle, error) {
	err := t.FindObjectsInit(t.session, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label)})
	if err != nil {
		return 0, err
	}
	found, _, err := t.FindObjects(t.session, 2)
	if err == nil {
		err = t.FindObjectsFinal(t.session)
	}
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%d keys have the label %s", len(found), label)
	}
	if err != nil {
		return 0, err
	}
	return found[0], nil
}

// What a data key of the session is made with.
func dek() []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
	}
}

func (t *token) generate(template []*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
	return t.GenerateKey(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, template)
}

func (t *token) seal(key pkcs11.ObjectHandle, data []byte) ([]byte, error) {
	iv, aad := bytes.Repeat([]byte{7}, 12), []byte("files/1")
	params := pkcs11.NewGCMParams(iv, aad, 128)
	defer params.Free()
	if err := t.EncryptInit(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, err
	}
	return t.Encrypt(t.session, data)
}

func (t *token) open(key pkcs11.ObjectHandle, sealed []byte, aad string) ([]byte, error) {
	params := pkcs11.NewGCMParams(bytes.Repeat([]byte{7}, 12), []byte(aad), 128)
	defer params.Free()
	if err := t.DecryptInit(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, err
	}
	return t.Decrypt(t.session, sealed)
}

func (t *token) wraps(name string, m *pkcs11.Mechanism, ezk, users pkcs11.ObjectHandle) {
	key, err := t.generate(dek())
	check("a data key is made for "+name, err)
	sealed, err := t.seal(key, text)
	check("it encrypts, for "+name, err)
	w, err := t.WrapKey(t.session, []*pkcs11.Mechanism{m}, ezk, key)
	check("it is wrapped by "+name, err)
	if err != nil {
		return // UnwrapKey panics on an empty blob
	}
	again, err := t.UnwrapKey(t.session, []*pkcs11.Mechanism{m}, ezk, w, dek()[:3])
	check("it is unwrapped by "+name, err)
	check("the unwrapped key decrypts, after "+name, same(t.open(again, sealed, "files/1")))
	_, err = t.open(again, sealed, "files/2")
	check("not with other associated data, after "+name, refused(err, pkcs11.CKR_ENCRYPTED_DATA_INVALID))
	_, err = t.UnwrapKey(t.session, []*pkcs11.Mechanism{m}, users, w, dek()[:3])
	check("the other zone does not unwrap it by "+name, refused(err, pkcs11.CKR_WRAPPED_KEY_INVALID))
	_, err = t.WrapKey(t.session, []*pkcs11.Mechanism{m}, users, key)
	check("the other zone does not wrap it by "+name, refused(err, pkcs11.CKR_KEY_NOT_WRAPPABLE))
}

func (t *token) hierarchy() {
	consumer("Go miekg/pkcs11", "whole hierarchy")
	ezk, err := t.find("prod/orders")
	check("the zone is found by its label", err)
	users, err := t.find("prod/users")
	check("so is the second", err)
	t.wraps("AES-KEY-WRAP", pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_WRAP, nil), ezk, users)
	t.wraps("AES-KEY-WRAP-KWP", pkcs11.NewMechanism(kwp, nil), ezk, users)
	t.wraps("AES-KEY-WRAP-PAD", pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_WRAP_PAD, nil), ezk, users)
	t.wraps("CMEK-DEK-WRAP", pkcs11.NewMechanism(dekWrap, []byte("files/1")), ezk, users)
	of, err := t.GetAttributeValue(t.session, users, []*pkcs11.Attribute{pkcs11.NewAttribute(zoneOfKey, nil)})
	check("a zone tells its id", err)
	if err != nil {
		return
	}
	kept, err := t.generate(append(dek()[3:], pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, "kept"), pkcs11.NewAttribute(zoneOfKey, of[0].Value)))
	check("a data key is kept in the zone that the template names", err)
	m := pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_WRAP, nil)
	_, err = t.WrapKey(t.session, []*pkcs11.Mechanism{m}, users, kept)
	check("that zone wraps it", err)
	_, err = t.WrapKey(t.session, []*pkcs11.Mechanism{m}, ezk, kept)
	check("the other zone does not wrap it", refused(err, pkcs11.CKR_KEY_NOT_WRAPPABLE))
}

// Its wrapper logs in, looks for exactly one key by label, reads its class, type and uses, and seals the root key of OpenBao by it:
// CKM_AES_GCM, 0x1087.
func (t *token) openBaoSeal() {
	consumer("OpenBao's seal (its calls)", "AES only")
	if pin == "" {
		check("it logs in with any PIN", t.Login(t.session, pkcs11.CKU_USER, "any"))
	} else {
		check("what ran before logs out", t.Logout(t.session))
		check("it logs in with its PIN", t.Login(t.session, pkcs11.CKU_USER, pin))
	}
	key, err := t.find("prod/bao")
	check("it finds its key", err)
	read, err := t.GetAttributeValue(t.session, key, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, nil), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, nil), pkcs11.NewAttribute(pkcs11.CKA_ID, nil),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, nil), pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, nil), pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, nil)})
	if err == nil && (read[4].Value[0] != 1 || read[5].Value[0] != 1) {
		err = errors.New("the key may not encrypt and decrypt")
	}
	check("it may encrypt and decrypt", err)
	nonce, err := t.GenerateRandom(t.session, 12)
	if err == nil && len(nonce) != 12 {
		err = errors.New("no nonce")
	}
	check("it gets a nonce", err)
	sealed, err := t.seal(key, text)
	check("the root key is encrypted", err)
	if err != nil {
		return
	}
	check("it is decrypted after a restart", same(t.open(key, sealed, "files/1")))
	sealed[0] ^= 1
	_, err = t.open(key, sealed, "files/1")
	check("one that was changed is refused", refused(err, pkcs11.CKR_ENCRYPTED_DATA_INVALID))
	orders, err := t.find("prod/orders")
	check("a zone that only wraps is found too", err)
	_, err = t.seal(orders, text)
	check("and refused as a seal", refused(err, pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED))
	check("it logs out", t.Logout(t.session))
}

// kms/pkcs11 of OpenBao: a key that is found by label and id, a session for each operation, its parameters in the ciphertext.
func (t *token) openBaoExternalKeys() {
	consumer("OpenBao's external keys (their calls)", "AES only")
	info, err := t.GetSessionInfo(t.session)
	check("it knows the slot", err)
	second, err := t.OpenSession(info.SlotID, pkcs11.CKF_SERIAL_SESSION)
	check("it opens a read-only session beside the first", err)
	other := &token{t.Ctx, second}
	key, err := other.find("prod/bao")
	check("it finds the key there", err)
	sealed, err := other.seal(key, text)
	check("it encrypts in that session", err)
	check("it decrypts in the first", same(t.open(key, sealed, "files/1")))
	check("it closes the session", t.CloseSession(second))
}

// A KMS plugin in the manner of Thales's: a key encryption key in the token, a data key that it wraps with each secret, ids are
// texts.
func (t *token) kubernetes() {
	consumer("a Kubernetes KMS plugin (its calls)", "whole hierarchy")
	kek, err := t.find("prod/orders")
	check("it finds its key encryption key", err)
	template := append(dek(), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte("0f8fad5b-d9cb-469f-a165-70867728950e")))
	key, err := t.generate(template)
	check("a data key has the text of a UUID as its id", err)
	m := pkcs11.NewMechanism(kwp, nil)
	w, err := t.WrapKey(t.session, []*pkcs11.Mechanism{m}, kek, key)
	check("it is wrapped for the cluster's store", err)
	if err != nil {
		return // UnwrapKey panics on an empty blob
	}
	sealed, err := t.seal(key, text)
	check("a secret is encrypted", err)
	check("the data key is forgotten", t.DestroyObject(t.session, key))
	again, err := t.UnwrapKey(t.session, []*pkcs11.Mechanism{m}, kek, w, template[:3])
	check("it is unwrapped when the secret is read", err)
	check("the secret is decrypted", same(t.open(again, sealed, "files/1")))
	users, err := t.find("prod/users")
	check("another cluster's key is there", err)
	_, err = t.UnwrapKey(t.session, []*pkcs11.Mechanism{m}, users, w, template[:3])
	check("it is of another zone and refuses", refused(err, pkcs11.CKR_WRAPPED_KEY_INVALID))
}

func main() {
	t, err := open(os.Args[1])
	check("Go opens a session on the token", err)
	if err == nil {
		t.hierarchy()
		t.openBaoExternalKeys()
		t.kubernetes()
		t.openBaoSeal()
		check("the module is ended", t.Finalize())
	}
	fmt.Printf("1..%d\n", count)
	if failed {
		os.Exit(1)
	}
}
