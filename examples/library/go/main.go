// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

// What a Go program does with the package cmek, a function for each way (docs/library.md); ../example.c has the words.
// The exit status is 1 where the library says no.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"cmek.internal/cmek"
)

var ctx = context.Background()

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func message(client *cmek.Client, zone *cmek.Zone, words []string) {
	sealed := must(zone.Seal(ctx, []byte(words[0]), cmek.Name("orders/1")))
	fmt.Println(string(must(client.Unseal(ctx, sealed, cmek.Name("orders/1")))))
}

func file(client *cmek.Client, zone *cmek.Zone, words []string) {
	must(0, zone.SealFile(words[0], words[1], cmek.Replace()))
}

func stream(client *cmek.Client, zone *cmek.Zone, words []string) {
	writer := must(zone.Writer(os.Stdout))
	defer writer.Abandon()
	must(io.Copy(writer, os.Stdin))
	must(0, writer.Close())
}

func ranged(client *cmek.Client, zone *cmek.Zone, words []string) {
	source := must(os.Open(words[0]))
	plain := must(client.ReaderAt(source, must(source.Stat()).Size()))
	offset := must(strconv.ParseInt(words[1], 10, 64))
	must(io.Copy(os.Stdout, io.NewSectionReader(plain, offset, 100)))
}

// An object behind an address.
type url string

func (u url) get(first, last int64) *http.Response {
	request := must(http.NewRequest("GET", string(u), nil))
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	return must(http.DefaultClient.Do(request))
}

func (u url) ReadAt(out []byte, offset int64) (int, error) {
	answer := u.get(offset, offset+int64(len(out))-1)
	defer answer.Body.Close()
	return io.ReadFull(answer.Body, out)
}

func object(client *cmek.Client, zone *cmek.Zone, words []string) {
	_, size, _ := strings.Cut(url(words[0]).get(0, 0).Header.Get("Content-Range"), "/")
	plain := must(client.ReaderAt(url(words[0]), must(strconv.ParseInt(size, 10, 64))))
	offset := must(strconv.ParseInt(words[1], 10, 64))
	must(io.Copy(os.Stdout, io.NewSectionReader(plain, offset, 100)))
}

func lines(client *cmek.Client, zone *cmek.Zone, words []string) {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		sealed, err := zone.Seal(ctx, in.Bytes())
		if err != nil {
			tell(err)
		} else {
			fmt.Println("sealed", len(sealed))
		}
	}
}

func tell(err error) {
	var told *cmek.Error
	switch {
	case !errors.As(err, &told):
		fmt.Println("stop", err)
	case told.MayPass:
		fmt.Printf("try again %s [%s]\n", told.Text, told.RequestID)
	default:
		fmt.Printf("stop %s [%s]\n", told.Text, told.RequestID)
	}
}

func openFile(client *cmek.Client, zone *cmek.Zone, words []string) {
	must(0, client.UnsealFile(words[0], words[1], cmek.Replace()))
}

func main() {
	ways := map[string]func(*cmek.Client, *cmek.Zone, []string){
		"message": message, "file": file, "stream": stream, "range": ranged, "object": object, "lines": lines, "open": openFile,
	}
	client := must(cmek.Open())
	defer client.Close()
	ways[os.Args[1]](client, must(client.Zone(os.Args[2])), os.Args[3:])
}
