// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

package cmek

// #cgo pkg-config: cmek
// #include <cmek/cmek.h>
import "C"

import (
	"errors"
	"syscall"
)

// The kinds of failure.
var (
	// The KMS says no, the key is disabled or gone, or a PIN is missing or wrong: stop.
	ErrDenied = errors.New("cmek: denied")
	// KMS, credentials or store are out of reach: try again later.
	ErrUnavailable = errors.New("cmek: unavailable")
	// There is no such project, database, key, module or file.
	ErrNotFound = errors.New("cmek: not found")
	// A rule: another zone than expected, a name that is missing or wrong, a limit, a bad argument.
	ErrRefused = errors.New("cmek: refused")
	// It was changed, cut short or extended; or a record or the store is damaged.
	ErrDamaged = errors.New("cmek: damaged")
	// Plain data, nothing at all, or another program's.
	ErrNotAnEnvelope = errors.New("cmek: not an envelope")
	// A later release is needed to read it.
	ErrNewer = errors.New("cmek: of a later release")
	// It could be opened by a root key that no project here trusts.
	ErrUntrustedRoot = errors.New("cmek: root key not trusted")
	// The caller's stream, or a file: errors.Is says which syscall.Errno, or the stream's own error.
	ErrIO = errors.New("cmek: input or output")
	// No memory, a module that does not work, a fault of ours.
	ErrFailed = errors.New("cmek: failed")
)

var kinds = map[C.enum_cmek_status]error{
	C.CMEK_DENIED:          ErrDenied,
	C.CMEK_UNAVAILABLE:     ErrUnavailable,
	C.CMEK_NOT_FOUND:       ErrNotFound,
	C.CMEK_REFUSED:         ErrRefused,
	C.CMEK_DAMAGED:         ErrDamaged,
	C.CMEK_NOT_AN_ENVELOPE: ErrNotAnEnvelope,
	C.CMEK_NEWER:           ErrNewer,
	C.CMEK_UNTRUSTED_ROOT:  ErrUntrustedRoot,
	C.CMEK_IO:              ErrIO,
	C.CMEK_FAILED:          ErrFailed,
}

// Error is what a call of this package answers. Its text says what happened to which project, database or file, and what to do.
type Error struct {
	Kind      error  // ErrDenied and so on
	Text      string // one line
	MayPass   bool   // whether the same call may succeed when it is tried again
	RequestID string // what to quote to AWS; "" where no KMS was asked
	cause     error  // a syscall.Errno, or what the caller's stream answered; may be nil
}

func (e *Error) Error() string { return e.Text }

// Unwrap lets errors.Is and errors.As see the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.cause}
}

// The error of a call that answered `status`, nil where that is CMEK_OK. `taken`, which may be nil, gives what a stream of the caller
// answered, or panics as that did.
func failure(status C.enum_cmek_status, told *C.cmek_error, taken func() error) error {
	var cause error
	if status == C.CMEK_OK {
		return nil
	}
	defer C.cmek_error_free(told)
	if taken != nil {
		cause = taken()
	}
	kind, known := kinds[status]
	if !known {
		kind = ErrFailed
	}
	if number := C.cmek_error_errno(told); cause == nil && number != 0 {
		cause = syscall.Errno(number)
	}
	text := C.GoString(C.cmek_error_text(told))
	if _, is := cause.(syscall.Errno); cause != nil && !is {
		text += ": " + cause.Error()
	}
	return &Error{
		Kind:      kind,
		Text:      text,
		MayPass:   bool(C.cmek_error_may_pass(told)),
		RequestID: C.GoString(C.cmek_error_request_id(told)),
		cause:     cause,
	}
}
