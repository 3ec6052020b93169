// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

// A Go program that encrypts by crypto11, with a zone that may encrypt and with a data key of the token. Prints TAP.
package main

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"
	"os"

	"github.com/ThalesGroup/crypto11"
)

var (
	data   = []byte("what the file says")
	aad    = []byte("files/1")
	nonce  = bytes.Repeat([]byte{9}, 12)
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

// crypto11 panics where the module refuses.
func seal(g cipher.AEAD) (ct []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("refused: %v", r)
		}
	}()
	ct = g.Seal(nil, nonce, data, aad)
	return ct, nil
}

func aead(ctx *crypto11.Context, label string) (cipher.AEAD, error) {
	k, err := ctx.FindKey(nil, []byte(label))
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, errors.New("no key has the label " + label)
	}
	return k.NewGCM()
}

func encrypts(ctx *crypto11.Context, label string) {
	g, err := aead(ctx, label)
	check("it finds "+label, err)
	if err != nil {
		return
	}
	ct, err := seal(g)
	check(label+" encrypts", err)
	pt, err := g.Open(nil, nonce, ct, aad)
	if err == nil && !bytes.Equal(pt, data) {
		err = errors.New("the texts differ")
	}
	check(label+" decrypts", err)
	ct[0] ^= 1
	if _, err = g.Open(nil, nonce, ct, aad); err == nil {
		check(label+" refuses a text that was changed", errors.New("it did not"))
	} else {
		check(label+" refuses a text that was changed", nil)
	}
	if pt, err = g.Open(nil, nonce, append([]byte{ct[0] ^ 1}, ct[1:]...), aad); err == nil && !bytes.Equal(pt, data) {
		err = errors.New("the texts differ")
	}
	check(label+" decrypts again after a refusal", err)
}

func blocks(ctx *crypto11.Context) error {
	k, err := ctx.FindKey(nil, []byte("prod/bao"))
	if err != nil {
		return err
	}
	iv, two := make([]byte, 16), bytes.Repeat(data[:16], 2)
	en, err := k.NewCBCEncrypterCloser(iv)
	if err != nil {
		return err
	}
	out := make([]byte, len(two))
	en.CryptBlocks(out, two)
	en.Close()
	de, err := k.NewCBCDecrypterCloser(iv)
	if err != nil {
		return err
	}
	back := make([]byte, len(two))
	de.CryptBlocks(back, out)
	de.Close()
	if !bytes.Equal(back, two) {
		return errors.New("the texts differ")
	}
	return nil
}

func main() {
	pin := os.Getenv("CMEK_TEST_PIN") // where the token wants a login
	if pin == "" {
		fmt.Println("# consumer: Go crypto11 | 1.6.2 | AES only")
	}
	M := os.Args[1]
	ctx, err := crypto11.Configure(&crypto11.Config{Path: M, TokenLabel: "acme", Pin: pin, LoginNotSupported: pin == ""})
	check("crypto11 opens the token", err)
	if err == nil {
		encrypts(ctx, "prod/bao")
		encrypts(ctx, "dek1")
		check("CBC in blocks encrypts and decrypts", blocks(ctx))
		g, err := aead(ctx, "prod/orders")
		if err == nil {
			_, err = seal(g)
		}
		if err == nil {
			check("a zone that only wraps is refused", errors.New("it encrypted"))
		} else {
			check("a zone that only wraps is refused", nil)
		}
		check("crypto11 ends", ctx.Close())
	}
	fmt.Printf("1..%d\n", count)
	if failed {
		os.Exit(1)
	}
}
