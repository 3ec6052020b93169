// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

package cmek

// #include <stdlib.h>
// #include <cmek/cmek.h>
import "C"

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

// Client is what Open gives: the module with its projects.
type Client struct {
	c      *C.cmek_client
	lock   sync.Mutex
	users  int // zones, writers, readers, files and calls: C frees these first, and the client then
	closed bool
	places chan struct{} // of the calls that a context may leave behind
}

// Each call that goes on after its context has ended keeps a thread of the system until the KMS or the store has answered, and Go
// ends the process at 10000 of them.
const callsAtOnce = 256

func (c *Client) take() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.closed {
		return os.ErrClosed
	}
	if c.c == nil {
		return &Error{Kind: ErrRefused, Text: "a Client that Open did not give; open one", cause: syscall.EINVAL}
	}
	c.users++
	return nil
}

func (c *Client) isClosed() bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.closed
}

func (c *Client) drop() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.users--
	c.free()
}

func (c *Client) free() {
	if c.closed && c.users == 0 && c.c != nil {
		C.cmek_close(c.c)
		c.c = nil
	}
}

// Settings of a client; all may be empty.
type Settings struct {
	Module        string // a path; "": $CMEK_PKCS11_MODULE, else where it was installed
	Configuration string // a path; "": $CMEK_PKCS11_CONF, else where the module looks for it
	Project       string // the only one that is looked at; "": all
	PIN           string // of Project, or of the only one that has a PIN
}

// C would see the text up to its first NUL.
func hasNUL(texts ...string) error {
	for _, text := range texts {
		if strings.IndexByte(text, 0) >= 0 {
			return &Error{Kind: ErrRefused, Text: fmt.Sprintf("%q: has a NUL", text), cause: syscall.EINVAL}
		}
	}
	return nil
}

// Wiped when it is freed, since one of them is a PIN.
func cString(text string) (*C.char, func()) {
	if text == "" {
		return nil, func() {}
	}
	c := C.CString(text)
	return c, func() {
		clear(unsafe.Slice((*byte)(unsafe.Pointer(c)), len(text)))
		C.free(unsafe.Pointer(c))
	}
}

// Open loads the module as its configuration says. It asks no KMS.
func Open() (*Client, error) { return OpenWith(Settings{}) }

// OpenWith is Open with settings of one's own.
func OpenWith(settings Settings) (*Client, error) {
	var options C.struct_cmek_client_options
	var told *C.cmek_error
	client := &Client{places: make(chan struct{}, callsAtOnce)}
	if err := hasNUL(settings.Module, settings.Configuration, settings.Project, settings.PIN); err != nil {
		return nil, err
	}
	options.size = C.sizeof_struct_cmek_client_options
	for _, field := range []struct {
		text  string
		place **C.char
	}{{settings.Module, &options.module}, {settings.Configuration, &options.configuration}, {settings.Project, &options.project},
		{settings.PIN, &options.pin}} {
		c, free := cString(field.text)
		defer free()
		*field.place = c
	}
	status := C.cmek_open(&options, &client.c, &told)
	if err := failure(status, told, nil); err != nil {
		return nil, err
	}
	return client, nil
}

// Close ends it. Writers, readers and files that are still open go on; everything else answers os.ErrClosed then.
func (c *Client) Close() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.closed = true
	c.free()
	return nil
}

// Zone is a database: what is sealed in it, its key opens.
type Zone struct {
	client  *Client
	c       *C.cmek_zone
	ID      uint64
	Name    string // CLUSTER/NAME when it was opened
	Project string
}

// Zone finds a database, by "CLUSTER/NAME", "PROJECT:CLUSTER/NAME", or its zone id.
func (c *Client) Zone(name string) (*Zone, error) {
	var told *C.cmek_error
	zone := &Zone{client: c}
	if err := hasNUL(name); err != nil {
		return nil, err
	}
	if err := c.take(); err != nil {
		return nil, err
	}
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	status := C.cmek_zone_open(c.c, text, &zone.c, &told)
	if err := failure(status, told, nil); err != nil {
		c.drop()
		return nil, err
	}
	zone.ID = uint64(C.cmek_zone_id(zone.c))
	zone.Name = C.GoString(C.cmek_zone_name(zone.c))
	zone.Project = C.GoString(C.cmek_zone_project(zone.c))
	runtime.SetFinalizer(zone, func(zone *Zone) {
		C.cmek_zone_free(zone.c)
		zone.client.drop()
	})
	return zone, nil
}

func (z *Zone) String() string { return fmt.Sprintf("%s:%s", z.Project, z.Name) }

// Option says how something is sealed or opened.
type Option func(*options)

type options struct {
	given      bool
	name       []byte
	embed      bool
	collection uint64
	zone       *Zone
	trustSize  bool
	replace    bool
	threads    uint
}

// Name binds a name in when something is sealed, and is wanted when it is opened: an object's path, a row's key. An empty one, which
// would bind nothing, is ErrRefused.
func Name(name string) Option { return NameBytes([]byte(name)) }

// NameBytes is Name for what is no text.
func NameBytes(name []byte) Option {
	return func(o *options) { o.name = append([]byte{}, name...) }
}

// Embed puts the zone's key record into a message, so that a project with the same root key opens it without this store.
func Embed() Option { return func(o *options) { o.embed = true } }

// Collection says in clear which one of the database's a message is of.
func Collection(number uint64) Option { return func(o *options) { o.collection = number } }

// Of wants what is opened to be of that zone, which may be another client's, as long as that is open.
func Of(zone *Zone) Option { return func(o *options) { o.zone = zone } }

// TrustSize leaves out the look at an object's end before its first bytes are given (ReaderAt).
func TrustSize() Option { return func(o *options) { o.trustSize = true } }

// Replace lets a file take the place of one that is there.
func Replace() Option { return func(o *options) { o.replace = true } }

// AllProcessors of Threads: as many as there are processors for the calling thread.
const AllProcessors = ^uint(0)

// Threads has so many threads share a large file, of which the calling one is one (SealFile, UnsealFile); else it is worked on in that alone.
func Threads(number uint) Option { return func(o *options) { o.threads = number } }

var errEmptyName = &Error{Kind: ErrRefused, Text: "an empty name binds nothing: leave it out", cause: syscall.EINVAL}

func gather(list []Option) (*options, error) {
	o := &options{given: len(list) > 0}
	for _, option := range list {
		option(o)
	}
	if o.zone != nil && o.zone.client.isClosed() {
		return nil, os.ErrClosed
	}
	if o.name != nil && len(o.name) == 0 {
		return nil, errEmptyName
	}
	return o, nil
}

// The bytes of a name that C may read until the pinner lets go.
func (o *options) pinName(pinner *runtime.Pinner) (unsafe.Pointer, C.size_t) {
	if o.name == nil {
		return nil, 0
	}
	room := append(o.name, 0)
	pinner.Pin(&room[0])
	return unsafe.Pointer(&room[0]), C.size_t(len(o.name))
}

// Of no options nil, as C has it.
func (o *options) seal(pinner *runtime.Pinner) *C.struct_cmek_seal_options {
	if !o.given {
		return nil
	}
	c := &C.struct_cmek_seal_options{size: C.sizeof_struct_cmek_seal_options, embed: C.bool(o.embed), collection: C.uint64_t(o.collection),
		threads: C.size_t(o.threads)}
	c.name, c.name_len = o.pinName(pinner)
	return c
}

func (o *options) unseal(pinner *runtime.Pinner) *C.struct_cmek_unseal_options {
	if !o.given {
		return nil
	}
	c := &C.struct_cmek_unseal_options{size: C.sizeof_struct_cmek_unseal_options, trust_size: C.bool(o.trustSize), threads: C.size_t(o.threads)}
	c.name, c.name_len = o.pinName(pinner)
	if o.zone != nil {
		c.zone = o.zone.c
	}
	return c
}

// What of `work` is there when the context ends first is dropped. It is given the data, or a copy of them where the caller may go on
// before it has ended. Beyond callsAtOnce such calls it begins when one of them has ended.
func (c *Client) wait(ctx context.Context, data []byte, work func([]byte) ([]byte, error)) ([]byte, error) {
	if ctx.Done() == nil {
		return work(data)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case c.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type answer struct {
		data []byte
		err  error
	}
	done, kept := make(chan answer, 1), append([]byte{}, data...)
	go func() {
		defer func() { <-c.places }()
		data, err := work(kept)
		done <- answer{data, err}
	}()
	select {
	case a := <-done:
		return a.data, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Seal makes a message of at most 64 MiB.
func (z *Zone) Seal(ctx context.Context, plain []byte, list ...Option) ([]byte, error) {
	o, err := gather(list)
	if err != nil {
		return nil, err
	}
	return z.client.wait(ctx, plain, func(plain []byte) ([]byte, error) {
		var pinner runtime.Pinner
		var told *C.cmek_error
		var length C.size_t
		defer pinner.Unpin()
		if err := z.client.take(); err != nil {
			return nil, err
		}
		defer z.client.drop()
		c := o.seal(&pinner)
		out := make([]byte, C.cmek_sealed_size(z.c, C.size_t(len(plain)), c))
		status := C.cmek_seal(z.c, unsafe.Pointer(unsafe.SliceData(plain)), C.size_t(len(plain)), c, unsafe.Pointer(unsafe.SliceData(out)),
			C.size_t(len(out)), &length, &told)
		runtime.KeepAlive(z)
		if err := failure(status, told, nil); err != nil {
			return nil, err
		}
		return out[:length], nil
	})
}

// Unseal opens a message, or a file's envelope in memory.
func (c *Client) Unseal(ctx context.Context, sealed []byte, list ...Option) ([]byte, error) {
	o, err := gather(list)
	if err != nil {
		return nil, err
	}
	return c.wait(ctx, sealed, func(sealed []byte) ([]byte, error) {
		var pinner runtime.Pinner
		var told *C.cmek_error
		var length C.size_t
		defer pinner.Unpin()
		if err := c.take(); err != nil {
			return nil, err
		}
		defer c.drop()
		from := unsafe.Pointer(unsafe.SliceData(sealed))
		out := make([]byte, C.cmek_unsealed_size(from, C.size_t(len(sealed))))
		status := C.cmek_unseal(c.c, from, C.size_t(len(sealed)), o.unseal(&pinner), unsafe.Pointer(unsafe.SliceData(out)),
			C.size_t(len(out)), &length, &told)
		runtime.KeepAlive(o)
		if err := failure(status, told, nil); err != nil {
			return nil, err
		}
		return out[:length], nil
	})
}

func twoPaths(in, out string) (*C.char, *C.char, func()) {
	a, b := C.CString(in), C.CString(out)
	return a, b, func() {
		C.free(unsafe.Pointer(a))
		C.free(unsafe.Pointer(b))
	}
}

// SealFile makes `out` appear whole or not at all.
func (z *Zone) SealFile(in, out string, list ...Option) error {
	var pinner runtime.Pinner
	var told *C.cmek_error
	defer pinner.Unpin()
	if err := hasNUL(in, out); err != nil {
		return err
	}
	o, err := gather(list)
	if err != nil {
		return err
	}
	a, b, free := twoPaths(in, out)
	defer free()
	if err := z.client.take(); err != nil {
		return err
	}
	defer z.client.drop()
	status := C.cmek_seal_file(z.c, a, b, C.bool(o.replace), o.seal(&pinner), &told)
	runtime.KeepAlive(z)
	return failure(status, told, nil)
}

// UnsealFile makes `out` appear whole or not at all.
func (c *Client) UnsealFile(in, out string, list ...Option) error {
	var pinner runtime.Pinner
	var told *C.cmek_error
	defer pinner.Unpin()
	if err := hasNUL(in, out); err != nil {
		return err
	}
	o, err := gather(list)
	if err != nil {
		return err
	}
	a, b, free := twoPaths(in, out)
	defer free()
	if err := c.take(); err != nil {
		return err
	}
	defer c.drop()
	status := C.cmek_unseal_file(c.c, a, b, C.bool(o.replace), o.unseal(&pinner), &told)
	runtime.KeepAlive(o)
	return failure(status, told, nil)
}
