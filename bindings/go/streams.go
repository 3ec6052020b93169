// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

package cmek

/*
#include <cmek/cmek.h>

extern int cmekGoWrite(uintptr_t state, void *data, size_t len);
extern int cmekGoRead(uintptr_t state, void *out, size_t room, size_t *ret_len);
extern int cmekGoPread(uintptr_t state, void *out, size_t len, uint64_t offset);

// A handle of Go's is a number, and goes through C as one.
static int on_write(void *state, const void *data, size_t len)
{
	return cmekGoWrite((uintptr_t)state, (void *)data, len);
}

static int on_read(void *state, void *out, size_t room, size_t *ret_len)
{
	return cmekGoRead((uintptr_t)state, out, room, ret_len);
}

static int on_pread(void *state, void *out, size_t len, uint64_t offset)
{
	return cmekGoPread((uintptr_t)state, out, len, offset);
}

static enum cmek_status new_writer(cmek_zone *zone, struct cmek_seal_options *options, uintptr_t state, cmek_writer **ret, cmek_error **error)
{
	return cmek_writer_new(zone, options, on_write, (void *)state, ret, error);
}

static enum cmek_status new_reader(cmek_client *client, struct cmek_unseal_options *options, uintptr_t state, cmek_reader **ret, cmek_error **error)
{
	return cmek_reader_new(client, options, on_read, (void *)state, ret, error);
}

static enum cmek_status new_range(cmek_client *client, struct cmek_unseal_options *options, uintptr_t state, uint64_t size, cmek_range **ret, cmek_error **error)
{
	return cmek_range_new(client, options, on_pread, (void *)state, size, ret, error);
}
*/
import "C"

import (
	"io"
	"os"
	"runtime"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// Who is in a call of C's, so that whoever closes meanwhile, a callback too, frees nothing under it: the last one does.
type gate struct {
	lock   sync.Mutex
	users  int
	closed bool
	free   func() // once
}

func (g *gate) enter(together bool) error {
	g.lock.Lock()
	defer g.lock.Unlock()
	if g.closed {
		return os.ErrClosed
	}
	if g.users > 0 && !together {
		return errBusy
	}
	g.users++
	return nil
}

func (g *gate) leave() {
	g.lock.Lock()
	g.users--
	g.unlockAndFree()
}

// False: it was closed before.
func (g *gate) close() bool {
	g.lock.Lock()
	first := !g.closed
	g.closed = true
	g.unlockAndFree()
	return first
}

// Of what is being made: a stream of the caller's that panics, or ends its goroutine, returns to nobody.
func (g *gate) closeUnless(made bool) {
	if !made {
		g.close()
	}
}

func (g *gate) unlockAndFree() {
	var free func()
	if g.closed && g.users == 0 {
		free, g.free = g.free, nil
	}
	g.lock.Unlock()
	if free != nil {
		free()
	}
}

// A stream that ends its goroutine in a call (runtime.Goexit, as t.FailNow does) takes C's frames with it: what called it has failed from
// its beginning on, and what the frames hold is freed with the writer, reader or file, also where that was still being made.
var errLeft = &Error{Kind: ErrFailed, Text: "the stream has ended its goroutine, and this with it; begin another"}

var errBusy = &Error{Kind: ErrRefused, Text: "a writer or reader is used by one goroutine at a time"}

// Writer seals what is written. What was written is whole when Close has answered nil, and not before.
type Writer struct {
	gate
	failed error // of a Write, or of what ReadFrom read: then it has no end any more
	zone   *Zone
	stream *stream
	handle cgo.Handle
	c      *C.cmek_writer
}

// Writer writes sealed to `w` what is written to it. Close writes the end, and leaves `w` open; what was written without it does not open.
// Whoever may leave before that defers Abandon, not Close, which can't know why it is called.
func (z *Zone) Writer(w io.Writer, list ...Option) (*Writer, error) {
	var pinner runtime.Pinner
	var told *C.cmek_error
	defer pinner.Unpin()
	o, err := gather(list)
	if err != nil {
		return nil, err
	}
	if err := z.client.take(); err != nil {
		return nil, err
	}
	writer := &Writer{zone: z, stream: &stream{writer: w}}
	writer.handle = cgo.NewHandle(writer.stream)
	writer.free = func() {
		C.cmek_writer_free(writer.c)
		writer.handle.Delete()
		z.client.drop()
	}
	made := false
	defer func() { writer.closeUnless(made) }()
	status := C.new_writer(z.c, o.seal(&pinner), C.uintptr_t(writer.handle), &writer.c, &told)
	if err := failure(status, told, writer.stream.taken); err != nil {
		return nil, err
	}
	made = true
	return writer, nil
}

func (w *Writer) Write(data []byte) (int, error) {
	var told *C.cmek_error
	if err := w.enter(false); err != nil {
		return 0, err
	}
	defer w.leave()
	if w.failed != nil {
		return 0, w.failed
	}
	w.failed = errLeft
	status := C.cmek_writer_put(w.c, unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), &told)
	if w.failed = failure(status, told, w.stream.taken); w.failed != nil {
		return 0, w.failed
	}
	return len(data), nil
}

// ReadFrom is io.ReaderFrom's, for io.Copy: where the source fails, what was written never gets an end. A source that is an io.WriterTo
// is asked by io.Copy to write itself, and its failure is known to the program alone.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	came := false
	defer func() {
		if !came {
			w.fail(errLeft)
		}
	}()
	sum, err := w.readFrom(r)
	came = true
	return sum, err
}

func (w *Writer) readFrom(r io.Reader) (int64, error) {
	var sum int64
	piece := make([]byte, 1<<16)
	defer clear(piece)
	for {
		count, err := r.Read(piece)
		if count > 0 {
			written, failed := w.Write(piece[:count])
			sum += int64(written)
			if failed != nil {
				return sum, failed
			}
		}
		if err == io.EOF {
			return sum, nil
		}
		if err != nil {
			return sum, w.fail(err)
		}
	}
}

func (w *Writer) fail(err error) error {
	if closed := w.enter(false); closed != nil {
		return closed
	}
	defer w.leave()
	w.failed = err
	return err
}

// Close writes the end. After a Write or ReadFrom that failed it answers the same error, and writes none.
func (w *Writer) Close() error {
	var told *C.cmek_error
	if err := w.enter(false); err != nil {
		return err
	}
	defer w.Abandon()
	defer w.leave()
	if w.failed != nil {
		return w.failed
	}
	w.failed = errLeft
	status := C.cmek_writer_finish(w.c, &told)
	return failure(status, told, w.stream.taken)
}

// Abandon ends it without an end: what was written does not open. After Close it does nothing, so that it may be deferred.
func (w *Writer) Abandon() { w.gate.close() }

// Reader gives what is verified.
type Reader struct {
	gate
	client *Client
	stream *stream
	left   bool // the stream did not come back from a call
	handle cgo.Handle
	c      *C.cmek_reader
	Zone   uint64
}

// Reader reads what `r` has sealed. io.EOF comes after the end was verified. Close leaves `r` open.
func (c *Client) Reader(r io.Reader, list ...Option) (*Reader, error) {
	var pinner runtime.Pinner
	var told *C.cmek_error
	defer pinner.Unpin()
	o, err := gather(list)
	if err != nil {
		return nil, err
	}
	if err := c.take(); err != nil {
		return nil, err
	}
	reader := &Reader{client: c, stream: &stream{reader: r}}
	reader.handle = cgo.NewHandle(reader.stream)
	reader.free = func() {
		C.cmek_reader_free(reader.c)
		reader.handle.Delete()
		c.drop()
	}
	made := false
	defer func() { reader.closeUnless(made) }()
	status := C.new_reader(c.c, o.unseal(&pinner), C.uintptr_t(reader.handle), &reader.c, &told)
	runtime.KeepAlive(o) // its zone
	if err := failure(status, told, reader.stream.taken); err != nil {
		return nil, err
	}
	made = true
	reader.Zone = uint64(C.cmek_reader_zone(reader.c))
	return reader, nil
}

func (r *Reader) Read(out []byte) (int, error) {
	var told *C.cmek_error
	var length C.size_t
	if err := r.enter(false); err != nil {
		return 0, err
	}
	defer r.leave()
	if r.left {
		return 0, errLeft
	}
	if len(out) == 0 {
		return 0, nil
	}
	r.left = true
	status := C.cmek_reader_get(r.c, unsafe.Pointer(unsafe.SliceData(out)), C.size_t(len(out)), &length, &told)
	r.left = false
	if err := failure(status, told, r.stream.taken); err != nil {
		return 0, err
	}
	if length == 0 {
		return 0, io.EOF
	}
	return int(length), nil
}

// Close ends it. A Read that is under way goes to its end.
func (r *Reader) Close() error {
	r.gate.close()
	return nil
}

// File is a sealed object that is read where one likes.
type File struct {
	gate
	client *Client
	ranged *ranged
	handle cgo.Handle
	c      *C.cmek_range
	size   int64
	Zone   uint64
}

// Several reads may fail at once, each with an error of its own: the last one is told to all of them.
type ranged struct {
	at   io.ReaderAt
	lock sync.Mutex
	s    stream
}

func (r *ranged) failed(err error) C.int {
	r.lock.Lock()
	defer r.lock.Unlock()
	return C.int(r.s.failed(err))
}

func (r *ranged) recovered(panicked any, number *C.int) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.s.recovered(panicked, number)
}

// What the caller's own ReadAt answered, whatever kind of failure its errno stands for.
func (r *ranged) taken(told *C.cmek_error) error {
	if C.cmek_error_errno(told) == 0 {
		return nil
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if panicked := r.s.panicked; panicked != nil {
		r.s.panicked = nil
		panic(panicked)
	}
	return r.s.err
}

// ReaderAt reads ranges of an object of `size` sealed bytes: their chunks are read from `r`, and verified.
func (c *Client) ReaderAt(r io.ReaderAt, size int64, list ...Option) (*File, error) {
	var pinner runtime.Pinner
	var told *C.cmek_error
	defer pinner.Unpin()
	o, err := gather(list)
	if err != nil {
		return nil, err
	}
	if err := c.take(); err != nil {
		return nil, err
	}
	file := &File{client: c, ranged: &ranged{at: r}}
	file.handle = cgo.NewHandle(file.ranged)
	file.free = func() {
		C.cmek_range_free(file.c)
		file.handle.Delete()
		c.drop()
	}
	made := false
	defer func() { file.closeUnless(made) }()
	status := C.new_range(c.c, o.unseal(&pinner), C.uintptr_t(file.handle), C.uint64_t(size), &file.c, &told)
	runtime.KeepAlive(o) // its zone
	if err := failure(status, told, func() error { return file.ranged.taken(told) }); err != nil {
		return nil, err
	}
	made = true
	file.size = int64(C.cmek_range_size(file.c))
	file.Zone = uint64(C.cmek_range_zone(file.c))
	return file, nil
}

// Size is that of the plain data.
func (f *File) Size() int64 { return f.size }

// ReadAt is io.ReaderAt's, for any number of goroutines at once.
func (f *File) ReadAt(out []byte, offset int64) (int, error) {
	var told *C.cmek_error
	var length C.size_t
	if err := f.enter(true); err != nil {
		return 0, err
	}
	defer f.leave()
	if offset < 0 {
		return 0, os.ErrInvalid
	}
	status := C.cmek_range_read(f.c, unsafe.Pointer(unsafe.SliceData(out)), C.size_t(len(out)), C.uint64_t(offset), &length, &told)
	if err := failure(status, told, func() error { return f.ranged.taken(told) }); err != nil {
		return 0, err
	}
	if int(length) < len(out) {
		return int(length), io.EOF
	}
	return int(length), nil
}

// Close ends it, and leaves what it reads open. Reads that are under way go to their end.
func (f *File) Close() error {
	f.gate.close()
	return nil
}
