// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

// Package cmek seals messages, files and streams under a database's key, which a KMS key of one's own is above, and opens them
// again. It needs libcmek (pkg-config cmek) and the module cmek-pkcs11.
//
//	client, err := cmek.Open()
//	zone, err := client.Zone("prod/orders")
//	sealed, err := zone.Seal(ctx, []byte("row 1"), cmek.Name("orders/1"))
//	plain, err := client.Unseal(ctx, sealed, cmek.Name("orders/1"))
//
// A Client, a Zone and a File may be used by many goroutines at once, a Writer and a Reader by one at a time. Errors say by
// errors.Is what kind they are: ErrDenied, ErrUnavailable and so on.
//
// A context ends the wait, not the work: the call that was begun goes on until its own deadline, and what it would have
// answered is dropped.
package cmek
