// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

// fault.c in Go, whose own memory it is.
package main

import (
	"context"
	"log"
	"reflect"
	"unsafe"

	"cmek.internal/cmek"
)

func main() {
	client, err := cmek.Open()
	if err != nil {
		log.Fatal(err)
	}
	sealed := make([]byte, 2)
	(*reflect.SliceHeader)(unsafe.Pointer(&sealed)).Len = 100 // past what Go itself would see
	client.Unseal(context.Background(), sealed)
}
