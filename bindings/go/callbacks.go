// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

package cmek

// #include <stddef.h>
// #include <stdint.h>
import "C"

import (
	"errors"
	"io"
	"runtime/cgo"
	"syscall"
	"unsafe"
)

// A stream of the caller, and what it answered when it failed: that comes out of the call as it is.
type stream struct {
	writer   io.Writer
	reader   io.Reader
	err      error
	panicked any
}

// What C is told; the caller of this package gets the error itself.
func (s *stream) failed(err error) C.int {
	var number syscall.Errno
	s.err = err
	if errors.As(err, &number) && number != 0 {
		return C.int(number)
	}
	return C.int(syscall.EIO)
}

func (s *stream) taken() error {
	if panicked := s.panicked; panicked != nil {
		s.panicked = nil
		panic(panicked)
	}
	err := s.err
	s.err = nil
	return err
}

// A panic does not go over the frames of C, which would free nothing then: it goes on when the call has ended.
func (s *stream) recovered(panicked any, number *C.int) {
	if panicked != nil {
		s.panicked = panicked
		*number = C.int(syscall.EIO)
	}
}

//export cmekGoWrite
func cmekGoWrite(state C.uintptr_t, data unsafe.Pointer, length C.size_t) (number C.int) {
	s := cgo.Handle(state).Value().(*stream)
	defer func() { s.recovered(recover(), &number) }()
	count, err := s.writer.Write(unsafe.Slice((*byte)(data), int(length)))
	if err == nil && count != int(length) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return s.failed(err)
	}
	return 0
}

var errCount = errors.New("cmek: a reader gave more than was wanted, or less than nothing")

// At least a byte, or why there is none. A reader that gives neither, as often as bufio bears it, is io.ErrNoProgress.
func readSome(r io.Reader, out []byte) (int, error) {
	for tries := 0; tries < 100; tries++ {
		count, err := r.Read(out)
		if count < 0 || count > len(out) {
			return 0, errCount
		}
		if count > 0 || err != nil {
			return count, err
		}
	}
	return 0, io.ErrNoProgress
}

//export cmekGoRead
func cmekGoRead(state C.uintptr_t, out unsafe.Pointer, room C.size_t, length *C.size_t) (number C.int) {
	s := cgo.Handle(state).Value().(*stream)
	defer func() { s.recovered(recover(), &number) }()
	count, err := readSome(s.reader, unsafe.Slice((*byte)(out), int(room)))
	if err != nil && !errors.Is(err, io.EOF) {
		return s.failed(err)
	}
	*length = C.size_t(count)
	return 0
}

//export cmekGoPread
func cmekGoPread(state C.uintptr_t, out unsafe.Pointer, length C.size_t, offset C.uint64_t) (number C.int) {
	s := cgo.Handle(state).Value().(*ranged)
	defer func() { s.recovered(recover(), &number) }()
	count, err := s.at.ReadAt(unsafe.Slice((*byte)(out), int(length)), int64(offset))
	if count == int(length) {
		return 0
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return s.failed(err)
}
