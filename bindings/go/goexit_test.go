// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

package cmek_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"
)

// A stream that ends its goroutine, as t.FailNow in it does, when it was called so often.
type leaving struct {
	bytes.Buffer
	calls int
}

func (l *leaving) call() {
	if l.calls--; l.calls < 0 {
		runtime.Goexit()
	}
}

func (l *leaving) Write(data []byte) (int, error) {
	l.call()
	return l.Buffer.Write(data)
}

func (l *leaving) Read(out []byte) (int, error) {
	l.call()
	return l.Buffer.Read(out)
}

func (l *leaving) ReadAt(out []byte, offset int64) (int, error) {
	l.call()
	return bytes.NewReader(l.Bytes()).ReadAt(out, offset)
}

// Whether `work` came to its end, in a goroutine of its own.
func returns(work func()) (did bool) {
	done := make(chan bool)
	go func() {
		defer close(done)
		work()
		did = true
	}()
	<-done
	return did
}

func TestAStreamThatEndsItsGoroutineLeavesNothingWhole(t *testing.T) {
	client, zone := open(t)
	for calls := 0; calls < 4; calls++ {
		out := &leaving{calls: calls}
		var ended, again error
		if returns(func() {
			writer, err := zone.Writer(out)
			if err != nil {
				t.Error(err)
			}
			defer func() {
				_, again = writer.Write([]byte("more"))
				out.calls = 100
				ended = writer.Close()
			}()
			writer.Write(sample(4 * chunk))
		}) {
			t.Fatal("the goroutine goes on after ", calls)
		}
		if calls > 0 && (ended == nil || again == nil) {
			t.Fatal("a writer goes on after ", calls, ended, again)
		}
		if plain, err := client.Unseal(ctx, out.Bytes()); err == nil {
			t.Fatal(len(plain), " bytes are whole after ", calls)
		}
	}
}

func TestASourceThatEndsItsGoroutineLeavesNothingWhole(t *testing.T) {
	client, zone := open(t)
	var out bytes.Buffer
	var ended error
	in := &leaving{calls: 1}
	in.Buffer.Write(sample(4 * chunk))
	if returns(func() {
		writer, err := zone.Writer(&out)
		if err != nil {
			t.Error(err)
		}
		defer func() { ended = writer.Close() }()
		writer.ReadFrom(in)
	}) {
		t.Fatal("the goroutine goes on")
	}
	if plain, err := client.Unseal(ctx, out.Bytes()); ended == nil || err == nil {
		t.Fatal(len(plain), " bytes are whole: ", ended)
	}
}

func TestAStreamThatEndsItsGoroutineIsReadNoMore(t *testing.T) {
	client, zone := open(t)
	sealed := sealStream(t, zone, sample(4*chunk), chunk)
	for calls := 0; calls < 5; calls++ {
		in := &leaving{calls: calls}
		in.Buffer.Write(sealed)
		var again error
		if returns(func() {
			reader, err := client.Reader(in)
			if err != nil {
				t.Error(err)
			}
			defer reader.Close()
			defer func() { _, again = reader.Read(make([]byte, 5)) }()
			io.ReadAll(reader)
		}) {
			t.Fatal("the goroutine goes on after ", calls)
		}
		if calls > 2 && again == nil {
			t.Fatal("a reader goes on")
		}
		at := &leaving{calls: calls}
		at.Buffer.Write(sealed)
		if returns(func() {
			file, err := client.ReaderAt(at, int64(len(sealed)))
			if err != nil {
				t.Error(err)
			}
			defer file.Close()
			for i := int64(0); i < 4; i++ {
				file.ReadAt(make([]byte, 5), i*chunk)
			}
		}) {
			t.Fatal("the goroutine goes on after ", calls)
		}
	}
	plain, err := client.Unseal(ctx, sealed)
	same(t, plain, sample(4*chunk), err)
}
