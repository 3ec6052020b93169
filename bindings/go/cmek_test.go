// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

package cmek_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"

	"cmek.internal/cmek"
)

const chunk = 65536

var ctx = context.Background()

func sample(length int) []byte {
	data := make([]byte, length)
	for i := range data {
		data[i] = byte(i*7 + i/251)
	}
	return data
}

func open(t testing.TB) (*cmek.Client, *cmek.Zone) {
	t.Helper()
	client, err := cmek.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	zone, err := client.Zone("prod/orders")
	if err != nil {
		t.Fatal(err)
	}
	return client, zone
}

func wants(t *testing.T, kind, err error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("%v, where %v was expected", err, kind)
	}
}

func same(t *testing.T, got, want []byte, err error) {
	t.Helper()
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%v, %d bytes where %d were expected", err, len(got), len(want))
	}
}

func TestMessagesComeBack(t *testing.T) {
	client, zone := open(t)
	for _, data := range [][]byte{nil, {}, []byte("row 1"), sample(chunk + 5)} {
		sealed, err := zone.Seal(ctx, data)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := client.Unseal(ctx, sealed)
		same(t, plain, data, err)
	}
}

func TestNamesZonesAndChangesAreSeen(t *testing.T) {
	client, zone := open(t)
	sealed, err := zone.Seal(ctx, []byte("a row's"), cmek.Name("orders/1"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := client.Unseal(ctx, sealed, cmek.Name("orders/1"), cmek.Of(zone))
	same(t, plain, []byte("a row's"), err)
	for _, options := range [][]cmek.Option{nil, {cmek.Name("orders/2")}} {
		if _, err = client.Unseal(ctx, sealed, options...); !errors.Is(err, cmek.ErrRefused) && !errors.Is(err, cmek.ErrDamaged) {
			t.Fatal(err)
		}
	}
	other, err := client.Zone("acme:prod/users")
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Unseal(ctx, sealed, cmek.Name("orders/1"), cmek.Of(other))
	wants(t, cmek.ErrRefused, err)
	sealed[len(sealed)-1] ^= 1
	_, err = client.Unseal(ctx, sealed, cmek.Name("orders/1"))
	wants(t, cmek.ErrDamaged, err)
	_, err = client.Unseal(ctx, []byte("plain text"))
	wants(t, cmek.ErrNotAnEnvelope, err)
	_, err = client.Zone("prod/nowhere")
	wants(t, cmek.ErrNotFound, err)
	var told *cmek.Error
	if !errors.As(err, &told) || told.MayPass || told.Text == "" {
		t.Fatalf("%#v", err)
	}
	again, err := client.Zone(fmt.Sprint(zone.ID))
	if err != nil || again.Name != "prod/orders" || again.Project != "acme" {
		t.Fatal(again, err)
	}
}

func TestContextEndsTheWait(t *testing.T) {
	client, zone := open(t)
	ended, cancel := context.WithCancel(ctx)
	sealed, err := zone.Seal(ended, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = client.Unseal(ended, sealed)
	wants(t, context.Canceled, err)
}

func TestAClosedClientDoesNothingMore(t *testing.T) {
	client, err := cmek.Open()
	if err != nil {
		t.Fatal(err)
	}
	zone, err := client.Zone("prod/orders")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	writer, err := zone.Writer(&out)
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	_, err = zone.Seal(ctx, nil)
	wants(t, os.ErrClosed, err)
	_, err = client.Zone("prod/orders")
	wants(t, os.ErrClosed, err)
	if _, err = writer.Write([]byte("to its end")); err != nil {
		t.Fatal(err)
	}
	if err = writer.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := open(t)
	plain, err := again.Unseal(ctx, out.Bytes())
	same(t, plain, []byte("to its end"), err)
	of := cmek.Of(zone)
	_, err = again.Unseal(ctx, out.Bytes(), of)
	wants(t, os.ErrClosed, err)
	_, err = again.Reader(bytes.NewReader(out.Bytes()), of)
	wants(t, os.ErrClosed, err)
	_, err = again.ReaderAt(bytes.NewReader(out.Bytes()), int64(out.Len()), of)
	wants(t, os.ErrClosed, err)
	wants(t, os.ErrClosed, again.UnsealFile("sealed", "plain", of))
}

func sealStream(t *testing.T, zone *cmek.Zone, data []byte, piece int) []byte {
	t.Helper()
	var out bytes.Buffer
	writer, err := zone.Writer(&out)
	if err != nil {
		t.Fatal(err)
	}
	for rest := data; len(rest) > 0; {
		count := min(piece, len(rest))
		if _, err := writer.Write(rest[:count]); err != nil {
			t.Fatal(err)
		}
		rest = rest[count:]
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestStreamsComeBack(t *testing.T) {
	client, zone := open(t)
	for _, length := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 9} {
		data := sample(length)
		sealed := sealStream(t, zone, data, 40001)
		reader, err := client.Reader(iotest.HalfReader(bytes.NewReader(sealed)))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(reader)
		same(t, plain, data, err)
		reader.Close()
		plain, err = client.Unseal(ctx, sealed)
		same(t, plain, data, err)
	}
}

var errMine = errors.New("mine")

func TestWhatOnesOwnStreamAnswersComesOut(t *testing.T) {
	client, zone := open(t)
	writer, err := zone.Writer(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	writer.Abandon()
	_, err = zone.Writer(failing{})
	wants(t, errMine, err)
	wants(t, cmek.ErrIO, err)
	_, err = client.Reader(iotest.ErrReader(syscall.ECONNRESET))
	wants(t, syscall.ECONNRESET, err)
	_, err = client.ReaderAt(failing{}, 5000)
	wants(t, errMine, err)
	if !strings.Contains(err.Error(), errMine.Error()) {
		t.Fatal("its cause is not said: ", err)
	}
	for _, number := range []syscall.Errno{syscall.ENOENT, syscall.ENOMEM, syscall.EACCES} {
		own := &os.PathError{Op: "read", Path: "object", Err: number}
		_, err = client.ReaderAt(oddReaderAt(func([]byte, int64) (int, error) { return 0, own }), 5000)
		wants(t, own, err)
	}
}

func TestAClientThatNobodyOpenedIsRefused(t *testing.T) {
	var client cmek.Client
	_, err := client.Zone("prod/orders")
	wants(t, cmek.ErrRefused, err)
	_, err = client.Unseal(ctx, []byte("x"))
	wants(t, cmek.ErrRefused, err)
	client.Close()
}

type failing struct{}

func (failing) Write([]byte) (int, error)         { return 0, errMine }
func (failing) ReadAt([]byte, int64) (int, error) { return 0, errMine }

func TestWhatWasCutOffOrNotEndedDoesNotOpen(t *testing.T) {
	client, zone := open(t)
	sealed := sealStream(t, zone, sample(2*chunk), chunk)
	reader, err := client.Reader(bytes.NewReader(sealed[:len(sealed)-chunk-16]))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	_, err = io.ReadAll(reader)
	wants(t, cmek.ErrDamaged, err)
	var part bytes.Buffer
	writer, err := zone.Writer(&part)
	if err != nil {
		t.Fatal(err)
	}
	writer.Write(sample(10))
	writer.Abandon()
	if reader, err = client.Reader(&part); err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	_, err = io.ReadAll(reader)
	wants(t, cmek.ErrDamaged, err)
}

// Takes `room` bytes, fails once, and takes the rest.
type fullOnce struct {
	bytes.Buffer
	room int
}

func (f *fullOnce) Write(data []byte) (int, error) {
	if f.room < len(data) {
		f.room = 1 << 30
		return 0, errMine
	}
	f.room -= len(data)
	return f.Buffer.Write(data)
}

func TestAWriterThatIsClosedAfterAnErrorIsNotWhole(t *testing.T) {
	client, zone := open(t)
	full := &fullOnce{room: chunk}
	writer, err := zone.Writer(full)
	if err != nil {
		t.Fatal(err)
	}
	_, err = writer.Write(sample(5 * chunk))
	wants(t, errMine, err)
	_, err = writer.Write(sample(5))
	wants(t, errMine, err)
	wants(t, errMine, writer.Close())
	_, err = client.Unseal(ctx, full.Bytes())
	wants(t, cmek.ErrDamaged, err)

	var part bytes.Buffer
	if writer, err = zone.Writer(&part); err != nil {
		t.Fatal(err)
	}
	half := io.MultiReader(bytes.NewReader(sample(2*chunk)), iotest.ErrReader(errMine))
	_, err = io.Copy(writer, half)
	wants(t, errMine, err)
	wants(t, errMine, writer.Close())
	_, err = client.Unseal(ctx, part.Bytes())
	wants(t, cmek.ErrDamaged, err)
	wants(t, os.ErrClosed, writer.Close())

	part.Reset()
	if writer, err = zone.Writer(&part); err != nil {
		t.Fatal(err)
	}
	if count, err := io.Copy(writer, iotest.HalfReader(bytes.NewReader(sample(2*chunk+9)))); count != 2*chunk+9 || err != nil {
		t.Fatal(count, err)
	}
	if err = writer.Close(); err != nil {
		t.Fatal(err)
	}
	plain, err := client.Unseal(ctx, part.Bytes())
	same(t, plain, sample(2*chunk+9), err)
}

type counted struct {
	*bytes.Reader
	reads atomic.Int64
}

func (c *counted) ReadAt(out []byte, offset int64) (int, error) {
	c.reads.Add(1)
	return c.Reader.ReadAt(out, offset)
}

func TestRangesReadTheirChunksOnly(t *testing.T) {
	client, zone := open(t)
	data := sample(9*chunk + 77)
	sealed := sealStream(t, zone, data, chunk)
	object := &counted{Reader: bytes.NewReader(sealed)}
	file, err := client.ReaderAt(object, int64(len(sealed)))
	if err != nil || file.Size() != int64(len(data)) {
		t.Fatal(err)
	}
	defer file.Close()
	object.reads.Store(0)
	part := make([]byte, 100)
	if _, err = file.ReadAt(part, 5*chunk-50); err != nil || !bytes.Equal(part, data[5*chunk-50:5*chunk+50]) {
		t.Fatal(err)
	}
	if object.reads.Load() != 2 {
		t.Fatal(object.reads.Load(), "reads")
	}
	if err = iotest.TestReader(io.NewSectionReader(file, 0, file.Size()), data); err != nil {
		t.Fatal(err)
	}
	for _, change := range []int{-chunk - 16, -1, 16} {
		longer := append(append([]byte{}, sealed...), make([]byte, 16)...)
		_, err = client.ReaderAt(bytes.NewReader(longer), int64(len(sealed)+change))
		wants(t, cmek.ErrDamaged, err)
	}
}

func TestManyGoroutinesShareAClientAZoneAndAFile(t *testing.T) {
	client, zone := open(t)
	data := sample(9 * chunk)
	sealed := sealStream(t, zone, data, chunk)
	file, err := client.ReaderAt(bytes.NewReader(sealed), int64(len(sealed)))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var group sync.WaitGroup
	for number := 0; number < 8; number++ {
		group.Add(1)
		go func(number int) {
			defer group.Done()
			for i := 0; i < 20; i++ {
				text := []byte(fmt.Sprint(number, i))
				message, err := zone.Seal(ctx, text, cmek.Name("n"))
				if err != nil {
					t.Error(err)
					return
				}
				if plain, err := client.Unseal(ctx, message, cmek.Name("n")); err != nil || !bytes.Equal(plain, text) {
					t.Error(err)
				}
				part, at := make([]byte, 1000), (number*20+i)*3001
				if _, err := file.ReadAt(part, int64(at)); err != nil || !bytes.Equal(part, data[at:at+1000]) {
					t.Error(err)
				}
			}
		}(number)
	}
	group.Wait()
}

func TestFilesAndTheStandardLibrary(t *testing.T) {
	client, zone := open(t)
	folder := t.TempDir()
	plain, sealed, back := filepath.Join(folder, "plain"), filepath.Join(folder, "sealed"), filepath.Join(folder, "back")
	if err := os.WriteFile(plain, sample(3*chunk), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := zone.SealFile(plain, sealed); err != nil {
		t.Fatal(err)
	}
	wants(t, cmek.ErrRefused, zone.SealFile(plain, sealed))
	if err := zone.SealFile(plain, sealed, cmek.Replace()); err != nil {
		t.Fatal(err)
	}
	if err := client.UnsealFile(sealed, back); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(back)
	same(t, data, sample(3*chunk), err)
	wants(t, os.ErrNotExist, zone.SealFile(filepath.Join(folder, "nothing"), back, cmek.Replace()))
	large := sample(9<<20 + 5)
	if err := os.WriteFile(plain, large, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := zone.SealFile(plain, sealed, cmek.Replace(), cmek.Threads(3)); err != nil {
		t.Fatal(err)
	}
	if err := client.UnsealFile(sealed, back, cmek.Replace(), cmek.Threads(cmek.AllProcessors)); err != nil {
		t.Fatal(err)
	}
	data, err = os.ReadFile(back)
	same(t, data, large, err)
	if err := os.WriteFile(plain, sample(3*chunk), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := zone.SealFile(plain, sealed, cmek.Replace()); err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	writer, err := zone.Writer(&out)
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(writer)
	entry, _ := archive.Create("a.txt")
	entry.Write(sample(100000))
	archive.Close()
	writer.Close()
	file, err := client.ReaderAt(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := zip.NewReader(file, file.Size())
	if err != nil {
		t.Fatal(err)
	}
	content, err := unpacked.Open("a.txt")
	if err != nil {
		t.Fatal(err)
	}
	data, err = io.ReadAll(content)
	same(t, data, sample(100000), err)
}

type oddWriter func([]byte) (int, error)

func (w oddWriter) Write(data []byte) (int, error) { return w(data) }

type oddReaderAt func([]byte, int64) (int, error)

func (r oddReaderAt) ReadAt(out []byte, at int64) (int, error) { return r(out, at) }

func TestAStreamThatWritesLessOrPanicsIsNoSuccess(t *testing.T) {
	_, zone := open(t)
	_, err := zone.Writer(oddWriter(func(data []byte) (int, error) { return len(data) - 1, nil }))
	wants(t, io.ErrShortWrite, err)
	defer func() {
		if told := recover(); told != "mine" {
			t.Fatalf("%v, where the stream's own panic was expected", told)
		}
		if _, err := zone.Seal(ctx, []byte("after it")); err != nil {
			t.Fatal(err)
		}
	}()
	_, err = zone.Writer(oddWriter(func([]byte) (int, error) { panic("mine") }))
	t.Fatalf("%v, and no panic", err)
}

func TestWhatIsClosedMeanwhileGoesToItsEnd(t *testing.T) {
	client, zone := open(t)
	var out bytes.Buffer
	writer, err := zone.Writer(&out)
	if err != nil {
		t.Fatal(err)
	}
	writer.Write(sample(3 * chunk))
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	var late atomic.Bool
	reading, closed := make(chan bool), make(chan bool)
	file, err := client.ReaderAt(oddReaderAt(func(place []byte, at int64) (int, error) {
		if late.Load() {
			reading <- true
			<-closed
		}
		return bytes.NewReader(out.Bytes()).ReadAt(place, at)
	}), int64(out.Len()), cmek.TrustSize())
	if err != nil {
		t.Fatal(err)
	}
	late.Store(true)
	done := make(chan error)
	place := make([]byte, 5)
	go func() {
		_, err := file.ReadAt(place, chunk)
		done <- err
	}()
	<-reading
	file.Close()
	closed <- true
	same(t, place, sample(3 * chunk)[chunk:chunk+5], <-done)
	_, err = file.ReadAt(place, 0)
	wants(t, os.ErrClosed, err)
	var own *cmek.Writer
	own, err = zone.Writer(oddWriter(func(data []byte) (int, error) {
		if own != nil {
			own.Abandon()
			if _, err := own.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
				t.Errorf("%v, where it is closed", err)
			}
		}
		return len(data), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Write(sample(3 * chunk)); err != nil {
		t.Fatal(err)
	}
	_, err = own.Write([]byte("x"))
	wants(t, os.ErrClosed, err)
}

func TestTextsThatCWouldCutOffAreRefused(t *testing.T) {
	client, zone := open(t)
	_, err := client.Zone("prod/orders\x00x")
	wants(t, cmek.ErrRefused, err)
	wants(t, cmek.ErrRefused, zone.SealFile("a\x00b", "c"))
	wants(t, cmek.ErrRefused, client.UnsealFile("a", "b\x00c"))
	_, err = cmek.OpenWith(cmek.Settings{PIN: "1234\x005"})
	wants(t, cmek.ErrRefused, err)
}

func TestAnEmptyNameIsRefusedSinceItBindsNothing(t *testing.T) {
	client, zone := open(t)
	sealed := sealStream(t, zone, sample(10), chunk)
	object := bytes.NewReader(sealed)
	for _, empty := range []cmek.Option{cmek.Name(""), cmek.NameBytes(nil)} {
		_, err := zone.Seal(ctx, []byte("x"), empty)
		wants(t, cmek.ErrRefused, err)
		_, err = client.Unseal(ctx, sealed, empty)
		wants(t, cmek.ErrRefused, err)
		_, err = zone.Writer(io.Discard, empty)
		wants(t, cmek.ErrRefused, err)
		_, err = client.Reader(object, empty)
		wants(t, cmek.ErrRefused, err)
		_, err = client.ReaderAt(object, object.Size(), empty)
		wants(t, cmek.ErrRefused, err)
		wants(t, cmek.ErrRefused, zone.SealFile("none", "none", empty))
		wants(t, cmek.ErrRefused, client.UnsealFile("none", "none", empty))
	}
}

type oddReader func([]byte) (int, error)

func (r oddReader) Read(out []byte) (int, error) { return r(out) }

func TestAReaderThatGivesNothingOrTooMuchIsTold(t *testing.T) {
	client, zone := open(t)
	reads := 0
	_, err := client.Reader(oddReader(func([]byte) (int, error) {
		reads++
		if reads > 1000 {
			return 0, io.EOF
		}
		return 0, nil
	}))
	wants(t, io.ErrNoProgress, err)
	for _, count := range []int{-1, 1 << 20} {
		_, err = client.Reader(oddReader(func([]byte) (int, error) { return count, nil }))
		wants(t, cmek.ErrIO, err)
	}
	sealed := bytes.NewReader(sealStream(t, zone, sample(2*chunk), chunk))
	seldom := oddReader(func(out []byte) (int, error) {
		if reads++; reads%3 != 0 {
			return 0, nil
		}
		return sealed.Read(out)
	})
	reader, err := client.Reader(seldom)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	plain, err := io.ReadAll(reader)
	same(t, plain, sample(2*chunk), err)
}
