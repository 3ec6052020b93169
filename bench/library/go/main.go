// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

// Messages of 1 KiB by the Go package: medians of slices, in microseconds, as a line of JSON.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"cmek.internal/cmek"
)

const slice = 200

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func median(rounds int, work func()) float64 {
	times := make([]float64, rounds)
	for round := range times {
		begin := time.Now()
		for i := 0; i < slice; i++ {
			work()
		}
		times[round] = time.Since(begin).Seconds() * 1e6 / slice
	}
	slices.Sort(times)
	return times[rounds/2]
}

func main() {
	ctx, plain := context.Background(), make([]byte, 1024)
	rounds := must(strconv.Atoi(os.Args[1]))
	client := must(cmek.Open())
	zone := must(client.Zone("prod/bench"))
	sealed := must(zone.Seal(ctx, plain))
	seal := median(rounds, func() { must(zone.Seal(ctx, plain)) })
	unseal := median(rounds, func() { must(client.Unseal(ctx, sealed)) })
	fmt.Printf("{\"seal\": %.3f, \"unseal\": %.3f}\n", seal, unseal)
}
