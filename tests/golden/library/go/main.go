// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

// Golden files by the Go package; ../golden.c has the lines.
package main

import (
	"bufio"
	"context"
	"io"
	"log"
	"os"
	"strings"

	"cmek.internal/cmek"
)

var ctx = context.Background()

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func sealStream(zone *cmek.Zone, options []cmek.Option, in, out string) {
	file := must(os.Create(out))
	writer := must(zone.Writer(file, options...))
	defer writer.Abandon()
	for data := must(os.ReadFile(in)); len(data) > 0; {
		count := must(writer.Write(data[:min(40001, len(data))]))
		data = data[count:]
	}
	must(0, writer.Close())
	must(0, file.Close())
}

func seal(client *cmek.Client, way string, options []cmek.Option, in, out string) {
	zone := must(client.Zone("prod/one"))
	switch way {
	case "file":
		must(0, zone.SealFile(in, out, append(options, cmek.Replace())...))
	case "stream":
		sealStream(zone, options, in, out)
	default:
		if way == "embedded" {
			options = append(options, cmek.Embed())
		}
		must(0, os.WriteFile(out, must(zone.Seal(ctx, must(os.ReadFile(in)), options...)), 0o666))
	}
}

func unseal(client *cmek.Client, way string, options []cmek.Option, in, out string) {
	switch way {
	case "file":
		must(0, client.UnsealFile(in, out, append(options, cmek.Replace())...))
	case "stream":
		file := must(os.Open(in))
		defer file.Close()
		reader := must(client.Reader(file, options...))
		defer reader.Close()
		must(0, os.WriteFile(out, must(io.ReadAll(reader)), 0o666))
	default:
		must(0, os.WriteFile(out, must(client.Unseal(ctx, must(os.ReadFile(in)), options...)), 0o666))
	}
}

func main() {
	client := must(cmek.Open())
	defer client.Close()
	work := unseal
	if os.Args[1] == "seal" {
		work = seal
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Split(lines.Text(), "|")
		var options []cmek.Option
		if words[1] != "" {
			options = append(options, cmek.Name(words[1]))
		}
		work(client, words[0], options, words[2], words[3])
	}
}
